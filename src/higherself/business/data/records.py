"""Records from one shape into another: mapped, cleaned, checked, as CSV and JSON. Pure.

What cannot be read stays out, and is told of by record and field: nothing is guessed, and one bad
record does not cost the others.
"""

import csv
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higherself.business.data.contacts import normal_email
from higherself.business.data.dates import read_date, read_instant
from higherself.business.data.money import read_money
from higherself.business.data.phones import read_phone
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue, check_json
from higherself.kernel.schema import JsonSchema

Record = JsonObject

MOST_RECORDS = 100_000
DANGEROUS = ("=", "+", "-", "@", "\t", "\r")
"""How a cell begins that a spreadsheet would take for a formula."""

_PLAIN_NUMBER = re.compile(r"[+-]?[\d ().,-]*\d")


class RecordsRejected(Rejected):
    """A mapping, a schema or a file cannot be used as it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a field of the record at a place, counted from 0."""

    record: int
    field: str
    reason: str


@dataclass(frozen=True, slots=True)
class Treated:
    """What came of records: those that are right, by their places, and the problems of the others."""

    records: tuple[Record, ...]
    problems: tuple[Problem, ...]


_INVISIBLE = dict.fromkeys(
    map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff\u202a\u202b\u202c\u202d\u202e")
)
"""Marks that nobody sees, and that make two texts differ which look the same."""


def clean_text(text: str) -> str:
    """Return ``text`` in one Unicode form (NFC), without spaces around it or invisible marks in it."""
    return unicodedata.normalize("NFC", text).translate(_INVISIBLE).strip()


def _boolean(text: str) -> bool:
    said = text.strip().lower()
    if said in ("yes", "true", "1", "y", "on"):
        return True
    if said in ("no", "false", "0", "n", "off", ""):
        return False
    raise RecordsRejected(f"{text!r} is neither yes nor no")


def _email(text: str) -> str:
    if normal_email(text) is None:
        raise RecordsRejected(f"{text!r} is no e-mail address")
    return text.strip().lower()


def _number(text: str) -> float | int:
    try:
        number = float(text.strip())
        check_json(number)
    except (ValueError, Rejected):
        raise RecordsRejected(f"{text!r} is no number") from None
    return int(number) if number.is_integer() and "e" not in text.lower() else number


def _money(text: str, **options: Any) -> JsonValue:
    money = read_money(text, **options)
    return {"amount": str(money.amount), "currency": money.currency}


KINDS: Mapping[str, Callable[..., JsonValue]] = {
    "text": clean_text,
    "email": _email,
    "phone": read_phone,
    "date": lambda text, **options: read_date(text, **options).isoformat(),
    "instant": lambda text, **options: read_instant(text, **options).isoformat(),
    "money": _money,
    "number": _number,
    "boolean": _boolean,
    "list": lambda text, by=",": [part.strip() for part in text.split(by) if part.strip()],
}
"""What a field can be read as. The options of one are those of the function behind it."""


def mapped(records: Sequence[Record], mapping: Mapping[str, Any]) -> Treated:
    """Return ``records`` in the shape of ``mapping``: a new field's name, and where it comes from.

    ``{"email": "contact.email"}`` takes what stands at a path. ``{"from": "tel", "as": "phone",
    "country": "US", "default": null, "required": true}`` reads it, too; several paths in ``from``
    are joined by a space; ``value`` is a constant. A text that is empty counts as missing.

    Raises
        RecordsRejected: the mapping is wrong; the text names the field.
    """
    fields = {name: _field(name, each) for name, each in mapping.items()}
    return _treated(records, lambda record: {name: field(record) for name, field in fields.items()})


def cleaned(records: Sequence[Record]) -> tuple[Record, ...]:
    """Return ``records`` with texts trimmed and in one Unicode form, and empty ones as null."""
    return tuple({name: _clean(value) for name, value in each.items()} for each in records)


def validated(records: Sequence[Record], schema: JsonObject) -> Treated:
    """Return the records that fit a JSON Schema (2020-12), and what is wrong with the others.

    Raises
        RecordsRejected: ``schema`` is none.
    """
    try:
        fits = JsonSchema.of(schema)
    except ValueError as error:
        raise RecordsRejected(f"schema: {error}") from None
    right: list[Record] = []
    problems: list[Problem] = []
    for place, record in enumerate(records):
        found = sorted(fits.misfits(record), key=lambda each: list(map(str, each.path)))
        if not found:
            right.append(record)
        problems += (Problem(place, each.place or "(record)", each.message) for each in found)
    return Treated(tuple(right), tuple(problems))


