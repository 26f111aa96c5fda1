"""Deliveries and what is known of their subjects, in PostgreSQL; and the message that has each handled."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from higherself.db.pool import Database, Row, Transaction
from higherself.db.queryfile import read_queries
from higherself.inbound.errors import DeliveryUnknown
from higherself.inbound.model import Arrived, Reading, Source
from higherself.inbound.ordering import Standing
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonObject, content_hash
from higherself.messaging.model import Message
from higherself.messaging.outbox import PostgresOutbox
from higherself.messaging.statements import encoded

QUERIES = read_queries("higherself.inbound")

TOPIC = "webhooks"

Status = Literal["received", "done", "failed", "ignored"]
STATUSES: tuple[Status, ...] = ("received", "done", "failed", "ignored")

SAME_FOR = timedelta(minutes=5)
"""For how long two bodies without a name are one delivery, that came twice."""

FULL_FOR = timedelta(days=30)
"""How long bodies and headers are kept."""

KEPT_FOR = timedelta(days=400)
"""How long it is known that a delivery has come."""

_NEVER_KEPT = frozenset(["authorization", "proxy-authorization", "cookie"])


class NothingToReplay(Conflict):
    """A delivery cannot be handled again."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A delivery that is stored. ``is_new``: by this call."""

    delivery: UUID
    is_new: bool


