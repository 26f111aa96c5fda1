"""Rich text in its normal form. Pure."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

from higherself.notion.content.addresses import address
from higherself.notion.content.tree import (
    PLAIN,
    DateMention,
    Inline,
    Marks,
    Math,
    Mention,
    Rich,
    Text,
)

_DOLLARS = re.compile(r"`(?=\$)|\$(?=\$)")
_TRIMMED = ("bold", "italic", "strikethrough")


def rich(items: Iterable[Inline]) -> Rich:
    """Return rich text as one reader sees it, whichever way it was cut into runs.

    Runs that look the same become one; an end of a line is a line feed and no code; the blanks at
    both ends of what is bold, italic or struck are not; blanks around the whole are gone.
    """
    found = tuple(items)
    if len(found) == 1 and type(item := found[0]) is Text and item.marks is PLAIN and not item.link:
        text = item.text
        if "\r" not in text:
            stripped = text.strip(" \t")
            if stripped == text:
                return found if text else ()
            return (Text(stripped),) if stripped else ()
    merged = _merged(_pieces(found))
    trimmed = _trimmed(merged)
    return _stripped(trimmed if trimmed is merged else _merged(trimmed))


def text(value: str) -> Rich:
    """Return plain text as rich text."""
    return rich((Text(value),))


def plain(items: Sequence[Inline]) -> str:
    """Return what somebody reads, without looks.

    >>> plain((Text("See "), Mention("user", "1", "Ana")))
    'See @Ana'
    """
    return "".join(map(shown, items))


def shown(item: Inline) -> str:
    """Return what is read of one item."""
    match item:
        case Text(value):
            return value
        case Math(expression):
            return expression
        case Mention("user", ref, name):
            return f"@{name or ref}"
        case Mention(_, ref, name):
            return name or ref
        case DateMention(start, end, zone):
            return (f"{start} → {end}" if end else start) + (f" ({zone})" if zone else "")


def expression(value: str) -> str:
    """Return an equation on one line, as it may stand between its marks."""
    return _DOLLARS.sub(r"\g<0> ", " ".join(value.split()))


def _pieces(items: Iterable[Inline]) -> Iterator[Inline]:
    for item in items:
        if isinstance(item, Text):
            yield from _lines(item)
        elif not (isinstance(item, Math) and not item.expression):
            looks = item.marks
            yield replace(item, marks=replace(looks, code=False)) if looks.code else item


def _lines(item: Text) -> Iterator[Text]:
    """Yield a text with line feeds alone at the ends of lines; they are never code."""
    value = item.text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in item.text else item.text
    link = address(item.link) if item.link else ""
    if not (item.marks.code and "\n" in value):
        if value:
            yield Text(value, item.marks, link)
        return
    bare = replace(item.marks, code=False)
    for number, line in enumerate(value.split("\n")):
        if number:
            yield Text("\n", bare, link)
        if line:
            yield Text(line, item.marks, link)


def _merged(items: Iterable[Inline]) -> list[Inline]:
    found: list[Inline] = []
    last: Inline | None = None
    parts: list[str] = []  # of the last text, when it has several: joined once, not at each
    for item in items:
        if (
            type(item) is Text
            and type(last) is Text
            and last.link == item.link
            and (last.marks is item.marks or last.marks == item.marks)
        ):
            parts = parts or [last.text]
            parts.append(item.text)
            continue
        if parts and type(last) is Text:
            found[-1] = Text("".join(parts), last.marks, last.link)
            parts = []
        found.append(item)
        last = item
    if parts and type(last) is Text:
        found[-1] = Text("".join(parts), last.marks, last.link)
    return found


def _trimmed(items: list[Inline]) -> list[Inline]:
    """Take the marks that only show on letters off the blanks at the ends of their runs.

    Returns ``items`` itself when there are none.
    """
    for mark in _TRIMMED:
        if any(item.marks is not PLAIN and getattr(item.marks, mark) for item in items):
            items = _without_edges(_without_edges(items, mark, last=False)[::-1], mark, last=True)
            items.reverse()
    return items


def _without_edges(items: list[Inline], mark: str, *, last: bool) -> list[Inline]:
    found: list[Inline] = []
    inside = False
    for item in items:
        if not getattr(item.marks, mark):
            inside = False
        elif not inside:
            if isinstance(item, Text) and not item.marks.code:
                solid = item.text.rstrip() if last else item.text.lstrip()
                blank = len(item.text) - len(solid)
                if blank:
                    bare = _unmarked(item.marks, mark)
                    edge = item.text[-blank:] if last else item.text[:blank]
                    found.append(Text(edge, bare, item.link))
                    if not solid:
                        continue
                    item = Text(solid, item.marks, item.link)
            inside = True
        found.append(item)
    return found


def _unmarked(looks: Marks, mark: str) -> Marks:
    if mark == "bold":
        return replace(looks, bold=False)
    return replace(looks, italic=False) if mark == "italic" else replace(looks, strikethrough=False)


def _stripped(items: list[Inline]) -> Rich:
    while items and isinstance(first := items[0], Text) and not first.marks.code:
        value = first.text.lstrip(" \t")
        if value == first.text:
            break
        items[:1] = [Text(value, first.marks, first.link)] if value else []
    while items and isinstance(last := items[-1], Text) and not last.marks.code:
        value = last.text.rstrip(" \t")
        if value == last.text:
            break
        items[-1:] = [Text(value, last.marks, last.link)] if value else []
    return tuple(items)


@lru_cache(maxsize=2_048)
def marks(
    *, bold: bool, italic: bool, strikethrough: bool, underline: bool, code: bool, colour: str
) -> Marks:
    """Return marks, the same object for the same looks; `PLAIN` itself when nothing is marked."""
    made = Marks(bold, italic, strikethrough, underline, code, colour)
    return PLAIN if made == PLAIN else made
