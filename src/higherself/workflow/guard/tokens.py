"""From text to tokens, each checked before Python's parser sees it.

So that parser meets nothing it might warn about, stumble over or understand in its own way, and
the usual slips (``&&``, ``=``, ``.class``) are answered in the terms of this language.
"""

import keyword
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from higherself.workflow.guard.errors import InvalidExpression
from higherself.workflow.guard.values import in_range, whole

DEEPEST = 20
LITERALS = {"true": True, "false": False, "null": None, "True": True, "False": False, "None": None}

UNITS = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
"""Seconds in a unit of a duration."""


@dataclass(frozen=True, slots=True)
class Token:
    """A word, number, text or sign at ``[start:end]``; a duration has its ``seconds``."""

    kind: str
    text: str
    start: int
    end: int
    seconds: float | None = None

    @property
    def shown(self) -> str:
        """The text, or the beginning of a long one."""
        return self.text if len(self.text) <= _LONGEST_SHOWN else f"{self.text[:_LONGEST_SHOWN]}..."


_LONGEST_SHOWN = 40  # characters


def tokens(text: str, start: int, end: int) -> list[Token]:
    """Return the tokens of ``text[start:end]``: at least one, brackets matched, operators between.

    Raises
        InvalidExpression: at the first token that is not of the language, or not in its place.
    """
    found: list[Token] = []
    refuse = Refuser(text, start, end)
    at = start
    while at < end:
        match = _TOKEN.match(text, at, end)
        if match is None:
            _refuse_character(refuse, at)
        kind = match.lastgroup or ""
        if kind != "space":
            token = _CHECKS[kind](refuse, match, found[-1] if found else None)
            found.append(token)
        at = match.end()
    if not found:
        refuse("there is no expression")
    _check_order(refuse, found)
    return found


@dataclass(frozen=True, slots=True)
class Refuser:
    """Raises `InvalidExpression` for a place in ``text``: by default, for all of the expression."""

    text: str
    start: int
    end: int

    def __call__(self, problem: str, start: int | None = None, end: int | None = None) -> NoReturn:
        """Raise it for ``text[start:end]``."""
        start = self.start if start is None else start
        end = self.end if end is None else end
        raise InvalidExpression(problem, text=self.text, start=start, end=end)

    def token(self, problem: str, token: Token) -> NoReturn:
        """Raise it for the place of ``token``."""
        self(problem, token.start, token.end)


# --- One by one.

_TOKEN = re.compile(
    r"""
      (?P<space>[ \t\r\n]++)
    | (?P<name>[^\W\d]\w*+)
    | (?P<number>(?:[0-9]++(?:\.[0-9]*+)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+)(?P<duration>ms|[smhdw])?+
    | (?P<text>"(?:[^"\\\r\n\0\ud800-\udfff]|\\.)*+"|'(?:[^'\\\r\n\0\ud800-\udfff]|\\.)*+')
    | (?P<foreign>\*\*|//|===|!==|<>|<<|>>|&&|\|\||:=|->|=(?!=))
    | (?P<sign>==|!=|<=|>=|[-<>+*/()\[\],.])
    """,
    re.VERBOSE,
)
_ZEROS = re.compile(r"0[0-9]")
_RUNS_ON = re.compile(r"[\w.]*")
_ESCAPE = re.compile(
    r"\\(?:[\\'\"nrtbf]|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})|[^\\]++"
)
_OPERATORS = ("and", "or", "in", "not")

_INSTEAD = {
    "=": "write == to compare",
    "===": "write ==",
    "!==": "write !=",
    "<>": "write !=",
    "!": "write not",
    "&&": "write and",
    "||": "write or",
    "is": "write == to compare",
    "if": "use two transitions with a guard each",
    "else": "use two transitions with a guard each",
    "?": "use two transitions with a guard each",
    "for": "any_of() and all_of() look at the items of a list",
    "{": "objects are written around expressions, not inside",
}


def _foreign(text: str) -> str:
    hint = f"; {_INSTEAD[text]}" if text in _INSTEAD else ""
    return f"'{text}' is not part of the language{hint}"


def _refuse_character(refuse: Refuser, at: int) -> NoReturn:
    sign = refuse.text[at]
    if sign in "\"'":
        refuse(f"the text that begins with this {sign} has no end", at)
    refuse(_foreign(sign if sign.isprintable() else f"U+{ord(sign):04X}"), at, at + 1)


def _name(refuse: Refuser, match: re.Match[str], before: Token | None) -> Token:
    name, token = match[0], Token("name", match[0], *match.span())
    is_word = keyword.iskeyword(name) or name in LITERALS
    if is_word and before is not None and before.text == ".":
        refuse.token(
            f"'{name}' is a word of the language; write [\"{name}\"] without the dot", token
        )
    if is_word and name not in _OPERATORS and name not in LITERALS:
        refuse.token(_foreign(name), token)
    if not name.isidentifier() or unicodedata.normalize("NFKC", name) != name:
        refuse.token(f"'{name}' is not taken as a name; as a key, write [\"{name}\"]", token)
    if name.startswith("__"):
        refuse.token(f"'{name}' is not part of the language: it begins with __", token)
    return token


