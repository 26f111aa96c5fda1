"""A part of a page that is ours, among what people write. Pure.

It is a callout between two lines that people can read::

    <callout icon="⚙️" color="gray_bg">
        **HigherSelf: status** · written by the server; what you change in here is replaced
    </callout>
    ...
    <callout icon="⚙️" color="gray_bg">
        **HigherSelf: end of status**
    </callout>

Only the words in bold are looked at, so a person may colour or move the marks, and write around
them. All texts are markdown (v1) as Notion gave it; what is outside of the part is never changed,
and never parsed and written anew.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, takewhile

from higherself.notion.content.enhanced_parsing import CONTAINERS, parse_enhanced
from higherself.notion.content.enhanced_rendering import render_enhanced
from higherself.notion.content.errors import RegionDamaged
from higherself.notion.content.inline_parsing import parse_inline
from higherself.notion.content.inline_rendering import escaped
from higherself.notion.content.nesting import matched
from higherself.notion.content.rich import plain

_NAME = re.compile(r"[a-z][a-z0-9 _-]{0,40}$")
_ICON = "⚙️"
_TITLE = "HigherSelf: "


@dataclass(frozen=True, slots=True)
class Edit:
    """A change of a page's markdown: ``old`` must be in it exactly once."""

    old: str
    new: str


@dataclass(frozen=True, slots=True)
class _Found:
    """Where a region is: its marks from ``start`` to ``end``, its body between."""

    start: int
    body: int
    body_end: int
    end: int


def region(markdown: str, name: str) -> str | None:
    """Return what is inside the region, or None if the page has none.

    Raises
        RegionDamaged: a mark is there twice, or without the other.
    """
    found = _find(markdown, name)
    return markdown[found.body : found.body_end].strip("\n") if found else None


def whole_region(markdown: str, name: str) -> str | None:
    """Return the region with its marks, as it stands on the page, or None if the page has none.

    It can stand for the page in `edit_for`, so who keeps it need not read the page again.

    Raises
        RegionDamaged: a mark is there twice, or without the other.
    """
    found = _find(markdown, name)
    return markdown[found.start : found.end] if found else None


def with_region(markdown: str, name: str, body: str) -> str:
    """Return the page with ``body`` inside the region, which is added at the end if it is not there.

    Raises
        RegionDamaged: a mark is there twice, or without the other.
    """
    found = _find(markdown, name)
    if not found:
        return f"{markdown.rstrip(chr(10))}\n{marked(name, body)}".lstrip("\n")
    return (
        markdown[: found.start]
        + _between(markdown, found, _safe(name, body))
        + markdown[found.end :]
    )


def edit_for(markdown: str, name: str, body: str) -> Edit | None:
    """Return the edit that puts ``body`` inside the region; None if it is there already.

    ``old`` is the whole region as it is now, so Notion refuses the edit when somebody has changed
    it meanwhile. The page must have the region: `marked` is what to insert first.

    Raises
        RegionDamaged: a mark is there twice, or one of them or both are missing.
    """
    found = _find(markdown, name)
    if not found:
        raise RegionDamaged(name, "the page has no such part")
    old, inside = markdown[found.start : found.end], _safe(name, body)
    if _same(markdown[found.body : found.body_end], inside):
        return None
    return Edit(old, _between(markdown, found, inside))


def marked(name: str, body: str) -> str:
    """Return a new region, to be inserted into a page that has none."""
    note = "written by the server; what you change in here is replaced"
    inside = _safe(name, body)
    return "\n".join(
        [
            _callout(_begins(name), f" · {note}"),
            *([inside] if inside else []),
            _callout(_ends(name), ""),
        ]
    )


def _begins(name: str) -> str:
    return f"{_TITLE}{name}"


def _ends(name: str) -> str:
    return f"{_TITLE}end of {name}"


def _callout(title: str, note: str) -> str:
    return f'<callout icon="{_ICON}" color="gray_bg">\n\t**{escaped(title)}**{escaped(note)}\n</callout>'


def _between(markdown: str, found: _Found, inside: str) -> str:
    return (
        markdown[found.start : found.body]
        + (f"\n{inside}\n" if inside else "\n")
        + markdown[found.body_end : found.end]
    )


def _safe(name: str, body: str) -> str:
    """Return a body in which everything that is begun is ended, so that it cannot swallow the end.

    Raises
        RegionDamaged: the body has the marks of the region inside.
    """
    inside = render_enhanced(parse_enhanced(body))
    if _TITLE in inside and (_marks(inside, _begins(name)) or _marks(inside, _ends(name))):
        raise RegionDamaged(name, "what was to be written has the marks inside")
    return inside


def _same(one: str, other: str) -> bool:
    """Return whether two bodies say the same, however they are written."""
    if one.strip("\n") == other.strip("\n"):
        return True
    first, second = (render_enhanced(parse_enhanced(text), stable=True) for text in (one, other))
    return first == second


def _find(markdown: str, name: str) -> _Found | None:
    if not _NAME.match(name) or name.startswith("end of "):
        raise ValueError(f"{name!r} is no name of a region: letters, digits, blanks and dashes")
    if _TITLE not in markdown:
        return None
    starts, ends = _marks(markdown, _begins(name)), _marks(markdown, _ends(name))
    if not starts and not ends:
        return None
    for found, which in ((starts, "beginning"), (ends, "end")):
        if len(found) != 1:
            raise RegionDamaged(name, f"its {which} is there {len(found)} times")
        if not found[0].top:
            raise RegionDamaged(name, f"its {which} was moved inside another block")
    if starts[0].end > ends[0].start:
        raise RegionDamaged(name, "its end is before its beginning")
    return _Found(starts[0].start, starts[0].end, ends[0].start, ends[0].end)


@dataclass(frozen=True, slots=True)
class _Mark:
    start: int
    end: int
    top: bool


def _marks(markdown: str, title: str) -> list[_Mark]:
    """Return where the callouts are that begin with ``title`` in bold."""
    lines = markdown.split("\n")
    offsets = [0, *accumulate(len(line) + 1 for line in lines)]
    found: list[_Mark] = []
    for start, end in sorted(matched(lines, CONTAINERS).ends.items()):
        if "<callout" in lines[start] and _title(lines[start + 1 : end]) == title:
            top = lines[start].startswith("<")
            found.append(_Mark(offsets[start], offsets[end] + len(lines[end]), top))
    return found


def _title(inside: Sequence[str]) -> str:
    """Return the words in bold that a callout begins with."""
    first = next((line for line in inside if line.strip()), "")
    bold = takewhile(lambda item: item.marks.bold, parse_inline(first.strip(" \t")))
    return plain(tuple(bold)).strip()
