"""JSON Schema 2020-12: what a value has to be like. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jsonschema_rs

from higherself.kernel.jsonvalue import JsonObject, JsonValue


@dataclass(frozen=True, slots=True)
class Misfit:
    """What does not fit: the value, as the steps that lead to it, and what is wrong with it."""

    path: tuple[str | int, ...]
    message: str

    @property
    def place(self) -> str:
        """The path with dots, ``items.0.price``; empty for the whole."""
        return ".".join(map(str, self.path))


@dataclass(frozen=True, slots=True)
class JsonSchema:
    """A JSON Schema that stands by itself."""

    source: JsonObject
    _validator: Any = field(compare=False, repr=False, kw_only=True)

    @classmethod
    def of(cls, source: JsonObject) -> "JsonSchema":
        """Return the schema that ``source`` is.

        Raises
            ValueError: it is none, or refers to one that is elsewhere: nothing is ever fetched.
        """
        for reference in _references(source):
            if not reference.startswith("#"):
                raise ValueError(f"$ref {reference!r} leads elsewhere; a schema stands by itself")
        try:
            return cls(source, _validator=jsonschema_rs.Draft202012Validator(dict(source)))
        except jsonschema_rs.ValidationError as error:
            at = f" at {place}" if (place := _place(error)) else ""
            raise ValueError(f"this is no JSON Schema{at}: {error.message}") from None
        except jsonschema_rs.ReferencingError as error:
            raise ValueError(f"this is no JSON Schema: {error}") from None

    def misfits(self, value: JsonValue) -> list[Misfit]:
        """Return everything in ``value`` that does not fit, the nearest to the top first."""
        found = (
            Misfit(tuple(each.instance_path), each.message)
            for each in self._validator.iter_errors(value)
        )
        return sorted(found, key=lambda each: (len(each.path), list(map(str, each.path))))


def _place(error: jsonschema_rs.ValidationError) -> str:
    return ".".join(map(str, error.instance_path))


def _references(schema: JsonValue) -> Iterator[str]:
    match schema:
        case Mapping():
            for key, item in schema.items():
                if key in ("$ref", "$dynamicRef"):
                    yield str(item)
                yield from _references(item)
        case str():
            pass
        case Sequence():
            for item in schema:
                yield from _references(item)
        case _:
            pass
