"""What is announced by webhook becomes what happened, once, whatever order and however often it comes."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.inbound.deliveries import changed

from higherself import HigherSelf
from higherself.app.settings import Settings
from higherself.flows.deliveries import SAMPLES, SECRET, Sample, sample, signed
from higherself.inbound.businesses import Businesses
from higherself.inbound.sources import SOURCES
from higherself.inbound.store import NothingToReplay
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.tasks import in_background

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

ENTITY = "the_7_space"
SOON = timedelta(milliseconds=20)


@pytest.fixture
async def hs(database_url: str, tmp_path: Path) -> AsyncIterator[HigherSelf]:
    given: dict[str, Any] = {source.setting: SECRET for source in SOURCES.values()}
    given |= {
        "DATABASE_URL": database_url, "HIGHERSELF_HOME": str(tmp_path),
        "HIGHERSELF_WEBHOOK_BUSINESSES": Businesses.read(f"*={ENTITY}"),
    }  # fmt: skip
    async with (
        HigherSelf.open(Settings.model_validate(given)) as hs,
        in_background(hs.hosted.worker().run()),
    ):
        yield hs


async def arrive(hs: HigherSelf, of: Sample, body: bytes | None = None) -> UUID:
    arrived = signed(of, body, now=datetime.now(UTC))
    taken = await hs.webhooks.receiving.receive(of.source, arrived)
    await hs.webhooks.deliveries.wake()
    assert taken.delivery is not None
    return taken.delivery


async def ended(hs: HigherSelf, delivery: UUID) -> Mapping[str, Any]:
    async with asyncio.timeout(60):
        while True:
            row = await hs.webhooks.deliveries.show(delivery)
            if row["status"] != "received":
                return row
            await SYSTEM_CLOCK.sleep(SOON)


async def test_every_sample_comes_to_an_end_that_says_what_it_was(hs: HigherSelf) -> None:
    became = {}
    for of in SAMPLES:
        row = await ended(hs, await arrive(hs, of))
        steps = (row["decided"] or {}).get("steps") or []
        became[of.file] = (
            [each["type"] for each in steps] if row["status"] == "done" else row["status"]
        )
    assert became == {
        each.file: list(each.becomes) if each.becomes else "failed" for each in SAMPLES
    }
    contact = await hs.contacts.find(ENTITY, email="sam@example.org")
    assert contact is not None, "the lead of the generic sample is a contact"


async def test_the_same_from_many_at_once_has_one_effect(hs: HigherSelf) -> None:
    of = sample("generic_new_lead.json")
    arrived = signed(of, now=datetime.now(UTC))
    taken = await asyncio.gather(
        *(hs.webhooks.receiving.receive(of.source, arrived) for _ in range(10))
    )
    assert len({each.delivery for each in taken}) == 1
    assert [each.is_new for each in taken].count(True) == 1
    await hs.webhooks.deliveries.wake()
    assert taken[0].delivery is not None
    assert (await ended(hs, taken[0].delivery))["status"] == "done"
    assert len(await hs.happenings.latest(entity=ENTITY, type="new_lead")) == 1
    found = await hs.records.of("contacts_profiles").find({"email": "sam@example.org"})
    assert len(found) == 1


async def test_a_lead_without_an_address_is_kept_and_says_so(hs: HigherSelf) -> None:
    of = sample("generic_new_lead.json")
    body = changed(of, data__contact={"first_name": "Sam"}, data__unheard_of={"deep": [1]})
    row = await ended(hs, await arrive(hs, of, body))
    assert row["status"] == "failed"
    assert "neither an e-mail address nor a telephone number" in row["error"]
    assert await hs.happenings.latest(entity=ENTITY) == []
    assert b"unheard_of" in bytes(row["body"]), "what nobody knows is kept as it came"


async def test_what_failed_is_handled_again_once_it_is_mended(hs: HigherSelf) -> None:
    """Whose it is nobody knows at first."""
    of = sample("generic_new_lead.json")
    missing = Businesses({})
    known, hs.webhooks.processing._on = hs.webhooks.processing._on, replaced(hs, missing)
    failed = await arrive(hs, of)
    row = await ended(hs, failed)
    assert (row["status"], row["entity"]) == ("failed", None)
    assert "HIGHERSELF_WEBHOOK_BUSINESSES" in row["error"]
    assert await hs.happenings.latest(entity=ENTITY) == []
    hs.webhooks.processing._on = known
    await hs.webhooks.deliveries.replay(failed)
    await hs.webhooks.deliveries.wake()
    assert (await ended(hs, failed))["status"] == "done"
    assert len(await hs.happenings.latest(entity=ENTITY, type="new_lead")) == 1
    waiting = await arrive(hs, of, changed(of, data__subject="form:78"))
    await ended(hs, waiting)
    async with hs.database.transaction() as tx:
        await tx.connection.execute("UPDATE webhook_delivery SET body = NULL, headers = NULL")
    with pytest.raises(NothingToReplay, match="its body is gone"):
        await hs.webhooks.deliveries.replay(waiting)


def replaced(hs: HigherSelf, businesses: Businesses) -> Any:
    return replace(hs.webhooks.processing._on, businesses=businesses)


async def test_an_order_comes_to_the_same_in_whatever_order_it_is_announced(hs: HigherSelf) -> None:
    """Paid before it is new: it is opened once and paid once, and the late news takes nothing back."""
    of = sample("woocommerce_order.json")
    at = {"pending": "10:15:20", "processing": "10:16:02", "completed": "11:30:00"}
    late = ("completed", "processing", "pending", "completed")
    ends = []
    for number, order in enumerate((tuple(at), late), 900):
        handled = {}
        for state in order:
            when = f"2026-05-04T{at[state]}"
            body = changed(of, id=number, status=state, date_modified_gmt=when)
            row = await ended(hs, await arrive(hs, of, body))
            assert row["status"] in ("done", "ignored"), row["error"]
            handled[row["delivery_id"]] = (row["decided"] or {}).get("steps") or []
        assert len(handled) == 3, "the same news again is the same delivery"
        happened = [step["type"] for steps in handled.values() for step in steps]
        ends.append(sorted(each for each in happened if each != "order_changed"))
    assert ends == [["order_created", "payment_received"]] * 2
