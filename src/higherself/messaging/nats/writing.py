"""How a message stands on NATS: a CloudEvents event as JSON (structured mode), and who vouches for it.

In structured mode the whole event is the payload, and one header says so. It is written in 1.8 us and
read (as a dictionary) in 1.1; in binary mode, where each attribute is a header to be escaped and taken
apart again, that is 7.8 and 2.6. It is also what every CloudEvents library reads, whatever its NATS
client makes of headers.

What is sent is signed with a key of the installation, which only its processes can read: whoever may
connect to the NATS server may read messages, but not speak in somebody's name.
"""

import re
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from hmac import compare_digest
from typing import TYPE_CHECKING, Any
from uuid import UUID

from pydantic_core import from_json, to_json

from higherself.kernel.jsonvalue import check_json
from higherself.messaging.envelope import (
    JSON,
    RESERVED,
    VERSION,
    Envelope,
    MessageId,
)
from higherself.messaging.errors import MessageMalformed, MessageTooLarge
from higherself.messaging.model import Message, Priority, When
from higherself.messaging.outbox import LARGEST
from higherself.messaging.wire import Manner, envelope_of, message_of

if TYPE_CHECKING:
    from hashlib import _Hash

TOPIC, KEY, PRIORITY, DUE = "hstopic", "hskey", "hspriority", "hsdue"
"""How a durable message is to be delivered, as attributes of its event."""

SIGNATURE = "Higherself-Signature"

_HEAD = b"NATS/1.0\r\nContent-Type: application/cloudevents+json\r\n"
_SIGNED = SIGNATURE.encode() + b": "
_LENGTH = 64  # of a signature, as hexadecimal digits


class Forged(MessageMalformed):
    """A message came whose signature is missing or not that of this installation."""

    def __init__(self) -> None:
        super().__init__("signature", "it is missing, or made with another key than ours")


class Seal:
    """Signs what is sent and checks what comes, with the key of the installation.

    It is HMAC-SHA256 of RFC 2104, with what depends on the key alone computed once.
    """

    def __init__(self, key: bytes) -> None:
        block = (sha256(key).digest() if len(key) > _BLOCK else key).ljust(_BLOCK, b"\0")
        self._inner = sha256(bytes(byte ^ 0x36 for byte in block))
        self._outer = sha256(bytes(byte ^ 0x5C for byte in block))
        self.installation = self.of("installation").signature(b"")[:8].decode()

    def of(self, what: str) -> "Purpose":
        """Return what signs for one purpose: a signature for another one is worth nothing."""
        begun = self._inner.copy()
        begun.update(what.encode() + b"\n")
        return Purpose(begun, self._outer)


_BLOCK = 64


class Purpose:
    """Signs and checks for one purpose."""

    __slots__ = ("_inner", "_outer")

    def __init__(self, inner: "_Hash", outer: "_Hash") -> None:
        self._inner, self._outer = inner, outer

    def header(self, payload: bytes, more: bytes = b"", *, answers: bytes = b"") -> bytes:
        """Return the headers of ``payload``. ``answers``: the signature that it is an answer to."""
        return b"%b%b%b%b\r\n\r\n" % (_HEAD, more, _SIGNED, self.signature(payload, answers))

    def check(self, header: bytes, payload: bytes, *, answers: bytes = b"") -> bytes:
        """Return the signature of ``payload``.

        Raises
            Forged: it has none that is right.
        """
        begin = header.find(_SIGNED) + len(_SIGNED)
        given = header[begin : begin + _LENGTH]
        if not compare_digest(given, self.signature(payload, answers)):
            raise Forged
        return given

    def signature(self, payload: bytes, answers: bytes = b"") -> bytes:
        """Return what proves that we sent ``payload``, for this purpose."""
        digest = self._inner.copy()
        if answers:
            digest.update(answers)
        digest.update(payload)
        outer = self._outer.copy()
        outer.update(digest.digest())
        return outer.hexdigest().encode()


def written(envelope: Envelope) -> bytes:
    """Return ``envelope`` as JSON. Its data were checked by whoever made it."""
    return to_json(_event(envelope))