def from_csv(text: str, *, delimiter: str | None = None) -> tuple[Record, ...]:
    """Return the records of a CSV text; its first row has the names of the fields.

    Raises
        RecordsRejected: there is no such row, a name stands twice, or a row is too long or too
            short; the text says which line.
    """
    text = text.removeprefix("\ufeff")
    delimiter = delimiter or _delimiter(text)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        raise RecordsRejected(f"line {reader.line_num}: {error}") from None
    if not rows:
        raise RecordsRejected("the file is empty; its first row has to name the fields")
    names = [name.strip() for name in rows[0][1]]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or "" in names:
        raise RecordsRejected(
            f"the first row names {twice[0]!r} twice"
            if twice
            else "the first row has a field without a name"
        )
    if len(rows) > MOST_RECORDS:
        raise RecordsRejected(
            f"there are {len(rows) - 1:,} records, and {MOST_RECORDS:,} are allowed"
        )
    for line, row in rows[1:]:
        if len(row) != len(names):
            raise RecordsRejected(f"line {line} has {len(row)} fields, and the first {len(names)}")
    return tuple(dict(zip(names, row, strict=True)) for _, row in rows[1:])


def to_csv(records: Sequence[Record]) -> str:
    """Return ``records`` as CSV, with every field that any of them has.

    A text that a spreadsheet would run as a formula gets an apostrophe before it.
    """
    names = list(dict.fromkeys(name for record in records for name in record))
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow([_cell(name) for name in names])
    writer.writerows([_cell(record.get(name)) for name in names] for record in records)
    return out.getvalue()


def at_path(value: JsonValue, path: str) -> JsonValue:
    """Return what stands at a path like ``lines.0.price``; None if nothing does."""
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list | tuple) and part.isdigit() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value


def _treated(records: Iterable[Record], treat: Callable[[Record], Record]) -> Treated:
    right: list[Record] = []
    problems: list[Problem] = []
    for place, record in enumerate(records):
        try:
            right.append(treat(record))
        except _FieldRejected as error:
            problems.append(Problem(place, error.field, error.reason))
    return Treated(tuple(right), tuple(problems))


class _FieldRejected(RecordsRejected):
    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field, self.reason = field, reason


def _field(name: str, said: Any) -> Callable[[Record], JsonValue]:
    if isinstance(said, str):
        said = {"from": said}
    if not isinstance(said, Mapping) or ("from" in said) == ("value" in said):
        raise RecordsRejected(f"{name}: say where it comes from, {{from: path}} or {{value: ...}}")
    rest = dict(said)
    if "value" in rest:
        constant: JsonValue = rest["value"]
        return lambda record: constant
    paths = rest.pop("from")
    paths = [paths] if isinstance(paths, str) else list(paths)
    kind, required = rest.pop("as", None), rest.pop("required", False)
    default: JsonValue = rest.pop("default", None)
    if kind is not None and kind not in KINDS:
        raise RecordsRejected(f"{name}.as: {kind!r} is none of {', '.join(KINDS)}")

    def read(record: Record) -> JsonValue:
        found = [at_path(record, path) for path in paths]
        there = [each for each in found if each is not None and each != ""]
        if not there:
            if required:
                raise _FieldRejected(name, f"there is nothing at {' or '.join(paths)}")
            return default
        value: JsonValue = there[0] if len(paths) == 1 else " ".join(map(str, there))
        return value if kind is None else _read_as(name, kind, value, rest)

    return read


def _read_as(name: str, kind: str, value: JsonValue, options: Mapping[str, Any]) -> JsonValue:
    if isinstance(value, Mapping) or (isinstance(value, list | tuple) and kind != "list"):
        raise _FieldRejected(name, f"it is no text that could be read as {kind}")
    if isinstance(value, list | tuple):
        return value
    if kind in ("number", "boolean") and isinstance(value, bool | int | float):
        return value
    try:
        read: JsonValue = KINDS[kind](str(value), **options)
    except Rejected as error:
        raise _FieldRejected(name, str(error)) from None
    except TypeError:
        named = ", ".join(options)
        raise RecordsRejected(f"{name}: {kind} has no such option as {named}") from None
    return read


def _clean(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return clean_text(value) or None
    if isinstance(value, Mapping):
        return {name: _clean(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each) for each in value]
    return value


def _cell(value: JsonValue) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        harmless = not value.startswith(DANGEROUS) or _PLAIN_NUMBER.fullmatch(value)
        return value if harmless else f"'{value}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return (
        json.dumps(value, ensure_ascii=False)
        if isinstance(value, Mapping | list | tuple)
        else str(value)
    )


def _delimiter(text: str) -> str:
    first = text.partition("\n")[0]
    return max(",;\t|", key=first.count)
