"""Channels that are broken on purpose, each in a way that others were: the suite must notice.

Six are those of the fault suite's plan, one is of answers: what the suite does not catch, it does not promise.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.messaging import rig as rigs
from tests.messaging.conformance import PROMISES
from tests.messaging.rig import Rig

from higherself.db.pool import Transaction
from higherself.messaging.care import PostgresMessageCare
from higherself.messaging.envelope import MessageId
from higherself.messaging.model import Claim, Claimed, Message, Published
from higherself.messaging.ports import HandledBefore, Settled
from higherself.messaging.settlement import DELIVERED, Again, End
from higherself.messaging.statements import PARTS, QUERIES

pytestmark = pytest.mark.postgres


class Mutant:
    """A rig's channel, of which a part is done wrong; the rest is the real one."""

    def __init__(self, rig: Rig) -> None:
        self.rig, self.store, self.outbox = rig, rig.store, rig.outbox

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store if hasattr(self.store, name) else self.outbox, name)


class AcknowledgesBeforeItHandles(Mutant):
    async def claim(self, *arguments: Any, **options: Any) -> Claim:
        claim = await self.store.claim(*arguments, **options)
        await self.store.settle([Settled(each, End(status="delivered")) for each in claim.messages])
        return claim


class ReadsOnFromTheLastNumber(Mutant):
    last = 0

    async def claim(self, *arguments: Any, **options: Any) -> Claim:
        claim = await self.store.claim(*arguments, **options)
        later = tuple(each for each in claim.messages if each.sequence > self.last)
        self.last = max([self.last, *(each.sequence for each in later)])
        return replace(claim, messages=later)

    async def claim_lapsed(self, *arguments: Any, **options: Any) -> Claim:
        claim = await self.store.claim_lapsed(*arguments, **options)
        return replace(claim, messages=())


class NotesWhatItHandledApart(Mutant):
    @asynccontextmanager
    async def once(self, message: Claimed) -> AsyncIterator[Transaction]:
        noted = {"message_id": message.id, "consumer": message.topic, "entity": None}
        async with self.rig.database.transaction() as tx:
            if await tx.maybe(QUERIES["note_handled"], noted) is None:
                raise HandledBefore
        async with self.rig.database.transaction() as tx:
            yield tx
            held = {"message_id": message.id, "lease": message.lease}
            await tx.maybe(QUERIES["deliver_message"], held)


class AsksForNoFence(Mutant):
    async def settle(self, settled: Sequence[Settled], **options: Any) -> set[MessageId]:
        current = [replace(each, message=await self.fenced(each.message)) for each in settled]
        return await self.store.settle(current, **options)

    @asynccontextmanager
    async def once(self, message: Claimed) -> AsyncIterator[Transaction]:
        async with self.store.once(await self.fenced(message)) as tx:
            yield tx

    async def fenced(self, message: Claimed) -> Claimed:
        found = await self.rig.sql("SELECT lease FROM message WHERE message_id = %s", message.id)
        return replace(message, lease=found[0][0])


class AnswersBeforeItEnds(Mutant):
    async def settle(self, settled: Sequence[Settled], **options: Any) -> set[MessageId]:
        return await self.store.settle([await self.apart(each) for each in settled], **options)

    async def apart(self, settled: Settled) -> Settled:
        end = settled.settlement
        if not isinstance(end, End) or end.sends is None:
            return settled
        rows: dict[str, Any] = {"messages": f"[{','.join(end.sends.rows)}]", "soon": timedelta(1)}
        rows |= {"wake": True, "unless_busy": False}
        async with self.rig.database.transaction() as tx:
            await tx.many(QUERIES["publish_messages"], rows, PARTS)
        return replace(settled, settlement=DELIVERED)


class GivesBackWithoutDelay(Mutant):
    async def settle(self, settled: Sequence[Settled], **options: Any) -> set[MessageId]:
        return await self.store.settle([self.hurried(each) for each in settled], **options)

    def hurried(self, settled: Settled) -> Settled:
        if isinstance(settled.settlement, Again):
            at = datetime(2000, 1, 1, tzinfo=UTC)
            return replace(settled, settlement=replace(settled.settlement, at=at))
        return settled


class RemembersForTwoMinutes(Mutant):
    async def send(self, *messages: Message) -> list[Published]:
        await PostgresMessageCare(self.rig.database).prune(timedelta(minutes=2))
        return await self.outbox.send(*messages)


CAUGHT_BY: Mapping[type[Mutant], Sequence[str]] = {
    AcknowledgesBeforeItHandles: ["g2_a_handler_that_is_killed_gets_its_message_again"],
    ReadsOnFromTheLastNumber: ["g2_nothing_is_lost_that_commits_late"],
    NotesWhatItHandledApart: ["g2_effects_of_an_attempt_that_fails_are_not_there"],
    AsksForNoFence: [
        "g6_whoever_lost_the_lease_settles_nothing",
        "g6_a_zombie_cannot_settle_while_another_works",
    ],
    AnswersBeforeItEnds: ["g2_an_answer_goes_out_with_the_end_of_its_message_or_not_at_all"],
    GivesBackWithoutDelay: ["g5_a_failure_waits_longer_each_time"],
    RemembersForTwoMinutes: ["g2_a_key_counts_once_for_days"],
}


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        pytest.param(mutant, promise, id=f"{mutant.__name__} breaks {promise}")
        for mutant, promises in CAUGHT_BY.items()
        for promise in promises
    ],
)
async def test_the_suite_catches_it(
    rig: Rig, mutant: type[Mutant], promise: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rigs, "PATIENCE", 3.0)
    broken: Any = mutant(rig)
    with pytest.raises((AssertionError, pytest.fail.Exception)):
        await PROMISES[promise](replace(rig, store=broken, outbox=broken))


async def test_a_mutant_that_does_nothing_wrong_is_not_caught(rig: Rig) -> None:
    whole: Any = Mutant(rig)
    for promises in CAUGHT_BY.values():
        for promise in promises:
            await rig.sql("TRUNCATE message, message_inbox, test.effect")
            await PROMISES[promise](replace(rig, store=whole, outbox=whole, handled=[]))
