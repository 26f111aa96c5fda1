"""What a message says, and about what: an envelope, in the words of CloudEvents 1.0.

In Python it is a light frozen value; as JSON it is a CloudEvents event in structured mode, with
the registered extensions where they exist (correlation, partitioning, expiry time) and few of our
own (entity, hopcount).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NewType
from uuid import UUID

from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.errors import MessageMalformed

MessageId = NewType("MessageId", UUID)

Attribute = str | int | bool
"""What CloudEvents lets an extension be, as far as JSON tells them apart."""

VERSION = "1.0"
JSON = "application/json"

_NAME = re.compile(r"[a-z0-9]{1,20}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A message as it travels and is kept.

    ``source`` says who speaks (a URI), ``type`` what kind of thing happened, ``subject`` to what.
    ``correlation_id`` is the same throughout a conversation, ``causation_id`` the message that
    caused this one, ``hop_count`` how many did before. Messages of one ``partition_key`` (on one
    topic, of one business) are handled in order. ``extensions`` are all other attributes, by their
    names in CloudEvents; those we do not know are passed on as they came.
    """

    id: MessageId
    source: str
    type: str
    time: datetime
    correlation_id: str
    data: JsonValue = None
    subject: str | None = None
    entity: str | None = None
    partition_key: str | None = None
    causation_id: str | None = None
    expires_at: datetime | None = None
    hop_count: int = 0
    extensions: Mapping[str, Attribute] = field(default_factory=dict)

    def cloudevent(self) -> dict[str, Any]:
        """Return the event as JSON has it; what is not set is left out."""
        event: dict[str, Any] = {
            "specversion": VERSION,
            "id": str(self.id),
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": _written(self.time),
            "datacontenttype": JSON,
            "correlationid": self.correlation_id,
            "causationid": self.causation_id,
            "partitionkey": self.partition_key,
            "expirytime": _written(self.expires_at) if self.expires_at else None,
            "entity": self.entity,
            "hopcount": self.hop_count,
            **self.extensions,
        }
        event = {name: value for name, value in event.items() if value is not None}
        return {**event, "data": self.data}

    @classmethod
    def read(cls, event: Mapping[str, Any]) -> "Envelope":
        """Return the envelope of an event in JSON. Of a message of ours, it is the same again.

        Raises
            MessageMalformed: naming the attribute that is missing or wrong.
        """
        rest = dict(event)
        if (version := rest.pop("specversion", None)) != VERSION:
            raise MessageMalformed("specversion", f"it is {version!r}, and must be {VERSION!r}")
        if rest.get("datacontenttype") == JSON:
            del rest["datacontenttype"]
        if "data_base64" in rest:
            raise MessageMalformed("data_base64", "data are JSON here; send a reference (dataref)")
        identifier = _text(rest, "id")
        return cls(
            id=_identifier(identifier),
            source=_text(rest, "source"),
            type=_text(rest, "type"),
            subject=_maybe_text(rest, "subject"),
            time=_instant("time", _text(rest, "time")),
            correlation_id=_maybe_text(rest, "correlationid") or identifier,
            causation_id=_maybe_text(rest, "causationid"),
            partition_key=_maybe_text(rest, "partitionkey"),
            expires_at=_maybe_instant(rest, "expirytime"),
            entity=_maybe_text(rest, "entity"),
            hop_count=_count(rest, "hopcount"),
            data=rest.pop("data", None),
            extensions=check_extensions(rest),
        )


RESERVED = frozenset(
    [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "data",
        "data_base64",
        "entity",
        "correlationid",
        "causationid",
        "partitionkey",
        "expirytime",
        "hopcount",
    ]
)
"""Attributes that have a field of their own."""


def check_extensions(extensions: Mapping[str, Any]) -> Mapping[str, Attribute]:
    """Return ``extensions`` unchanged if CloudEvents allows them.

    Raises
        MessageMalformed: a name is not 1 to 20 lower-case letters and digits, or taken, or a value
            is neither text nor integer nor boolean.
    """
    for name, value in extensions.items():
        if not _NAME.fullmatch(name):
            raise MessageMalformed(f"extension {name!r}", "1 to 20 lower-case letters and digits")
        if name in RESERVED:
            raise MessageMalformed(f"extension {name!r}", "it is an attribute of its own")
        if not isinstance(value, str | int | bool):
            raise MessageMalformed(f"extension {name!r}", "it is neither text, integer nor boolean")
    return extensions


def _written(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _text(rest: dict[str, Any], name: str) -> str:
    value = _maybe_text(rest, name)
    if value is None:
        raise MessageMalformed(name, "it is missing")
    return value


def _maybe_text(rest: dict[str, Any], name: str) -> str | None:
    value = rest.pop(name, None)
    if value is not None and (not isinstance(value, str) or not value):
        raise MessageMalformed(name, f"{value!r} is not a text")
    return value


def _identifier(text: str) -> MessageId:
    try:
        return MessageId(UUID(text))
    except ValueError:
        raise MessageMalformed(
            "id", f"{text!r} is not a UUID; publish it as a message whose idempotency key it is"
        ) from None


def _instant(name: str, text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise MessageMalformed(name, f"{text!r} is not an instant of RFC 3339") from None
    if instant.tzinfo is None:
        raise MessageMalformed(name, f"{text!r} has no time zone")
    return instant


def _maybe_instant(rest: dict[str, Any], name: str) -> datetime | None:
    text = _maybe_text(rest, name)
    return None if text is None else _instant(name, text)


def _count(rest: dict[str, Any], name: str) -> int:
    value = rest.pop(name, 0)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise MessageMalformed(name, f"{value!r} is not a count")
    return value
