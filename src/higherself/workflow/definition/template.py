"""What activities are given: templates, with references to secrets that nobody here resolves. Pure.

A text that mentions a secret holds nothing else that varies. It is left as it is, and where it
stands is said beside it: so whoever runs the activity puts secrets only where the definition has
them, never where data happens to look like a reference.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.guard import (
    Fields,
    InvalidExpression,
    Template,
    TemplateRead,
    compile_template,
)

READABLE: Fields = {
    "context": None,
    "event": None,
    "instance": dict.fromkeys(("id", "workflow", "version", "entity", "state", "started_at")),
}
"""What expressions can read."""

Within = tuple[str | int, ...]
"""Keys and indexes that lead to a text in a template."""


@dataclass(frozen=True, slots=True)
class Input:
    """A template. ``secrets`` are the places of the texts that mention one."""

    source: JsonValue
    secrets: tuple[Within, ...] = ()
    _template: Template = field(compare=False, repr=False, kw_only=True)

    @classmethod
    def of(cls, source: JsonValue, *, secrets_allowed: bool = False) -> "Input":
        """Return the template that ``source`` is.

        Raises
            InvalidExpression: an expression in it is none, reads what cannot be read here, or
                stands in one text with a secret; ``within`` leads to it.
        """
        readable = {**READABLE, "secrets": None} if secrets_allowed else READABLE
        template = compile_template(source, known=readable)
        secrets = tuple(dict.fromkeys(each.within for each in template.reads if _is_secret(each)))
        for each in template.reads:
            if each.within in secrets and not _is_secret(each):
                raise _mixed(source, each)
        if secrets:
            blank = source
            for within in secrets:
                blank = _put(blank, within, "")
            template = compile_template(blank, known=READABLE)
        return cls(source, secrets, _template=template)

    def render(self, scope: JsonObject, now: datetime) -> JsonValue:
        """Return it filled in for ``scope``; texts with secrets are as they were.

        Raises
            ExpressionFailed: an expression failed; ``within`` leads to it.
        """
        value = self._template(scope, now)
        for within in self.secrets:
            value = _put(value, within, _at(self.source, within))
        return value

    @property
    def reads(self) -> tuple[TemplateRead, ...]:
        """Every field that is read, but for secrets."""
        return self._template.reads


def _is_secret(found: TemplateRead) -> bool:
    return found.read.path[0] == "secrets"


def _mixed(source: JsonValue, found: TemplateRead) -> InvalidExpression:
    said = _at(source, found.within)
    error = InvalidExpression(
        "a text with a secret holds nothing else that varies; put this into a text of its own",
        text=said if isinstance(said, str) else "",
        start=found.read.start,
        end=found.read.end,
    )
    error.within = found.within
    return error


def _at(value: JsonValue, within: Within) -> JsonValue:
    for step in within:
        if isinstance(value, Mapping):
            value = value[str(step)]
        elif isinstance(value, Sequence) and not isinstance(value, str):
            value = value[int(step)]
    return value


def _put(value: JsonValue, within: Within, text: JsonValue) -> JsonValue:
    if not within:
        return text
    step, rest = within[0], within[1:]
    if isinstance(value, Mapping):
        return {**value, str(step): _put(value[str(step)], rest, text)}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_put(each, rest, text) if at == step else each for at, each in enumerate(value)]
    return value
