"""Segments as criteria: conditions over a contact with named operators, in groups. Pure.

``{"all": [{"field": "status", "operator": "equals", "value": "Active Client"}, {"any": [...]}]}``.
A field that is missing fulfils no condition but `not_exists` and those that deny something.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from higherself.business.data.records import at_path
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.nearest import did_you_mean

Holds = Callable[[JsonObject], bool]

MOST_CONDITIONS = 200
DEEPEST = 8
LONGEST_PATTERN = 200
LONGEST_MATCHED = 500
_GROUPS = ("all", "any", "none")
_ALIASES = {
    "==": "equals", "!=": "not_equals", ">": "greater_than", "<": "less_than",
    ">=": "at_least", "<=": "at_most", "regex": "regex_match",
}  # fmt: skip


class CriteriaRejected(Rejected):
    """Criteria are not as they have to be; the text names the place."""


def criteria(said: Any, *, now: datetime | None = None) -> Holds:
    """Return what tells whether a contact fulfils criteria. Without any, everybody does.

    ``now`` is what `newer_than_days` and `older_than_days` count from.

    Raises
        CriteriaRejected: naming the place, and what would be right.

    >>> holds = criteria({"all": [{"field": "visits", "operator": "greater_than", "value": 2}]})
    >>> holds({"visits": 3}), holds({"visits": 2}), holds({})
    (True, False, False)
    """
    if not said:
        return lambda contact: True
    return _read(said, "criteria", DEEPEST, _Reading(now))


@dataclass(slots=True)
class _Reading:
    now: datetime | None
    left: int = MOST_CONDITIONS


def _read(said: Any, place: str, deep: int, reading: _Reading) -> Holds:
    reading.left -= 1
    if reading.left < 0:
        raise CriteriaRejected(f"{place}: more than {MOST_CONDITIONS} conditions")
    if deep == 0:
        raise CriteriaRejected(f"{place}: groups within groups, more than {DEEPEST} deep")
    if isinstance(said, list | tuple):
        said = {"all": said}
    if not isinstance(said, Mapping):
        raise CriteriaRejected(f"{place}: say {{field, operator, value}}, or {{all: [...]}}")
    if any(group in said for group in _GROUPS):
        return _group(said, place, deep, reading)
    return _condition(said, place, reading.now)


def _group(said: Mapping[str, Any], place: str, deep: int, reading: _Reading) -> Holds:
    if len(said) != 1:
        raise CriteriaRejected(f"{place}: one of {', '.join(_GROUPS)}, and nothing beside it")
    ((kind, inside),) = said.items()
    if not isinstance(inside, list | tuple) or not inside:
        raise CriteriaRejected(f"{place}.{kind}: a list of conditions is needed")
    parts = [_read(e, f"{place}.{kind}.{n}", deep - 1, reading) for n, e in enumerate(inside)]
    if kind == "all":
        return lambda contact: all(part(contact) for part in parts)
    if kind == "any":
        return lambda contact: any(part(contact) for part in parts)
    return lambda contact: not any(part(contact) for part in parts)


def _condition(said: Mapping[str, Any], place: str, now: datetime | None) -> Holds:
    unknown = sorted(set(said) - {"field", "operator", "value"})
    if unknown:
        raise CriteriaRejected(f"{place}: unknown key {unknown[0]!r}; say field, operator, value")
    field, operator = said.get("field"), said.get("operator", "equals")
    if not isinstance(field, str) or not field:
        raise CriteriaRejected(f"{place}.field: name a column, such as status")
    named = _ALIASES.get(str(operator), str(operator))
    if named in _ABOUT_PRESENCE:
        present = _ABOUT_PRESENCE[named]
        return lambda contact: _there(at_path(contact, field)) is present
    if named in _ABOUT_AGE:
        return _age(field, named, said.get("value"), place, now)
    return _comparison(field, operator, named, said, place)


def _comparison(
    field: str, operator: Any, named: str, said: Mapping[str, Any], place: str
) -> Holds:
    if named not in _OPERATORS:
        near = did_you_mean(named, operators())
        raise CriteriaRejected(f"{place}.operator: there is no {operator!r}{near}")
    if "value" not in said:
        raise CriteriaRejected(f"{place}.value: {operator} compares with something")
    value = said["value"]
    test, denies = _OPERATORS[named], named.startswith("not_")
    if named in ("in", "not_in") and not isinstance(value, list | tuple):
        raise CriteriaRejected(f"{place}.value: {operator} takes a list")
    if named == "regex_match":
        _check_pattern(value, f"{place}.value")

    def holds(contact: JsonObject) -> bool:
        found = at_path(contact, field)
        if not _there(found):
            return denies
        return test(found, value)

    return holds


def _age(field: str, named: str, days: Any, place: str, now: datetime | None) -> Holds:
    if isinstance(days, bool) or not isinstance(days, int | float) or days < 0:
        raise CriteriaRejected(f"{place}.value: {named} takes a number of days")
    if now is None:
        raise CriteriaRejected(f"{place}.operator: {named} needs to know the time")
    since, newer = now - timedelta(days=min(days, 36_500)), named == "newer_than_days"

    def holds(contact: JsonObject) -> bool:
        at = _time(at_path(contact, field))
        return at is not None and (at >= since) is newer

    return holds


def _there(value: JsonValue) -> bool:
    return value is not None and value != "" and value != []


def _equal(found: JsonValue, value: JsonValue) -> bool:
    if isinstance(found, list | tuple) and not isinstance(value, list | tuple):
        return any(_equal(each, value) for each in found)
    if isinstance(found, bool) or isinstance(value, bool):
        return found is value
    if isinstance(found, str) and isinstance(value, str):
        return found.casefold() == value.casefold()
    if (both := _numbers(found, value)) is not None:
        return both[0] == both[1]
    return found == value


def _contains(found: JsonValue, value: JsonValue) -> bool:
    if isinstance(found, str):
        return str(value).casefold() in found.casefold()
    if isinstance(found, list | tuple):
        return any(_equal(each, value) for each in found)
    return isinstance(found, Mapping) and str(value) in found


def _order(found: JsonValue, value: JsonValue) -> int | None:
    """Return how two values stand to each other: as numbers, as times; None if they do not."""
    pair: tuple[Any, Any] | None = _numbers(found, value) or _times(found, value)
    return None if pair is None else (pair[0] > pair[1]) - (pair[0] < pair[1])


def _numbers(found: JsonValue, value: JsonValue) -> tuple[float, float] | None:
    one, other = _number(found), _number(value)
    return None if one is None or other is None else (one, other)


def _number(value: JsonValue) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"\s*-?\d+(\.\d+)?\s*", value):
        return float(value)
    return None


def _times(found: JsonValue, value: JsonValue) -> tuple[datetime, datetime] | None:
    one, other = _time(found), _time(value)
    return None if one is None or other is None else (one, other)


def _time(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    if not isinstance(value, str):
        return None
    try:
        read = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def _matches(found: JsonValue, value: JsonValue) -> bool:
    return isinstance(found, str) and bool(re.search(str(value), found[:LONGEST_MATCHED], re.I))


def _check_pattern(value: Any, place: str) -> None:
    """Refuse patterns that could take for ever: no repeated group, at most two repetitions."""
    if not isinstance(value, str) or len(value) > LONGEST_PATTERN:
        raise CriteriaRejected(f"{place}: a pattern of at most {LONGEST_PATTERN} characters")
    plain = re.sub(r"\\.", "x", value)
    if re.search(r"\)[*+{?]", plain) or re.search(r"\\\d", value) or "(?" in plain:
        raise CriteriaRejected(f"{place}: no repeated groups, references or look-arounds")
    if len(re.findall(r"[*+{]", re.sub(r"\[[^]]*\]", "x", plain))) > 2:
        raise CriteriaRejected(f"{place}: at most two of `*`, `+` and `{{`")
    try:
        re.compile(value)
    except re.error as error:
        raise CriteriaRejected(f"{place}: {error}") from None


def _text_test(name: str) -> Callable[[JsonValue, JsonValue], bool]:
    def test(found: JsonValue, value: JsonValue) -> bool:
        if not isinstance(found, str):
            return False
        asked: bool = getattr(found.casefold(), name)(str(value).casefold())
        return asked

    return test


_OPERATORS: Mapping[str, Callable[[JsonValue, Any], bool]] = {
    "equals": _equal,
    "not_equals": lambda found, value: not _equal(found, value),
    "greater_than": lambda found, value: _order(found, value) == 1,
    "less_than": lambda found, value: _order(found, value) == -1,
    "at_least": lambda found, value: _order(found, value) in (0, 1),
    "at_most": lambda found, value: _order(found, value) in (0, -1),
    "contains": _contains,
    "not_contains": lambda found, value: not _contains(found, value),
    "in": lambda found, value: any(_equal(found, each) for each in value),
    "not_in": lambda found, value: not any(_equal(found, each) for each in value),
    "starts_with": _text_test("startswith"),
    "ends_with": _text_test("endswith"),
    "regex_match": _matches,
}

_ABOUT_PRESENCE = {"exists": True, "not_exists": False}
_ABOUT_AGE = ("newer_than_days", "older_than_days")


def operators() -> Sequence[str]:
    """Return the names of all operators."""
    return (*_OPERATORS, *_ABOUT_PRESENCE, *_ABOUT_AGE)
