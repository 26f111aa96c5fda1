"""Values of properties as JSON that Notion takes, checked before it is sent. Pure."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from higherself.kernel.errors import Rejected
from higherself.kernel.nearest import did_you_mean
from higherself.notion.content.addresses import dashed, reference
from higherself.notion.content.errors import ContentRejected
from higherself.notion.content.rich import text as rich_text
from higherself.notion.content.rich_json import to_rich_text
from higherself.notion.ports import JsonObject
from higherself.notion.properties.reading import KINDS
from higherself.notion.properties.values import (
    CheckboxValue,
    Choice,
    ChoicesValue,
    ChoiceValue,
    DateValue,
    File,
    FilesValue,
    LineValue,
    NumberValue,
    PeopleValue,
    Person,
    PlaceValue,
    RelationValue,
    TextValue,
    Value,
)
from higherself.notion.writing.limits import PIECES, TEXT, units

MOST = 100
"""Options, people, pages or files in one property of a request."""

_LONGEST = {"url": 2_000, "email": 200, "phone_number": 200}
_LONGEST_NAME = 100


class PropertyRejected(Rejected):
    """A value does not fit its property. ``property`` is the name of that."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"property {name!r}: {reason}")
        self.property, self.reason = name, reason


def write(
    values: Mapping[str, Any],
    schema: Mapping[str, Mapping[str, Any]],
    *,
    new_options: bool = False,
) -> JsonObject:
    """Return the ``properties`` of a request that sets ``values``.

    ``schema`` is the ``properties`` of the data source. A value is one of `properties.Value`, or
    what `properties.plain` gives: text, a number, names, ids, dates; None empties the property. An
    option that a select does not have is refused, unless ``new_options`` lets Notion add it.

    Raises
        PropertyRejected: there is no such property, Notion computes it, or the value does not fit.
    """
    made: JsonObject = {}
    for name, value in values.items():
        prop = schema.get(name)
        if prop is None:
            raise PropertyRejected(name, f"there is none of this name{did_you_mean(name, list(schema))}")  # fmt: skip
        kind = str(prop.get("type"))
        writer = _WRITERS.get(kind)
        if writer is None:
            why = "Notion computes it" if kind in KINDS else f"its type {kind} is not known"
            raise PropertyRejected(name, f"it cannot be written: {why}; leave it out")
        made[name] = {kind: writer(_Field(name, kind, prop, new_options), _bare(value))}
    return made


class _Field:
    """The property that a value is for, and how to refuse one."""

    def __init__(self, name: str, kind: str, prop: Mapping[str, Any], new_options: bool) -> None:
        self.name, self.kind, self.prop, self.new_options = name, kind, prop, new_options

    def wrong(self, value: object, wanted: str) -> PropertyRejected:
        shown = repr(value)
        shown = shown if len(shown) <= 60 else f"{shown[:60]}…"
        return PropertyRejected(self.name, f"{shown} is no {wanted}")

    def check_length(self, text: str, limit: int) -> None:
        if units(text) > limit:
            raise PropertyRejected(self.name, f"it has {units(text):,} characters and Notion takes {limit:,}: shorten it")  # fmt: skip

    def check_number(self, items: Sequence[Any]) -> None:
        if len(items) > MOST:
            raise PropertyRejected(self.name, f"it has {len(items)} entries and a request takes {MOST}: send them in several")  # fmt: skip


def _bare(value: Any) -> Any:
    """Return what is inside a `Value`, as the writers take it."""
    match value:
        case TextValue(text=text):
            return text
        case NumberValue(number=inner) | CheckboxValue(checked=inner) | LineValue(line=inner):
            return inner
        case ChoiceValue(choice=choice):
            return choice
        case ChoicesValue(choices=inner) | PeopleValue(people=inner) | FilesValue(files=inner):
            return inner
        case RelationValue(pages=inner):
            return inner
        case _:
            return value


