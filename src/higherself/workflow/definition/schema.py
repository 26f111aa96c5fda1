"""The JSON Schema of a context. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.schema import JsonSchema
from higherself.workflow.errors import ContextRejected


@dataclass(frozen=True, slots=True)
class ContextSchema:
    """What a context has to be like, in JSON Schema 2020-12."""

    source: JsonObject
    _schema: JsonSchema = field(compare=False, repr=False, kw_only=True)

    @classmethod
    def of(cls, source: JsonObject) -> "ContextSchema":
        """Return the schema that ``source`` is.

        Raises
            ValueError: it is none, or refers to one that is elsewhere.
        """
        return cls(source, _schema=JsonSchema.of(source))

    def check(self, context: JsonObject) -> None:
        """Do nothing if ``context`` is as it has to be.

        Raises
            ContextRejected: it is not; the text names the value and what is wrong with it.
        """
        for worst in self._schema.misfits(context)[:1]:
            raise ContextRejected(worst.place, f"does not fit the schema: {worst.message}")

    @property
    def properties(self) -> Mapping[str, JsonValue]:
        """The schemas of the context's own keys, as far as they are declared."""
        found = self.source.get("properties", {})
        return found if isinstance(found, Mapping) else {}
