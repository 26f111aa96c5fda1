"""JSON as a type, its one canonical encoding, and hashes of content.

Two values that are equal as JSON have the same canonical bytes, so the same hash.
"""

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import PurePath
from typing import Any
from uuid import UUID

from higherself.kernel.errors import Rejected

JsonScalar = str | int | float | bool | None
JsonValue = JsonScalar | Sequence["JsonValue"] | Mapping[str, "JsonValue"]
JsonObject = Mapping[str, JsonValue]


class NotJson(Rejected):
    """A value was to be stored as JSON but JSON cannot hold it."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"{path or 'the value'} cannot be stored as JSON: {reason}")
        self.path, self.reason = path, reason


def check_json(value: Any, path: str = "") -> JsonValue:
    """Return ``value`` unchanged if JSON (and PostgreSQL's ``jsonb``) can hold it.

    Raises
        NotJson: naming the path of the first part that is no JSON: another type, a key that
            is no string, NaN or an infinity, a NUL character, a lone surrogate.
    """
    return value if _fits(value) else _checked(value, path)


def _fits(value: Any) -> bool:
    """Return whether ``value`` is JSON of the plainest kinds: most is, and this is soon seen."""
    kind = type(value)
    if kind is str:
        return "\0" not in value and (value.isascii() or _is_utf8(value))
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not _fits(key) or not _fits(item):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_fits, value))
    if kind is float:
        return math.isfinite(value)
    return value is None or kind is int or kind is bool


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _checked(value: Any, path: str) -> JsonValue:
    """Return ``value`` if it is JSON, whatever its classes; find the first part that is none."""
    match value:
        case None | bool() | int():
            pass
        case float():
            if not math.isfinite(value):
                raise NotJson(path, f"{value} is not a JSON number")
        case str():
            _check_text(value, path)
        case Mapping():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise NotJson(path, f"the key {key!r} is not a string")
                _check_text(key, f"{path}.{key!r}")
                _checked(item, f"{path}.{key}" if path else key)
        case list() | tuple():
            for index, item in enumerate(value):
                _checked(item, f"{path}[{index}]")
        case _:
            raise NotJson(path, f"a {type(value).__name__} is not a JSON value")
    checked: JsonValue = value
    return checked


def _check_text(text: str, path: str) -> None:
    if "\0" in text:
        raise NotJson(path, "it contains a NUL character")
    if not _is_utf8(text):
        raise NotJson(path, "it contains half of a surrogate pair")


_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
)


def canonical(value: JsonValue) -> bytes:
    r"""Return the canonical JSON of ``value``: keys sorted, no spaces, UTF-8.

    >>> canonical({"b": 1, "a": ["é"]})
    b'{"a":["\xc3\xa9"],"b":1}'
    """
    return _CANONICAL.encode(value).encode()


def shown(value: Any, *, indent: int | None = 2) -> str:
    """Return ``value`` as JSON for people and programs: dataclasses, identifiers and times too."""
    return json.dumps(value, default=_plain, indent=indent, ensure_ascii=False, allow_nan=False)


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case bytes():
            return value.hex()
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case PurePath():
            return str(value)
        case Mapping():
            return dict(value)
        case set() | frozenset():
            return sorted(value)
        case _:
            pass
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    raise TypeError(f"a {type(value).__name__} is not to be shown as JSON")


def content_hash(*parts: str | bytes) -> bytes:
    """Return the SHA-256 of ``parts`` (32 bytes). Parts are length-prefixed, so they never run together.

    >>> content_hash("ab", "c") == content_hash("a", "bc")
    False
    """
    framed: list[bytes] = []
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        framed += (len(data).to_bytes(8, "big"), data)
    return hashlib.sha256(b"".join(framed)).digest()