def read(payload: bytes) -> Envelope:
    """Return the envelope that was `written`, by us or by another program with our key.

    What is not as we write it goes to `Envelope.read`, which has the word; it takes twice as long.

    Raises
        MessageMalformed: it is none.
    """
    event = _object(payload)
    take = event.pop
    try:
        identifier = UUID(take("id"))
        source, type_, correlation = take("source"), take("type"), take("correlationid")
        time, hops = datetime.fromisoformat(take("time")), take("hopcount")
        expires = take("expirytime", None)
        expires_at = None if expires is None else datetime.fromisoformat(expires)
        if not (
            take("specversion") == VERSION
            and take("datacontenttype") == JSON
            and type(source) is type(type_) is type(correlation) is str
            and source
            and type_
            and correlation
            and type(hops) is int
            and hops >= 0
            and time.tzinfo is not None
            and (expires_at is None or expires_at.tzinfo is not None)
        ):
            return Envelope.read(_object(payload))
    except (KeyError, TypeError, ValueError, AttributeError):
        return Envelope.read(_object(payload))
    data = take("data", None)
    subject, cause = take("subject", None), take("causationid", None)
    key, entity = take("partitionkey", None), take("entity", None)
    for text in (subject, cause, key, entity):
        if text is not None and (type(text) is not str or not text):
            return Envelope.read(_object(payload))
    for name, value in event.items():
        if type(value) not in _ATTRIBUTES or not _is_extension(name):
            return Envelope.read(_object(payload))
    return Envelope(
        id=MessageId(identifier),
        source=source,
        type=type_,
        time=time,
        correlation_id=correlation,
        data=data,
        subject=subject,
        entity=entity,
        partition_key=key,
        causation_id=cause,
        expires_at=expires_at,
        hop_count=hops,
        extensions=event,
    )


_ATTRIBUTES = (str, int, bool)


@lru_cache(maxsize=1024)
def _is_extension(name: str) -> bool:
    """Return whether CloudEvents allows the name: it is the same few all the time."""
    return name not in RESERVED and _NAME.fullmatch(name) is not None


_NAME = re.compile("[a-z0-9]{1,20}")


def packed(message: Message, now: datetime) -> bytes:
    """Return a durable message as JSON; what it counts from its publication begins ``now``.

    Raises
        NotJson: its data are no JSON.
        MessageTooLarge: they are over the limit.
    """
    check_json(message.data, "data")
    event = _event(envelope_of(message, now))
    event[TOPIC] = message.topic
    if message.idempotency_key is not None:
        event[KEY] = message.idempotency_key
    if message.priority is not Priority.NORMAL:
        event[PRIORITY] = int(message.priority)
    if (due := _instant(message.not_before, now)) is not None:
        event[DUE] = due
    payload = to_json(event)
    if len(payload) > LARGEST and (size := len(to_json(message.data))) > LARGEST:
        raise MessageTooLarge(message.type, size, LARGEST)
    return payload


def unpacked(payload: bytes) -> Message:
    """Return the message that was `packed`.

    Raises
        MessageMalformed, TooManyHops: it is none that could be stored.
    """
    event = _object(payload)
    try:
        due = event.pop(DUE, None)
        how = Manner(
            topic=str(event.pop(TOPIC)),
            idempotency_key=event.pop(KEY, None),
            priority=Priority(event.pop(PRIORITY, Priority.NORMAL)),
            not_before=None if due is None else datetime.fromisoformat(due),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MessageMalformed("manner", f"it cannot be read: {error!r}") from None
    message = message_of(Envelope.read(event), how)
    message.check()
    return message


def _event(envelope: Envelope) -> dict[str, Any]:
    """Return what `Envelope.cloudevent` returns, for `to_json`, which writes instants by itself."""
    event: dict[str, Any] = {
        "specversion": VERSION,
        "id": envelope.id,
        "source": envelope.source,
        "type": envelope.type,
        "time": envelope.time,
        "datacontenttype": JSON,
        "correlationid": envelope.correlation_id,
        "hopcount": envelope.hop_count,
    }
    if envelope.subject is not None:
        event["subject"] = envelope.subject
    if envelope.causation_id is not None:
        event["causationid"] = envelope.causation_id
    if envelope.partition_key is not None:
        event["partitionkey"] = envelope.partition_key
    if envelope.expires_at is not None:
        event["expirytime"] = envelope.expires_at
    if envelope.entity is not None:
        event["entity"] = envelope.entity
    if envelope.extensions:
        event.update(envelope.extensions)
    event["data"] = envelope.data
    return event


def _object(payload: bytes) -> dict[str, Any]:
    try:
        event = from_json(payload, allow_inf_nan=False)
    except ValueError as error:
        raise MessageMalformed("text", f"it is no JSON: {error}") from None
    if not isinstance(event, dict):
        raise MessageMalformed("text", "it is no object")
    return event


def _instant(when: When | None, now: datetime) -> datetime | None:
    return now + when if isinstance(when, timedelta) else when
