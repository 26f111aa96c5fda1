"""What happens to a business, and what is done about it: once, whoever tells of it how often.

A happening is stored before anything follows from it: the contact is kept, then the happening and
its event for the bus are stored in one transaction, then what the triggers say is carried out, each
step by a key of its own. Whoever is stopped between two of these loses nothing: told again, or when
the next process looks (`keep_up`), it goes on to the same end.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from higherself.db.pool import Database, Row, Transaction
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, NotFound
from higherself.kernel.jsonvalue import JsonObject
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.bus import Bus
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import Identity
from higherself.messaging.serving import Served
from higherself.messaging.statements import encoded
from higherself.services.carrying_out import CarryingOut, Doing
from higherself.services.consequences import (
    Known,
    RecordChange,
    decide,
    happened_to,
    person_of,
)
from higherself.services.contacts import ContactUnclear, shown
from higherself.services.outcomes import (
    Outcome,
    check,
    first_of,
    happening_of,
    noted_of,
    outcome_of,
    short,
)
from higherself.services.triggers import Happening, Triggers
from higherself.workflow.engine.engine import Engine

QUERIES = read_queries("higherself.services", "happenings.sql")

GROUP = "triggers"
"""The group of the bus that is told of what agents and people bring about."""

MARK = "happening"
"""The extension of a message that tells of a happening: its id."""

OURS = Identity("service", "happenings")
LOOK_AGAIN = timedelta(seconds=20)
LEFT_ALONE = timedelta(seconds=15)
"""How long a happening may take before others go on with it."""

PATIENCE = timedelta(minutes=10)
"""How long an instance that is to be told may come later than what it is to be told."""

KEPT = timedelta(days=400)


class ContactBook(Protocol):
    """Keeps contacts (`services.contacts.Contacts`)."""

    async def save(
        self, entity: str, given: Mapping[str, Any], *, first: Mapping[str, Any] | None = None
    ) -> Row:
        """Keep what is given of somebody, and return the row."""
        ...


class Allowing(Protocol):
    """Says which workflows a business has (`services.setups.Setups`)."""

    async def refusal(self, entity: str, workflow: str, *, needs_setup: bool = False) -> str | None:
        """Return why a trigger may not start ``workflow`` for this business, if it may not."""
        ...


class Happenings:
    """Takes what happens, and has done what follows. Safe for concurrent use, in any process."""

    def __init__(
        self,
        database: Database,
        bus: Bus,
        engine: Engine,
        triggers: Triggers,
        contacts: ContactBook,
        setups: Allowing,
        clock: Clock,
    ) -> None:
        self._database, self._clock = database, clock
        self._bus = bus.speaking_as(OURS)
        self.triggers, self._contacts, self._setups = triggers, contacts, setups
        self._carrying_out = CarryingOut(database, engine, clock, self._go_on_with)

    # --- What happens.

    async def happened(self, happening: Happening) -> Outcome:
        """Take in what happened, once for its ``id``, and do what follows; return what came of it.

        When it returns, the contact is kept, the event is on the bus, and workflows have been
        started and told. Told again, it returns the same.

        Raises
            Rejected: the happening is not as it has to be; nothing was stored.
            Unavailable: a part of it could not be done now; it goes on later by itself if it was
                stored, or when it is told again.
        """
        return await self._taken(happening, announce=True)

    async def _taken(self, happening: Happening, *, announce: bool) -> Outcome:
        check(happening)
        row = await self._find(happening.entity, happening.id)
        is_new = row is None
        if row is None:
            contact = await self._contact(happening)
            row = await self._begin(happening, contact, announce=announce)
        if row["status"] != "open":
            return outcome_of(row)
        return await self._carried_on(row, is_new=is_new)

    async def _contact(self, happening: Happening) -> Row | None:
        given = happening.data.get("contact")
        if not isinstance(given, Mapping):
            return None
        try:
            return await self._contacts.save(happening.entity, given, first=first_of(happening))
        except ContactUnclear:
            return None

    async def _begin(self, happening: Happening, contact: Row | None, *, announce: bool) -> Row:
        """Store that it happened, and tell the bus, in one transaction."""
        now = self._clock.now()
        entity, id_ = happening.entity, happening.id
        person = person_of(self.triggers, happening, None if contact is None else shown(contact))
        bus = self._bus
        await bus.exchange.entities.remember(entity)
        async with self._database.transaction(entity=entity) as tx:
            earlier = None if person is None else await self._earlier(tx, happening, person, now)
            added = await tx.maybe(
                QUERIES["add_happening"],
                {
                    "entity": entity,
                    "id": id_,
                    "type": happening.type,
                    "source": happening.source,
                    "correlation": happening.correlation,
                    "data": encoded(happening.data),
                    "contact": None if contact is None else contact["record_id"],
                    "person": person,
                    "duplicate_of": earlier,
                    "at": happening.at,
                    "now": now,
                },
            )
            if added is not None and announce:
                receipt = await bus.within(tx).publish(
                    happening.type,
                    self._told(happening, contact),
                    entity=entity,
                    idempotency_key=short(f"happening/{id_}"),
                    correlation=happening.correlation,
                    extensions={MARK: short(id_)},
                )
                event = {"entity": entity, "id": id_, "event": receipt.id}
                await tx.run(QUERIES["set_event"], event)
            row = await tx.one(QUERIES["find_happening"], {"entity": entity, "id": id_})
        if added is not None:
            telemetry.count("happenings.happened", type=happening.type)
        return row

    def _told(self, happening: Happening, contact: Row | None) -> JsonObject:
        told: dict[str, Any] = {**happening.data, "happening": happening.facts()}
        if contact is not None:
            told["contact_id"] = str(contact["record_id"])
        return told

    async def _earlier(
        self, tx: Transaction, happening: Happening, person: str, now: datetime
    ) -> str | None:
        """Return the happening that told of the same before, if there is one."""
        rules = self.triggers.duplicates[happening.type]
        given = {"entity": happening.entity, "type": happening.type, "person": person}
        await tx.run(QUERIES["hold_person"], given)
        rows = await tx.many(
            QUERIES["earlier_happenings"],
            {**given, "since": now - rules.window, "id": happening.id},
        )
        for row in rows:
            if row["duplicate_of"] is None and rules.compatible(row["source"], happening.source):
                return str(row["id"])
        return None

    # --- What follows.

    async def _carried_on(self, row: Row, *, is_new: bool = False) -> Outcome:
        happening = happening_of(row)
        doing = Doing()
        for action in decide(self.triggers, happening, await self._known(happening, row)):
            raise_if_cancelled()
            await self._carrying_out.do(action, row, doing)
        status = "handled" if row["duplicate_of"] is None else "duplicate"
        now = self._clock.now()
        if doing.waits and now - row["received_at"] < PATIENCE:
            status = "open"
        outcome = Outcome(
            happening=row["id"],
            entity=row["entity"],
            status=status,
            is_new=is_new,
            duplicate_of=row["duplicate_of"],
            contact=row["contact_id"],
            event=row["event_id"],
            started=tuple(doing.started),
            sent=tuple(doing.sent),
            left=tuple(doing.left),
        )
        if status != "open":
            given = {"entity": row["entity"], "id": row["id"], "status": status, "now": now}
            await self._run("finish_happening", outcome=encoded(noted_of(outcome)), **given)
        return outcome

    async def _go_on_with(self, entity: str, id_: str) -> None:
        row = await self._find(entity, id_)
        if row is not None and row["status"] == "open":
            await self._carried_on(row)

    async def _known(self, happening: Happening, row: Row) -> Known:
        contact = None
        if row["contact_id"] is not None:
            contact = await self._contact_row(happening.entity, row["contact_id"])
        refused: dict[str, str] = {}
        for _, trigger in self.triggers.of(happening):
            if trigger.start is None or trigger.workflow in refused:
                continue
            why = await self._setups.refusal(
                happening.entity, trigger.workflow, needs_setup=trigger.needs_setup
            )
            if why is not None:
                refused[trigger.workflow] = why
        given = {
            "entity": happening.entity, "correlation": happening.correlation, "id": happening.id,
        }  # fmt: skip
        started = await self._rows("started_in_conversation", **given)
        return Known(
            contact=contact,
            refused=refused,
            in_conversation=frozenset(each["workflow"] for each in started),
            duplicate_of=row["duplicate_of"],
            now=self._clock.now(),
        )

    async def _contact_row(self, entity: str, record: UUID) -> JsonObject | None:
        rows = await self._rows("contact_of_happening", entity=entity, record=record)
        return shown(rows[0]) if rows else None

    # --- What others bring about.

    async def subscription(self, *, concurrency: int = 8) -> Served:
        """Return what takes in the events of agents and people; run it in a consumer."""
        served: Served | None = None
        for type_ in self.triggers.types:
            served = await self._bus.subscribe(
                type_, self._heard, group=GROUP, concurrency=concurrency,
                described="triggers of workflows",
            )  # fmt: skip
        if served is None:
            raise AssertionError("there is no trigger")
        known = set(self.triggers.types)
        for each in await self._bus.subscriptions():
            if each.group == GROUP and each.pattern not in known:
                await self._bus.unsubscribe(GROUP, each.pattern)
        return served

    async def _heard(self, delivery: Delivery) -> None:
        """Take in an event of the bus, unless it tells of a happening that we have told of."""
        envelope = delivery.envelope
        if MARK in envelope.extensions:
            return
        data = envelope.data if isinstance(envelope.data, Mapping) else {"value": envelope.data}
        await self._taken(
            Happening(
                type=envelope.type,
                entity=envelope.entity or "default",
                data=data,
                id=f"message/{envelope.id}",
                at=envelope.time,
                source=envelope.source.removeprefix("urn:higherself:"),
                correlation=envelope.correlation_id,
            ),
            announce=False,
        )

    async def record_changed(self, tx: Transaction, change: RecordChange) -> None:
        """Tell the bus what happened by a person's change of a row, in the transaction that has it."""
        now = self._clock.now()
        for type_, data in happened_to(self.triggers, change, now=now):
            await self._bus.within(tx).publish(type_, data, entity=change.entity)

    # --- Looking, and going on.

    async def get(self, entity: str, id: str) -> Outcome:
        """Return what came of a happening.

        Raises
            NotFound: there is none of this id.
        """
        row = await self._find(entity, id)
        if row is None:
            raise NotFound(f"nothing of the id {id!r} has happened to {entity}")
        return outcome_of(row)

    async def latest(
        self, *, entity: str | None = None, type: str | None = None, limit: int = 50
    ) -> Sequence[Row]:
        """Return what happened lately, the latest first."""
        return await self._rows("list_happenings", entity=entity, type=type, limit=limit)

    async def go_on(self, *, limit: int = 100) -> int:
        """Go on with what a process left behind that was stopped; return how many ended."""
        before = self._clock.now() - LEFT_ALONE
        ended = 0
        for each in await self._rows("open_happenings", entity=None, before=before, limit=limit):
            raise_if_cancelled()
            row = await self._find(each["entity"], each["id"])
            if row is None or row["status"] != "open":
                continue
            try:
                ended += (await self._carried_on(row)).status != "open"
            except HigherSelfError as error:
                telemetry.warning("happenings.open", happening=row["id"], reason=str(error))
        return ended

    async def keep_up(self) -> None:
        """Go on with what was left behind, and forget what is long over, for ever."""
        while True:
            try:
                await self.go_on()
                await self._run("prune_happenings", before=self._clock.now() - KEPT, entity=None)
            except HigherSelfError as error:
                telemetry.warning("happenings.upkeep.failed", reason=str(error))
            raise_if_cancelled()
            await self._clock.sleep(LOOK_AGAIN)

    async def work(self) -> None:
        """Take in what agents and people bring about, and go on with what was left, for ever."""
        served = await self.subscription()
        async with self._bus.consuming(served):
            await self.keep_up()

    async def _find(self, entity: str, id_: str) -> Row | None:
        rows = await self._rows("find_happening", entity=entity, id=id_)
        return rows[0] if rows else None

    async def _rows(self, query: str, **given: Any) -> list[Row]:
        async with self._database.reading(entity=given.get("entity")) as tx:
            return await tx.many(QUERIES[query], given)

    async def _run(self, query: str, **given: Any) -> None:
        async with self._database.transaction(entity=given.get("entity")) as tx:
            await tx.run(QUERIES[query], given)
