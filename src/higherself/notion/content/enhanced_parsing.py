"""Enhanced markdown (v1), as Notion writes and reads it, to the canonical tree. Pure.

Every text is taken: what cannot be understood as a block is a paragraph. Blocks inside others are
one tab deeper, or stand between a tag and its end. Ordinary Markdown is taken too, so that texts
that people and models write become the blocks they mean: lists inside lists by blanks, tables of
pipes, rules of stars.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from higherself.notion.content.addresses import address, reference
from higherself.notion.content.inline_parsing import attributes, colour, parse_inline, unescaped
from higherself.notion.content.nesting import Ranges, matched
from higherself.notion.content.pipes import pipe_table
from higherself.notion.content.rich import expression
from higherself.notion.content.tables import parse_table
from higherself.notion.content.tree import (
    MAX_DEPTH,
    Block,
    Bullet,
    Callout,
    ChildDatabase,
    ChildPage,
    Code,
    Column,
    Columns,
    Content,
    Divider,
    Equation,
    Heading,
    Media,
    MeetingNotes,
    Numbered,
    Paragraph,
    Quote,
    Section,
    Synced,
    TableOfContents,
    Tabs,
    ToDo,
    Toggle,
    Unknown,
)

CONTAINERS = frozenset({
    "details", "callout", "columns", "column", "table", "synced_block", "synced_block_reference",
    "tabs", "meeting-notes", "summary", "notes", "transcript",
})  # fmt: skip

_GIVEN = r'((?:\s+[\w-]+="[^"]*")*)\s*'
_TRAILER = re.compile(r'(?:^|[ \t]+)\{((?:[ \t]*(?:color|toggle)="[^"]*")+)[ \t]*\}$')
_HEADING = re.compile(r"(#{1,6})(?:[ \t]+(.*))?$")
_BULLET = re.compile(r"[-*+](?:[ \t]+(?:\[([ xX]?)\](?=[ \t]|$)[ \t]*)?(.*))?$")
_NUMBERED = re.compile(r"([0-9]{1,9})[.)](?:[ \t]+(.*))?$")
_RULE = re.compile(r"(?:-{3,}|\*{3,}|_{3,})$")
_IMAGE = re.compile(r"!\[(.*)\]\(([^()]*(?:\([^()]*\)[^()]*)*)\)$")
_NO_BRACKETS = re.compile(r"\\.|\$`.*?`\$|(`+)(?!`).*?(?<!`)\1(?!`)")
_ALONE = re.compile(rf"<([a-z_-]+){_GIVEN}/>$")
_WHOLE = re.compile(rf"<(page|database|audio|file|pdf|video){_GIVEN}>(.*)</\1>$")
_OPENING = re.compile(rf"<([a-z_-]+){_GIVEN}>(.*)$")
_SUMMARY = re.compile(r"<summary>(.*)</summary>$")
_ITEM = re.compile(r"(?:[-*+]|[0-9]{1,9}[.)])(?=[ \t]|$)")


def parse_enhanced(markdown: str) -> Content:
    """Return the content that a text in enhanced markdown has."""
    if "\r" in markdown:
        markdown = markdown.replace("\r\n", "\n").replace("\r", "\n")
    return _Reader(markdown.split("\n")).read()


def leaf(line: str) -> Block:
    """Return the block that a line alone makes, without its children."""
    looks: dict[str, str] = {}
    while line.endswith("}") and (found := _TRAILER.search(line)):
        looks = attributes(found[1]) | looks
        line = line[: found.start()]
    hue = colour(looks.get("color")) if looks else ""
    make = _BY_SIGN.get(line[:1])
    if make and (block := make(line, hue)):
        if looks.get("toggle") == "true" and isinstance(block, Heading):
            return replace(block, toggle=True)
        return block
    return Paragraph(parse_inline(line), hue)


def _heading(line: str, hue: str) -> Block | None:
    if found := _HEADING.match(line):
        return Heading(parse_inline(found[2] or ""), hue, level=min(len(found[1]), 4))
    return None


def _dashed(line: str, hue: str) -> Block | None:
    if _RULE.match(line):
        return Divider()
    if found := _BULLET.match(line):
        text = parse_inline(found[2] or "")
        if found[1] is not None:
            return ToDo(text, hue, found[1] in ("x", "X"))
        return Bullet(text, hue)
    return None


def _numbered(line: str, hue: str) -> Block | None:
    found = _NUMBERED.match(line)
    return Numbered(parse_inline(found[2] or ""), hue, int(found[1])) if found else None


def _quote(line: str, hue: str) -> Block | None:
    return Quote(parse_inline(line[1:].lstrip(" \t")), hue)


def _image(line: str, hue: str) -> Block | None:
    if (found := _IMAGE.match(line)) and _balanced(_NO_BRACKETS.sub("", found[1])):
        return Media("image", address(found[2].strip(" \t")), parse_inline(found[1]), colour=hue)
    return None


def _balanced(text: str) -> bool:
    """Return whether each bracket that ends something has begun it."""
    depth = 0
    for sign in text:
        depth += (sign == "[") - (sign == "]")
        if depth < 0:
            return False
    return not depth


def _formula(line: str, hue: str) -> Block | None:
    if len(line) > 4 and line.startswith("$$") and line.endswith("$$"):
        return Equation(expression(line[2:-2]))
    return None


def _tagged(line: str, hue: str) -> Block | None:
    inner = ""
    if found := _ALONE.match(line):
        name, given = found.groups()
    elif found := _WHOLE.match(line):
        name, given, inner = found.groups()
    else:
        return None
    looks = attributes(given)
    hue = colour(looks.get("color")) or hue
    match name:
        case "empty-block":
            return Paragraph((), hue)
        case "table_of_contents":
            return TableOfContents(hue)
        case "unknown":
            return unknown(looks)
        case "page":
            return ChildPage(title(inner), reference(looks.get("url", "")), hue)
        case "database":
            return database(inner, looks, hue)
        case "audio" | "file" | "pdf" | "video":
            return Media(name, address(looks.get("src", "")), parse_inline(inner), colour=hue)
        case "synced_block" | "synced_block_reference":
            return container(name, looks)
        case _:
            return None


def unknown(looks: dict[str, str]) -> Block:
    """Return what stands for a block that markdown does not show."""
    found = reference(looks.get("url", ""))
    return Unknown(
        looks.get("alt", ""), id=found if _is_id(found) else "", url=looks.get("url", "")
    )


def title(text: str) -> str:
    """Return a title as plain text."""
    return " ".join(unescaped(text).split())


def database(inner: str, looks: dict[str, str], hue: str) -> Block:
    """Return a database inside the page."""
    source = looks.get("data-source-url", "")
    return ChildDatabase(
        title(inner),
        reference(looks.get("url", "")),
        looks.get("inline") == "true",
        reference(source) if source else "",
        looks.get("icon", ""),
        hue,
    )


def container(name: str, looks: dict[str, str]) -> Block:
    """Return the block that a tag begins, without what is inside."""
    hue = colour(looks.get("color"))
    match name:
        case "details":
            return Toggle((), hue)
        case "callout":
            return Callout((), hue, looks.get("icon", ""))
        case "columns":
            return Columns()
        case "column":
            return Column()
        case "tabs":
            return Tabs()
        case "synced_block":
            found = reference(looks.get("url", ""))
            return Synced(id=found if _is_id(found) else "")
        case "synced_block_reference":
            return Synced(reference(looks.get("url", "")))
        case "meeting-notes":
            return MeetingNotes((), hue)
        case _:
            return Section(name)  # type: ignore[arg-type]


def _is_id(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4


_LISTED = (Bullet, Numbered, ToDo)
_BY_SIGN: dict[str, Callable[[str, str], Block | None]] = {
    "#": _heading,
    **dict.fromkeys("-*+_", _dashed),
    **dict.fromkeys("0123456789", _numbered),
    ">": _quote,
    "!": _image,
    "$": _formula,
    "<": _tagged,
}


@dataclass(slots=True)
class _Frame:
    """A block whose children are being read. ``end`` is the line of its closing tag."""

    depth: int
    block: Block
    end: int = -1
    titled: bool = False
    children: list[Block] = field(default_factory=list)


class _Reader:
    def __init__(self, lines: Sequence[str]) -> None:
        self.lines = lines
        self.ranges: Ranges = matched(lines, CONTAINERS)
        self.frames: list[_Frame] = [_Frame(-1, Paragraph(), len(lines) + 1)]
        self.columns = [0]

    def read(self) -> Content:
        at = 0
        while at < len(self.lines):
            at = self.step(at)
        while len(self.frames) > 1:
            self.pop()
        return Content(tuple(self.frames[0].children))

    def step(self, at: int) -> int:
        """Take the line at ``at``, and return the one to go on with."""
        raw = self.lines[at]
        line = raw.strip(" \t")
        if not line:
            return at + 1
        depth = len(raw) - len(raw.lstrip("\t"))
        if raw[depth] == " ":
            depth += self.indented(raw[depth:], line)
        elif len(self.columns) > 1:
            self.columns = [0]
        if at in self.ranges.closing:
            self.close(at)
            return at + 1
        end = self.ranges.ends.get(at)
        if end is not None:
            return self.ranged(at, end, depth, line)
        top = self.frames[-1]
        if (
            type(top.block) is Toggle
            and top.end >= 0
            and not (top.titled or top.children)
            and (found := _SUMMARY.match(line))
        ):
            top.block = replace(top.block, text=parse_inline(found[1]))
            top.titled = True
            return at + 1
        if line[0] == "|" and (table := pipe_table(self.lines, at)):
            block, after = table
            self.push(depth, block)
            return after
        self.push(depth, leaf(line))
        return at + 1

    def indented(self, raw: str, line: str) -> int:
        """Return how much deeper the blanks before a line put it: only in lists, as in Markdown."""
        blanks = len(raw) - len(raw.lstrip(" \t"))
        if not any(isinstance(frame.block, _LISTED) for frame in self.frames):
            self.columns = [blanks]
            return 0
        if not _ITEM.match(line):
            return sum(column < blanks for column in self.columns)
        while len(self.columns) > 1 and self.columns[-1] >= blanks:
            self.columns.pop()
        if blanks <= self.columns[0]:
            self.columns = [blanks]
            return 0
        self.columns.append(blanks)
        return len(self.columns) - 1

    def ranged(self, at: int, end: int, depth: int, line: str) -> int:
        """Take what goes from the line at ``at`` to the one at ``end``."""
        inside = self.lines[at + 1 : end]
        if line[0] == "`":
            self.push(depth, _fenced(line, inside, depth))
            return end + 1
        if line[0] == "$":
            self.push(depth, Equation(expression(" ".join(inside))))
            return end + 1
        found = _OPENING.match(line)
        name, given, rest = found.groups() if found else ("", "", line)
        looks = attributes(given)
        if name == "table":
            if table := parse_table(looks, rest, inside):
                self.push(depth, table)
            else:
                self.literally(depth, self.lines[at : end + 1])
            return end + 1
        self.push(depth, container(name, looks), end)
        if end == at:
            rest = rest[: rest.rindex("</")]
        if rest.strip(" \t"):
            self.push(depth + 1, leaf(rest.strip(" \t")))
        if end == at:
            self.close(at)
            return at + 1
        return at + 1

    def literally(self, depth: int, lines: Sequence[str]) -> None:
        for line in lines:
            if line := line.strip(" \t"):
                self.push(depth, Paragraph(parse_inline(line)))

    def push(self, depth: int, block: Block, end: int = -1) -> None:
        """Put a block inside the one it belongs to."""
        frames = self.frames
        while (top := frames[-1]).end < 0 and (
            top.depth >= depth or not _nests(top.block) or len(frames) > MAX_DEPTH
        ):
            self.pop()
        siblings = top.children
        if (
            type(block) is Numbered
            and siblings
            and type(siblings[-1]) is Numbered
            and block.start != 1
        ):
            block = replace(block, start=1)
        frames.append(
            _Frame(max(depth, top.depth + 1), block, end if len(frames) <= MAX_DEPTH else -1)
        )

    def pop(self) -> None:
        frame = self.frames.pop()
        block = frame.block
        if frame.children:
            block = finished(block, frame.children)
        self.frames[-1].children.append(block)

    def close(self, end: int) -> None:
        if any(frame.end == end for frame in self.frames):
            while self.frames[-1].end != end:
                self.pop()
            self.pop()


def finished(block: Block, children: list[Block]) -> Block:
    """Return a block with its children; a callout's first paragraph is its text."""
    first = children[0]
    if (
        type(block) in (Callout, MeetingNotes)
        and type(first) is Paragraph
        and not (first.children or first.colour or first.icon)
    ):
        return replace(block, text=first.text, children=tuple(children[1:]))  # type: ignore[call-arg]
    return replace(block, children=tuple(children))


def _nests(block: Block) -> bool:
    return block.nests and (type(block) is not Heading or block.toggle)


def _fenced(line: str, inside: Sequence[str], depth: int) -> Block:
    language = line.lstrip("`").strip()
    tabs = "\t" * depth
    lines = [text[depth:] if text.startswith(tabs) else text.lstrip("\t") for text in inside]
    return Code("\n".join(lines), "" if language == "plain text" else language)
