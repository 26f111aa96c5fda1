"""The small functions of transformations: each makes one value of another, or says why it cannot. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from higherself.inbound.bodies import listed
from higherself.kernel.errors import HigherSelfError, Rejected
from higherself.kernel.jsonvalue import JsonValue

LONGEST_TEXT = 20_000


class Unreadable(Rejected):
    """A value is not what a function reads."""


class Readers(Protocol):
    """Reads what has rules of its own. Each raises what says why not."""

    def phone(self, text: str, country: str | None) -> str:
        """Return a telephone number as E.164."""
        ...

    def money(self, text: str, currency: str | None) -> tuple[float, str]:
        """Return an amount and its currency."""
        ...

    def instant(self, text: str, zone: str | None) -> str:
        """Return an instant as ISO 8601 in UTC; one without a zone is one of ``zone``."""
        ...

    def digits(self, currency: str) -> int:
        """Return how many digits a currency has after the point."""
        ...


Function = Callable[[Any, Any, Readers], JsonValue]


def apply(name: str, argument: Any, value: JsonValue, readers: Readers) -> JsonValue:
    """Return what the function ``name`` makes of ``value``; of each, if it is for one and they are many.

    Raises
        Unreadable: the value is not of the kind, or not as it has to be.
    """
    try:
        if name in _OF_LISTS:
            return _OF_LISTS[name](value, argument, readers)
        if isinstance(value, list):
            return [_OF_ONE[name](each, argument, readers) for each in value]
        return _OF_ONE[name](value, argument, readers)
    except (HigherSelfError, ValueError, TypeError, KeyError) as error:
        raise Unreadable(str(error)) from error


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Unreadable(f"{str(value)[:50]!r} is no text")
    return str(value)[:LONGEST_TEXT]


def _number(value: Any, *_: Any) -> int | float:
    if isinstance(value, bool):
        raise Unreadable(f"{value} is no number")
    if isinstance(value, int | float):
        return value
    read = float(_text(value).strip().replace(",", ""))
    return int(read) if read.is_integer() else read


def _boolean(value: Any, *_: Any) -> bool:
    if isinstance(value, bool):
        return value
    said = _text(value).strip().lower()
    if said in {"yes", "true", "1", "on", "y", "accepted"}:
        return True
    if said in {"no", "false", "0", "off", "n", ""}:
        return False
    raise Unreadable(f"{said[:50]!r} is neither yes nor no")


_ADDRESS = re.compile(r"[^@\s<>,;\"]{1,64}@[^@\s<>,;\"]+\.[^@\s<>,;\".]{2,63}")


def _email(value: Any, *_: Any) -> str:
    address = _text(value).strip().lower()
    if not _ADDRESS.fullmatch(address) or len(address) > 254:
        raise Unreadable(f"{address[:50]!r} is no e-mail address")
    return address


def _phone(value: Any, country: Any, readers: Readers) -> str:
    return readers.phone(_text(value).strip(), country if isinstance(country, str) else None)


def _money(value: Any, currency: Any, readers: Readers) -> JsonValue:
    amount, code = readers.money(_text(value), currency if isinstance(currency, str) else None)
    return {"amount": _whole(amount), "currency": code}


def _minor(value: Any, currency: Any, readers: Readers) -> JsonValue:
    """Read an amount in the smallest unit of its currency, as payment services give it."""
    return _whole(_number(value) / 10 ** readers.digits(str(currency).upper()))


def _date(value: Any, zone: Any, readers: Readers) -> str:
    return readers.instant(_text(value), zone if isinstance(zone, str) else None)


def _map(value: Any, options: Any, _: Readers) -> JsonValue:
    table = {str(key).lower(): each for key, each in options.items()}
    said = _text(value).strip().lower()
    mapped: JsonValue = table.get(said, table.get("*", value))
    return mapped


def _join(value: Any, separator: Any, _: Readers) -> str:
    parts = value if isinstance(value, list) else [value]
    return str(separator or " ").join(
        _text(each).strip() for each in parts if each not in (None, "")
    )


def _split(value: Any, separator: Any, _: Readers) -> JsonValue:
    parts = _text(value).split(separator if isinstance(separator, str) else None)
    return [each.strip() for each in parts if each.strip()]


def _many(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        return listed(value)
    return value if isinstance(value, list) else [value]


def _names(value: Any, number: slice) -> str:
    words = _text(value).split()
    return " ".join(words[number])


def _whole(amount: float) -> int | float:
    return int(amount) if float(amount).is_integer() else amount


_OF_ONE: dict[str, Function] = {
    "text": lambda value, *_: _text(value),
    "trim": lambda value, *_: " ".join(_text(value).split()),
    "lower": lambda value, *_: _text(value).lower(),
    "upper": lambda value, *_: _text(value).upper(),
    "title": lambda value, *_: _text(value).title(),
    "cut": lambda value, longest, _: _text(value)[: int(longest)],
    "first_name": lambda value, *_: _names(value, slice(0, 1)),
    "other_names": lambda value, *_: _names(value, slice(1, None)),
    "number": _number,
    "integer": lambda value, *_: int(_number(value)),
    "boolean": _boolean,
    "email": _email,
    "phone": _phone,
    "money": _money,
    "minor": _minor,
    "date": _date,
    "map": _map,
    "split": _split,
}
_OF_LISTS: dict[str, Function] = {
    "first": lambda value, *_: next((e for e in _many(value) if e not in (None, "")), None),
    "last": lambda value, *_: next(
        (e for e in reversed(_many(value)) if e not in (None, "")), None
    ),
    "list": lambda value, *_: [e for e in _many(value) if e not in (None, "")],
    "count": lambda value, *_: len(_many(value)),
    "join": _join,
}
KNOWN = frozenset(_OF_ONE) | frozenset(_OF_LISTS)
"""The names of all functions."""

WITH_ARGUMENT = frozenset(["cut", "map", "minor"])
"""Those that make no sense without an argument."""