def _number(refuse: Refuser, match: re.Match[str], before: Token | None) -> Token:
    runs_on = _RUNS_ON.match(refuse.text, match.end(), refuse.end)
    if runs_on is not None and runs_on[0]:
        refuse(
            f"'{match[0]}{runs_on[0]}' is neither a number nor a duration "
            "(500ms, 30s, 5m, 2h, 3d, 1w)",
            match.start(),
            runs_on.end(),
        )
    if _ZEROS.match(match[0]):
        refuse("a number has no 0 before its first digit", *match.span())
    seconds = None
    if unit := match["duration"]:
        number = float(match["number"])
        seconds = whole(number / 1_000 if unit == "ms" else number * UNITS[unit])
        if not in_range(seconds):
            refuse("this duration is too long", *match.span())
    return Token("number", match[0], *match.span(), seconds)


def _text(refuse: Refuser, match: re.Match[str], before: Token | None) -> Token:
    if before is not None and before.kind == "text":
        refuse("an operator is missing between two texts", before.start, match.end())
    at, end = match.start() + 1, match.end() - 1
    while at < end:
        escape = _ESCAPE.match(refuse.text, at, end)
        if escape is None:
            refuse(
                r"after \ stands one of \ ' "
                r'" n r t b f, or x, u, U and 2, 4, 8 hexadecimal '
                r"digits; for the sign itself write \\",
                at,
                at + 2,
            )
        at = escape.end()
    return Token("text", match[0], *match.span())


def _no_sign(refuse: Refuser, match: re.Match[str], before: Token | None) -> NoReturn:
    refuse(_foreign(match[0]), *match.span())


def _sign(refuse: Refuser, match: re.Match[str], before: Token | None) -> Token:
    return Token("sign", match[0], *match.span())


_CHECKS: dict[str, Callable[[Refuser, re.Match[str], Token | None], Token]] = {
    "name": _name,
    "number": _number,
    "duration": _number,
    "text": _text,
    "foreign": _no_sign,
    "sign": _sign,
}

# --- One after the other.

_CLOSING = {"(": ")", "[": "]"}


def _check_order(refuse: Refuser, found: Sequence[Token]) -> None:
    """Refuse brackets that do not match, and values and operators that do not take turns."""
    brackets: list[tuple[Token, bool]] = []  # each with whether it may stay empty
    complete = False  # whether a value has just ended
    before: Token | None = None
    for token, after in zip(found, [*found[1:], None], strict=True):
        role = _role(token, after, complete=complete)
        if role in ("value", "prefix") and complete:
            refuse.token(f"an operator is missing before {token.shown}", token)
        if before is not None:
            _check_pair(refuse, before, token, role)
        if role == "between" and not complete:
            refuse.token(f"a value is missing before {token.shown}", token)
        if role == "open":
            brackets.append((token, complete == (token.text == "(")))
            if len(brackets) > DEEPEST:
                refuse.token(f"brackets are at most {DEEPEST} deep", token)
        if role == "close":
            _check_close(refuse, token, before, brackets, complete=complete)
        complete = _completes(token) or role == "joined"
        before = token
    if brackets:
        refuse.token(f"this {brackets[-1][0].text} is never closed", brackets[-1][0])
    if before is not None and not complete:
        refuse.token(f"a value is missing after {before.shown}", before)


def _check_pair(refuse: Refuser, before: Token, token: Token, role: str) -> None:
    """Refuse what Python's grammar has no place for, although values and operators take turns."""
    if before.text == "." and token.kind != "name":
        refuse.token("a name is missing after .", before)
    if token.text == "not" and role == "prefix" and before.text not in _BEFORE_NOT:
        refuse.token("a not after an operator stands in ( )", token)


_BEFORE_NOT = ("and", "or", "not", "(", "[", ",")


def _role(token: Token, after: Token | None, *, complete: bool) -> str:
    if token.text == "not":  # of "not in", the first word joins the second
        return "joined" if complete and after is not None and after.text == "in" else "prefix"
    if token.kind == "sign" and token.text in "([":
        return "open"
    if token.kind == "sign" and token.text in ")]":
        return "close"
    if token.text == "-" and not complete:
        return "prefix"
    return "value" if _completes(token) else "between"


def _completes(token: Token) -> bool:
    """Return whether a value may end with ``token``."""
    return token.text in (")", "]") or (token.kind != "sign" and token.text not in _OPERATORS)


def _check_close(
    refuse: Refuser,
    token: Token,
    before: Token | None,
    brackets: list[tuple[Token, bool]],
    *,
    complete: bool,
) -> None:
    if not brackets or _CLOSING[brackets[-1][0].text] != token.text:
        refuse.token(f"this {token.text} closes nothing", token)
    opened, may_be_empty = brackets.pop()
    if not complete and not (before is opened and may_be_empty):
        refuse.token(f"a value is missing before {token.shown}", token)
