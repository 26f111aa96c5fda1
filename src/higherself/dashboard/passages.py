"""Passages for reading: Markdown to safe HTML, with the words of a question marked. Pure.

Everything from a document is escaped before any tag of ours is added. It is a small part of
Markdown: headings, lists, tables, bold, italic, code; a link shows its text. The rest is shown as it is.
"""

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import groupby

from markupsafe import Markup, escape

from higherself.knowledge.analysis import query_terms

LONGEST = 1_500
"""Characters of a passage in a list; what is longer is cut around the first matching word."""

Inline = Callable[[str], Markup]

_WORD = re.compile(r"\w+")
_HEADING = re.compile(r"#{1,6}\s+(.*?)\s*#*\s*")
_ITEM = re.compile(r"\s*(?:[-*+•]|\d{1,3}[.)])\s+(.*)")
_RULE = re.compile(r"(?=[^-]*-)[\s|:-]+|[*_\s]{3,}")
# The lengths keep hostile text from costing more than its length; no tag is crossed by another.
_LINK = re.compile(r"!?\[([^\]\n]{0,500})\]\([^)\n]{0,500}\)")
_BOLD = re.compile(r"\*\*(?=\S)(.{1,500}?)(?<=\S)\*\*")
_ITALIC = re.compile(r"(?<![\w*])\*(?=[^\s*])((?:(?!</?strong>)[^*\n]){1,500})(?<=\S)\*(?![\w*])")
_CODE = re.compile(r"`((?:(?!</?(?:strong|em)>)[^`\n]){1,500})`")

LONGEST_LINE = 1_000
"""Characters of a line that may be a heading or an item."""


def rendered(text: str, *, question: str = "", under: int = 2, title: str = "") -> Markup:
    r"""Return ``text`` as HTML, the words of ``question`` marked.

    Its headings all stand right ``under`` that level of the page, as a passage seldom begins with
    the highest. One that only repeats ``title`` is left out.

    >>> rendered("# Tea\n\nGreen & **hot** teas", question="a tea")
    Markup('<h3><mark>Tea</mark></h3><p>Green &amp; <strong>hot</strong> <mark>teas</mark></p>')
    """
    inline = partial(_inline, terms=frozenset(query_terms(question)))
    return Markup("").join(_blocks(text, inline, under, title.casefold()))


def matching(text: str, question: str, *, most: int = 6) -> list[str]:
    """Return the words of ``text`` that match the ``question``, as they stand, each once."""
    terms = frozenset(query_terms(question))
    found = {word.casefold(): word for word in _WORD.findall(text) if _matches(word, terms)}
    return list(found.values())[:most]


def excerpt(text: str, question: str) -> str:
    """Return ``text``, or of a long one the part around the first word that matches."""
    if len(text) <= LONGEST:
        return text
    terms = frozenset(query_terms(question))
    first = next((m.start() for m in _WORD.finditer(text) if _matches(m.group(), terms)), 0)
    start = 0 if first < LONGEST - 300 else first - 300
    part = text[start : start + LONGEST]
    return ("… " if start else "") + part + (" …" if start + LONGEST < len(text) else "")


def _matches(word: str, terms: frozenset[str]) -> bool:
    return not terms.isdisjoint(query_terms(word))


def _inline(text: str, *, terms: frozenset[str]) -> Markup:
    """Escape ``text``, mark its matching words (never across a bracket or star), add our tags."""
    parts, end = [], 0
    for word in _WORD.finditer(text) if terms else ():
        if _matches(word.group(), terms):
            marked = Markup("<mark>{}</mark>").format(word.group())
            parts += [escape(text[end : word.start()]), marked]
            end = word.end()
    html = str(Markup("").join([*parts, escape(text[end:])]))
    for pattern, ours in (
        (_LINK, r"\1"),
        (_BOLD, r"<strong>\1</strong>"),
        (_ITALIC, r"<em>\1</em>"),
        (_CODE, r"<code>\1</code>"),
    ):
        html = pattern.sub(ours, html)
    return Markup(html)  # noqa: S704  escaped above


def _kind(line: str) -> str:
    if not line.strip():
        return "blank"
    if line.lstrip().startswith("|"):
        return "table"
    if len(line) > LONGEST_LINE:
        return "line"
    if _HEADING.fullmatch(line):
        return "heading"
    return "item" if _ITEM.fullmatch(line) and not _RULE.fullmatch(line) else "line"


def _blocks(text: str, inline: Inline, under: int, title: str) -> Iterator[Markup]:
    for kind, group in groupby(text.strip("\n").splitlines(), key=_kind):
        lines = list(group)
        match kind:
            case "heading":
                yield from (_heading(line, inline, under, title) for line in lines)
            case "table":
                yield _table(lines, inline)
            case "item":
                yield _list(lines, inline)
            case "line":
                said = [line.strip() for line in lines if not _RULE.fullmatch(line)]
                if said:
                    yield Markup("<p>{}</p>").format(inline("\n".join(said)))
            case _:
                pass


def _heading(line: str, inline: Inline, under: int, title: str) -> Markup:
    found = _HEADING.fullmatch(line)
    assert found is not None  # noqa: S101  `_kind` has seen to it
    if not found[1] or found[1].casefold() == title:
        return Markup("")
    return Markup("<h{0}>{1}</h{0}>").format(under + 1, inline(found[1]))


def _list(lines: list[str], inline: Inline) -> Markup:
    said = [_ITEM.sub(r"\1", line) for line in lines]
    return Markup("<ul>{}</ul>").format(
        Markup("").join(Markup("<li>{}</li>").format(inline(item)) for item in said)
    )


def _table(lines: list[str], inline: Inline) -> Markup:
    headed = len(lines) > 1 and _RULE.fullmatch(lines[1]) is not None
    rows = [line.strip().strip("|").split("|") for line in lines if not _RULE.fullmatch(line)]
    made = [
        Markup("<tr>{}</tr>").format(
            Markup("").join(
                Markup("<{0}>{1}</{0}>").format(
                    "th" if headed and number == 0 else "td", inline(cell.strip())
                )
                for cell in row
            )
        )
        for number, row in enumerate(rows)
    ]
    return Markup('<div class="table" tabindex="0"><table>{}</table></div>').format(
        Markup("").join(made)
    )
