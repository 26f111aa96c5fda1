"""Texts as Mermaid takes them: nothing in a text may be taken for syntax. Pure."""

import re
import unicodedata
from collections.abc import Iterable

BREAK = "<br/>"
"""Where a line of a label ends."""

_PLAIN = re.compile(r"[A-Za-z0-9 ,.=+/()?!'\[\]>\N{MULTIPLICATION SIGN}\N{HORIZONTAL ELLIPSIS}-]")
_LIST = re.compile(r"[0-9]+[.)]|[+=>-]")
_WORD = re.compile(r"[A-Za-z]+")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,80}")
_RESERVED = """
accdescr acctitle active axisformat bt call class classdef click crit dateformat default direction
done down end excludes flowchart graph href includes inclusiveenddates interpolate left linkstyle lr
milestone note o right rl section state style subgraph tb td tickinterval title todaymarker topaxis
up vert weekday weekend x
"""
_WORDS = frozenset(_RESERVED.split())
"""What means something to Mermaid at the beginning of a line, or of a name."""


def label(*lines: str) -> str:
    """Return ``lines`` as the inside of a label, to be put between double quotes.

    >>> label("quality <ok>", '"end"; #1')
    'quality #60;ok><br/>#34;end#34;#59; #35;1'
    """
    return BREAK.join(escaped(line) for line in lines if line.strip()) or " "


def escaped(text: str) -> str:
    """Return one line of text with everything that could be syntax as a numbered character.

    What Markdown would make a list, or emphasis, of is among that; what cannot be shown is a space.
    """
    text = " ".join("".join(map(_visible, text)).split())
    odd = {place for place, each in enumerate(text) if not _is_plain(text, place)}
    if found := _LIST.match(text):
        odd.add(found.end() - 1)
    return _with_codes(text, odd)


def opening(text: str) -> str:
    """Return `escaped` text that may begin a line, where some words mean something.

    >>> opening("section one"), escaped("section one")
    ('sectio#110; one', 'section one')
    """
    found = _WORD.match(text.lstrip())
    if found is None or found[0].lower() not in _WORDS:
        return escaped(text)
    rest = escaped("x" + text.lstrip()[found.end() :])[1:]
    return _with_codes(found[0], {found.end() - 1}) + rest


def _with_codes(text: str, odd: set[int]) -> str:
    return "".join(f"#{ord(each)};" if at in odd else each for at, each in enumerate(text))


def _is_plain(text: str, place: int) -> bool:
    each, before, after = text[place], text[place - 1 : place], text[place + 1 : place + 2]
    if each == "_":  # inside a word it is no emphasis
        return _is_word(before) and _is_word(after)
    return bool(_PLAIN.fullmatch(each)) or (ord(each) > 0xBF and each.isalnum())


def _visible(each: str) -> str:
    return " " if unicodedata.category(each) in ("Cc", "Cs", "Cn", "Co", "Zl", "Zp") else each


def _is_word(each: str) -> bool:
    return each.isalnum() and each.isascii()


def names_for(paths: Iterable[str]) -> dict[str, str]:
    """Return an identifier for each path: the path itself where it is one, or a numbered one."""
    found: dict[str, str] = {}
    taken: set[str] = set()
    for number, path in enumerate(paths, 1):
        wanted = path.replace("(", "").replace(")", "_node").replace(".", "__").replace("-", "_")
        is_good = _NAME.fullmatch(wanted) and wanted.lower() not in _WORDS
        name = wanted if is_good and wanted.lower() not in taken else f"n{number}"
        while name.lower() in taken:
            name += "_"
        taken.add(name.lower())
        found[path] = name
    return found
