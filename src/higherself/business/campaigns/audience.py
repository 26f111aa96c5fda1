"""Who a campaign is for: those who fulfil its criteria and may be written to. Pure.

Nobody is written to who asked not to be, has no address, or is in the list twice.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from higherself.business.campaigns.criteria import criteria
from higherself.business.data.contacts import normal_email
from higherself.kernel.jsonvalue import JsonObject

Purpose = Literal["marketing", "transactional"]
Why = Literal["no_address", "do_not_contact", "no_consent", "twice"]

SILENT = frozenset({"do not contact"})
"""Statuses of a contact that asked not to be written to."""


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody in an audience, with what a message says of them."""

    email: str
    contact: str | None
    facts: JsonObject


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is in a segment, by address, and how many of those meant are not written to, and why."""

    members: tuple[Member, ...]
    excluded: Mapping[Why, int]

    @property
    def meant(self) -> int:
        """How many fulfil the criteria."""
        return len(self.members) + sum(self.excluded.values())


def audience(
    contacts: Iterable[JsonObject],
    said: Any = None,
    *,
    purpose: Purpose = "marketing",
    refused: Callable[[str], bool] = lambda email: False,
    now: datetime | None = None,
) -> Audience:
    """Return the audience among ``contacts`` (rows), in the order of their addresses.

    ``refused`` says of an address whether it has unsubscribed. To transactional messages nobody
    needs to have agreed; even so, who asked not to be contacted is not.

    Raises
        CriteriaRejected: the criteria are not as they have to be.
    """
    holds = criteria(said, now=now)
    members: dict[str, Member] = {}
    excluded: dict[Why, int] = {}
    for contact in contacts:
        if not holds(contact):
            continue
        member = _member(contact)
        why = _excluded(contact, member, members, purpose, refused)
        if why is not None or member is None:
            excluded[why or "no_address"] = excluded.get(why or "no_address", 0) + 1
        else:
            members[_key(member.email)] = member
    ordered = sorted(members.values(), key=lambda each: _key(each.email))
    return Audience(tuple(ordered), excluded)


def batch(members: Sequence[Member], after: str, limit: int) -> tuple[Member, ...]:
    """Return the next ``limit`` members after an address, in the order of an audience.

    Whoever joins or leaves meanwhile, nobody comes twice.
    """
    start = _key(after) if after else ""
    return tuple(each for each in members if _key(each.email) > start)[:limit]


def _excluded(
    contact: JsonObject,
    member: Member | None,
    members: Mapping[str, Member],
    purpose: Purpose,
    refused: Callable[[str], bool],
) -> Why | None:
    if str(contact.get("status") or "").strip().lower() in SILENT:
        return "do_not_contact"
    if member is None:
        return "no_address"
    if _key(member.email) in members:
        return "twice"
    consent = contact.get("marketing_consent")
    if purpose == "marketing" and (consent is False or refused(member.email)):
        return "no_consent"
    return None


def _member(contact: JsonObject) -> Member | None:
    email = str(contact.get("email") or "").strip()
    if normal_email(email) is None:
        return None
    name = str(contact.get("full_name") or contact.get("member_name") or "").strip()
    record = contact.get("record_id")
    facts = {
        "name": name or "friend",
        "first_name": name.partition(" ")[0] or "friend",
        "email": email,
    }
    return Member(email, None if record is None else str(record), facts)


def _key(email: str) -> str:
    return normal_email(email) or email.strip().lower()
