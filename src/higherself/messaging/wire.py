"""A message as bytes, for roads that carry it to the table: a CloudEvents event, and how to deliver it."""

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import from_json

from higherself.kernel.jsonvalue import check_json
from higherself.messaging.envelope import Envelope
from higherself.messaging.errors import MessageMalformed
from higherself.messaging.model import Message, Priority, When
from higherself.messaging.protocol import ROAD

_encoded = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a message is to be delivered, beside what it says."""

    topic: str
    idempotency_key: str | None = None
    priority: Priority = Priority.NORMAL
    not_before: When | None = None


def message_of(envelope: Envelope, manner: Manner) -> Message:
    """Return the message that says ``envelope``."""
    return Message(
        topic=manner.topic,
        type=envelope.type,
        source=envelope.source,
        data=envelope.data,
        subject=envelope.subject,
        entity=envelope.entity,
        partition_key=envelope.partition_key,
        idempotency_key=manner.idempotency_key,
        priority=manner.priority,
        not_before=manner.not_before,
        expires=envelope.expires_at,
        time=envelope.time,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        hop_count=envelope.hop_count,
        extensions=envelope.extensions,
        id=envelope.id,
    )


def envelope_of(message: Message, now: datetime) -> Envelope:
    """Return what ``message`` says; what it counts from its publication is counted from ``now``."""
    if message.id is None:
        raise AssertionError("a message without an identifier was about to leave")
    return Envelope(
        id=message.id,
        source=message.source,
        type=message.type,
        time=message.time or now,
        correlation_id=message.correlation_id or str(message.id),
        data=message.data,
        subject=message.subject,
        entity=message.entity,
        partition_key=message.partition_key,
        causation_id=message.causation_id,
        expires_at=_instant(message.expires, now),
        hop_count=message.hop_count,
        extensions=message.extensions,
    )


def came_by(road: str, message: Message) -> Message:
    """Return ``message`` with the road noted that it came by, for who wants to know later."""
    return replace(message, extensions={**message.extensions, ROAD: road})


def packed(message: Message, now: datetime) -> str:
    """Return ``message`` as JSON on one line; what it counts from its publication begins ``now``.

    Raises
        NotJson: its data are no JSON.
    """
    check_json(message.data, "data")
    due = _instant(message.not_before, now)
    manner = {
        "topic": message.topic,
        "idempotency_key": message.idempotency_key,
        "priority": int(message.priority),
        "not_before": due.isoformat() if due else None,
    }
    return _encoded({"event": envelope_of(message, now).cloudevent(), "manner": manner})


def unpacked(text: str | bytes) -> Message:
    """Return the message that was `packed`.

    Raises
        MessageMalformed, TooManyHops: it is none that could be stored.
    """
    try:
        read: Any = from_json(text)
    except ValueError as error:
        raise MessageMalformed("text", f"it is no JSON: {error}") from None
    event, manner = (
        (read.get("event"), read.get("manner")) if isinstance(read, dict) else (None, None)
    )
    if not isinstance(event, dict) or not isinstance(manner, dict):
        raise MessageMalformed("text", "it is no object with an event and a manner")
    due = manner.get("not_before")
    try:
        how = Manner(
            topic=str(manner["topic"]),
            idempotency_key=manner.get("idempotency_key"),
            priority=Priority(manner.get("priority", Priority.NORMAL)),
            not_before=None if due is None else datetime.fromisoformat(due),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise MessageMalformed("manner", f"it cannot be read: {error!r}") from None
    message = message_of(Envelope.read(event), how)
    message.check()
    return message


def _instant(when: When | None, now: datetime) -> datetime | None:
    return now + when if isinstance(when, timedelta) else when
