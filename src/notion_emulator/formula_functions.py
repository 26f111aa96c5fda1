"""The functions formulas know."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from notion_emulator.clock import parsed

_DATE = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d.*)?")
_SECONDS = {"minutes": 60, "hours": 3600, "days": 86400, "weeks": 604800}
_MONTHS = {"months": 1, "quarters": 3, "years": 12}


class Unsupported(ValueError):
    """The expression uses what the subset does not have."""


def is_date(value: Any) -> bool:
    """Tell whether a value is a date."""
    return isinstance(value, str) and _DATE.fullmatch(value) is not None


def is_empty(value: Any) -> bool:
    """Tell whether Notion calls a value empty: 0 and false are."""
    return value is None or value in ("", [], 0)


def text_of(value: Any) -> str:
    """Return a value as text.

    >>> text_of(2.0), text_of(True), text_of(["a", 1])
    ('2', 'true', 'a,1')
    """
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if value.is_integer():
            return str(int(value))
        case list():
            return ",".join(text_of(item) for item in value)
        case _:
            return str(value)


def rounded(number: float | None, digits: int = 0) -> float | None:
    """Round halves up, as JavaScript does.

    >>> rounded(2.5), rounded(-2.5), rounded(1.255, 1)
    (3, -2, 1.3)
    """
    if number is None:
        return None
    scaled: int = math.floor(number * 10**digits + 0.5)
    return scaled if digits == 0 else float(scaled / 10**digits)


def date_between(later: str | None, earlier: str | None, unit: str) -> int | None:
    """Return the whole units from the second date to the first; negative if it comes after.

    >>> date_between("2026-07-04T10:00:00.000Z", "2026-07-01", "days")
    3
    >>> date_between("2026-02-28", "2026-05-31", "months")
    -3
    """
    if later is None or earlier is None:
        return None
    one, two = parsed(later), parsed(earlier)
    if unit in _SECONDS:
        return int((one - two).total_seconds() / _SECONDS[unit])
    if unit not in _MONTHS:
        raise Unsupported(unit)
    low, high, sign = (two, one, 1) if one >= two else (one, two, -1)
    months = (high.year - low.year) * 12 + high.month - low.month
    if (high.day, high.time()) < (low.day, low.time()):
        months -= 1
    return sign * (months // _MONTHS[unit])


def date_add(date: str | None, amount: float, unit: str) -> str | None:
    """Return a date so much later.

    >>> date_add("2026-01-31", 1, "months"), date_add("2026-01-31", -1, "weeks")
    ('2026-02-28', '2026-01-24')
    """
    if date is None:
        return None
    at = parsed(date)
    if unit in _SECONDS:
        at += timedelta(seconds=amount * _SECONDS[unit])
    elif unit in _MONTHS:
        months = at.year * 12 + at.month - 1 + int(amount) * _MONTHS[unit]
        year, month = divmod(months, 12)
        first = datetime(year + (month == 11), (month + 1) % 12 + 1, 1, tzinfo=UTC)
        last = (first - timedelta(days=1)).day
        at = at.replace(year=year, month=month + 1, day=min(at.day, last))
    else:
        raise Unsupported(unit)
    return at.strftime("%Y-%m-%d") if len(date) == 10 else at.isoformat(timespec="milliseconds")


_PARTS = {"YYYY": "%Y", "MMMM": "%B", "MMM": "%b", "MM": "%m", "DD": "%d", "dddd": "%A", "ddd": "%a", "HH": "%H", "hh": "%I", "mm": "%M", "A": "%p", "YY": "%y"}  # fmt: skip


def format_date(date: str | None, form: str) -> str:
    """Return a date in a form such as ``MMM DD, YYYY``.

    >>> format_date("2026-07-04", "MMM D, YYYY")
    'Jul 4, 2026'
    """
    if date is None:
        return ""
    at = parsed(date)
    lone = {"D": str(at.day), "M": str(at.month)}
    wanted = "|".join([*sorted(_PARTS, key=len, reverse=True), *lone])
    return re.sub(wanted, lambda m: lone.get(m[0]) or at.strftime(_PARTS[m[0]]), form)


def _statistic(how: Callable[[list[float]], float]) -> Callable[..., float | None]:
    def over(*given: Any) -> float | None:
        numbers = [n for part in given for n in (part if isinstance(part, list) else [part]) if n is not None]  # fmt: skip
        return how(numbers) if numbers else None

    return over


def _median(numbers: list[float]) -> float:
    ordered, middle = sorted(numbers), len(numbers) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _concat(*parts: Any) -> Any:
    if parts and all(isinstance(part, list) for part in parts):
        return [item for part in parts for item in part]
    return "".join(text_of(part) for part in parts)


def _unique(items: list[Any]) -> list[Any]:
    return [item for place, item in enumerate(items) if item not in items[:place]]


def _includes(whole: Any, part: Any) -> bool:
    return part in whole if isinstance(whole, list) else text_of(part) in text_of(whole)


def _to_number(value: Any) -> float | None:
    match = re.match(r"\s*-?\d+(\.\d+)?", text_of(value if not isinstance(value, bool) else int(value)))  # fmt: skip
    return float(match[0]) if match else None


def _timestamp(date: str) -> int:
    return int(parsed(date).timestamp() * 1000)


def _isoformat(milliseconds: float) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "concat": _concat,
    "repeat": lambda text, times: text_of(text) * int(times),
    "round": rounded,
    "floor": math.floor,
    "ceil": math.ceil,
    "abs": abs,
    "sqrt": math.sqrt,
    "pow": lambda base, power: base**power,
    "exp": math.exp,
    "ln": math.log,
    "log10": math.log10,
    "sign": lambda number: (number > 0) - (number < 0),
    "add": lambda a, b: text_of(a) + text_of(b) if isinstance(a, str) or isinstance(b, str) else a + b,
    "subtract": lambda a, b: a - b,
    "multiply": lambda a, b: a * b,
    "divide": lambda a, b: a / b,
    "mod": lambda a, b: a - b * int(a / b),
    "equal": lambda a, b: a == b,
    "unequal": lambda a, b: a != b,
    "min": _statistic(min),
    "max": _statistic(max),
    "sum": _statistic(sum),
    "mean": _statistic(lambda numbers: sum(numbers) / len(numbers)),
    "median": _statistic(_median),
    "length": lambda value: len(value or ""),
    "empty": is_empty,
    "format": text_of,
    "not": lambda value: not value,
    "toNumber": _to_number,
    "lower": lambda text: text_of(text).lower(),
    "upper": lambda text: text_of(text).upper(),
    "trim": lambda text: text_of(text).strip(),
    "contains": lambda text, part: text_of(part) in text_of(text),
    "includes": _includes,
    "test": lambda text, pattern: re.search(pattern, text_of(text)) is not None,
    "substring": lambda text, start, end=None: text_of(text)[int(start) : None if end is None else int(end)],
    "replace": lambda text, pattern, new: re.sub(pattern, new, text_of(text), count=1),
    "replaceAll": lambda text, pattern, new: re.sub(pattern, new, text_of(text)),
    "padStart": lambda text, size, fill=" ": text_of(text).rjust(int(size), fill),
    "padEnd": lambda text, size, fill=" ": text_of(text).ljust(int(size), fill),
    "style": lambda text, *marks: text_of(text),
    "link": lambda text, url: text_of(text),
    "split": lambda text, sign=",": text_of(text).split(sign),
    "join": lambda items, sign=",": sign.join(text_of(i) for i in items),
    "first": lambda items: items[0] if items else None,
    "last": lambda items: items[-1] if items else None,
    "at": lambda items, place: items[int(place)],
    "slice": lambda items, start, end=None: items[int(start) : None if end is None else int(end)],
    "sort": sorted,
    "reverse": lambda items: items[::-1],
    "unique": _unique,
    "timestamp": _timestamp,
    "fromTimestamp": _isoformat,
    "parseDate": lambda text: text if is_date(text) else None,
    "dateBetween": date_between,
    "dateAdd": date_add,
    "dateSubtract": lambda date, amount, unit: date_add(date, -amount, unit),
    "formatDate": format_date,
    "year": lambda date: parsed(date).year,
    "month": lambda date: parsed(date).month,
    "date": lambda date: parsed(date).day,
    "day": lambda date: parsed(date).isoweekday(),
    "hour": lambda date: parsed(date).hour,
    "minute": lambda date: parsed(date).minute,
}  # fmt: skip
