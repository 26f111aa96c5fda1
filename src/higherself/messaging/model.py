"""What is sent, what a consumer gets of it, and how a handler may end."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import IntEnum
from typing import Literal
from uuid import UUID

from higherself.kernel.jsonvalue import JsonValue, content_hash
from higherself.messaging.envelope import Attribute, Envelope, MessageId, check_extensions
from higherself.messaging.errors import MessageMalformed, TooManyHops

MOST_HOPS = 16
"""How many messages may have caused each other in a row: two handlers that answer each other stop."""

LONGEST_NAME = 200
"""Characters of a source, type, subject, key: they stand in indexes."""

_TOPIC = re.compile(r"[a-z][a-z0-9_.-]{0,47}")

When = datetime | timedelta
"""An instant; or how long from publication, by the store's clock, whatever our own says."""


class Priority(IntEnum):
    """Which of the messages that are due goes first."""

    HIGH = 0
    NORMAL = 1
    LOW = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What a sender wants delivered.

    With an ``idempotency_key`` it is stored once, however often it is published: for a business
    and a topic, as long as finished messages are kept. Without ``correlation_id`` it begins a
    conversation. It is not delivered before ``not_before`` nor once it ``expires``. ``id`` is for
    passing on a message that has one already.
    """

    topic: str
    type: str
    source: str
    data: JsonValue = None
    subject: str | None = None
    entity: str | None = None
    partition_key: str | None = None
    idempotency_key: str | None = None
    priority: Priority = Priority.NORMAL
    not_before: When | None = None
    expires: When | None = None
    time: datetime | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    hop_count: int = 0
    extensions: Mapping[str, Attribute] = field(default_factory=dict)
    id: MessageId | None = None

    def caused_by(self, cause: Envelope) -> "Message":
        """Return this message as a part of the conversation of ``cause``, one hop on."""
        return replace(
            self,
            correlation_id=cause.correlation_id,
            causation_id=str(cause.id),
            hop_count=cause.hop_count + 1,
        )

    def check(self) -> None:
        """Raise what is wrong with the message, its data apart.

        Raises
            MessageMalformed: a name is empty, too long or not of the kind it has to be.
            TooManyHops: it has had more than `MOST_HOPS` causes.
        """
        if not _TOPIC.fullmatch(self.topic):
            raise MessageMalformed(
                "topic", f"{self.topic!r} is not 1 to 48 of a-z, 0-9, _ . and -, beginning with a-z"
            )
        for name in _NAMES:
            value = getattr(self, name)
            if value is not None:
                check_name(name, value)
        for name in ("time", "not_before", "expires"):
            value = getattr(self, name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise MessageMalformed(name, f"{value} has no time zone")
        if self.id is not None and self.idempotency_key is not None:
            made = identifier_of_key(self.entity, self.topic, self.idempotency_key)
            if self.id != made:
                raise MessageMalformed("id", "it is made of the idempotency key")
        if self.extensions:
            check_extensions(self.extensions)
        if self.hop_count > MOST_HOPS:
            raise TooManyHops(self.type, self.hop_count, MOST_HOPS)


def check_name(name: str, value: str) -> None:
    """Raise if ``value`` cannot be the attribute ``name``.

    Raises
        MessageMalformed: it is empty, too long, or not printable.
    """
    if not (0 < len(value) <= LONGEST_NAME and value.isprintable()):
        raise MessageMalformed(
            name, f"{value[:30]!r} is not 1 to {LONGEST_NAME} printable characters"
        )


_NAMES = (
    "source",
    "type",
    "subject",
    "partition_key",
    "idempotency_key",
    "correlation_id",
    "causation_id",
)


def identifier_of_key(entity: str | None, topic: str, key: str) -> MessageId:
    """Return the identifier of the message with an idempotency key: always the same one.

    So whoever publishes it again meets the row that is there. Version 8 of RFC 9562, section 5.8.

    >>> identifier_of_key(None, "mail.send", "invoice 7").version
    8
    """
    digest = int.from_bytes(content_hash(entity or "", topic, key)[:16])
    return MessageId(UUID(int=digest & ~(0xF << 76 | 0b11 << 62) | 0x8 << 76 | 0b10 << 62))


@dataclass(frozen=True, slots=True)
class Published:
    """A message that is stored. ``is_new``: by this call, not by an earlier one with its key."""

    id: MessageId
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Claimed:
    """A message under a lease.

    ``lease`` is the fence: it counts the leases of the message, and nobody who names another than
    the last one changes anything. ``lapses`` counts those that ran out. ``lane`` is what stands
    for its order: one message of a lane is under lease at a time.
    """

    envelope: Envelope
    topic: str
    sequence: int
    lane: str | None
    attempt: int
    lapses: int
    lease: int

    @property
    def id(self) -> MessageId:
        """The message's identifier."""
        return self.envelope.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What a look at some topics found.

    ``now`` is the store's clock, and ``asked`` our monotonic one just before: with the two, whoever
    counts on from there is never behind the store. ``unfinished``: there may be more to find at
    once; ``stuck``: there will be before long, but nobody says when.
    """

    messages: tuple[Claimed, ...]
    now: datetime
    asked: float
    unfinished: bool = False
    stuck: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Ahead:
    """What is to come, by the store's clock: the first message that will be due, the first lapse."""

    now: datetime
    due_at: datetime | None
    lapses_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a message is tried, and how long in between.

    The wait before attempt n + 1 is drawn evenly from zero to ``base`` times 2 to the power of
    n - 1, at most ``ceiling``. ``max_lapses``: so many times may the process die (or hang) that
    handles it. ``timeout``: so long may one attempt take. A message that is dead lets the next of
    its lane pass, or holds the lane until a person has decided (``when_dead="pause"``).
    """

    max_attempts: int = 5
    base: timedelta = timedelta(seconds=1)
    ceiling: timedelta = timedelta(minutes=5)
    max_lapses: int = 3
    timeout: timedelta = timedelta(minutes=5)
    when_dead: Literal["skip", "pause"] = "skip"


@dataclass(frozen=True, slots=True)
class Prepared:
    """Messages that can be stored as they are: ``rows`` is what is stored of ``ids``."""

    ids: tuple[MessageId, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Done:
    """The message was handled. ``sends``: what goes out with the note of that, or not at all.

    So a handler whose only effect is an answer needs no transaction of its own.
    """

    sends: Prepared | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not handled, and may be tried again if that is of any use.

    ``retry_after``: not before that, as whoever refused has asked.
    """

    reason: str
    retryable: bool = True
    retry_after: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Snoozed:
    """It is to be offered again after a wait, as if this attempt had not been."""

    wait: timedelta


@dataclass(frozen=True, slots=True)
class Cancelled:
    """It is not to be handled any more."""

    reason: str


@dataclass(frozen=True, slots=True)
class Lapsed:
    """Its lease ran out: the process that handled it died or hung."""


@dataclass(frozen=True, slots=True)
class Expired:
    """It was too late to handle it."""


@dataclass(frozen=True, slots=True)
class Released:
    """It was given back before it was handled, by a consumer that had to stop."""


Outcome = Done | Failed | Snoozed | Cancelled | Lapsed | Expired | Released
DONE = Done()
