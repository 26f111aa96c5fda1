"""Filters and sorts of data source queries, over values as pages answer them."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import eq, ge, gt, le, lt
from typing import Any

from notion_emulator.clock import parsed
from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import dashed
from notion_emulator.richtext import plain

TEXT_TYPES = frozenset({"title", "rich_text", "url", "email", "phone_number"})


@dataclass(frozen=True, slots=True)
class Row:
    """One page as a query sees it: properties by id as answered, and its times."""

    page_id: str
    properties: dict[str, Json]
    created_time: str
    last_edited_time: str


@dataclass(frozen=True)
class Asking:
    """What filters need besides the row."""

    schema: dict[str, Json]
    resolve: Callable[[str], Json]  # property by name or id, or an ApiError
    now: datetime
    me: str = ""


Test = Callable[[Row], bool]


def matcher(given: Any, asking: Asking, path: str = "filter", depth: int = 0) -> Test:
    """Return the test of a filter.

    Raises
        ApiError: it is malformed, nested too deep, or names an unknown property.
    """
    if not isinstance(given, dict):
        raise invalid_body(path, "an object", given)
    for joint, whole in (("and", all), ("or", any)):
        if joint in given:
            if depth >= 2:
                raise invalid_body(f"{path}.{joint}", "not present", "…")
            parts = [matcher(g, asking, f"{path}.{joint}[{n}]", depth + 1) for n, g in enumerate(given[joint])]  # fmt: skip
            return _joined(parts, whole)
    if "timestamp" in given:
        name = given["timestamp"]
        if name not in ("created_time", "last_edited_time") or name not in given:
            raise invalid_body(f"{path}.{name}", "defined", None)
        test = condition("date", given[name], asking)
        return lambda row: test(getattr(row, name))
    if "property" not in given:
        raise invalid_body(f"{path}.property", "defined", None)
    return _property_test(given, asking, path)


def _joined(parts: list[Test], whole: Callable[[Any], bool]) -> Test:
    return lambda row: whole(part(row) for part in parts)


def _property_test(given: Json, asking: Asking, path: str) -> Test:
    prop = asking.resolve(given["property"])
    kind = next((k for k in given if k not in ("property", "type")), None)
    if kind is None:
        raise invalid_body(f"{path}.{prop['type']}", "defined", None)
    actual = prop["type"]
    if not _fits(kind, actual):
        raise invalid(f"database property {actual} does not match filter {kind}")
    body, property_id = given[kind], prop["id"]
    if kind == "formula":
        inner = next(iter(body))
        test = condition({"string": "rich_text"}.get(inner, inner), body[inner], asking)
        return lambda row: _formula_holds(row.properties[property_id], inner, test)
    if kind == "rollup":
        return _rollup_test(body, asking, property_id)
    test = condition(kind, body, asking)
    return lambda row: test(scalar(row.properties[property_id]))


def _fits(kind: str, actual: str) -> bool:
    if kind == actual or (kind in TEXT_TYPES and actual in TEXT_TYPES):
        return True
    return (kind, actual) in {("date", "created_time"), ("date", "last_edited_time"), ("people", "created_by"), ("people", "last_edited_by")}  # fmt: skip


def _formula_holds(shown: Json, inner: str, test: Callable[[Any], bool]) -> bool:
    result = shown["formula"]
    wanted = {"checkbox": "boolean"}.get(inner, inner)
    if result.get("type") != wanted:
        if result.get("type") == "unsupported" or result.get(result.get("type")) is None:
            return test(None)
        raise invalid(f"formula of type {result.get('type')} does not match filter {inner}")
    found = result.get(wanted)
    return test(found["start"] if isinstance(found, dict) else found)


def _rollup_test(body: Json, asking: Asking, property_id: str) -> Test:
    how = next(iter(body), "number")
    if how in ("any", "every", "none"):
        kind = next(iter(body[how]))
        test = condition(kind, body[how][kind], asking)
        whole: Callable[[Any], bool] = {"any": any, "every": all, "none": _none}[how]
        return lambda row: bool(
            whole(test(scalar(i)) for i in row.properties[property_id]["rollup"].get("array", []))
        )
    test = condition(how, body[how], asking)
    return lambda row: test(scalar(row.properties[property_id]))


def _none(hits: Any) -> bool:
    return not any(hits)


def scalar(shown: Json) -> Any:
    """Return what is compared of an answered property value."""
    kind = shown["type"]
    found = shown.get(kind)
    match kind:
        case "title" | "rich_text":
            return plain(found or [])
        case "date":
            return found["start"] if found else None
        case "select" | "status":
            return found["name"] if found else None
        case "multi_select":
            return [o["name"] for o in found or []]
        case "people" | "relation":
            return [o["id"] for o in found or []]
        case "created_by" | "last_edited_by":
            return [found["id"]] if found else []
        case "unique_id":
            return (found or {}).get("number")
        case "formula":
            inner = (found or {}).get((found or {}).get("type", ""))
            return inner.get("start") if isinstance(inner, dict) else inner
        case "rollup":
            return _rolled(found or {})
        case _:
            return found


def _rolled(found: Json) -> Any:
    inner = found.get(found.get("type", ""))
    if isinstance(inner, list):
        return [scalar(item) for item in inner]
    return inner.get("start") if isinstance(inner, dict) else inner


def condition(kind: str, body: Any, asking: Asking) -> Callable[[Any], bool]:
    """Return the test of one condition, such as ``{"contains": "x"}``.

    Raises
        ApiError: the operator is not one of the type.
    """
    if not isinstance(body, dict) or not body:
        raise invalid_body(f"filter.{kind}", "an object", body)
    operator, operand = next(iter(body.items()))
    if operator == "is_empty":
        return lambda found: (found in (None, "", [])) == bool(operand)
    if operator == "is_not_empty":
        return lambda found: (found not in (None, "", [])) == bool(operand)
    if kind == "verification" and operator == "status":
        state = "unverified" if operand == "none" else operand
        return lambda found: (found or {}).get("state") == state
    test = _OPERATORS.get(_GROUP.get(kind, kind), {}).get(operator)
    if kind in ("date", "created_time", "last_edited_time"):
        return _date_condition(operator, operand, asking.now)
    if test is None:
        raise invalid_body(f"filter.{kind}.{operator}", "not present", operand)
    if operand == "me":
        operand = asking.me
    if kind in ("people", "relation", "created_by", "last_edited_by"):
        operand = dashed(operand) or operand
    return lambda found: test(found, operand)


def _low(text: Any) -> str:
    return str(text or "").lower()


def _one_of(found: Any, wanted: Any) -> bool:
    return found in wanted if isinstance(wanted, list) else found == wanted


def _holds(found: Any, wanted: Any) -> bool:
    names = wanted if isinstance(wanted, list) else [wanted]
    return any(name in (found or []) for name in names)


_TEXT: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda f, w: _low(f) == _low(w),
    "does_not_equal": lambda f, w: _low(f) != _low(w),
    "contains": lambda f, w: _low(w) in _low(f),
    "does_not_contain": lambda f, w: _low(w) not in _low(f),
    "starts_with": lambda f, w: _low(f).startswith(_low(w)),
    "ends_with": lambda f, w: _low(f).endswith(_low(w)),
}
_NUMBER: dict[str, Callable[[Any, Any], bool]] = {
    "equals": lambda f, w: f == w,
    "does_not_equal": lambda f, w: f != w,
    "greater_than": lambda f, w: f is not None and f > w,
    "less_than": lambda f, w: f is not None and f < w,
    "greater_than_or_equal_to": lambda f, w: f is not None and f >= w,
    "less_than_or_equal_to": lambda f, w: f is not None and f <= w,
}
_CHOICE: dict[str, Callable[[Any, Any], bool]] = {
    "equals": _one_of,
    "does_not_equal": lambda f, w: not _one_of(f, w),
}
_LIST: dict[str, Callable[[Any, Any], bool]] = {
    "contains": _holds,
    "does_not_contain": lambda f, w: not _holds(f, w),
}
_OPERATORS = {"text": _TEXT, "number": _NUMBER, "choice": _CHOICE, "list": _LIST}
_GROUP = {
    **dict.fromkeys(TEXT_TYPES | {"string"}, "text"),
    **dict.fromkeys(("number", "unique_id"), "number"),
    **dict.fromkeys(("select", "status", "checkbox", "verification"), "choice"),
    **dict.fromkeys(("multi_select", "people", "relation", "created_by", "last_edited_by"), "list"),
}
_NAMED = {"today": (0, 0), "tomorrow": (1, 0), "yesterday": (-1, 0), "one_week_ago": (-7, 0), "one_week_from_now": (7, 0), "one_month_ago": (0, -1), "one_month_from_now": (0, 1)}  # fmt: skip


_ORDER = {"equals": eq, "before": lt, "after": gt, "on_or_before": le, "on_or_after": ge}


def _date_condition(operator: str, operand: Any, now: datetime) -> Callable[[Any], bool]:
    if operator in _SPANS:
        low, high = span(operator, now)
        return lambda found: found is not None and low <= _day(found) <= high
    if operator not in ("equals", "before", "after", "on_or_before", "on_or_after"):
        raise invalid_body(f"filter.date.{operator}", "not present", operand)
    try:
        wanted = _wanted(operand, now)
    except (TypeError, ValueError):
        raise invalid_body(f"filter.date.{operator}", "a valid ISO 8601 date string", operand) from None  # fmt: skip
    whole_day = (isinstance(operand, str) and len(operand) == 10) or operand in _NAMED
    return lambda found: found is not None and _compare(operator, found, wanted, bool(whole_day))


def _wanted(operand: Any, now: datetime) -> datetime:
    if operand in _NAMED:
        days, months = _NAMED[operand]
        return _months_on(_midnight(now) + timedelta(days=days), months)
    instant = parsed(operand)
    return instant if len(operand) == 10 else instant.replace(second=0, microsecond=0)


def _compare(operator: str, found: str, wanted: datetime, whole_day: bool) -> bool:
    at = parsed(found)
    if whole_day or len(found) == 10:
        at, wanted = _midnight(at), _midnight(wanted)
    return bool(_ORDER[operator](at, wanted))


@lru_cache(maxsize=8_192)
def _midnight(instant: datetime) -> datetime:
    return instant.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _day(text: str) -> datetime:
    return _midnight(parsed(text))


_SPANS = frozenset({"this_week", "past_week", "past_month", "past_year", "next_week", "next_month", "next_year"})  # fmt: skip


def span(name: str, now: datetime) -> tuple[datetime, datetime]:
    """Return the first and last day of a relative span; weeks begin on Sunday."""
    today = _midnight(now)
    if name == "this_week":
        start = today - timedelta(days=(today.weekday() + 1) % 7)
        return start, start + timedelta(days=6)
    side = -1 if name.startswith("past") else 1
    unit = name.split("_")[1]
    other = today + timedelta(days=7 * side) if unit == "week" else _months_on(today, side * (12 if unit == "year" else 1))  # fmt: skip
    return min(today, other), max(today, other)


def _months_on(day: datetime, months: int) -> datetime:
    """Return the same day of another month, as recorded, or its last one."""
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return day.replace(year=year, month=month + 1, day=min(day.day, last))


def sort_rows(rows: list[Row], sorts: Any, asking: Asking) -> list[Row]:
    """Return rows in the order of ``sorts``; empty values last, ties as they were.

    Raises
        ApiError: a sort names nothing that exists.
    """
    if not isinstance(sorts, list):
        raise invalid_body("sorts", "an array", sorts)
    for item in reversed(sorts):
        read = _reader(item, asking)
        keys = [read(row) for row in rows]
        filled = [place for place, key in enumerate(keys) if key is not None]
        filled.sort(key=keys.__getitem__, reverse=item.get("direction") == "descending")
        rows = [rows[p] for p in filled] + [r for r, k in zip(rows, keys, strict=True) if k is None]
    return rows


def _reader(item: Json, asking: Asking) -> Callable[[Row], Any]:
    if item.get("direction") not in (None, "ascending", "descending"):
        raise invalid_body("sorts[0].direction", '`"ascending"` or `"descending"`', item.get("direction"))  # fmt: skip
    if "timestamp" in item:
        name = item["timestamp"]
        if name not in ("created_time", "last_edited_time"):
            raise invalid_body("sorts[0].timestamp", "a timestamp", name)
        return lambda row: getattr(row, name)
    prop = asking.resolve(str(item.get("property")))
    order: dict[str, int] = {}
    if prop["type"] in ("select", "status"):
        order = {o["name"]: n for n, o in enumerate(prop[prop["type"]]["options"])}
    return lambda row: _key(scalar(row.properties[prop["id"]]), order)


def _key(found: Any, order: dict[str, int]) -> Any:
    if found in (None, "", []):
        return None
    if order:
        return order.get(found, len(order))
    if isinstance(found, str):
        return found.lower()
    return str(found) if isinstance(found, list | dict) else found
