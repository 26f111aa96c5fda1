"""What came of a happening, and the row that is kept of it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from higherself.db.pool import Row
from higherself.kernel.errors import Rejected
from higherself.kernel.ids import checked_entity
from higherself.kernel.jsonvalue import JsonObject, check_json, content_hash
from higherself.messaging.model import check_name
from higherself.services.triggers import Happening

LONGEST_ID = 300


@dataclass(frozen=True, slots=True)
class Started:
    """An instance that was started (or was there already)."""

    workflow: str
    instance: UUID


@dataclass(frozen=True, slots=True)
class Sent:
    """An instance that was told of an event."""

    workflow: str
    instance: UUID
    event: str


@dataclass(frozen=True, slots=True)
class Left:
    """What a trigger did not do, and why. ``failed``: it would have."""

    workflow: str
    reason: str
    failed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a happening.

    ``status`` is ``handled``, ``duplicate`` (it told of what another had told of), or ``open``:
    something it is to tell is not there yet, and is tried again for a while. ``is_new``: it was not
    known before this call.
    """

    happening: str
    entity: str
    status: str
    is_new: bool = False
    duplicate_of: str | None = None
    contact: UUID | None = None
    event: UUID | None = None
    started: tuple[Started, ...] = ()
    sent: tuple[Sent, ...] = ()
    left: tuple[Left, ...] = ()

    def to_json(self) -> JsonObject:
        """Return it as the edges show it."""
        return {
            "happening": self.happening,
            "entity": self.entity,
            "status": self.status,
            "duplicate_of": self.duplicate_of,
            "contact": None if self.contact is None else str(self.contact),
            "event": None if self.event is None else str(self.event),
            **noted_of(self),
        }


def check(happening: Happening) -> None:
    """Raise what is wrong with a happening.

    Raises
        Rejected: naming the field and what it has to be.
    """
    checked_entity(happening.entity)
    check_name("type", happening.type)
    check_name("source", happening.source)
    check_name("correlation", happening.correlation)
    if not 0 < len(happening.id) <= LONGEST_ID or not happening.id.isprintable():
        raise Rejected(
            f"id: {happening.id[:30]!r} is not 1 to {LONGEST_ID} printable characters; give what "
            "names this happening once and for all, such as the id that the sender gave it"
        )
    if happening.at.tzinfo is None:
        raise Rejected(f"at: {happening.at} has no time zone; give one, such as +00:00")
    if not isinstance(happening.data, Mapping):
        raise Rejected("data: an object is needed, such as {contact: {email: ...}}")
    check_json(happening.data, "data")


def short(text: str) -> str:
    """Return ``text`` as a name of the bus: one that is too long by its hash."""
    return text if len(text) <= 200 else f"{text[:120]}/{content_hash(text).hex()[:40]}"


def happening_of(row: Row) -> Happening:
    """Return the happening that a row holds."""
    return Happening(
        type=row["type"],
        entity=row["entity"],
        data=row["data"],
        id=row["id"],
        at=row["happened_at"],
        source=row["source"],
        correlation=row["correlation_id"],
    )


def noted_of(outcome: Outcome) -> dict[str, Any]:
    """Return what a row keeps of an outcome, as JSON."""
    return {
        "started": [
            {"workflow": each.workflow, "instance": str(each.instance)} for each in outcome.started
        ],
        "sent": [
            {"workflow": each.workflow, "instance": str(each.instance), "event": each.event}
            for each in outcome.sent
        ],
        "left": [
            {"workflow": each.workflow, "reason": each.reason, "failed": each.failed}
            for each in outcome.left
        ],
    }


def outcome_of(row: Row) -> Outcome:
    """Return what came of the happening of a row."""
    noted = row["outcome"] or {"started": [], "sent": [], "left": []}
    return Outcome(
        happening=row["id"],
        entity=row["entity"],
        status=row["status"],
        duplicate_of=row["duplicate_of"],
        contact=row["contact_id"],
        event=row["event_id"],
        started=tuple(Started(e["workflow"], UUID(e["instance"])) for e in noted["started"]),
        sent=tuple(Sent(e["workflow"], UUID(e["instance"]), e["event"]) for e in noted["sent"]),
        left=tuple(Left(e["workflow"], e["reason"], e["failed"]) for e in noted["left"]),
    )


LEADS = ("new_lead", "lead_capture")
"""Happenings by which somebody becomes a lead."""

_SOURCES = {
    "referral": "Referral",
    "artist_referral": "Referral",
    "linkedin": "Social Media",
    "instagram": "Social Media",
    "facebook": "Social Media",
    "circle": "Social Media",
    "event": "Event",
    "advertisement": "Advertisement",
    "manual": "Direct Contact",
    "agent": "Direct Contact",
}


def first_of(happening: Happening) -> dict[str, Any]:
    """Return what a contact that nobody knew has beside what is said of it."""
    first: dict[str, Any] = {"date_added": happening.at, "lead_source": source_option(happening)}
    if happening.type in LEADS:
        first |= {"contact_type": "Lead", "status": "Active Lead"}
    return first


def source_option(happening: Happening) -> str:
    """Return where a contact comes from, as the field Lead Source has it."""
    contact = happening.data.get("contact")
    said = contact.get("source") if isinstance(contact, Mapping) else None
    word = str(said or happening.data.get("source") or happening.source).lower()
    return _SOURCES.get(word.partition(":")[0], "Website")
