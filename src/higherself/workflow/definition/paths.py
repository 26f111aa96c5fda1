"""Paths: of keys in a definition, and of values in the context of an instance. Pure."""

import re
from collections.abc import Mapping

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.errors import ContextRejected

ContextPath = tuple[str, ...]
"""Keys that lead to a value in the context: ``contact.score`` is ``("contact", "score")``."""

_PLAIN_KEY = re.compile(r"[\w-]+")
_CONTEXT_PATH = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")


def below(path: str, step: str | int) -> str:
    """Return the path of what is under ``path`` by a key or an index.

    >>> below(below("states.nurturing.on", "email.replied"), 0)
    'states.nurturing.on["email.replied"][0]'
    """
    if isinstance(step, int):
        return f"{path}[{step}]"
    if _PLAIN_KEY.fullmatch(step):
        return f"{path}.{step}" if path else step
    return f'{path}["{step}"]'


def context_path_of(text: str) -> ContextPath:
    """Return the path that ``text`` is.

    Raises
        ValueError: it is none.

    >>> context_path_of("contact.score")
    ('contact', 'score')
    """
    if not _CONTEXT_PATH.fullmatch(text):
        raise ValueError(f"{text!r} is no path in the context; write names with dots between them")
    keys = tuple(text.split("."))
    if keys[0] in ("context", "event", "instance") and len(keys) > 1:
        raise ValueError(f"{text!r} is a path in the context already; write {'.'.join(keys[1:])}")
    return keys


def with_value(context: JsonObject, path: ContextPath, value: JsonValue) -> JsonObject:
    """Return ``context`` with ``value`` at ``path``; objects on the way are made if missing.

    Raises
        ContextRejected: something on the way is there and is no object.

    >>> with_value({"score": 1}, ("contact", "name"), "Ada")
    {'score': 1, 'contact': {'name': 'Ada'}}
    """
    return _with_value(context, path, 0, value)


def _with_value(inner: JsonObject, path: ContextPath, depth: int, value: JsonValue) -> JsonObject:
    key = path[depth]
    if depth + 1 == len(path):
        return {**inner, key: value}
    under = inner.get(key, {})
    if not isinstance(under, Mapping):
        said = ".".join(path[: depth + 1])
        raise ContextRejected(said, f"is no object, so nothing can be put at {'.'.join(path)}")
    return {**inner, key: _with_value(under, path, depth + 1, value)}
