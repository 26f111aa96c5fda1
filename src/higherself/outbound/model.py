"""What is sent, and what is known of it afterwards. Values."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from higherself.kernel.jsonvalue import JsonObject

Channel = Literal["email", "slack", "webhook", "sms", "file"]
CHANNELS: tuple[Channel, ...] = ("email", "slack", "webhook", "sms", "file")

Purpose = Literal["transactional", "marketing"]
"""Why it is sent: because of something they did, or because we would like them to do something."""

Status = Literal["queued", "sending", "sent", "held", "dropped", "failed", "uncertain"]
STATUSES: tuple[Status, ...] = (
    "queued",
    "sending",
    "sent",
    "held",
    "dropped",
    "failed",
    "uncertain",
)

REPEATABLE: frozenset[Channel] = frozenset(["webhook", "file"])
"""Channels on which the same thing twice is the same as once: its receiver knows it by its id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Something to be sent. ``content`` is what goes over the wire, ``to`` who gets it.

    ``to`` are addresses (e-mail), numbers in E.164 (sms), the name of a target (slack, webhook), or
    a path below the folder for files. ``name`` is what it is known by outside: a Message-ID, say.
    ``about`` is one line for people. ``strict``: it belongs to what they ordered, booked or asked, so
    that it goes also to those who asked not to be contacted otherwise.
    """

    channel: Channel
    to: tuple[str, ...]
    content: bytes
    about: str
    purpose: Purpose = "transactional"
    sender: str = ""
    name: str = ""
    headers: JsonObject = field(default_factory=dict)
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who has it sent, and what led to it. The same ``key`` of one business is sent once."""

    entity: str
    key: str
    correlation: str | None = None
    instance: UUID | None = None
    agent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Something that was given to be sent, and what became of it."""

    id: UUID
    parcel: Parcel
    origin: Origin
    status: Status
    reason: str
    attempts: int
    created_at: datetime
    due_at: datetime | None
    sent_at: datetime | None
    answer: str
    unsubscribe: str | None = None
    handed_over: bool = False

    def to_json(self) -> JsonObject:
        """Return it as commands and the API show it, without its content."""
        return {
            "delivery": str(self.id),
            "channel": self.parcel.channel,
            "to": list(self.parcel.to),
            "about": self.parcel.about,
            "purpose": self.parcel.purpose,
            "status": self.status,
            "reason": self.reason,
            "attempts": self.attempts,
            "entity": self.origin.entity,
            "key": self.origin.key,
            "correlation": self.origin.correlation,
            "instance": None if self.origin.instance is None else str(self.origin.instance),
            "agent": self.origin.agent,
            "message_id": self.parcel.name,
            "contact": self.parcel.headers.get("contact"),
            "template": self.parcel.headers.get("template"),
            "created_at": self.created_at.isoformat(),
            "due_at": None if self.due_at is None else self.due_at.isoformat(),
            "sent_at": None if self.sent_at is None else self.sent_at.isoformat(),
            "answer": self.answer,
        }


def one_word(text: str) -> str:
    r"""Return a text as one word of a header: whatever it says, it ends no line.

    >>> one_word("lead-1\r\nBcc: eve@example.org")
    'lead-1__Bcc:_eve@example.org'
    """
    return "".join(each if "!" <= each <= "~" else "_" for each in text)[:200]
