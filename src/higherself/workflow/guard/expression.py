"""Guards and value expressions: compiled once, evaluated often."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.guard.access import Closure
from higherself.workflow.guard.closures import closures, plain
from higherself.workflow.guard.explanation import Explanation, explained
from higherself.workflow.guard.fields import Fields, Read, check_known, reads
from higherself.workflow.guard.kinds import check_condition, check_kinds
from higherself.workflow.guard.syntax import parse
from higherself.workflow.guard.tree import Node, Source
from higherself.workflow.guard.values import STEPS, Run, new_run


@dataclass(frozen=True, slots=True)
class _Compiled:
    """What was made of a text. Two are equal if their texts are."""

    text: str
    source: Source = field(repr=False, compare=False)
    parts: dict[Node, Closure] = field(repr=False, compare=False)
    evaluate: Closure = field(repr=False, compare=False)
    steps: int = field(repr=False, compare=False)

    @property
    def reads(self) -> tuple[Read, ...]:
        """Every field that is read, in reading order."""
        return reads(self.source)

    def explain(self, scope: JsonObject, now: datetime) -> Explanation:
        """Evaluate with the value of every part recorded. Never raises `ExpressionFailed`."""
        return explained(self.source, self.parts, scope, lambda: new_run(now, self.steps))


@dataclass(frozen=True, slots=True)
class Expression(_Compiled):
    """A value over JSON: what ``set:`` and ``{{ }}`` hold."""

    def __call__(self, scope: JsonObject, now: datetime) -> JsonValue:
        """Return the value for ``scope``: the names that may be read, such as context and event.

        Objects and lists are those of the scope, not copies.

        Raises
            ExpressionFailed: a field is missing, a value has another type than is needed, a
                number leaves its range, or the evaluation takes more than 10,000 steps.
        """
        value: JsonValue = plain(self.evaluate(scope, new_run(now, self.steps)))
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_value, (self.text,)


@dataclass(frozen=True, slots=True)
class Guard(_Compiled):
    """A condition over JSON: what ``when:`` holds."""

    def __call__(self, scope: JsonObject, now: datetime) -> bool:
        """Return whether the guard holds for ``scope``: context, event and what else may be read.

        Raises
            ExpressionFailed: as for `Expression`, and if the value is not true or false.
        """
        run = Run()  # as `new_run` does, without the call
        run.now, run.steps = now, self.steps
        holds: bool = self.evaluate(scope, run)
        return holds

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_guard, (self.text,)


def compile_guard(text: str, *, known: Fields | None = None) -> Guard:
    """Return the guard that ``text`` is.

    Raises
        InvalidExpression: ``text`` is no expression of the language, cannot be true or false, is
            over a limit, or reads a field that is not ``known``.
    """
    source = checked(parse(text), known)
    check_condition(source, source.root, "a guard is true or false")
    return Guard(*_compiled(source, condition=True))


def compile_value(text: str, *, known: Fields | None = None) -> Expression:
    """Return the value expression that ``text`` is.

    Raises
        InvalidExpression: as for `compile_guard`, only that the value may be any JSON.
    """
    return as_value(checked(parse(text), known))


def checked(source: Source, known: Fields | None) -> Source:
    """Return ``source`` if it can be evaluated, and reads only what is ``known``."""
    check_kinds(source)
    if known is not None:
        check_known(source, known)
    return source


def as_value(source: Source) -> Expression:
    """Return the value expression that was read."""
    return Expression(*_compiled(source, condition=False))


def _compiled(
    source: Source, *, condition: bool
) -> tuple[str, Source, dict[Node, Closure], Closure, int]:
    parts = closures(source, condition=condition)
    text = source.text[source.start : source.end]
    return text, source, parts, parts[source.root], STEPS - source.size
