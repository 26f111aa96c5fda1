"""What people are asked, and what they may say: values and rules. Pure."""

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from higherself.db.pool import Row
from higherself.kernel.errors import Conflict, NotFound, Rejected
from higherself.kernel.jsonvalue import JsonObject, content_hash

Kind = Literal["review", "escalation"]
Status = Literal["open", "in_progress", "decided"]

EVENTS: Mapping[Kind, str] = {"review": "content_reviewed", "escalation": "escalation_answered"}
"""What who waits is told."""

DECISIONS: Mapping[Kind, tuple[str, ...]] = {
    "review": ("approved", "changes_requested", "rejected"),
    "escalation": ("answered", "refund", "closed"),
}
_PREFIX: Mapping[Kind, str] = {"review": "REV", "escalation": "ESC"}


class HumanTaskUnknown(NotFound):
    """There is no such ticket."""


class Decided(Conflict):
    """Somebody has decided already."""


class NotEntitled(Rejected):
    """Whoever decides has none of the roles that may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What is asked of people. The same ``key`` of a business asks once."""

    kind: Kind
    entity: str
    key: str
    title: str
    text: str = ""
    details: Any = None
    roles: tuple[str, ...] = ()
    severity: int = 2
    source: str = ""
    instance: UUID | None = None
    correlation: str | None = None
    assignee: str | None = None
    due_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HumanTask:
    """What is asked of people, and what they said."""

    id: UUID
    ticket: str
    asked: Asking
    status: Status
    decision: str | None
    answer: str | None
    notes: str
    more: Any
    decided_by: str | None
    task_record: UUID | None
    created_at: datetime
    decided_at: datetime | None
    told_at: datetime | None
    told: str

    def to_json(self, *, whole: bool = True) -> JsonObject:
        """Return it as commands and the API show it; without ``whole``, as lists do."""
        asked = self.asked
        shown: dict[str, Any] = {
            "ticket": self.ticket,
            "kind": asked.kind,
            "entity": asked.entity,
            "title": asked.title,
            "status": self.status,
            "severity": asked.severity,
            "roles": list(asked.roles),
            "source": asked.source,
            "assignee": asked.assignee,
            "instance": None if asked.instance is None else str(asked.instance),
            "created_at": self.created_at.isoformat(),
            "due_at": None if asked.due_at is None else asked.due_at.isoformat(),
            "decision": self.decision,
            "by": self.decided_by,
            "decided_at": None if self.decided_at is None else self.decided_at.isoformat(),
        }
        if whole:
            shown |= {
                "text": asked.text,
                "details": asked.details,
                "answer": self.answer,
                "notes": self.notes,
                "correlation": asked.correlation,
                "heard_at": None if self.told_at is None else self.told_at.isoformat(),
                "heard": self.told,
            }
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """What a person says. ``answer``: the text as it may go, or what is to be answered."""

    decision: str
    by: str
    roles: Collection[str] = ()
    answer: str | None = None
    notes: str = ""
    more: JsonObject | None = None


def check(asking: Asking) -> None:
    """Raise unless there is something to decide about.

    Raises
        Rejected: there is not; the field is named.
    """
    if not asking.title.strip():
        raise Rejected("title: say in a line what is to be decided")
    if asking.kind == "review" and not asking.text.strip():
        raise Rejected("text: there is nothing to review")


def check_decision(task: HumanTask, said: Deciding) -> None:
    """Raise unless this can be said of ``task``, by who says it.

    Raises
        Rejected: it is no decision of this kind, or an answer is missing.
        NotEntitled: they have none of the roles that may decide.
    """
    kind, known = task.asked.kind, DECISIONS[task.asked.kind]
    if said.decision not in known:
        raise Rejected(f"decision: {said.decision!r} is none; say {', '.join(known)}")
    if not said.by.strip():
        raise Rejected("by: say who decides")
    if task.asked.roles and not set(task.asked.roles) & set(said.roles):
        has = ", ".join(sorted(said.roles)) or "none"
        raise NotEntitled(
            f"{task.ticket} is for {' or '.join(task.asked.roles)} to decide; {said.by} has the "
            f"roles: {has}"
        )
    if said.decision == "answered" and not (said.answer or "").strip():
        raise Rejected("answer: say what is to be answered")
    if kind == "review" and said.answer is not None and not said.answer.strip():
        raise Rejected("text: an empty text cannot go out; reject it instead")


def says(task: HumanTask, said: Deciding) -> bool:
    """Tell whether ``said`` is what was decided, word for word, by the same: said again, it is no news."""
    stored = (task.decision, task.decided_by, task.answer, task.notes, task.more)
    return stored == (said.decision, said.by, said.answer, said.notes, said.more)