class Deliveries:
    """Keeps deliveries. Safe for concurrent use, in any process."""

    def __init__(self, database: Database, outbox: PostgresOutbox, clock: Clock) -> None:
        self._database, self._outbox, self._clock = database, outbox, clock

    async def receive(self, source: Source, arrived: Arrived, reading: Reading) -> Receipt:
        """Store a delivery, and that it is to be handled; when this returns, both survive.

        Raises
            Unavailable: it is not stored; the sender has to try again.
        """
        now = self._clock.now()
        first = reading.announcements[0]
        digest = content_hash(source.name, arrived.event or "", arrived.body)
        named = reading.delivery is not None and reading.delivery_is_signed
        key = reading.delivery if named else digest.hex()
        # A name that is not signed could be changed by who repeats the rest; what a source dates
        # itself is never the same twice.
        since = None if named or first.occurred_at is not None else now - SAME_FOR
        if since is not None:
            key = f"{key}@{int(now.timestamp() // SAME_FOR.total_seconds())}"
        delivery = new_id(now)
        given = {
            "delivery_id": delivery,
            "source": source.name,
            "key": key,
            "name": reading.delivery,
            "event": first.event,
            "hint": arrived.event,
            "subject": first.subject,
            "occurred_at": first.occurred_at,
            "received_at": now,
            "body_hash": digest,
            "headers": encoded(kept_headers(source, arrived.headers)),
            "body": arrived.body,
            "since": since,
        }
        async with self._database.transaction() as tx:
            stored = await tx.maybe(QUERIES["receive_delivery"], given)
            if stored is not None:
                lane = None if first.subject is None else f"{source.name}/{first.subject}"
                await self._have_handled(tx, delivery, source.name, lane, str(delivery))
                return Receipt(delivery, is_new=True)
            same = await tx.maybe(QUERIES["find_same"], {k: given[k] for k in _SAME})
        return Receipt(delivery if same is None else same["delivery_id"], is_new=False)

    async def wake(self) -> None:
        """Tell workers that there is something to handle; without it they look before long."""
        await self._outbox.wake({TOPIC})

    async def begin(self, delivery: UUID) -> Row | None:
        """Take a delivery in hand, unless it has ended."""
        async with self._database.reading() as tx:
            return await tx.maybe(QUERIES["begin_delivery"], {"delivery_id": delivery})

    async def finish(
        self, delivery: UUID, status: Status, *, error: str = "", outcome: Any = None
    ) -> None:
        """Note what became of a delivery."""
        given = {
            "delivery_id": delivery,
            "status": status,
            "error": error[:2000],
            "outcome": None if outcome is None else encoded(outcome),
            "now": self._clock.now(),
        }
        async with self._database.reading() as tx:
            await tx.run(QUERIES["finish_delivery"], given)

    async def note_error(self, delivery: UUID, error: str) -> None:
        """Note why an attempt came to nothing."""
        async with self._database.reading() as tx:
            given = {"delivery_id": delivery, "error": error[:2000]}
            await tx.run(QUERIES["note_error"], given)

    async def replay(self, delivery: UUID) -> None:
        """Have a delivery handled again, by the transformations as they are now.

        Raises
            DeliveryUnknown: there is none.
            NothingToReplay: it is being handled, or so old that its body is gone.
        """
        now = self._clock.now()
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["reopen_delivery"], {"delivery_id": delivery})
            if row is None:
                known = await tx.maybe(QUERIES["show_delivery"], {"delivery_id": delivery})
                if known is None:
                    raise DeliveryUnknown(delivery)
                waits = known["status"] == "received"
                why = "it is waiting to be handled already" if waits else "its body is gone by now"
                raise NothingToReplay(f"{delivery} cannot be replayed: {why}")
            lane = None if row["subject"] is None else f"{row['source']}/{row['subject']}"
            key = f"{delivery}/{int(now.timestamp() * 1000)}"
            await self._have_handled(tx, delivery, row["source"], lane, key)
        await self.wake()

    async def show(self, delivery: UUID) -> Row:
        """Return everything that is known of a delivery.

        Raises
            DeliveryUnknown: there is none.
        """
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["show_delivery"], {"delivery_id": delivery})
        if row is None:
            raise DeliveryUnknown(delivery)
        return row

    async def latest(
        self,
        *,
        source: str | None = None,
        status: Status | None = None,
        entity: str | None = None,
        event: str | None = None,
        limit: int = 50,
    ) -> list[Row]:
        """Return the latest deliveries, newest first."""
        given = {
            "source": source, "status": status, "entity": entity, "event": event, "limit": limit,
        }  # fmt: skip
        async with self._database.reading(entity=entity) as tx:
            return await tx.many(QUERIES["list_deliveries"], given)

    async def standing(self, sources: Sequence[str]) -> dict[str, Row]:
        """Return of each source when something came last, what failed, and what was refused."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["sources_standing"], {"sources": list(sources)})
        return {row["source"]: row for row in rows}

    async def note_refusals(self, source: str, count: int, reason: str) -> None:
        """Note that so many requests were refused, and why the last one was."""
        given = {"source": source, "count": count, "reason": reason[:500], "now": self._clock.now()}
        async with self._database.reading() as tx:
            await tx.run(QUERIES["note_refusals"], given)

    async def prune(self) -> int:
        """Forget what old deliveries said, and that very old ones came; return how many rows."""
        now = self._clock.now()
        async with self._database.transaction() as tx:
            rows = await tx.run(QUERIES["empty_deliveries"], {"before": now - FULL_FOR})
            rows += await tx.run(QUERIES["prune_deliveries"], {"before": now - KEPT_FOR})
            return rows + await tx.run(QUERIES["prune_subjects"], {"before": now - KEPT_FOR})

    async def _have_handled(
        self, tx: Transaction, delivery: UUID, source: str, lane: str | None, key: str
    ) -> None:
        message = Message(
            topic=TOPIC,
            type="webhook_received",
            source=f"urn:higherself:webhooks:{source}",
            data={"delivery": str(delivery)},
            partition_key=None if lane is None else _short(lane),
            idempotency_key=key,
            correlation_id=str(delivery),
        )
        await self._outbox.publish(tx, message, wake=False)


async def hold_subject(
    tx: Transaction, entity: str, source: str, subject: str, now: datetime
) -> Standing:
    """Return what is known of a subject, which nobody else can change until ``tx`` ends."""
    given = {"entity": entity, "source": source, "subject": subject, "now": now}
    row = await tx.one(QUERIES["hold_subject"], given)
    return read_standing(row["standing"])


async def save_subject(
    tx: Transaction, entity: str, source: str, subject: str, standing: Standing, now: datetime
) -> None:
    """Keep what is known of a subject."""
    given = {
        "entity": entity,
        "source": source,
        "subject": subject,
        "standing": encoded(written_standing(standing)),
        "now": now,
    }
    await tx.run(QUERIES["save_subject"], given)


async def decide(tx: Transaction, delivery: UUID, entity: str | None, decided: JsonObject) -> bool:
    """Keep what a delivery is to announce; false: that was decided before."""
    given = {"delivery_id": delivery, "entity": entity, "decided": encoded(decided)}
    return await tx.maybe(QUERIES["decide_delivery"], given) is not None


def kept_headers(source: Source, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are stored: without secrets, and none that is long."""
    never = _NEVER_KEPT | source.secret_headers
    return {
        name: value.replace("\0", "")[:500]
        for name, value in list(headers.items())[:60]
        if name not in never
    }


def written_standing(standing: Standing) -> dict[str, Any]:
    """Return a standing as JSON."""
    return {
        "opened": standing.opened,
        "state": standing.state,
        "at": None if standing.at is None else standing.at.isoformat(),
        "is_dated": standing.is_dated,
        "is_final": standing.is_final,
        "reached": sorted(standing.reached),
        "missed": standing.missed,
    }


def read_standing(said: Mapping[str, Any]) -> Standing:
    """Return the standing that JSON says."""
    at = said.get("at")
    return Standing(
        opened=bool(said.get("opened")),
        state=said.get("state"),
        at=None if at is None else datetime.fromisoformat(at),
        is_dated=bool(said.get("is_dated")),
        is_final=bool(said.get("is_final")),
        reached=frozenset(said.get("reached", ())),
        missed=said.get("missed"),
    )


def _short(text: str) -> str:
    if len(text) <= 180 and text.isprintable():
        return text
    return hashlib.sha256(text.encode()).hexdigest()


_SAME = ("source", "key", "body_hash", "since")
