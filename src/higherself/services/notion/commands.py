"""What people ask for on the page of an instance: reading it, and answering in plain words. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from higherself.kernel.errors import HigherSelfError, Misconfigured
from higherself.kernel.nearest import did_you_mean
from higherself.services.notion.status_page import ACTIONS
from higherself.workflow.errors import (
    ControlRefused,
    InstanceFinished,
    NotEntitled,
    NothingToDecide,
)
from higherself.workflow.machine import Cancelled, Decided, Event, Paused, Resumed, Retried, Step

OPERATOR = "operator"
"""The role that may pause, resume, retry and cancel, if anybody has it; else everybody may."""

UNKNOWN = "Unknown"
"""The action of a comment that asks for something that there is not."""

DECISIONS = ("Approve", "Reject")

_SLASH = re.compile(r"/([A-Za-z_-]+)\b[ \t]*[:,.!-]?\s*(.*)", re.DOTALL)
_PLAIN = re.compile(r"([A-Za-z]+)\s*(?:[:!.]\s*(.*))?", re.DOTALL)
_FROM = re.compile(r"from\s+(\S+)\s*", re.IGNORECASE)
_WORDS: Mapping[str, str] = {
    **{name.lower(): name for name in ACTIONS},
    "approved": "Approve",
    "rejected": "Reject",
}
_LONGEST_WORDS = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks for; ``words`` are the reason, or the remark, that came with it."""

    action: str
    words: str = ""


def read_comment(text: str) -> Asked | None:
    """Return what a comment asks for; None if it is just a comment.

    >>> read_comment("approve"), read_comment("/cancel booked elsewhere")
    (Asked(action='Approve', words=''), Asked(action='Cancel', words='booked elsewhere'))
    >>> read_comment("Reject: too dear"), read_comment("approve of this I cannot")
    (Asked(action='Reject', words='too dear'), None)
    >>> read_comment("/aprove").words
    "there is no action 'aprove'; did you mean 'approve'?"
    """
    said = text.strip()
    if found := _SLASH.fullmatch(said):
        word = found[1].lower()
        if word in _WORDS:
            return Asked(_WORDS[word], _cut(found[2]))
        hint = did_you_mean(word, [name.lower() for name in ACTIONS])
        return Asked(UNKNOWN, f"there is no action {word[:40]!r}{hint}")
    if (found := _PLAIN.fullmatch(said)) and found[1].lower() in _WORDS:
        return Asked(_WORDS[found[1].lower()], _cut(found[2] or ""))
    return None


def _cut(words: str) -> str:
    return " ".join(words.split())[:_LONGEST_WORDS]


# --- Who.


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in Notion. ``id`` is None when it cannot be told who it was."""

    id: str | None
    name: str
    email: str | None = None

    @property
    def told(self) -> str:
        """How the history names them."""
        return f"{self.name} (Notion {self.id})" if self.id else self.name


NOBODY = Person(None, "somebody in Notion")
"""The server has written the page in the same moment, so Notion does not say who it was."""


@dataclass(frozen=True, slots=True)
class Roles:
    """Which people in Notion have which roles. They are known by their e-mail addresses or ids."""

    members: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def read(cls, text: str) -> "Roles":
        """Return the roles that a setting tells: ``owner: ada@example.org, 1f3c...; curator: ...``.

        Raises
            Misconfigured: a part has no role, or nobody.

        >>> roles = Roles.read("owner: Ada@example.org; curator: b@x.org, ada@example.org")
        >>> roles.of(Person("1f3c", "Ada", "ada@example.org"))
        ('curator', 'owner')
        """
        members: dict[str, frozenset[str]] = {}
        for part in text.split(";"):
            if not part.strip():
                continue
            role, separator, people = part.partition(":")
            names = frozenset(_known_as(each) for each in people.split(",") if each.strip())
            if not separator or not role.strip() or not names:
                raise Misconfigured(
                    f"NOTION_ROLES: {part.strip()!r} names no role and people; write it like "
                    "'owner: ada@example.org, ben@example.org; curator: eve@example.org'"
                )
            members[role.strip()] = members.get(role.strip(), frozenset()) | names
        return cls(members)

    def of(self, person: Person) -> tuple[str, ...]:
        """Return the roles of somebody."""
        names = {_known_as(each) for each in (person.id, person.email) if each}
        return tuple(sorted(role for role, members in self.members.items() if names & members))

    def may_steer(self, person: Person) -> bool:
        """Return whether somebody may pause, resume, retry and cancel."""
        return OPERATOR not in self.members or OPERATOR in self.of(person)


def _known_as(name: str) -> str:
    said = name.strip().casefold()
    return said if "@" in said else said.replace("-", "")


# --- What it means for an instance.


def event_of(action: str, words: str, person: Person, roles: Sequence[str]) -> Event:
    """Return what happens to the instance."""
    by = person.told
    match action:
        case "Approve":
            return Decided("approved", by=by, roles=tuple(roles), comment=words)
        case "Reject":
            return Decided("rejected", by=by, roles=tuple(roles), comment=words)
        case "Retry":
            found = _FROM.match(words)
            return Retried(state=found[1] if found else None, by=by)
        case "Pause":
            return Paused(by=by)
        case "Resume":
            return Resumed(by=by)
        case "Cancel":
            return Cancelled(words or "cancelled in Notion", by=by)
        case _:
            raise AssertionError(action)


# --- Answers.

_DONE = {
    "Approve": "Approved", "Reject": "Rejected", "Retry": "Retried", "Pause": "Put on hold",
    "Resume": "Resumed", "Cancel": "Cancelled",
}  # fmt: skip


def done(action: str, person: Person, now: datetime, step: Step | None) -> str:
    """Return the answer to what was carried out; without ``step``, it was so before."""
    said = f"✔ {_DONE[action]} by {person.name}, {now:%Y-%m-%d %H:%M} UTC."
    if step is None:
        return said
    if step.outcome == "kept":
        return f"{said} It counts once the instance goes on."
    return f"{said} It is now {step.snapshot.status} in {step.snapshot.state}."


def nothing(action: str, reason: str) -> str:
    """Return the answer to what has changed nothing."""
    return f"✘ {action}: nothing was changed, as {reason}."


def cannot(action: str, error: HigherSelfError, person: Person) -> tuple[str, str]:
    """Return the outcome and the answer when something is not possible, or not theirs to do."""
    match error:
        case NotEntitled(asked=asked):
            return "refused", (
                f"✘ {action}: {person.name} may not decide this; it is for {' or '.join(asked)}. "
                "Who has which role is set in NOTION_ROLES."
            )
        case InstanceFinished(status=status):
            why = f"it is {status}, and nothing more can happen to it"
        case NothingToDecide():
            why = "no decision is waited for: it was taken already, or never asked for"
        case ControlRefused(reason=reason):
            why = reason
        case _:
            why = str(error)
    return "impossible", f"✘ {action} is not possible: {why.rstrip('.')}."


def not_theirs(action: str, person: Person) -> str:
    """Return the answer to somebody who may not steer instances."""
    return (
        f"✘ {action}: {person.name} has not the role {OPERATOR!r} (NOTION_ROLES), which this takes."
    )


def who_was_it(action: str) -> str:
    """Return the answer when it matters who asks, and Notion does not tell."""
    return (
        f"✘ {action}: who chose this cannot be told, as the server wrote the page in the same "
        f"moment. Choose it again, or comment /{action.lower()}."
    )
