"""The facts of a document that a filter can ask for, as plain strings. Pure.

Under row-level security PostgreSQL may use an index only for operators it trusts not to leak
rows, and neither array nor JSON containment is among them. Equality of text is: so tags and the
leaves of metadata are also kept as labels, one row each, and a filter becomes a look-up.
"""

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping

from higherself.kernel.jsonvalue import JsonValue

_LONGEST = 200
_json = json.JSONEncoder(ensure_ascii=False).encode


def labels(tags: Collection[str], metadata: Mapping[str, JsonValue]) -> list[str]:
    """Return the labels of a document, or those a document must have to pass a filter.

    A document whose metadata contain the filter's (in the sense of PostgreSQL's ``@>``) has all
    the filter's labels. The reverse need not hold, so containment is checked afterwards, too.

    >>> labels(["policy"], {"lang": "en", "room": {"seats": 12.0}, "days": ["mon"]})
    ['days[]="mon"', 'lang="en"', 'room.seats=12', 'tag policy']
    """
    found = {f"tag {tag}" for tag in tags} | set(_leaves(metadata, ""))
    return sorted(map(_short, found))


def _leaves(value: JsonValue, path: str) -> Iterator[str]:
    match value:
        case dict() | Mapping():
            for key, item in value.items():
                yield from _leaves(item, f"{path}.{key}" if path else key)
        case str() | bool() | None:
            yield f"{path}={_json(value)}"
        case int():
            yield f"{path}={value}"
        case float():
            yield f"{path}={int(value) if value.is_integer() else value!r}"
        case _:
            for item in value:
                yield from _leaves(item, f"{path}[]")


def _short(label: str) -> str:
    """Return ``label``, its end hashed if it is too long for an index."""
    if len(label) <= _LONGEST:
        return label
    digest = hashlib.sha256(label.encode()).hexdigest()
    return f"{label[: _LONGEST // 2]}#{digest}"
