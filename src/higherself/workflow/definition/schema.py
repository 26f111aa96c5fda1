"""The JSON Schema of a context. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import SchemaError, best_match

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.errors import ContextRejected


@dataclass(frozen=True, slots=True)
class ContextSchema:
    """What a context has to be like, in JSON Schema 2020-12."""

    source: JsonObject
    _validator: Any = field(compare=False, repr=False, kw_only=True)

    @classmethod
    def of(cls, source: JsonObject) -> "ContextSchema":
        """Return the schema that ``source`` is.

        Raises
            ValueError: it is none, or refers to one that is elsewhere.
        """
        try:
            Draft202012Validator.check_schema(source)
        except SchemaError as error:
            where = ".".join(str(step) for step in error.absolute_path)
            at = f" at {where}" if where else ""
            raise ValueError(f"this is no JSON Schema{at}: {error.message}") from None
        for reference in _references(source):
            if not reference.startswith("#"):
                raise ValueError(f"$ref {reference!r} leads elsewhere; a schema stands by itself")
        return cls(source, _validator=Draft202012Validator(source))

    def check(self, context: JsonObject) -> None:
        """Do nothing if ``context`` is as it has to be.

        Raises
            ContextRejected: it is not; the text names the value and what is wrong with it.
        """
        error = best_match(self._validator.iter_errors(context))
        if error is not None:
            path = ".".join(str(step) for step in error.absolute_path)
            raise ContextRejected(path, f"does not fit the schema: {error.message}")

    @property
    def properties(self) -> Mapping[str, JsonValue]:
        """The schemas of the context's own keys, as far as they are declared."""
        found = self.source.get("properties", {})
        return found if isinstance(found, Mapping) else {}


def _references(schema: JsonValue) -> list[str]:
    match schema:
        case Mapping():
            found = [each for item in schema.values() for each in _references(item)]
            return [*found, *(str(schema[key]) for key in ("$ref", "$dynamicRef") if key in schema)]
        case str() | None:
            return []
        case Sequence():
            return [each for item in schema for each in _references(item)]
        case _:
            return []
