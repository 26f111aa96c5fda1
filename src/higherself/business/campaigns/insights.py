"""What the contacts of a business are like, which segments suggest themselves, and the report. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from higherself.business.campaigns.audience import audience
from higherself.business.campaigns.criteria import criteria
from higherself.kernel.jsonvalue import JsonObject

ACTIVE_DAYS, LAPSING_DAYS = 30, 90


@dataclass(frozen=True, slots=True)
class Profile:
    """What contacts are like: how many of each kind, how long ago they were heard of."""

    contacts: int
    reachable: int
    by: Mapping[str, Mapping[str, int]]
    recency: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Proposal:
    """A segment that suggests itself."""

    name: str
    description: str
    criteria: JsonObject
    members: int


def profile(contacts: Sequence[JsonObject], *, now: datetime) -> Profile:
    """Return what ``contacts`` (rows of contacts_profiles) are like."""
    kinds = ("status", "contact_type", "lead_source")
    by = {
        kind: dict(Counter(_said(each, kind) for each in contacts).most_common()) for kind in kinds
    }
    by["tags"] = dict(Counter(t for each in contacts for t in _tags(each)).most_common())
    tests = {name: criteria(said, now=now) for name, said in _RECENCY.items()}
    recency = Counter(_first(tests, each) for each in contacts)
    reachable = len(audience(contacts, purpose="marketing", now=now).members)
    return Profile(len(contacts), reachable, by, dict(recency))


def proposed(
    contacts: Sequence[JsonObject], *, now: datetime, least: int = 1, most: int = 20
) -> list[Proposal]:
    """Return segments that at least ``least`` contacts are in whom one may write to, largest first."""
    known = profile(contacts, now=now)
    found: dict[str, tuple[str, JsonObject]] = {
        f"{name}_contacts": (f"{name.capitalize()}: {_ABOUT[name]}", said)
        for name, said in _RECENCY.items()
    }
    for kind in ("status", "contact_type", "lead_source", "tags"):
        for value in known.by[kind]:
            if value != _UNKNOWN:
                operator = "contains" if kind == "tags" else "equals"
                said = {"field": kind, "operator": operator, "value": value}
                found[_slug(f"{kind}_{value}")] = (f"{kind.replace('_', ' ')}: {value}", said)
    sized = [
        Proposal(name, about, said, len(audience(contacts, said, now=now).members))
        for name, (about, said) in found.items()
    ]
    kept = [each for each in sized if each.members >= least]
    return sorted(kept, key=lambda each: (-each.members, each.name))[:most]


def report(
    business: str, known: Profile, segments: Sequence[Mapping[str, Any]], *, now: datetime
) -> str:
    """Return the insights as a text (Markdown) for people, and for the knowledge of the business."""
    lines = [
        f"# Audience of {business}, {now:%d %B %Y}",
        "",
        f"{known.contacts:,} contacts, of whom {known.reachable:,} may be written to.",
        "",
        "## When they were last heard of",
        "",
        *(f"- {name}: {count:,}" for name, count in known.recency.items()),
    ]
    for kind, counts in known.by.items():
        if counts:
            lines += ["", f"## By {kind.replace('_', ' ')}", ""]
            lines += [f"- {value}: {count:,}" for value, count in list(counts.items())[:20]]
    lines += ["", "## Segments", ""]
    lines += [_line(each) for each in segments] or ["There are none."]
    return "\n".join(lines)


def _line(segment: Mapping[str, Any]) -> str:
    moved = ""
    if segment.get("joined") or segment.get("left"):
        moved = f" ({segment.get('joined', 0):,} joined, {segment.get('left', 0):,} left)"
    return f"- {segment['name']}: {segment.get('member_count', 0):,} members{moved}"


_UNKNOWN = "unknown"
_RECENCY: Mapping[str, JsonObject] = {
    "active": {"field": "last_interaction", "operator": "newer_than_days", "value": ACTIVE_DAYS},
    "lapsing": {
        "all": [
            {"field": "last_interaction", "operator": "older_than_days", "value": ACTIVE_DAYS},
            {"field": "last_interaction", "operator": "newer_than_days", "value": LAPSING_DAYS},
        ]
    },
    "dormant": {"field": "last_interaction", "operator": "older_than_days", "value": LAPSING_DAYS},
}
_ABOUT = {
    "active": f"heard of in the last {ACTIVE_DAYS} days",
    "lapsing": f"not heard of for {ACTIVE_DAYS} days",
    "dormant": f"not heard of for {LAPSING_DAYS} days",
}


def _first(tests: Mapping[str, Callable[[JsonObject], bool]], contact: JsonObject) -> str:
    return next((name for name, holds in tests.items() if holds(contact)), "never")


def _said(contact: JsonObject, kind: str) -> str:
    return str(contact.get(kind) or _UNKNOWN)


def _tags(contact: JsonObject) -> list[str]:
    tags = contact.get("tags")
    return [str(each) for each in tags] if isinstance(tags, list | tuple) else []


def _slug(text: str) -> str:
    return "_".join("".join(e if e.isalnum() else " " for e in text.lower()).split())
