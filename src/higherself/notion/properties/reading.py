"""Properties of a page object as values, and values as plain JSON. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from higherself.kernel.jsonvalue import JsonValue
from higherself.notion.content.addresses import dashed, unsigned
from higherself.notion.content.rich import plain as words
from higherself.notion.content.rich_json import from_rich_text, minute
from higherself.notion.properties.values import (
    ByValue,
    CheckboxValue,
    Choice,
    ChoicesValue,
    ChoiceValue,
    DateValue,
    File,
    FilesValue,
    LineValue,
    NumberedValue,
    NumberValue,
    OtherValue,
    PeopleValue,
    Person,
    PlaceValue,
    RelationValue,
    ResultValue,
    TextValue,
    TimeValue,
    Value,
    VerificationValue,
)


def read(page: Mapping[str, Any]) -> dict[str, Value]:
    """Return the properties of a page object by name, each as a value of its kind.

    Every kind is read; what is of none we know is an `OtherValue`.
    """
    found = page.get("properties")
    if not isinstance(found, Mapping):
        return {}
    return {name: read_value(given) for name, given in found.items() if isinstance(given, Mapping)}


def read_value(given: Mapping[str, Any]) -> Value:
    """Return one property: ``{"id": .., "type": "number", "number": 3}``."""
    kind = given.get("type") or next((key for key in given if key in _READERS), "")
    content = given.get(str(kind))
    reader = _READERS.get(str(kind))
    if reader is None:
        return OtherValue(str(kind), content)
    return reader(content, bool(given.get("has_more")))


def plain(value: Value | None) -> JsonValue:
    """Return a value as skills and tables take it: text, numbers, names, ids; None for nothing.

    A range of dates is ``{"start", "end"}``; pages and people of which not all are known are
    ``{"known": [...], "has_more": true}``.
    """
    return None if value is None else _PLAIN[type(value)](value)


# --- Reading.


def _choice(given: Mapping[str, Any]) -> Choice:
    return Choice(
        str(given.get("name") or ""), str(given.get("id") or ""), str(given.get("color") or "")
    )


def _date(given: Mapping[str, Any] | None) -> DateValue:
    if not given:
        return DateValue()
    return DateValue(
        minute(str(given.get("start") or "")),
        minute(str(given.get("end") or "")),
        str(given.get("time_zone") or ""),
    )


def _person(given: Mapping[str, Any]) -> Person:
    person = given.get("person") or {}
    return Person(
        dashed(str(given.get("id") or "")),
        str(given.get("name") or ""),
        str(person.get("email") or ""),
    )


def _file(given: Mapping[str, Any]) -> File:
    kind = str(given.get("type") or next((k for k in ("external", "file", "file_upload") if k in given), ""))  # fmt: skip
    where = given.get(kind) or {}
    upload = str(where.get("id") or "") if kind == "file_upload" else ""
    return File(str(given.get("name") or ""), unsigned(str(where.get("url") or "")), upload)


def _formula(given: Mapping[str, Any] | None, more: bool) -> Value:
    kind = str((given or {}).get("type") or "")
    content = (given or {}).get(kind)
    if kind == "date":
        return ResultValue("formula", plain(_date(content)))
    known = kind in ("string", "number", "boolean")
    return ResultValue("formula", content if known else None, known)


def _rollup(given: Mapping[str, Any] | None, more: bool) -> Value:
    kind = str((given or {}).get("type") or "")
    content = (given or {}).get(kind)
    function = str((given or {}).get("function") or "")
    match kind:
        case "number":
            return ResultValue("rollup", content, True, function)
        case "date":
            return ResultValue("rollup", plain(_date(content)), True, function)
        case "array":
            items = [plain(read_value(item)) for item in content or ()]
            return ResultValue("rollup", items, True, function)
        case _:
            return ResultValue("rollup", None, False, function)


def _verification(given: Mapping[str, Any] | None, more: bool) -> Value:
    given = given or {}
    by, date = given.get("verified_by"), _date(given.get("date"))
    state = str(given.get("state") or "unverified")
    return VerificationValue(state, _person(by) if by else None, date.end or date.start)


def _place(given: Mapping[str, Any] | None, more: bool) -> Value:
    if not given:
        return PlaceValue()
    return PlaceValue(
        given.get("lat"),
        given.get("lon"),
        str(given.get("name") or ""),
        str(given.get("address") or ""),
    )


def _many(given: object) -> Sequence[Mapping[str, Any]]:
    return [item for item in given if isinstance(item, Mapping)] if isinstance(given, list) else []


_READERS: dict[str, Callable[[Any, bool], Value]] = {
    "title": lambda given, more: TextValue("title", from_rich_text(given)),
    "rich_text": lambda given, more: TextValue("rich_text", from_rich_text(given)),
    "number": lambda given, more: NumberValue(given),
    "select": lambda given, more: ChoiceValue("select", _choice(given) if given else None),
    "status": lambda given, more: ChoiceValue("status", _choice(given) if given else None),
    "multi_select": lambda given, more: ChoicesValue(tuple(map(_choice, _many(given)))),
    "date": lambda given, more: _date(given),
    "people": lambda given, more: PeopleValue(tuple(map(_person, _many(given))), more),
    "files": lambda given, more: FilesValue(tuple(map(_file, _many(given)))),
    "checkbox": lambda given, more: CheckboxValue(bool(given)),
    "url": lambda given, more: LineValue("url", str(given or "")),
    "email": lambda given, more: LineValue("email", str(given or "")),
    "phone_number": lambda given, more: LineValue("phone_number", str(given or "")),
    "relation": lambda given, more: RelationValue(
        tuple(dashed(str(item.get("id") or "")) for item in _many(given)), more
    ),
    "formula": _formula,
    "rollup": _rollup,
    "created_time": lambda given, more: TimeValue("created_time", minute(str(given or ""))),
    "last_edited_time": lambda given, more: TimeValue("last_edited_time", minute(str(given or ""))),
    "last_visited_time": lambda given, more: TimeValue(
        "last_visited_time", minute(str(given or ""))
    ),
    "created_by": lambda given, more: ByValue("created_by", _person(given) if given else None),
    "last_edited_by": lambda given, more: ByValue(
        "last_edited_by", _person(given) if given else None
    ),
    "unique_id": lambda given, more: NumberedValue(
        str((given or {}).get("prefix") or ""), (given or {}).get("number")
    ),
    "place": _place,
    "verification": _verification,
    "button": lambda given, more: OtherValue("button"),
    "location": lambda given, more: OtherValue("location", given or None),
}
KINDS = frozenset(_READERS)
"""Every type of property that is read as what it is."""


# --- As plain JSON.


def _plain_date(value: DateValue) -> JsonValue:
    if not value.start:
        return None
    if not value.end and not value.time_zone:
        return value.start
    found = {"start": value.start, "end": value.end or None, "time_zone": value.time_zone or None}
    return {name: item for name, item in found.items() if item}


def _known(items: Sequence[str], has_more: bool) -> JsonValue:
    return {"known": list(items), "has_more": True} if has_more else list(items)


def _plain_place(value: PlaceValue) -> JsonValue:
    if value.latitude is None:
        return None
    found: dict[str, JsonValue] = {"lat": value.latitude, "lon": value.longitude}
    given = {"name": value.name, "address": value.address}
    return found | {name: text for name, text in given.items() if text}


def _plain_numbered(value: NumberedValue) -> JsonValue:
    if value.number is None:
        return None
    return f"{value.prefix}-{value.number}" if value.prefix else value.number


_PLAIN: dict[type[Any], Callable[[Any], JsonValue]] = {
    TextValue: lambda value: words(value.text),
    NumberValue: lambda value: value.number,
    ChoiceValue: lambda value: value.choice.name if value.choice else None,
    ChoicesValue: lambda value: [choice.name for choice in value.choices],
    DateValue: _plain_date,
    PeopleValue: lambda value: _known([p.name or p.id for p in value.people], value.has_more),
    FilesValue: lambda value: [{"name": file.name, "url": file.url} for file in value.files],
    CheckboxValue: lambda value: value.checked,
    LineValue: lambda value: value.line or None,
    RelationValue: lambda value: _known(value.pages, value.has_more),
    ResultValue: lambda value: value.result if value.known else None,
    TimeValue: lambda value: value.at or None,
    ByValue: lambda value: (value.person.name or value.person.id) if value.person else None,
    NumberedValue: _plain_numbered,
    PlaceValue: _plain_place,
    VerificationValue: lambda value: value.state,
    OtherValue: lambda value: value.value,
}
