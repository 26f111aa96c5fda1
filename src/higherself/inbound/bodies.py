"""Bodies: bytes that were signed become JSON values, within limits. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from pydantic_core import from_json

from higherself.inbound.errors import Malformed
from higherself.kernel.jsonvalue import JsonValue

LARGEST_BODY = 1024 * 1024
DEEPEST = 32
MOST_FIELDS = 2_000
LONGEST_NAME = 150

_PART = re.compile(r"\[([^\[\]]*)\]")


def read_object(body: bytes) -> dict[str, Any]:
    """Return the JSON object that ``body`` is.

    Raises
        Malformed: it is none, or nested too deeply; the text says where.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Malformed("body", f"it is not JSON ({error})") from None
    if not isinstance(value, dict):
        raise Malformed("body", "it is no JSON object")
    return _within_limits(value)


def read_form(body: bytes) -> dict[str, Any]:
    """Return the fields of a form as an object; names with brackets nest, as PHP writes them.

    >>> read_form(b"action=scheduled&id=7")
    {'action': 'scheduled', 'id': '7'}
    >>> read_form(b"a[bookings][0][id]=7&a[bookings][1][id]=8")
    {'a': {'bookings': {'0': {'id': '7'}, '1': {'id': '8'}}}}

    Raises
        Malformed: it is none, or nested too deeply.
    """
    try:
        pairs = parse_qsl(
            body.decode(), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise Malformed("body", f"it is no form ({error})") from None
    if not pairs:
        raise Malformed("body", "it is no form: there is no field in it")
    fields: dict[str, Any] = {}
    for name, value in pairs:
        first = name.partition("[")[0]
        path = [first or name, *_PART.findall(name[len(first) :])]
        if len(path) > DEEPEST:
            raise Malformed(name[:50], f"it is nested more than {DEEPEST} deep")
        inner = fields
        for part in path[:-1]:
            inner = inner.setdefault(part, {})
            if not isinstance(inner, dict):
                raise Malformed(name[:50], "it is a value and an object at once")
        inner[path[-1]] = value
    return _within_limits(fields)


def require(value: Mapping[str, Any], path: str, kind: type | tuple[type, ...] = str) -> Any:
    """Return the value at a dotted ``path`` of ``value``.

    Raises
        Malformed: it is missing, empty or of another kind; the text names it.
    """
    found: Any = value
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    if found is None or found == "":
        raise Malformed(path, "it is missing")
    if not isinstance(found, kind) or isinstance(found, bool):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        wanted = " or ".join(_KINDS.get(each, each.__name__) for each in kinds)
        raise Malformed(path, f"it is no {wanted}")
    return found


_KINDS = {str: "text", int: "whole number", dict: "object", list: "list"}


def name_of(value: Any, field: str) -> str:
    """Return ``value`` (text or a whole number) as a short name.

    Raises
        Malformed: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise Malformed(field, "it is neither a text nor a whole number")
    text = str(value).strip()
    if not 0 < len(text) <= LONGEST_NAME or not text.isprintable():
        raise Malformed(field, f"it is not 1 to {LONGEST_NAME} printable characters")
    return text


def instant(value: Any) -> datetime | None:
    """Return the instant that ``value`` names: ISO 8601 (UTC without offset) or Unix seconds.

    >>> instant("2026-05-04T10:00:00")
    datetime.datetime(2026, 5, 4, 10, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        if isinstance(value, str) and value:
            read = datetime.fromisoformat(value)
            return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def listed(value: Any) -> list[Any]:
    """Return the items of a list, or of an object that PHP made of one (``{"0": ..., "1": ...}``)."""
    if isinstance(value, list):
        return value
    if isinstance(value, Mapping) and value and all(str(key).isdigit() for key in value):
        return [value[key] for key in sorted(value, key=int)]
    return []


def _within_limits(value: dict[str, Any]) -> dict[str, Any]:
    scrubbed: dict[str, Any] = _scrubbed(value, 1)
    return scrubbed


def _scrubbed(value: Any, depth: int) -> Any:
    """Return ``value`` without the NUL characters that nothing can store."""
    if depth > DEEPEST:
        raise Malformed("body", f"it is nested more than {DEEPEST} deep")
    match value:
        case str():
            return value.replace("\0", "\ufffd") if "\0" in value else value
        case dict():
            return {_scrubbed(k, depth): _scrubbed(each, depth + 1) for k, each in value.items()}
        case list():
            return [_scrubbed(each, depth + 1) for each in value]
        case _:
            scalar: JsonValue = value
            return scalar