def _text(field: _Field, value: Any) -> Any:
    if value is None:
        return []
    if isinstance(value, str):
        field.check_length(value, PIECES * TEXT)
        value = rich_text(value)
    if not isinstance(value, tuple):
        raise field.wrong(value, "text")
    try:
        items = to_rich_text(value, "text")
    except ContentRejected as error:
        raise PropertyRejected(field.name, error.reason) from error
    if len(items) > PIECES:
        raise PropertyRejected(field.name, f"it has {len(items)} pieces and Notion takes {PIECES}: use fewer changes of looks")  # fmt: skip
    return items


def _number(field: _Field, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise field.wrong(value, "number")
    return value


def _option(field: _Field, value: Any) -> JsonObject:
    if isinstance(value, Choice):
        value = value.name
    if not isinstance(value, str) or not value.strip():
        raise field.wrong(value, "name of an option")
    options = (field.prop.get(field.kind) or {}).get("options")
    names = [str(option.get("name")) for option in options or ()]
    if value in names:
        return {"name": value}
    if options is not None and (field.kind == "status" or not field.new_options):
        raise PropertyRejected(field.name, f"{value!r} is none of its options{did_you_mean(value, names)}")  # fmt: skip
    if "," in value:
        raise PropertyRejected(field.name, f"the option {value!r} has a comma, which Notion does not take: leave it out")  # fmt: skip
    field.check_length(value, _LONGEST_NAME)
    return {"name": value}


def _list(field: _Field, value: Any, wanted: str) -> Sequence[Any]:
    if value is None:
        return ()
    if isinstance(value, str | Mapping) or not isinstance(value, Sequence):
        raise field.wrong(value, f"list of {wanted}")
    field.check_number(value)
    return value


def _moment(field: _Field, value: Any, zone: str) -> str:
    """Return a day, or a minute with its offset."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str):
        if len(value) == 10:
            try:
                return date.fromisoformat(value).isoformat()
            except ValueError:
                raise field.wrong(value, "day (2026-01-31)") from None
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            raise field.wrong(value, "date (2026-01-31, or 2026-01-31T10:00+01:00)") from None
    if not isinstance(value, datetime):
        raise field.wrong(value, "date")
    if zone:
        try:
            value = value.replace(tzinfo=value.tzinfo or ZoneInfo(zone))
        except (ValueError, KeyError, OSError):
            raise field.wrong(zone, "time zone (Europe/Berlin)") from None
    if value.tzinfo is None:
        raise PropertyRejected(field.name, f"{value.isoformat()} has no time zone: add an offset (+01:00) or `time_zone`")  # fmt: skip
    at: datetime = value.replace(second=0, microsecond=0)
    return at.isoformat()


def _date(field: _Field, value: Any) -> Any:
    zone, end = "", None
    if isinstance(value, DateValue):
        value = {"start": value.start, "end": value.end, "time_zone": value.time_zone} if value.start else None  # fmt: skip
    if value is None or value == "":
        return None
    if isinstance(value, Mapping):
        zone, end = value.get("time_zone") or "", value.get("end") or None
        value = value.get("start")
    start = _moment(field, value, zone)
    if end is None:
        return {"start": start}
    last = _moment(field, end, zone)
    if (len(start) == 10) != (len(last) == 10):
        raise PropertyRejected(field.name, "a range goes from day to day or from time to time, not from one to the other")  # fmt: skip
    if _instant(last) < _instant(start):
        raise PropertyRejected(field.name, f"it ends ({last}) before it begins ({start})")
    return {"start": start, "end": last}


def _instant(moment: str) -> datetime:
    at = datetime.fromisoformat(moment)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _identifier(field: _Field, value: Any, wanted: str) -> str:
    found = reference(value) if isinstance(value, str) else ""
    if len(found) != 36 or found != dashed(found):
        raise field.wrong(value, f"id of a {wanted}")
    return found


def _people(field: _Field, value: Any) -> Any:
    ids = [person.id if isinstance(person, Person) else person for person in _list(field, value, "people")]  # fmt: skip
    return [{"object": "user", "id": _identifier(field, user, "user")} for user in ids]


def _relation(field: _Field, value: Any) -> Any:
    return [{"id": _identifier(field, page, "page")} for page in _list(field, value, "pages")]


def _file(field: _Field, value: Any) -> JsonObject:
    if isinstance(value, str):
        value = {"url": value}
    if isinstance(value, Mapping):
        url = str(value.get("url") or "")
        name = str(value.get("name") or url.rsplit("/", 1)[-1])
        value = File(name, url, str(value.get("upload") or ""))
    if not isinstance(value, File) or not (value.url or value.upload):
        raise field.wrong(value, "file: give its name, and its url or the id of its upload")
    field.check_length(value.name, _LONGEST_NAME)
    if value.upload:
        return {"name": value.name, "type": "file_upload", "file_upload": {"id": value.upload}}
    field.check_length(value.url, _LONGEST["url"])
    return {"name": value.name, "type": "external", "external": {"url": value.url}}


def _checkbox(field: _Field, value: Any) -> Any:
    if value is None:
        return False
    if not isinstance(value, bool):
        raise field.wrong(value, "yes or no (true, false)")
    return value


def _line(field: _Field, value: Any) -> Any:
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise field.wrong(value, "text")
    field.check_length(value, _LONGEST[field.kind])
    return value


def _place(field: _Field, value: Any) -> Any:
    if isinstance(value, PlaceValue):
        value = {"lat": value.latitude, "lon": value.longitude, "name": value.name, "address": value.address}  # fmt: skip
        value = value if value["lat"] is not None else None
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise field.wrong(value, "place: give lat and lon")
    for name in ("lat", "lon"):
        _number(field, value.get(name) if value.get(name) is not None else name)
    return {name: item for name, item in value.items() if item not in (None, "")}


def _select(field: _Field, value: Any) -> Any:
    return None if value is None else _option(field, value)


_WRITERS: dict[str, Callable[[_Field, Any], Any]] = {
    "title": _text,
    "rich_text": _text,
    "number": _number,
    "select": _select,
    "status": _select,
    "multi_select": lambda field, value: [
        _option(field, each) for each in _list(field, value, "options")
    ],
    "date": _date,
    "people": _people,
    "files": lambda field, value: [_file(field, each) for each in _list(field, value, "files")],
    "checkbox": _checkbox,
    "url": _line,
    "email": _line,
    "phone_number": _line,
    "relation": _relation,
    "place": _place,
}
WRITABLE = frozenset(_WRITERS)


# --- Comparing.


def same(one: Value | None, other: Value | None) -> bool:
    """Return whether two values are the same for Notion.

    Dates are the same minute in any zone; ids and colours of options do not count, nor the order of
    options, people and pages; nothing at all is the same as an empty value.
    """
    return _compared(one) == _compared(other)


def _compared(value: Value | None) -> object:  # noqa: C901 - one case per kind
    match value:
        case None:
            return None
        case TextValue(kind=kind, text=text):
            return (kind, text) if text else None
        case NumberValue(number=number):
            return number
        case ChoiceValue(choice=choice):
            return choice
        case ChoicesValue(choices=choices):
            return sorted(choice.name for choice in choices) or None
        case DateValue(start=start, end=end, time_zone=zone):
            return (_universal(start, zone), _universal(end, zone)) if start else None
        case PeopleValue(people=people, has_more=more):
            return (sorted(person.id for person in people), more) if people else None
        case RelationValue(pages=pages, has_more=more):
            return (sorted(pages), more) if pages else None
        case FilesValue(files=files):
            return files or None
        case CheckboxValue(checked=checked):
            return checked or None
        case LineValue(kind=kind, line=line):
            return (kind, line.strip()) if line.strip() else None
        case PlaceValue(latitude=None):
            return None
        case _:
            return value


def _universal(moment: str, zone: str) -> str:
    """Return a day as it is, and a time in UTC."""
    if len(moment) <= 10:
        return moment
    try:
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None and zone:
            at = at.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, KeyError, OSError):
        return moment
    return at.astimezone(UTC).isoformat(timespec="minutes") if at.tzinfo else moment