def event_of(task: HumanTask) -> JsonObject:
    """Return what who waits is told."""
    asked = task.asked
    more = task.more if isinstance(task.more, Mapping) else {}
    said: dict[str, Any] = {
        **more,
        "ticket": task.ticket,
        "decision": task.decision,
        "notes": task.notes,
        "by": task.decided_by,
    }
    if asked.kind == "review":
        text = asked.text if task.answer is None else task.answer
        return {**said, "review": task.ticket, "text": text, "title": asked.title}
    return {**said, "answer": task.answer or ""}


_LINES: Mapping[Kind, str] = {
    "review": "--- What should change, or why, goes below this line ---",
    "escalation": "--- Your answer goes below this line ---",
}
_HOW: Mapping[Kind, str] = {
    "review": "Change the description if you like, then set the status: Done lets it go out, Cancelled "
    "stops it, On Hold asks for what you wrote below the line.",
    "escalation": "Write your answer below the line, then set the status: Done sends it, Cancelled closes "
    "the request without one.",
}
SAYING = ("Done", "Cancelled", "On Hold")
"""The statuses of a row among the tasks by which people say something."""


def row_of(task: HumanTask, now: datetime) -> dict[str, Any]:
    """Return the row among the tasks by which it is decided in Notion."""
    asked = task.asked
    review = asked.kind == "review"
    who = f"For {' or '.join(asked.roles)}. " if asked.roles else ""
    return {
        "task_name": f"{'Review' if review else 'Answer'} {task.ticket}: {asked.title}"[:200],
        "status": "To Do",
        "description": asked.text if review else _told(asked),
        "notes": f"{who}{_HOW[asked.kind]}\n{_LINES[asked.kind]}\n",
        "priority": {1: "Low", 2: "Medium", 3: "High", 4: "Urgent"}[asked.severity],
        "category": "Content Creation" if review else "Customer Service",
        "due_date": asked.due_at,
        "tags": ["Creative" if review else "Client-facing"],
        "created_by": asked.source,
        "created_date": now,
        "source": "Workflow" if asked.instance else "Agent",
        **({"related_workflow_instance": [str(asked.instance)]} if asked.instance else {}),
    }


def _told(asked: Asking) -> str:
    """Return what a person needs to answer: what it is, who asks, what was said and tried."""
    details = asked.details if isinstance(asked.details, Mapping) else {}
    lines = [asked.text]
    contact = details.get("contact")
    if isinstance(contact, Mapping):
        named = [str(contact.get(each) or "") for each in ("full_name", "email", "phone")]
        lines.append(f"From: {', '.join(each for each in named if each) or 'unknown'}")
    lines += [
        f"{each.get('who', '?')}: {each.get('text', '')}"
        for each in details.get("history") or ()
        if isinstance(each, Mapping)
    ]
    lines += [f"Because {each}" for each in details.get("attempts") or ()]
    return "\n\n".join(each for each in lines if each)[:20_000]


def decided_in_row(task: HumanTask, row: Row, by: str, roles: Collection[str]) -> Deciding | None:
    """Return what a person has said by the row among the tasks; None if that decides nothing."""
    kind, status = task.asked.kind, row["status"]
    below = (row["notes"] or "").partition(_LINES[kind])[2].strip()
    if status not in SAYING or (status == "On Hold" and (kind != "review" or not below)):
        return None
    done = status == "Done"
    if kind == "review":
        decisions = {"Done": "approved", "Cancelled": "rejected", "On Hold": "changes_requested"}
        text = row["description"] or ""
        changed = done and text.strip() != task.asked.text.strip()
        return Deciding(
            decision=decisions[status],
            by=by,
            roles=roles,
            answer=text if changed else None,
            notes=below,
        )
    return Deciding(
        decision="answered" if done and below else "closed", by=by, roles=roles,
        answer=below or None, notes="" if done else "closed in Notion",
    )  # fmt: skip


def ticket_of(asking: Asking, salt: int) -> str:
    """Return a ticket that is always the same for a key: what is tried again meets what is there."""
    digest = content_hash("human_task", asking.entity, asking.key, str(salt))
    return f"{_PREFIX[asking.kind]}-{base64.b32encode(digest[:5]).decode()}"


def over(task: HumanTask) -> Decided:
    """Return the error for who comes too late."""
    return Decided(
        f"{task.ticket} is decided: {task.decision}, by {task.decided_by}, at "
        f"{task.decided_at:%Y-%m-%d %H:%M} UTC"
    )
