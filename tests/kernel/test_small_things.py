import asyncio
import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself import errors
from higherself.kernel import errors as kernel_errors
from higherself.kernel.backoff import exponential
from higherself.kernel.ids import new_id, uuid7
from higherself.kernel.tasks import abandonable, task_group

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@given(st.integers(1, 10_000), st.floats(0, 1))
def test_a_wait_is_never_longer_than_the_ceiling(attempt: int, jitter: float) -> None:
    wait = exponential(attempt, base=SECOND, ceiling=MINUTE, jitter=jitter)
    assert timedelta(0) <= wait <= MINUTE


@given(st.integers(1, 50))
def test_waits_never_shrink(attempt: int) -> None:
    one = exponential(attempt, base=SECOND, ceiling=MINUTE)
    assert one <= exponential(attempt + 1, base=SECOND, ceiling=MINUTE)


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_an_identifier_keeps_its_version_and_instant(milliseconds: int, bits: int) -> None:
    made = uuid7(milliseconds, bits)
    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == milliseconds


def test_later_identifiers_sort_later() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    made = [new_id(noon + n * timedelta(milliseconds=1)) for n in range(100)]
    assert made == sorted(made)
    assert len({new_id(noon) for _ in range(1000)}) == 1000


def test_every_error_belongs_to_exactly_one_family() -> None:
    from importlib import import_module

    for module in (
        "higherself.db.errors",
        "higherself.knowledge.errors",
        "higherself.db.server.errors",
    ):
        for value in vars(import_module(module)).values():
            if not isinstance(value, type) or value is kernel_errors.HigherSelfError:
                continue
            if issubclass(value, kernel_errors.HigherSelfError):
                families = [f for f in kernel_errors.FAMILIES if issubclass(value, f)]
                assert len(families) == 1, value


def test_extensions_find_the_families_where_the_interface_says() -> None:
    assert errors.Rejected is kernel_errors.Rejected
    assert [family.exit_code for family in kernel_errors.FAMILIES] == [2, 3, 4, 5, 6]
    assert [family.http_status for family in kernel_errors.FAMILIES[1:]] == [404, 409, 422, 503]


async def fail() -> None:
    raise errors.Conflict("too late")


async def in_a_group() -> None:
    async with task_group() as group:
        group.create_task(fail())
        await asyncio.Event().wait()


async def test_the_first_error_of_a_group_comes_out_as_itself() -> None:
    with pytest.raises(errors.Conflict, match="too late"):
        await in_a_group()


async def test_what_is_abandoned_need_not_end() -> None:
    others = set(threading.enumerate())
    never = threading.Event()
    waiting = asyncio.create_task(abandonable(never.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    (thread,) = [
        each for each in set(threading.enumerate()) - others if each.name.startswith("abandonable")
    ]
    assert thread.daemon
    never.set()
    thread.join(10)
    await asyncio.sleep(0)  # what it returned meets nobody


async def test_what_is_not_abandoned_returns_or_raises() -> None:
    assert await abandonable(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await abandonable(lambda: 1 // 0)
