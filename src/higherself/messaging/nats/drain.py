"""Brings what JetStream keeps to PostgreSQL, in the order of the stream.

It reads from the first message that is left, stores what came together with one commit, and then
deletes that from the stream. Whoever goes on after it begins again with what is left: what is in the
table already counts once, by its identifier. So nothing is lost wherever it is killed; and the order
holds even if two of them work at a time, since each stores everything from the beginning on, and
waits for the other where both store the same.
"""

import hashlib
from base64 import b64encode
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from psycopg import IntegrityError

from higherself.db.pool import BRIEF, Database
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, NotFound, Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.model import Message, identifier_of_key
from higherself.messaging.nats.client import Wire
from higherself.messaging.nats.lead import Lead, taking_part
from higherself.messaging.nats.link import Link, asked
from higherself.messaging.nats.reading import Kept, Reading
from higherself.messaging.nats.writing import Seal, unpacked
from higherself.messaging.statements import encoded
from higherself.messaging.wire import came_by

if TYPE_CHECKING:
    from higherself.messaging.exchange import Outbox

QUERIES = read_queries("higherself.messaging.nats")

AGAIN_AFTER = timedelta(milliseconds=500)
"""Until the next try, when PostgreSQL does not take it, or JetStream has to be asked anew."""

DELETE_EVERY = 0.25
"""Seconds in which what is stored is deleted once, while more is coming: that takes some milliseconds."""

REFUSED = "nats.refused"
"""Topic and type of dead letters that came by NATS and are no messages."""


class Drain:
    """Runs in every worker; one of all works, the others take over within seconds."""

    def __init__(
        self, link: Link, key: bytes, outbox: "Outbox", database: Database, clock: Clock
    ) -> None:
        self._link, self._outbox, self._database, self._clock = link, outbox, database, clock
        seal = Seal(key)
        self._messages, self._lead = seal.of("message"), seal.of("drain")
        self.works = False

    async def run(self) -> None:
        """Bring messages to PostgreSQL, for ever."""
        while True:
            raise_if_cancelled()
            wire = await self._link.when_up()
            try:
                await self._work_on(wire)
            except HigherSelfError as error:
                telemetry.warning("messaging.nats.drain_waits", reason=str(error))
            finally:
                self.works = False
            await self._clock.sleep(AGAIN_AFTER)

    async def _work_on(self, wire: Wire) -> None:
        subject = self._link.subject("drain")
        async with taking_part(wire, subject, self._lead, self._clock) as lead:
            while not wire.lost.is_set():
                await lead.wait()
                if lead.works:
                    await self._read(wire, lead)

    async def _read(self, wire: Wire, lead: Lead) -> None:
        reading = await Reading.begin(wire, self._link.stream)
        self.works, deleted_at = True, self._clock.monotonic()
        telemetry.info("messaging.nats.drain_works")
        try:
            while lead.works:
                raise_if_cancelled()
                some = await reading.some()
                if not await self._store_until_stored(some, lead):
                    return
                now = self._clock.monotonic()
                if not reading.rest or now - deleted_at > DELETE_EVERY:
                    await self._delete(wire, some[-1].place)
                    deleted_at = now
        finally:
            self.works = False
            await reading.end()

    async def _delete(self, wire: Wire, last: int) -> None:
        """Delete from the stream what is stored: everything up to ``last``."""
        await asked(wire, f"STREAM.PURGE.{self._link.stream}", seq=last + 1)

    async def _store_until_stored(self, some: Sequence[Kept], lead: Lead) -> bool:
        """Return whether it is stored: while PostgreSQL does not take it, wait, unless another works."""
        while lead.works:
            raise_if_cancelled()
            try:
                await self._store(some)
            except HigherSelfError as error:
                telemetry.warning("messaging.nats.drain_waits", reason=str(error))
                await self._clock.sleep(AGAIN_AFTER)
            else:
                telemetry.count("messaging.nats.drained", len(some))
                return True
        return False

    async def _store(self, some: Sequence[Kept]) -> None:
        readable: list[tuple[Kept, Message]] = []
        for kept in some:
            try:
                readable.append((kept, self._message(kept)))
            except Rejected as error:
                await self._set_aside(kept, str(error))
        if not readable:
            return
        try:
            await self._outbox.send(*(message for _, message in readable))
        except Exception as error:
            if not _is_about_messages(error):
                raise
            for (
                kept,
                message,
            ) in readable:  # the others shall not suffer from what is wrong with one
                await self._store_one(kept, message)

    async def _store_one(self, kept: Kept, message: Message) -> None:
        try:
            await self._outbox.send(message)
        except Exception as error:
            if not _is_about_messages(error):
                raise
            await self._set_aside(kept, f"PostgreSQL refuses it: {error}")

    def _message(self, kept: Kept) -> Message:
        self._messages.check(kept.header, kept.payload)
        return came_by("nats", unpacked(kept.payload))

    async def _set_aside(self, kept: Kept, reason: str) -> None:
        """Keep what is no message as a dead letter, before it is deleted from the stream."""
        place = f"{self._link.stream}/{kept.place}"
        digest = hashlib.sha256(kept.header + kept.payload).hexdigest()
        data: JsonValue = {
            "stream": self._link.stream,
            "place": kept.place,
            "subject": _readable(kept.subject.encode()),
            "header": _readable(kept.header),
            "payload": _readable(kept.payload),
        }
        refused = {
            "message_id": str(identifier_of_key(None, place, digest)),
            "topic": REFUSED,
            "source": "urn:higherself:service:nats",
            "type": REFUSED,
            "subject": None,
            "data": data,
            "reason": "".join(letter if letter.isprintable() else " " for letter in reason),
        }
        async with self._database.transaction(settings=BRIEF) as tx:
            await tx.many(QUERIES["keep_refused"], {"refused": encoded([refused])})
        telemetry.count("messaging.nats.refused", topic=REFUSED)


def _is_about_messages(error: Exception) -> bool:
    """Return whether it would be the same again: one names a business that is not there, say."""
    broken = isinstance(error, IntegrityError) or isinstance(error.__cause__, IntegrityError)
    return broken or isinstance(error, Rejected | NotFound)


def _readable(text: bytes) -> JsonValue:
    """Return bytes as text if they are one, else in base64: none of them is lost."""
    try:
        read = text.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(text).decode()}
    return {"base64": b64encode(text).decode()} if "\0" in read else read
