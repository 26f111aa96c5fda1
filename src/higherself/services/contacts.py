"""Contacts: one row for a person, found by e-mail address or telephone number, merged and kept.

What is known of somebody is never lost by what comes later: an empty field is filled, a filled one
stays unless whoever saves says that it is to be replaced. So an edit that a person made in Notion
outlives every form that is sent again.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.services.notion.record_store import values_of
from higherself.services.notion.records import Records

QUERIES = read_queries("higherself.services", "contacts.sql")

CONTACTS = "contacts_profiles"
DO_NOT_CONTACT = "Do Not Contact"
LEAST_DIGITS = 7
"""Digits that a telephone number has to have to stand for a person."""

_ADDRESS = re.compile(r"[^@\s<>,;]+@[^@\s<>,;]+\.[^@\s<>,;]+")

PLAIN = (
    "phone", "company", "job_title", "address", "city", "state_province", "country",
    "postal_code", "notes", "contact_type", "status", "lead_source",
)  # fmt: skip
"""Fields that are taken as they are given."""

_OTHER_NAMES = {"state": "state_province", "zip": "postal_code", "province": "state_province"}

Tidy = Callable[[str], str | None]
"""Returns a telephone number as it is to be kept."""


class ContactUnclear(Rejected):
    """Nobody can be found or kept by this: there is neither an address nor a number."""


def normal_email(text: Any) -> str | None:
    """Return an e-mail address as it is kept and compared, or None if it is none.

    >>> normal_email(" Ana@Example.ORG ")
    'ana@example.org'
    """
    address = text.strip().lower() if isinstance(text, str) else ""
    return address if _ADDRESS.fullmatch(address) and len(address) <= 200 else None


def digits_of(text: Any) -> str | None:
    """Return the digits of a telephone number, if they are enough to stand for a person."""
    found = re.sub(r"[^0-9]", "", text) if isinstance(text, str) else ""
    return found if LEAST_DIGITS <= len(found) <= 20 else None


def fields_of(given: Mapping[str, Any], *, tidy: Tidy = lambda text: text) -> dict[str, JsonValue]:
    """Return the columns of a contact that is given as forms, shops and agents give it. Pure."""
    said = {_OTHER_NAMES.get(name, name): value for name, value in given.items()}
    fields: dict[str, JsonValue] = {}
    if (email := normal_email(said.get("email"))) is not None:
        fields["email"] = email
    names = (said.get("first_name"), said.get("last_name"))
    full = said.get("full_name") or said.get("name") or " ".join(_text(each) for each in names)
    if _text(full):
        fields["full_name"] = _text(full)
    for name in PLAIN:
        if _text(said.get(name)):
            fields[name] = _text(said[name])
    if "phone" in fields:
        kept = tidy(str(fields["phone"]))
        fields.pop("phone")
        if kept:
            fields["phone"] = kept[:200]
    tags = said.get("tags")
    if isinstance(tags, list | tuple) and tags:
        fields["tags"] = [str(each) for each in tags if each]
    external = said.get("external_ids")
    if isinstance(external, Mapping) and external:
        fields["external_ids"] = written_ids({str(k): str(v) for k, v in external.items() if v})
    return fields


def merged(
    known: Mapping[str, Any], given: Mapping[str, Any], replace: Iterable[str] = ()
) -> dict[str, JsonValue]:
    """Return what changes of ``known`` when ``given`` is learnt. Pure.

    An empty value changes nothing. A filled field stays, unless it is to be replaced; tags and
    external identifiers are joined. Somebody who is not to be contacted stays so.
    """
    changes: dict[str, JsonValue] = {}
    replaced = frozenset(replace)
    for name, value in given.items():
        before = known.get(name)
        if value in (None, "", [], {}):
            continue
        if name == "tags":
            value = sorted({*_listed(before), *_listed(value)})
        elif name == "external_ids":
            value = written_ids({**read_ids(before), **read_ids(value)})
        elif (before not in (None, "") and name not in replaced) or (
            name == "status" and before == DO_NOT_CONTACT
        ):
            continue
        if value != before:
            changes[name] = value
    return changes


def read_ids(text: JsonValue) -> dict[str, str]:
    """Return the identifiers elsewhere that a contact has, by system; a person may have written any."""
    if not isinstance(text, str) or not text:
        return {}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        return {str(name): str(value) for name, value in found.items()}
    pairs = (line.partition(":") for line in re.split(r"[\n;,]", text))
    read = {name.strip(): value.strip() for name, colon, value in pairs if colon and value.strip()}
    return read or {"other": text.strip()}


def written_ids(ids: Mapping[str, str]) -> str | None:
    """Return identifiers as the field holds them."""
    return json.dumps(dict(sorted(ids.items())), ensure_ascii=False) if ids else None


def _text(value: Any) -> str:
    return " ".join(str(value).split()) if isinstance(value, str | int | float) else ""


def _listed(value: JsonValue) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list | tuple) else []


class Contacts:
    """The people that businesses know. Safe for concurrent use."""

    def __init__(
        self, records: Records, database: Database, *, tidy: Tidy = lambda text: text
    ) -> None:
        self._records, self._database, self._tidy = records, database, tidy

    @staticmethod
    def shown(row: Row) -> JsonObject:
        """Return a contact as skills read it."""
        return shown(row)

    async def find(
        self, entity: str, *, email: str | None = None, phone: str | None = None
    ) -> Row | None:
        """Return the contact of this address, or else of this number; of several, the oldest."""
        address, digits = normal_email(email), digits_of(phone)
        if address is None and digits is None:
            return None
        given = {"entity": entity, "email": address, "digits": digits}
        async with self._database.reading(entity=entity) as tx:
            rows = await tx.many(QUERIES["find_contacts"], given)
        for row in rows:
            if address is not None and (row["email"] or "").lower() == address:
                return row
            # One line may serve a household: who is known by another address is another person.
            if address is None or not row["email"]:
                return row
        return None

    async def save(
        self,
        entity: str,
        given: Mapping[str, Any],
        *,
        replace: Iterable[str] = (),
        first: Mapping[str, Any] | None = None,
    ) -> Row:
        """Keep what is ``given`` of somebody in their one row, and return it.

        ``first`` are the values that a new contact has beside that. See `merged` for what changes.

        Raises
            ContactUnclear: there is neither an e-mail address nor a telephone number.
            DoesNotFit: a value is none that its field takes.
        """
        fields = fields_of(given, tidy=self._tidy)
        email, digits = fields.get("email"), digits_of(fields.get("phone"))
        if email is None and digits is None:
            raise ContactUnclear(
                "contact: give `email`, an address like ana@example.org, or `phone`, with "
                f"{LEAST_DIGITS} digits or more; there is neither"
            )
        table = self._records.of(CONTACTS)
        row = await self.find(entity, email=given.get("email"), phone=given.get("phone"))
        if row is None:
            key = f"contact/{email or digits}"
            named = {"full_name": str(email or fields.get("phone")), **(first or {}), **fields}
            row = await table.save(entity, {}, key=key)
            fresh = merged(values_of(table.declared, row), named)
            return await table.save(entity, fresh, record=row["record_id"]) if fresh else row
        changes = merged(values_of(table.declared, row), fields, replace)
        if not changes:
            return row
        return await table.save(entity, changes, record=row["record_id"])


def shown(row: Row) -> JsonObject:
    """Return a contact as workflows, skills and triggers read it."""
    return {
        "record_id": str(row["record_id"]),
        **{name: row[name] for name in ("contact_id", "full_name", "email", "phone", "status")},
        **{name: row[name] for name in ("contact_type", "lead_source", "company", "job_title")},
        "city": row["city"],
        "country": row["country"],
        "first_name": (row["full_name"] or "").partition(" ")[0],
        "tags": list(row["tags"]),
        "external_ids": read_ids(row["external_ids"]),
        "may_be_contacted": row["status"] != DO_NOT_CONTACT,
        "since": row["created_at"].isoformat(),
    }
