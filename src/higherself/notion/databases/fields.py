"""Values of fields, between rows, pages and the form in which both are compared. Pure.

That form is JSON, the same for what means the same: no empty text (null instead), dates in UTC to
the minute (as Notion keeps them), what has no order sorted. A relation names rows here and pages
in Notion; whoever calls translates.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.nearest import did_you_mean
from higherself.notion.databases.declaration import DeclaredDatabase, Property
from higherself.notion.ports import JsonObject

LONGEST = 2_000
"""UTF-16 units of text in one piece of rich text."""

PIECES = 100
_SHORT = {"url": 2_000, "email": 200, "phone_number": 200}
_MANY = {"multi_select": 100, "people": 100, "relation": 100}


class DoesNotFit(Rejected):
    """A value does not fit the field that it is for."""

    def __init__(self, database: str, column: str, reason: str) -> None:
        super().__init__(f"{database}.{column}: {reason}")
        self.database, self.column, self.reason = database, column, reason


# --- From a page.


def from_notion(prop: Property, given: Mapping[str, Any]) -> JsonValue:
    """Return the value of a property of a page object; of a relation, the ids of pages."""
    kind = given["type"]
    value = given.get(kind)
    match kind:
        case "title" | "rich_text":
            return _text("".join(_piece(each) for each in value or ()))
        case "select" | "status":
            return value["name"] if value else None
        case "multi_select":
            return sorted(each["name"] for each in value or ())
        case "people" | "relation":
            return sorted({str(each["id"]) for each in value or ()})
        case "date":
            return _date(value["start"], prop) if value and value.get("start") else None
        case "files":
            return [_file(each) for each in value or ()]
        case "checkbox":
            return bool(value)
        case "number":
            return None if value is None else value + 0
        case _:
            return _text(value or "")


def _piece(given: Mapping[str, Any]) -> str:
    return str(given.get("plain_text") or "")


def _text(text: str) -> str | None:
    return text.replace("\0", "") or None


def _file(given: Mapping[str, Any]) -> JsonObject:
    """Return a file without what changes with every reading: the signature of its address."""
    kind = given.get("type", "external")
    url = str((given.get(kind) or {}).get("url", ""))
    return {"name": given.get("name", ""), "url": url if kind == "external" else url.partition("?")[0]}  # fmt: skip


def _date(text: str, prop: Property) -> str:
    if not prop.time:
        return text[:10]
    instant = datetime.fromisoformat(text)
    return _minute(instant if instant.tzinfo else instant.replace(tzinfo=UTC))


def _minute(instant: datetime) -> str:
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


# --- From a row.


def from_row(prop: Property, value: Any) -> JsonValue:
    """Return what a column holds; of a relation, the identifiers of rows."""
    match prop.type:
        case "number":
            return None if value is None else value + 0
        case "checkbox":
            return bool(value)
        case "multi_select" | "people" | "relation":
            return sorted({str(each) for each in value or ()})
        case "files":
            return [{"name": each.get("name", ""), "url": each.get("url", "")} for each in value or ()]  # fmt: skip
        case "date" if value is not None:
            return _minute(value) if isinstance(value, datetime) else value.isoformat()
        case _:
            return None if value is None else _text(str(value))


def _listed(value: JsonValue) -> Iterable[Any]:
    return value if isinstance(value, list | tuple) else ()


# --- To a page.


def to_notion(prop: Property, kind: str, value: JsonValue) -> JsonObject:  # noqa: C901  one case per type
    """Return a property as it is sent; ``kind`` is its type in Notion; relations name pages.

    Raises
        DoesNotFit: it is more than Notion takes.
    """
    match kind:
        case "title" | "rich_text":
            content: Any = [{"type": "text", "text": {"content": part}} for part in _split(str(value or ""))]  # fmt: skip
            if len(content) > PIECES:
                raise DoesNotFit("", prop.name, f"Notion takes {PIECES * LONGEST:,} characters at most")  # fmt: skip
        case "select" | "status":
            content = None if value is None else {"name": value}
        case "multi_select":
            content = [{"name": name} for name in _listed(value)]
        case "people":
            content = [{"object": "user", "id": each} for each in _listed(value)]
        case "relation":
            content = [{"id": each} for each in _listed(value)]
        case "files":
            content = [{"name": each["name"] or each["url"][-100:], "type": "external", "external": {"url": each["url"]}} for each in _listed(value)]  # fmt: skip
        case "date":
            content = None if value is None else {"start": str(value).replace("Z", ":00.000Z")}
        case "checkbox":
            content = bool(value)
        case _:
            content = value
    if kind in _MANY and len(content) > _MANY[kind]:
        raise DoesNotFit("", prop.name, f"Notion takes {_MANY[kind]} at a time, not {len(content)}")
    if kind in _SHORT and len(str(value or "")) > _SHORT[kind]:
        raise DoesNotFit("", prop.name, f"Notion takes {_SHORT[kind]} characters at most")
    return {kind: content}


def _split(text: str) -> list[str]:
    """Return pieces of at most 2,000 UTF-16 units; a character outside the basic plane has two."""
    pieces: list[str] = []
    piece: list[str] = []
    units = 0
    for char in text:
        size = 2 if ord(char) > 0xFFFF else 1
        if units + size > LONGEST:
            pieces.append("".join(piece))
            piece, units = [], 0
        piece.append(char)
        units += size
    return [*pieces, "".join(piece)] if piece else pieces


# --- From those who write rows.


def checked(database: DeclaredDatabase, values: Mapping[str, Any]) -> dict[str, JsonValue]:
    """Return values in the common form, by column; they may be named by column or by property.

    Raises
        DoesNotFit: there is no such field, it is not for saving, or the value is of another type.
    """
    found: dict[str, JsonValue] = {}
    for name, value in values.items():
        prop = database.fields.get(name) or database.properties.get(name)
        if prop is None or prop.column is None:
            raise DoesNotFit(
                database.name, name, f"there is no such field{did_you_mean(name, database.fields)}"
            )
        try:
            found[prop.column] = _checked(prop, value)
        except (TypeError, ValueError, AttributeError) as error:
            raise DoesNotFit(database.name, prop.column, f"{value!r} is no {prop.type}: {error}") from None  # fmt: skip
    return found


def _checked(prop: Property, value: Any) -> JsonValue:  # noqa: C901  one case per type
    match prop.type:
        case "number" if value is not None:
            if isinstance(value, bool) or not isinstance(value, int | float) or value != value:
                raise ValueError("give a number")
            return value + 0
        case "checkbox":
            if not isinstance(value, bool):
                raise ValueError("give true or false")
            return value
        case "select" | "status":
            _option(prop, value)
            return _text(value or "")
        case "multi_select":
            names = [value] if isinstance(value, str) else list(value or ())
            for name in names:
                _option(prop, name)
            return sorted(set(names))
        case "relation":
            many = [value] if isinstance(value, str | UUID) else list(value or ())
            return sorted({str(UUID(str(each))) for each in many})
        case "people":
            return sorted(set([value] if isinstance(value, str) else value or ()))
        case "files":
            return [{"name": str(each.get("name", "")), "url": str(each["url"])} for each in value or ()]  # fmt: skip
        case "date" if value is not None:
            return _given_date(prop, value)
        case _:
            if value is not None and not isinstance(value, str):
                raise ValueError("give a text")
            return _text(value or "")


def _option(prop: Property, name: Any) -> None:
    if name is not None and not isinstance(name, str):
        raise ValueError("give the name of an option")
    if name and prop.options and name not in prop.options:
        raise ValueError(f"it is no option{did_you_mean(name, prop.options)}")


def _given_date(prop: Property, value: Any) -> str:
    if isinstance(value, str):
        return _date(value, prop)
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("give a time with its zone")
        return _minute(value) if prop.time else value.date().isoformat()
    if isinstance(value, date):
        return f"{value.isoformat()}T00:00Z" if prop.time else value.isoformat()
    raise ValueError("give a date")
