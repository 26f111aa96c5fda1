"""What can be wrong with an expression: its text, or the data it meets."""

import json
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from itertools import islice

from higherself.kernel.errors import Rejected

Near = tuple[Sequence[object], str, Collection[str]]


class ExpressionRejected(Rejected):
    """An expression is none, or cannot be evaluated; one of the two below says which.

    ``problem`` is one sentence without the place. The place is ``text[start:end]``, counted in
    characters from 0; ``line`` and ``column`` count from 1. In a template, ``text`` is the whole
    string that holds the ``{{ }}``, and ``within`` the keys and indexes that lead to it.
    """

    def __init__(self, problem: str, *, text: str, start: int, end: int) -> None:
        self.problem = _printable(problem)
        super().__init__(self.problem)
        self.text, self.start, self.end = text, start, end
        self.within: tuple[str | int, ...] = ()

    @property
    def line(self) -> int:
        """The line of ``text`` on which the problem begins, counted from 1."""
        return self.text.count("\n", 0, self.start) + 1

    @property
    def column(self) -> int:
        """The column at which the problem begins, counted from 1."""
        return self.start - self._line_start + 1

    @property
    def excerpt(self) -> str:
        """The line in question, and carets below the place."""
        first = self._line_start
        last = self.text.find("\n", self.start)
        line = self.text[first : len(self.text) if last < 0 else last]
        begin = max(0, self.column - 1 - _BEFORE)
        shown = _printable(line[begin : begin + _WIDTH].rstrip())
        at = self.column - 1 - begin
        carets = max(1, min(self.end - self.start, len(shown) - at))
        return f"  {shown}\n  {' ' * at}{'^' * carets}"

    def __str__(self) -> str:
        place = f"column {self.column}"
        if "\n" in self.text.strip():
            place = f"line {self.line}, {place}"
        return f"{self.problem}{self.hint} at {place}\n{self.excerpt}"

    @property
    def hint(self) -> str:
        """What to do about it, if that is not part of the problem."""
        return ""

    @property
    def _line_start(self) -> int:
        return self.text.rfind("\n", 0, self.start) + 1


class InvalidExpression(ExpressionRejected):
    """A text is no expression, is beyond the limits, or names what does not exist."""


class ExpressionFailed(ExpressionRejected):
    """The data did not fit the expression: a missing field, another type, too much to go through.

    ``near`` is set if a field is missing: the way to what should have it, its name, and the names
    that are there. What may have been meant is looked for only when somebody reads the error.
    """

    def __init__(
        self,
        problem: str,
        *,
        text: str,
        start: int,
        end: int,
        near: Near | None = None,
    ) -> None:
        super().__init__(problem, text=text, start=start, end=end)
        self.near = near

    @property
    def hint(self) -> str:
        """What may have been meant, or nothing."""
        if self.near is None:
            return ""
        way, name, names = self.near
        found = get_close_matches(name, islice(names, _MOST_NAMES), n=1)
        return _printable(f"; did you mean '{dotted((*way, *found))}'?") if found else ""


def dotted(steps: Sequence[object]) -> str:
    """Return how one writes the field at the end of ``steps``; None is any item.

    >>> dotted(["context", "lines", 0, "due date"])
    'context.lines[0]["due date"]'
    """
    written = str(steps[0]) if steps else ""
    for step in steps[1:]:
        if isinstance(step, str) and _PLAIN_KEY.fullmatch(step):
            written += f".{step}"
        else:
            written += "[]" if step is None else f"[{json.dumps(step, ensure_ascii=False)}]"
    return written


def _printable(text: str) -> str:
    """Return ``text`` without what could play tricks on a terminal, at the same length."""
    return "".join(sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}" for sign in text)


_PLAIN_KEY = re.compile(r"[^\W\d]\w*")
_MOST_NAMES = 500
_WIDTH, _BEFORE = 120, 60
