"""What a tier learns reaches the processes that come after, and those beside."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest

from higherself.db.errors import DatabaseUnavailable
from higherself.db.pool import Database
from higherself.kernel.breaker import BreakerPolicy, Circuit
from higherself.knowledge.errors import ProviderUnavailable, TierPaused
from higherself.knowledge.ledger_postgres import PostgresLedger
from higherself.knowledge.model import EmbeddingSpace
from higherself.knowledge.ports import Purpose, TierLedger, Vectors
from higherself.knowledge.standing import Standing, Usage
from higherself.knowledge.tier_health import FRESH, TierPolicy
from higherself.knowledge.tiers import Tier
from higherself.testing.clock import NOON, ManualClock

TODAY = NOON.date()
SECOND = timedelta(seconds=1)
USED = Usage(requests=2, failures=1, texts=5, tokens=40)
OPEN = Circuit(failures=3, openings=1, open_until=NOON + 15 * SECOND, changed_at=NOON)
FAILING = Standing(
    configuration=b"one",
    circuit=OPEN,
    last_error="it is broken",
    last_error_at=NOON,
    usage=USED,
    latency=timedelta(milliseconds=120),
)


class Ones:
    """Embeds anything as the same vector, for a token a letter; fails while it is broken."""

    space = EmbeddingSpace(name="ones/2", provider="ones", model="ones", dimensions=2)
    window = 100
    broken = False

    def count_tokens(self, texts: Sequence[str]) -> list[int]:
        return [len(text) for text in texts]

    async def embed(self, texts: Sequence[str], *, purpose: Purpose = "document") -> Vectors:
        if self.broken:
            raise ProviderUnavailable("it is broken", timed_out=True)
        return np.ones((len(texts), 2), np.float32)

    def close(self) -> None: ...


@pytest.fixture
def ledger(database: Database) -> PostgresLedger:
    return PostgresLedger(database)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def process(ledger: TierLedger, clock: ManualClock, *, key: bytes = b"one") -> tuple[Tier, Ones]:
    """Return the tier as a process has it, and its provider."""
    provider = Ones()
    policy = TierPolicy(daily_tokens=30)
    tier = Tier("ones", provider, clock=clock, policy=policy, configuration=key, ledger=ledger)
    return tier, provider


async def fails(tier: Tier) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as raised:
        await tier.embed(["tea"])
    return raised.value


@pytest.mark.postgres
async def test_of_an_unknown_tier_nothing_is_known(ledger: PostgresLedger) -> None:
    assert await ledger.read("ones", TODAY) is None


@pytest.mark.postgres
async def test_what_is_recorded_can_be_read(ledger: PostgresLedger) -> None:
    assert await ledger.record("ones", TODAY, FAILING) == FAILING
    assert await ledger.read("ones", TODAY) == FAILING
    assert await ledger.read("other", TODAY) is None


@pytest.mark.postgres
async def test_usage_adds_up_within_a_day(ledger: PostgresLedger) -> None:
    await ledger.record("ones", TODAY, FAILING)
    again = await ledger.record("ones", TODAY, replace(FAILING, usage=Usage(tokens=2)))
    assert again.usage == USED + Usage(tokens=2)
    tomorrow = await ledger.read("ones", date(2026, 11, 23))
    assert tomorrow is not None
    assert tomorrow.usage == Usage()
    assert tomorrow.circuit == OPEN


@pytest.mark.postgres
async def test_the_newer_circuit_is_kept_whoever_writes_last(ledger: PostgresLedger) -> None:
    healed = replace(FAILING, circuit=Circuit(changed_at=NOON + SECOND))
    await ledger.record("ones", TODAY, healed)
    kept = await ledger.record("ones", TODAY, FAILING)
    assert kept.circuit == healed.circuit
    other = replace(FAILING, configuration=b"two")
    assert (await ledger.record("ones", TODAY, other)).circuit == OPEN


@pytest.mark.postgres
async def test_a_process_leaves_alone_what_the_one_before_it_found_dead(
    ledger: PostgresLedger, clock: ManualClock
) -> None:
    tier, provider = process(ledger, clock)
    await tier.recall()
    provider.broken = True
    await fails(tier)
    await tier.close()

    after, _ = process(ledger, clock)
    await after.recall()
    assert not after.available()
    assert "it is broken" in str(await fails(after))
    assert after.described()["last_error_at"] == NOON
    assert after.described()["failures"] == 1
    clock.move(BreakerPolicy().pause)
    await after.embed(["tea"])
    await after.close()

    last, _ = process(ledger, clock)
    await last.recall()
    assert last.available()
    assert last.described()["requests"] == 2
    assert last.described()["last_error"] == "it is broken"
    await last.close()


@pytest.mark.postgres
async def test_a_new_key_is_tried_at_once(ledger: PostgresLedger, clock: ManualClock) -> None:
    tier, provider = process(ledger, clock)
    provider.broken = True
    await fails(tier)
    await tier.close()
    corrected, _ = process(ledger, clock, key=b"another")
    await corrected.recall()
    assert corrected.available()
    await corrected.close()


@pytest.mark.postgres
async def test_the_tokens_of_a_day_are_those_of_all_processes(
    ledger: PostgresLedger, clock: ManualClock
) -> None:
    one, _ = process(ledger, clock)
    two, _ = process(ledger, clock)
    await one.recall()
    await two.recall()
    await one.embed(["x" * 15])
    await one.close()
    await two.embed(["x"])
    await two.close()
    three, _ = process(ledger, clock)
    await three.recall()
    assert three.described()["tokens"] == 16
    with pytest.raises(TierPaused, match="16 used"):
        await three.embed(["x" * 15])
    await three.close()


@pytest.mark.postgres
async def test_processes_learn_from_each_other_while_they_run(
    ledger: PostgresLedger, clock: ManualClock
) -> None:
    one, provider = process(ledger, clock)
    two, _ = process(ledger, clock)
    await two.recall()
    provider.broken = True
    await fails(one)
    await one.close()
    assert two.available(), "nothing is read before it is stale"
    clock.move(FRESH + SECOND)
    assert two.available(), "nor waited for"
    await two.close()
    assert not two.available()


@pytest.mark.postgres
async def test_a_process_that_only_looks_learns_that_all_is_well_again(
    ledger: PostgresLedger, clock: ManualClock
) -> None:
    one, provider = process(ledger, clock)
    provider.broken = True
    await fails(one)
    await one.close()
    clock.move(SECOND)
    doctor, _ = process(ledger, clock)
    await doctor.recall()
    await doctor.probe()
    await doctor.close()
    clock.move(FRESH + SECOND)
    assert not one.available()
    await one.close()
    assert one.available()


@pytest.mark.postgres
async def test_an_answer_counts_more_than_an_earlier_failure_elsewhere(
    ledger: PostgresLedger, clock: ManualClock
) -> None:
    one, provider = process(ledger, clock)
    two, _ = process(ledger, clock)
    await two.recall()
    provider.broken = True
    await fails(one)
    await one.close()
    clock.move(SECOND)
    await two.embed(["tea"])
    await two.close()
    assert two.available()
    after, _ = process(ledger, clock)
    await after.recall()
    assert after.available()


def test_a_tier_can_be_looked_at_outside_of_the_event_loop(clock: ManualClock) -> None:
    tier, _ = process(Hanging(), clock)
    assert tier.available()
    assert tier.described()["state"] == "ready"


class Hanging:
    """A ledger on a database that does not answer, or only after the signal."""

    def __init__(self, *, broken: bool = False) -> None:
        self.broken = broken
        self.answers = asyncio.Event()
        self.written = Usage()

    async def read(self, tier: str, day: date) -> Standing | None:
        return await self.record(tier, day, Standing())

    async def record(self, tier: str, day: date, change: Standing) -> Standing:
        if self.broken:
            raise DatabaseUnavailable("the database does not answer")
        await self.answers.wait()
        self.written += change.usage
        return replace(change, usage=self.written)


async def test_nobody_waits_for_the_ledger(clock: ManualClock) -> None:
    ledger = Hanging()
    tier, _ = process(ledger, clock)
    for _ in range(3):
        await tier.embed(["1"], purpose="query")
    assert tier.described()["tokens"] == 3
    ledger.answers.set()
    await tier.close()
    assert ledger.written == Usage(requests=3, texts=3, tokens=3)
    assert tier.described()["tokens"] == 3


async def test_a_ledger_that_fails_stops_nothing_and_gets_it_later(clock: ManualClock) -> None:
    ledger = Hanging(broken=True)
    tier, _ = process(ledger, clock)
    await tier.recall()
    await tier.embed(["1"])
    await asyncio.sleep(0)
    ledger.broken = False
    ledger.answers.set()
    await tier.embed(["1"])
    await tier.close()
    assert ledger.written == Usage(requests=2, texts=2, tokens=2)
