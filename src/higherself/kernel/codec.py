"""Frozen dataclasses to JSON and back, by their type hints. Pure.

For values that are stored and sent: what is as it is by default is left out, a union of classes is
told apart by ``kind``, and JSON in fields of type `JsonValue` or `JsonObject` is taken as it is,
not copied.
"""

import types
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Literal, Union, cast, get_args, get_origin
from uuid import UUID

from higherself.kernel.jsonvalue import JsonObject, JsonValue

Convert = Callable[[Any], Any]


def to_json(value: Any, declared: Any = None) -> Any:
    """Return ``value`` as JSON; ``declared`` is its type if that is a union."""
    kind: Any = declared if declared is not None else type(value)
    return _of(kind, encode=True)(value)


def from_json(declared: Any, data: Any) -> Any:
    """Return the value of type ``declared`` that ``data`` is; the inverse of `to_json`."""
    return _of(declared, encode=False)(data)


def kind_of(cls: type) -> str:
    """Return what tells ``cls`` apart in a union.

    >>> class TimerDue: ...
    >>> kind_of(TimerDue)
    'timer_due'
    """
    name = cls.__name__
    return "".join(
        f"_{c.lower()}" if c.isupper() and at else c.lower() for at, c in enumerate(name)
    )


def _seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


def _same(value: Any) -> Any:
    return value


@cache
def _cached(declared: Any, encode: bool) -> Convert:
    return _converter(declared, encode=encode)


def _of(declared: Any, *, encode: bool) -> Convert:
    return _cached(declared, encode)


_PLAIN = (str, int, float, bool, type(None), JsonValue, JsonObject)


def _converter(declared: Any, *, encode: bool) -> Convert:
    declared = getattr(declared, "__supertype__", declared)  # a NewType is what it is made of
    origin, arguments = get_origin(declared), get_args(declared)
    if declared in _PLAIN or origin is Literal:
        return _same
    if declared is UUID:
        return str if encode else UUID
    if declared is datetime:
        return datetime.isoformat if encode else datetime.fromisoformat
    if declared is timedelta:
        return timedelta.total_seconds if encode else _seconds
    if origin is tuple:
        return _tuples(arguments, encode=encode)
    if origin is Mapping:
        return _mappings(_converter(arguments[1], encode=encode))
    if origin in (types.UnionType, Union):
        return _unions(arguments, encode=encode)
    if is_dataclass(declared):
        return _encoded(declared) if encode else _decoded(declared)
    raise TypeError(f"{declared} has no form in JSON")


def _tuples(arguments: tuple[Any, ...], *, encode: bool) -> Convert:
    if len(arguments) != 2 or arguments[1] is not Ellipsis:
        raise TypeError(f"a tuple of {arguments} has no form in JSON")
    convert = _converter(arguments[0], encode=encode)
    made = list if encode else tuple
    return made if convert is _same else lambda items: made(map(convert, items))


def _mappings(convert: Convert) -> Convert:
    if convert is _same:
        return dict
    return lambda mapping: {key: convert(value) for key, value in mapping.items()}


def _unions(arguments: tuple[Any, ...], *, encode: bool) -> Convert:
    classes: list[Any] = [each for each in arguments if is_dataclass(each)]
    others = [each for each in arguments if each is not type(None) and each not in classes]
    if len(others) + len(classes) == 1:
        inner = _converter((others or classes)[0], encode=encode)
        return lambda value: None if value is None else inner(value)
    if all(each in _PLAIN or get_origin(each) is Literal for each in others) and not classes:
        return _same
    if others:
        raise TypeError(f"a union of {arguments} has no form in JSON")
    if encode:
        encoders = {each: (kind_of(each), _of(each, encode=True)) for each in classes}

        def tagged(value: Any) -> Any:
            kind, convert = encoders[type(value)]
            return {"kind": kind, **convert(value)}

        return lambda value: None if value is None else tagged(value)
    by_kind = {kind_of(each): _of(each, encode=False) for each in classes}
    return lambda data: None if data is None else by_kind[data["kind"]](data)


def _encoded(cls: Any) -> Convert:
    """Return a function that is written for ``cls``, as its ``__init__`` is, for it runs often."""
    lines, names = ["def convert(value):", "    data = {}"], dict[str, Any]()
    for each in fields(cls):
        name, default, encode = each.name, _default(each), _of(each.type, encode=True)
        names |= {f"default_{name}": default, f"encode_{name}": encode}
        encoded = "item" if encode is _same else f"encode_{name}(item)"
        told = "True" if default is MISSING else f"item != default_{name}"
        lines += [
            f"    item = value.{name}",
            f"    if {'item is not None' if default is None else told}:",
            f"        data[{name!r}] = {encoded}",
        ]
    exec("\n".join([*lines, "    return data"]), names)  # noqa: S102  names of fields, nothing else
    return cast("Convert", names["convert"])


def _decoded(cls: Any) -> Convert:
    plan = {each.name: _of(each.type, encode=False) for each in fields(cls)}

    def convert(data: Mapping[str, Any]) -> Any:
        return cls(**{name: plan[name](item) for name, item in data.items() if name in plan})

    return convert


def _default(field: Any) -> Any:
    if field.default is not MISSING:
        return field.default
    return field.default_factory() if field.default_factory is not MISSING else MISSING
