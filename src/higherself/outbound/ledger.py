"""Deliveries in PostgreSQL."""

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parseaddr
from typing import Any, Literal
from uuid import UUID

from higherself.db.entities import remember_entity
from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.ids import new_id
from higherself.outbound.errors import DeliveryUnknown
from higherself.outbound.model import REPEATABLE, Delivery, Origin, Parcel, Status
from higherself.outbound.policy import Verdict, Wish

QUERIES = read_queries("higherself.outbound")

LEASE = timedelta(minutes=2)
"""How long an attempt may take; its carrier gives up well before."""

KEPT = timedelta(days=400)

_STRICT = "strict"
"""Among the headers of a row: see `Parcel`."""


class Ledger:
    """Keeps deliveries. Safe for concurrent use, in any process."""

    def __init__(self, database: Database, clock: Clock, *, lease: timedelta = LEASE) -> None:
        self._database, self._clock, self._lease = database, clock, lease

    async def add(
        self, parcel: Parcel, origin: Origin, verdict: Verdict, *, unsubscribe: str | None = None
    ) -> tuple[Delivery, bool]:
        """Store what is to be sent; return it, and whether it is new by this call."""
        now = self._clock.now()
        given = {
            "delivery_id": new_id(now),
            "entity": origin.entity,
            "key": origin.key,
            "channel": parcel.channel,
            "recipients": list(parcel.to),
            "sender": parcel.sender,
            "about": parcel.about,
            "purpose": parcel.purpose,
            "name": parcel.name,
            "headers": json.dumps({**parcel.headers, **({_STRICT: True} if parcel.strict else {})}),
            "content": parcel.content,
            "status": verdict.status,
            "reason": verdict.reason,
            "attempts": 1 if verdict.status == "sending" else 0,
            "lease": self._lease,
            "unsubscribe": unsubscribe,
            "correlation_id": origin.correlation,
            "instance_id": origin.instance,
            "agent": origin.agent,
            "created_at": now,
        }
        async with self._database.transaction(entity=origin.entity) as tx:
            await remember_entity(tx, origin.entity, now)
            row = await tx.maybe(QUERIES["add_delivery"], given)
            if row is not None:
                return _delivery(row), True
            by = {"entity": origin.entity, "key": origin.key}
            return _delivery(await tx.one(QUERIES["find_by_key"], by)), False

    async def of_key(self, entity: str, key: str) -> Delivery | None:
        """Return what was given under a key."""
        async with self._database.reading(entity=entity) as tx:
            row = await tx.maybe(QUERIES["find_by_key"], {"entity": entity, "key": key})
        return None if row is None else _delivery(row)

    async def show(self, delivery: UUID) -> Delivery:
        """Return a delivery with its content.

        Raises
            DeliveryUnknown: there is none.
        """
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_delivery"], {"delivery_id": delivery})
        if row is None:
            raise DeliveryUnknown(
                f"there is no delivery {delivery}; `higherself deliveries list` shows those there are"
            )
        return _delivery(row)

    async def hand_over(self, delivery: Delivery) -> bool:
        """Note that from now on it may have arrived; False: the attempt is another's by now."""
        given = {"delivery_id": delivery.id, "attempts": delivery.attempts}
        async with self._database.reading() as tx:
            return await tx.maybe(QUERIES["note_handed_over"], given) is not None

    async def settle(
        self,
        delivery: Delivery,
        status: Status,
        *,
        reason: str = "",
        answer: str = "",
        due_at: datetime | None = None,
    ) -> Delivery | None:
        """Note how an attempt ended; None: it is another's by now."""
        given = {
            "delivery_id": delivery.id,
            "attempts": delivery.attempts,
            "status": status,
            "reason": reason[:2000],
            "answer": answer[:2000],
            "due_at": due_at,
            "sent_at": self._clock.now() if status == "sent" else None,
        }
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["settle_delivery"], given)
        return None if row is None else _delivery(row)

    async def claim(self, limit: int, *, without: Collection[str] = ()) -> list[Delivery]:
        """Take what is due, for one attempt each, but for channels ``without`` an answer just now."""
        given = {"limit": limit, "lease": self._lease, "without": list(without)}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["take_back"], {"repeatable": sorted(REPEATABLE)})
            rows = await tx.many(QUERIES["claim_due"], given)
        return sorted(map(_delivery, rows), key=lambda each: (each.created_at, each.id))

    async def claim_one(self, delivery: UUID) -> Delivery | None:
        """Take one that waits, is held or ended without arriving for certain, for one attempt."""
        given = {"delivery_id": delivery, "lease": self._lease}
        async with self._database.transaction() as tx:
            row = await tx.maybe(QUERIES["claim_one"], given)
        return None if row is None else _delivery(row)

    async def next_due(self, *, without: Collection[str] = ()) -> timedelta | None:
        """Return how long it is until something is to be done, or None if nothing is."""
        async with self._database.reading() as tx:
            row = await tx.one(QUERIES["next_due"], {"without": list(without)})
        return None if row["seconds"] is None else timedelta(seconds=max(row["seconds"], 0.0))

    async def list(
        self,
        *,
        status: str | None = None,
        channel: str | None = None,
        entity: str | None = None,
        correlation: str | None = None,
        before: UUID | None = None,
        limit: int = 50,
    ) -> list[Delivery]:
        """Return deliveries without their content, the newest first."""
        given = {
            "status": status,
            "channel": channel,
            "of_entity": entity,
            "correlation": correlation,
            "before": before,
            "limit": limit,
        }
        async with self._database.reading() as tx:
            return list(map(_delivery, await tx.many(QUERIES["list_deliveries"], given)))

    async def standing(self) -> Mapping[str, tuple[int, datetime]]:
        """Return how many there are of each status that a person may want to see, and since when."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["count_deliveries"])
        return {row["status"]: (row["count"], row["since"]) for row in rows}

    async def forget(self) -> int:
        """Delete what ended long ago."""
        before = self._clock.now() - KEPT
        async with self._database.transaction() as tx:
            return await tx.run(QUERIES["forget_deliveries"], {"before": before})

    # --- What people have asked for.

    async def wishes(self, entity: str, addresses: Sequence[str]) -> Mapping[str, Wish]:
        """Return what those of ``addresses`` have asked for who have."""
        small = {each.lower(): each for each in addresses}
        async with self._database.reading(entity=entity) as tx:
            given = {"entity": entity, "addresses": list(small)}
            rows = await tx.many(QUERIES["find_wishes"], given)
        return {small[row["address"]]: row["wish"] for row in rows}

    async def suppress(
        self, entity: str, address: str, wish: Literal["nothing", "no_marketing"], *, origin: str
    ) -> None:
        """Note that somebody asked for nothing more, or for no marketing."""
        now = self._clock.now()
        small = address.lower()
        given = {"entity": entity, "address": small, "wish": wish, "origin": origin, "now": now}
        async with self._database.transaction(entity=entity) as tx:
            await remember_entity(tx, entity, now)
            await tx.run(QUERIES["suppress"], given)

    async def unsubscribe(self, token: str) -> tuple[str, Sequence[str]] | None:
        """Note that whoever got the letter with ``token`` wants no marketing; return of whom, who."""
        async with self._database.reading() as tx:
            row = await tx.maybe(QUERIES["find_unsubscribe"], {"token": token})
        if row is None:
            return None
        for each in row["recipients"]:
            address = parseaddr(each)[1] or each
            await self.suppress(
                row["entity"], address, "no_marketing", origin="unsubscribed by link"
            )
        return row["entity"], row["recipients"]


def _delivery(row: Row) -> Delivery:
    headers: Any = row["headers"]
    return Delivery(
        id=row["delivery_id"],
        parcel=Parcel(
            channel=row["channel"],
            to=tuple(row["recipients"]),
            content=bytes(row["content"]),
            about=row["about"],
            purpose=row["purpose"],
            sender=row["sender"],
            name=row["name"],
            headers={name: value for name, value in headers.items() if name != _STRICT},
            strict=headers.get(_STRICT) is True,
        ),
        origin=Origin(
            entity=row["entity"],
            key=row["key"],
            correlation=row["correlation_id"],
            instance=row["instance_id"],
            agent=row["agent"],
        ),
        status=row["status"],
        reason=row["reason"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        sent_at=row["sent_at"],
        answer=row["answer"],
        unsubscribe=row["unsubscribe"],
        handed_over=row["handed_over"],
    )
