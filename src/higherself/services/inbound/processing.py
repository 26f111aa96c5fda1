"""Handling deliveries: decided in one transaction, then announced, each step once, and noted."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from higherself.db.entities import remember_entity
from higherself.db.pool import Database, Row, Transaction
from higherself.inbound.businesses import Businesses
from higherself.inbound.functions import Readers
from higherself.inbound.model import Announcement, Arrived
from higherself.inbound.ordering import NOTHING_KNOWN
from higherself.inbound.sources import source_named
from higherself.inbound.store import QUERIES, TOPIC, Deliveries, decide, hold_subject, save_subject
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, HigherSelfError, Misconfigured, NotFound, Rejected
from higherself.kernel.jsonvalue import JsonObject
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.model import Claimed, RetryPolicy
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.settlement import End
from higherself.services.inbound.deciding import (
    Considered,
    Decision,
    consider,
    happening_id,
    lookup_of,
    of_subject,
    task_for_person,
    without_subject,
    written,
)
from higherself.services.inbound.rules import InForce, Rules
from higherself.services.notion.records import Records
from higherself.services.triggers import Happening

POLICY = RetryPolicy(
    max_attempts=8, base=timedelta(seconds=1), ceiling=timedelta(minutes=10), max_lapses=8
)
CONCURRENCY = 16
UPKEEP = timedelta(minutes=10)

_FOR_GOOD = (Rejected, NotFound, Misconfigured)
"""Families of errors that trying again does not mend; a person may, and replay."""


class Told(Protocol):
    """What came of a happening, as far as a delivery keeps it."""

    def to_json(self) -> JsonObject:
        """Return it as JSON."""
        ...


Happened = Callable[[Happening], Awaitable[Told]]
"""Takes in what happened (`services.happenings.Happenings.happened`)."""

Lookup = Callable[[JsonObject], Awaitable[JsonObject]]
"""Asks a system for what its announcements leave out; returns what is to be added to the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What handling a delivery needs."""

    database: Database
    deliveries: Deliveries
    rules: Rules
    businesses: Businesses
    records: Records
    readers: Readers
    lookups: Mapping[str, Lookup]
    happened: Happened
    clock: Clock


class Processing:
    """Handles deliveries. Any number of processes may."""

    def __init__(self, around: Surroundings) -> None:
        self._on = around

    def subscription(self, *, concurrency: int = CONCURRENCY) -> Subscription:
        """Return what a consumer runs to handle deliveries."""
        return Subscription(
            topic=TOPIC,
            handler=self.handle,
            concurrency=concurrency,
            policy=POLICY,
            ended=self._ended,
        )

    async def handle(self, delivery: Delivery) -> None:
        """Handle one delivery: again and again the same, until it has ended.

        Raises
            HigherSelfError: it could not be handled now, and will be tried again.
        """
        identifier = UUID(str(_object(delivery.data)["delivery"]))
        row = await self._on.deliveries.begin(identifier)
        if row is None:
            return
        try:
            decided = row["decided"]
            if decided is None:
                decided = await self._decide(row)
            if decided is not None:
                await self._carry_out(row, decided)
        except _FOR_GOOD as error:
            telemetry.count("webhooks.delivery.failed", source=row["source"])
            await self._on.deliveries.finish(identifier, "failed", error=str(error))
        except HigherSelfError as error:
            await self._on.deliveries.note_error(identifier, str(error))
            raise

    async def keep_up(self) -> None:
        """Forget what is old, for ever."""
        while True:
            try:
                await self._on.deliveries.prune()
            except HigherSelfError as error:
                telemetry.warning("webhooks.upkeep.failed", reason=str(error))
            raise_if_cancelled()
            await self._on.clock.sleep(UPKEEP)

    async def _decide(self, row: Row) -> JsonObject | None:
        """Decide what a delivery brings about, and keep that. None: somebody else has ended it."""
        on = self._on
        source = source_named(row["source"])
        arrived = Arrived(row["headers"] or {}, bytes(row["body"] or b""), row["hint"])
        in_force = await on.rules.in_force()
        considered = [
            await self._considered(source.name, each, in_force)
            for each in source.read(arrived).announcements
        ]
        steps: list[JsonObject] = []
        ignored: list[str] = []
        persons: list[str] = []
        entity = considered[0].entity if considered else None
        async with on.database.transaction() as tx:
            for name in sorted({each.entity for each in considered}):
                await remember_entity(tx, name, on.clock.now())
            # Two deliveries with the same subjects take them in the same order.
            for number, each in sorted(enumerate(considered), key=_by_subject):
                decision = await self._decision(tx, source.name, each, row)
                ignored += [decision.ignored] if decision.ignored else []
                persons += [decision.wants_person] if decision.wants_person else []
                if each.news is not None:
                    at = each.announcement.occurred_at or row["received_at"]
                    for step in decision.steps:
                        name = happening_id(source.name, row["key"], number, each.news, step)
                        steps.append(written(step, name, each.entity, at))
            decided: JsonObject = {
                "entity": entity,
                "steps": steps,
                "ignored": ignored,
                "person": persons,
            }
            if not await decide(tx, row["delivery_id"], entity, decided):
                raise DecidedBefore(f"delivery {row['delivery_id']} was decided meanwhile")
        return decided

    async def _considered(
        self, source: str, announcement: Announcement, in_force: InForce
    ) -> Considered:
        on = self._on
        entity = on.businesses.of(source, announcement, in_force.claimed)
        wanted = lookup_of(source, announcement, in_force, entity)
        if wanted is not None and wanted in on.lookups:
            more = await on.lookups[wanted](announcement.data)
            announcement = Announcement(
                event=announcement.event,
                data={**announcement.data, **more},
                subject=announcement.subject,
                occurred_at=announcement.occurred_at,
                places=announcement.places,
                entity=announcement.entity,
            )
        return consider(source, announcement, in_force, on.businesses, on.readers)

    async def _decision(
        self, tx: Transaction, source: str, considered: Considered, row: Row
    ) -> Decision:
        news, announcement = considered.news, considered.announcement
        if news is None:
            return Decision((), considered.ignored)
        if news.rule.state is None or news.subject is None:
            if news.rule.state is not None:  # a thing without a name is not known from before
                return of_subject(news, NOTHING_KNOWN, row["received_at"], is_dated=False)[1]
            return without_subject(news)
        entity, now = considered.entity, self._on.clock.now()
        at: datetime = announcement.occurred_at or row["received_at"]
        standing = await hold_subject(tx, entity, source, news.subject, now)
        is_dated = announcement.occurred_at is not None
        after, decision = of_subject(news, standing, at, is_dated=is_dated)
        if after != standing:
            await save_subject(tx, entity, source, news.subject, after, now)
        return decision

    async def _carry_out(self, row: Row, decided: JsonObject) -> None:
        """Announce what was decided: what has been before changes nothing."""
        on = self._on
        identifier: UUID = row["delivery_id"]
        came: list[Any] = []
        for each in _listed(decided["steps"]):
            told = await on.happened(
                Happening(
                    type=each["type"],
                    entity=each["entity"],
                    data=each["data"],
                    id=each["id"],
                    at=datetime.fromisoformat(each["at"]),
                    source=row["source"],
                    correlation=str(identifier),
                )
            )
            came.append({"type": each["type"], **told.to_json()})
        outcome: dict[str, Any] = {"happenings": came}
        if ignored := _listed(decided["ignored"]):
            outcome["ignored"] = ignored
        if persons := _listed(decided["person"]):
            task = task_for_person(row["source"], str(identifier), persons[0], row["event"])
            saved = await on.records.of("tasks").save(
                str(decided["entity"]),
                {**task, "created_date": row["received_at"]},
                key=f"webhook/{identifier}",
            )
            outcome["task"] = str(saved["record_id"])
            await on.deliveries.finish(
                identifier, "failed", error="; ".join(persons), outcome=outcome
            )
            return
        status = "done" if came else "ignored"
        error = "" if came else "; ".join(map(str, ignored))
        telemetry.count("webhooks.delivery.handled", source=row["source"], status=status)
        await on.deliveries.finish(
            identifier, "done" if came else "ignored", error=error, outcome=outcome
        )

    async def _ended(self, tx: Transaction, message: Claimed, end: End) -> None:
        """Note that a delivery was given up."""
        identifier = _object(message.envelope.data)["delivery"]
        given = {
            "delivery_id": identifier,
            "status": "failed",
            "error": f"given up after {message.attempt} attempts: {end.reason or end.error or ''}",
            "outcome": None,
            "now": self._on.clock.now(),
        }
        await tx.run(QUERIES["finish_delivery"], given)


class DecidedBefore(Conflict):
    """Somebody else was quicker; the next attempt finds what was decided."""


def _by_subject(numbered: tuple[int, Considered]) -> tuple[str, str, int]:
    number, considered = numbered
    news = considered.news
    return considered.entity, "" if news is None else news.subject or "", number


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
