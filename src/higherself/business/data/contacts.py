"""Which contacts are the same person, and what is known of them together. Pure.

Two contacts are one if they have an e-mail address or a telephone number in common, or the same
name and one more fact that agrees. Shared inboxes (info@...) and one line for a whole household do
not make one person of several: names that differ keep them apart.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from higherself.business.data.phones import NumberUnclear, read_phone
from higherself.kernel.jsonvalue import JsonValue

Contact = Mapping[str, JsonValue]

_SHARED = frozenset(
    ["info", "hello", "contact", "office", "admin", "sales", "support", "bookings", "team", "mail"]
)
"""What stands before the @ of an inbox that several people read."""

_DOTLESS = frozenset(["gmail.com", "googlemail.com"])
_ADDRESS = re.compile(r"[^@\s<>]+@[^@\s<>]+\.[^@\s<>]+")


@dataclass(frozen=True, slots=True)
class Person:
    """Contacts that are one person: ``merged`` of all, their places in the list, and why."""

    merged: Contact
    places: tuple[int, ...]
    reasons: tuple[str, ...]


def normal_email(text: str) -> str | None:
    """Return an e-mail address as it is compared, or None if it is none.

    >>> normal_email("Ana.Silva+news@GoogleMail.com")
    'anasilva@gmail.com'
    """
    address = text.strip().lower()
    if not _ADDRESS.fullmatch(address):
        return None
    local, _, domain = address.rpartition("@")
    local = local.partition("+")[0] or local
    if domain in _DOTLESS:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def normal_name(text: str) -> str:
    """Return a name as it is compared: without accents, case, marks, and whichever part came first.

    >>> normal_name("Müller, Ána") == normal_name("ana muller")
    True
    """
    plain = unicodedata.normalize("NFKD", text).casefold()
    letters = "".join(each for each in plain if not unicodedata.combining(each))
    return " ".join(sorted(re.findall(r"\w+", letters)))


def same_people(contacts: Sequence[Contact], *, country: str | None = None) -> list[Person]:
    """Return the people behind ``contacts``, in the order in which they first appear.

    Fields that are looked at: ``email``, ``phone``, ``name`` (or ``first_name`` and ``last_name``)
    and ``company``. Of a person's contacts the fullest value of a field wins; lists are joined; of
    ``updated_at`` the latest counts.
    """
    facts = [_facts(each, country) for each in contacts]
    leader = list(range(len(contacts)))
    reasons: defaultdict[int, list[str]] = defaultdict(list)

    def find(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    for one, other, why in _pairs(facts):
        first, second = sorted((find(one), find(other)))
        if first != second:
            leader[second] = first
            reasons[first] += [*reasons.pop(second, []), why]
    people: defaultdict[int, list[int]] = defaultdict(list)
    for place in range(len(contacts)):
        people[find(place)].append(place)
    return [
        Person(
            merged([contacts[place] for place in places]),
            tuple(places),
            tuple(dict.fromkeys(reasons[first])),
        )
        for first, places in people.items()
    ]


def merged(contacts: Sequence[Contact]) -> Contact:
    """Return what several contacts of one person say together."""
    newest_first = sorted(contacts, key=_written, reverse=True)
    together: dict[str, JsonValue] = {}
    for contact in newest_first:
        for field, value in contact.items():
            together[field] = _fuller(together.get(field), value)
    return {field: together[field] for contact in contacts for field in contact}


def _fuller(known: JsonValue, more: JsonValue) -> JsonValue:
    if isinstance(known, list | tuple) and isinstance(more, list | tuple):
        return [*known, *(each for each in more if each not in known)]
    return more if known in (None, "", [], ()) else known


def _written(contact: Contact) -> str:
    at = contact.get("updated_at")
    return at if isinstance(at, str) else ""


@dataclass(frozen=True, slots=True)
class _Facts:
    email: str | None
    phone: str | None
    name: str
    company: str

    @property
    def shared(self) -> bool:
        """Whether the address may be that of several people."""
        return self.email is not None and self.email.partition("@")[0] in _SHARED


def _facts(contact: Contact, country: str | None) -> _Facts:
    def text(*fields: str) -> str:
        return " ".join(str(contact[each]) for each in fields if contact.get(each))

    phone = None
    if given := text("phone"):
        try:
            phone = read_phone(given, country=country)
        except NumberUnclear:
            phone = None
    return _Facts(
        email=normal_email(text("email")),
        phone=phone,
        name=normal_name(text("name") or text("first_name", "last_name")),
        company=normal_name(text("company")),
    )


def _pairs(facts: Sequence[_Facts]) -> Iterable[tuple[int, int, str]]:
    """Yield two places that are one person, and why. Only neighbours of a group: the rest follows."""
    groups: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for place, each in enumerate(facts):
        if each.email:
            groups["email", each.email].append(place)
        if each.phone:
            groups["phone", each.phone].append(place)
        if each.name and each.company:
            groups["name and company", f"{each.name} / {each.company}"].append(place)
    for (kind, value), places in groups.items():
        for number, place in enumerate(places):
            for earlier in places[:number]:
                if _may_be_one(facts[earlier], facts[place], kind):
                    yield earlier, place, f"the same {kind}: {value}"
                    break


def _may_be_one(one: _Facts, other: _Facts, kind: str) -> bool:
    names_differ = bool(one.name and other.name) and not _alike(one.name, other.name)
    if kind == "phone" or one.shared:
        return not names_differ and bool(one.name) == bool(other.name)
    if kind == "email":
        return True  # an address of one's own is one's own, also under another name
    return one.email is None or other.email is None or one.email == other.email


def _alike(one: str, other: str) -> bool:
    """Whether one name is the other with a part left out, or shortened to its first letter."""
    few, many = sorted((one.split(), other.split()), key=len)
    left = list(many)
    for part in few:
        fits = next((each for each in left if each == part or _initial(each, part)), None)
        if fits is None:
            return False
        left.remove(fits)
    return True


def _initial(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) == 1 and long.startswith(short)
