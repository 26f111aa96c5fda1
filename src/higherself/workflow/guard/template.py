"""Templates: JSON whose strings may hold ``{{ expression }}``."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.guard.errors import ExpressionFailed, ExpressionRejected, InvalidExpression
from higherself.workflow.guard.expression import Expression, as_value, checked
from higherself.workflow.guard.fields import Fields, Read
from higherself.workflow.guard.syntax import parse

LONGEST_RESULT = 1_000_000  # characters, of one string

Within = tuple[str | int, ...]
"""The keys and indexes that lead to a string in a template."""


@dataclass(frozen=True, slots=True)
class TemplateRead:
    """A field that a template reads, in the string that ``within`` leads to."""

    within: Within
    read: Read


@dataclass(frozen=True, slots=True)
class Template:
    """A JSON value with places to fill in. Two are equal if their sources are."""

    source: JsonValue
    _fill: "_Fill" = field(repr=False, compare=False)
    _expressions: tuple[tuple[Within, Expression], ...] = field(repr=False, compare=False)

    def __call__(self, scope: JsonObject, now: datetime) -> JsonValue:
        """Return the source with every ``{{ }}`` filled in.

        A string that is one ``{{ }}`` and nothing else becomes the value itself, of whatever type;
        among other text a value becomes text, as JSON has it. Keys stay as they are.

        Raises
            ExpressionFailed: an expression failed, or null was to become text; ``within`` leads
                to the string.
        """
        return self._fill(scope, now)

    @property
    def reads(self) -> tuple[TemplateRead, ...]:
        """Every field that is read, in reading order."""
        return tuple(
            TemplateRead(within, read)
            for within, expression in self._expressions
            for read in expression.reads
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_template, (self.source,)


def compile_template(source: JsonValue, *, known: Fields | None = None) -> Template:
    """Return the template that ``source`` is.

    Raises
        InvalidExpression: an expression in it is none; ``within`` leads to the string.
    """
    maker = _Maker(known)
    fill = maker.filling(source, ())
    return Template(source, fill, tuple(maker.expressions))


def render(source: JsonValue, scope: JsonObject, now: datetime) -> JsonValue:
    """Return ``source`` with every ``{{ }}`` filled in. To do it often, keep a `Template`.

    Raises
        ExpressionRejected: an expression is none, or failed.
    """
    return compile_template(source)(scope, now)


_Fill = Callable[[JsonObject, datetime], JsonValue]

# From the braces to those that close them; braces within a text of the expression do not count.
_PLACE = re.compile(
    r"""\{\{((?:[^"'}]|"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\}(?!\}))*+)\}\}""", re.DOTALL
)


class _Maker:
    """Makes what fills in one template, and collects the expressions."""

    def __init__(self, known: Fields | None) -> None:
        self._known = known
        self.expressions: list[tuple[Within, Expression]] = []

    def filling(self, source: JsonValue, within: Within) -> _Fill:
        match source:
            case str():
                return self._text(source, within)
            case Mapping():
                values = {key: self.filling(each, (*within, key)) for key, each in source.items()}
                return lambda scope, now: {key: fill(scope, now) for key, fill in values.items()}
            case list() | tuple():
                items = [self.filling(each, (*within, i)) for i, each in enumerate(source)]
                return lambda scope, now: [fill(scope, now) for fill in items]
            case _:
                return lambda scope, now: source

    def _text(self, text: str, within: Within) -> _Fill:
        if "{{" not in text:
            return lambda scope, now: text
        try:
            pieces = list(self._pieces(text, within))
        except InvalidExpression as error:
            error.within = within
            raise
        if len(pieces) == 1 and isinstance(pieces[0], Expression):
            fill: _Fill = pieces[0]
        else:
            fill = _joined(text, pieces)
        return _placed(fill, within)

    def _pieces(self, text: str, within: Within) -> Iterator[str | Expression]:
        """Yield the parts of ``text``; of one ``{{ }}`` and blanks, the expression alone."""
        at, alone = 0, _PLACE.fullmatch(text.strip()) is not None
        while (begin := text.find("{{", at)) >= 0:
            match = _PLACE.match(text, begin)
            if begin > at and not alone:
                yield text[at:begin]
            yield self._expression(text, begin, match, within)
            at = len(text) if match is None else match.end()
        if at < len(text) and not alone:
            yield text[at:]

    def _expression(
        self, text: str, begin: int, match: re.Match[str] | None, within: Within
    ) -> Expression:
        end = text.find("}}", begin) if match is None else match.end(1)
        if end < 0:
            raise InvalidExpression(
                "this {{ is never closed", text=text, start=begin, end=begin + 2
            )
        made = as_value(checked(parse(text, begin + 2, end), self._known))
        if match is None:  # it ends, though not with these braces
            raise InvalidExpression(
                "this {{ is never closed", text=text, start=begin, end=begin + 2
            )
        self.expressions.append((within, made))
        return made


def _joined(text: str, pieces: list[str | Expression]) -> _Fill:
    def joined(scope: JsonObject, now: datetime) -> str:
        found = [
            piece if isinstance(piece, str) else _as_text(piece, piece(scope, now))
            for piece in pieces
        ]
        if sum(map(len, found)) > LONGEST_RESULT:
            raise ExpressionFailed(
                f"the text would be longer than {LONGEST_RESULT:,} characters",
                text=text,
                start=0,
                end=len(text),
            )
        return "".join(found)

    return joined


def _as_text(expression: Expression, value: JsonValue) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        source = expression.source
        written = source.of(source.root)
        raise source.failed(
            source.root, f"{written} is null; write default({written}, ...) with what to say then"
        )
    return json.dumps(value, ensure_ascii=False)


def _placed(fill: _Fill, within: Within) -> _Fill:
    def placed(scope: JsonObject, now: datetime) -> JsonValue:
        try:
            return fill(scope, now)
        except ExpressionRejected as error:
            error.within = within
            raise

    return placed
