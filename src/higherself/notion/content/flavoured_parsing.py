"""Notion-flavoured markdown (v2) to the canonical tree, as far as it is documented. Pure.

It is CommonMark with tables, and tags for the rest. Between blocks is a blank line. In a tag the
text of the block comes first, its children follow after a blank line. What is no tag we know is
text, so nothing is lost.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

from higherself.notion.content.addresses import address, reference
from higherself.notion.content.enhanced_parsing import database, finished, title, unknown
from higherself.notion.content.inline_parsing import attributes, colour, parse_inline
from higherself.notion.content.nesting import matched
from higherself.notion.content.pipes import pipe_table
from higherself.notion.content.rich import expression
from higherself.notion.content.tables import parse_table
from higherself.notion.content.tree import (
    MAX_DEPTH,
    Block,
    Bookmark,
    Bullet,
    Callout,
    ChildPage,
    Code,
    Column,
    Columns,
    Content,
    Divider,
    Embed,
    Equation,
    Heading,
    Media,
    MeetingNotes,
    Numbered,
    Paragraph,
    Quote,
    Rich,
    Section,
    Synced,
    TableOfContents,
    Tabs,
    ToDo,
    Toggle,
    Unknown,
)

_TEXTED = frozenset({"p", "h1", "h2", "h3", "h4", "quote", "toggle", "li", "todo", "tab", "mail", "meeting-notes"})  # fmt: skip
_STRUCTURE = frozenset({"callout", "columns", "column", "tabs", "ul", "ol", "synced-block", "synced-block-reference", "meeting-notes-section-notes", "meeting-notes-section-summary", "meeting-notes-section-transcript"})  # fmt: skip
_CAPTIONED = frozenset({"image", "pdf", "file", "audio", "video", "bookmark", "embed", "page", "folder", "database", "equation", "external_object_instance"})  # fmt: skip
_TAGS = _TEXTED | _STRUCTURE | _CAPTIONED | {"table"}

_OPENING = re.compile(r'<([a-z][a-z0-9_-]*)((?:\s+[\w-]+="[^"]*")*)\s*>(.*)$')
_ALONE = re.compile(r'<([a-z][a-z0-9_-]*)((?:\s+[\w-]+="[^"]*")*)\s*/>$')
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_RULE = re.compile(r" {0,3}(?:(?:-[ \t]*){3,}|(?:\*[ \t]*){3,}|(?:_[ \t]*){3,})$")
_ITEM = re.compile(r"([ \t]*)([-*+]|[0-9]{1,9}[.)])(?:([ \t]+)(.*))?$")
_TASK = re.compile(r"\[([ xX])\](?:[ \t]+|$)")
_IMAGE = re.compile(r"!\[([^\]]*)\]\(([^()\s]*(?:\([^()]*\)[^()\s]*)*)\)$")


def parse_flavoured(markdown: str) -> Content:
    """Return the content that a text in Notion-flavoured markdown has."""
    text = markdown.replace("\r\n", "\n").replace("\r", "\n")
    return Content(tuple(_flow(text.split("\n"), 0)))


def _inline(lines: Sequence[str] | str) -> Rich:
    """Return the text of lines: a backslash at the end breaks a line, otherwise it goes on."""
    text = lines if isinstance(lines, str) else "\n".join(line.strip(" \t") for line in lines)
    text = re.sub(r"(?<!\\)((?:\\\\)*)[ \t]*\\\n", r"\1<br />", text).replace("\n", " ")
    return parse_inline(text, "v2")


def _flow(lines: Sequence[str], depth: int) -> list[Block]:
    """Return the blocks of some lines."""
    found: list[Block] = []
    ranges = matched(lines, _TAGS if depth < MAX_DEPTH else ())
    at = 0
    while at < len(lines):
        line = lines[at].strip(" \t")
        if not line:
            at += 1
            continue
        end = ranges.ends.get(at)
        if end is not None:
            found += _ranged(line, lines[at : end + 1], depth)
            at = end + 1
        elif _ITEM.match(lines[at]) and not _RULE.match(line) and depth < MAX_DEPTH:
            at = _list(lines, at, depth, found, ranges.ends)
        elif table := pipe_table(lines, at, "v2") if line[0] == "|" else None:
            found.append(table[0])
            at = table[1]
        elif block := _single(line):
            found.append(block)
            at += 1
        else:
            after = at + 1
            quoted = line[0] == ">"
            while after < len(lines) and _goes_on(lines[after], after in ranges.ends, quoted):
                after += 1
            taken = lines[at:after]
            if quoted:
                found += _quote(taken, depth)
            else:
                found.append(Paragraph(_inline(taken)))
            at = after
    return found


def _goes_on(line: str, begins: bool, quoted: bool) -> bool:
    """Return whether a line goes on with the paragraph or the quotation above it."""
    bare = line.strip(" \t")
    if not bare or begins:
        return False
    if quoted:
        return bare[0] == ">"
    return not (bare[0] in ">|" or _ITEM.match(line) or _single(bare))


def _single(line: str) -> Block | None:
    """Return the block that one line makes, if it is not a paragraph."""
    if _RULE.match(line):
        return Divider()
    if found := _HEADING.match(line):
        return Heading(_inline(found[2] or ""), level=min(4, len(found[1])))
    if found := _IMAGE.match(line):
        return Media("image", address(found[2]), _inline(found[1]))
    if found := _ALONE.match(line):
        return _alone(found[1], attributes(found[2]))
    return None


def _alone(name: str, looks: dict[str, str]) -> Block | None:
    hue = colour(looks.get("color"))
    match name:
        case "p":
            return Paragraph((), hue)
        case "table-of-contents":
            return TableOfContents(hue)
        case "custom-block":
            return Unknown("custom_block", url=looks.get("url", ""))
        case "unknown":
            return unknown(looks)
        case "synced-block" | "synced-block-reference":
            return Synced(reference(looks.get("url", "")) if name.endswith("reference") else "")
        case _:
            return _captioned(name, "", looks) if name in _CAPTIONED else None


def _quote(lines: Sequence[str], depth: int) -> list[Block]:
    bare = [line.strip(" \t").removeprefix(">").removeprefix(" ") for line in lines]
    inside = _flow(bare, depth + 1) if depth < MAX_DEPTH else [Paragraph(_inline(bare))]
    if inside and type(inside[0]) is Paragraph and not inside[0].children:
        return [Quote(inside[0].text, children=tuple(inside[1:]))]
    return [Quote(children=tuple(inside))]


def _list(
    lines: Sequence[str], at: int, depth: int, found: list[Block], ends: dict[int, int]
) -> int:
    """Take the item at ``at`` with what is inside of it, and return the line after."""
    match = _ITEM.match(lines[at])
    if match is None:  # the caller has seen that it is one
        return at + 1
    blanks, sign, gap, rest = match.groups()
    width = len(blanks.expandtabs(4)) + len(sign) + (len(gap.expandtabs(4)) if gap else 1)
    inside: list[str] = []
    after = at + 1
    while after < len(lines):
        line = lines[after].expandtabs(4) if lines[after][:1] in " \t" else lines[after]
        if not line.strip():
            rest_of = next((x for x in lines[after + 1 : after + 3] if x.strip()), "")
            if not rest_of.expandtabs(4).startswith(" " * min(width, 2)):
                break
            inside.append("")
        elif len(line) - len(line.lstrip(" ")) >= min(width, len(blanks.expandtabs(4)) + 2):
            indent = min(width, len(line) - len(line.lstrip(" ")))
            inside.append(line[indent:])
        else:
            break
        after += 1
    text = rest or ""
    first = 0
    while first < len(inside) and inside[first].strip() and _goes_on(inside[first], False, False):
        text += f"\n{inside[first].strip()}"
        first += 1
    children = tuple(_flow(inside[first:], depth + 1))
    found.append(_item(sign, text, children, found))
    return after


def _item(sign: str, text: str, children: tuple[Block, ...], above: list[Block]) -> Block:
    if sign in "-*+":
        if task := _TASK.match(text):
            return ToDo(_inline(text[task.end() :]), "", task[1] in "xX", children=children)
        return Bullet(_inline(text), children=children)
    start = 1 if above and type(above[-1]) is Numbered else int(sign[:-1])
    return Numbered(_inline(text), "", start, children=children)


def _ranged(line: str, lines: Sequence[str], depth: int) -> list[Block]:
    """Return what goes from an opening line to its end."""
    if line[0] == "`":
        ticks = len(line) - len(line.lstrip("`"))
        closed = len(lines) > 1 and not lines[-1].strip(" \t").strip("`")
        language = line[ticks:].strip()
        body = lines[1:-1] if closed else lines[1:]
        return [Code("\n".join(body), "" if language == "plain text" else language)]
    if line[0] == "$":
        return [Equation(expression(" ".join(lines[1:-1])))]
    found = _OPENING.match(line)
    name, given, rest = found.groups() if found else ("", "", line)
    looks = attributes(given)
    if len(lines) == 1:
        body = [rest[: rest.rindex("</")]]
    else:
        body = [*([rest] if rest.strip() else []), *lines[1:-1]]
    if name == "table":
        table = parse_table(looks, rest, lines[1:-1], "v2")
        return [table] if table else [Paragraph(_inline([each])) for each in lines if each.strip()]
    if name in _CAPTIONED:
        return [_captioned(name, " ".join(each.strip() for each in body), looks)]
    if name in _STRUCTURE:
        return _structure(name, looks, body, depth)
    return [_texted(name, looks, body, depth)]


def _captioned(name: str, body: str, looks: dict[str, str]) -> Block:
    hue = colour(looks.get("color"))
    url = address(looks.get("source") or looks.get("src") or looks.get("url") or "")
    match name:
        case "equation":
            return Equation(expression(body))
        case "page":
            return ChildPage(title(body), reference(looks.get("url", "")), hue)
        case "database":
            return database(body, looks, hue)
        case "folder" | "external_object_instance":
            return Unknown(name, (title(body),) if body else (), url=looks.get("url", ""))
        case "bookmark":
            return Bookmark(url, _inline(body))
        case "embed":
            return Embed(url, _inline(body))
        case _:
            kind: Any = name
            return Media(kind, url, _inline(body), colour=hue)


def _structure(name: str, looks: dict[str, str], body: Sequence[str], depth: int) -> list[Block]:
    inside = _flow(body, depth + 1)
    if name in ("ul", "ol"):
        made: list[Block] = []
        for block in inside:
            if name == "ol" and type(block) is Bullet:
                block = Numbered(block.text, block.colour, children=block.children)
            made.append(block)
        return made
    children = tuple(inside)
    match name:
        case "callout":
            callout = Callout((), colour(looks.get("color")), looks.get("icon", ""))
            return [finished(callout, inside) if inside else callout]
        case "columns":
            return [Columns(children=children)]
        case "column":
            ratio = looks.get("ratio", "")
            return [Column(float(ratio) / 100 if ratio.isdecimal() else 0.0, children=children)]
        case "tabs":
            return [Tabs(children=children)]
        case "synced-block":
            return [Synced(children=children, id=reference(looks.get("url", "")))]
        case "synced-block-reference":
            return [Synced(reference(looks.get("url", "")), children=children)]
        case _:
            part: Any = name.rsplit("-", 1)[-1]
            return [Section(part, children=children)]


def _texted(name: str, looks: dict[str, str], body: Sequence[str], depth: int) -> Block:
    """Return a block whose text stands right after its tag, before the first blank line."""
    end = 0
    while end < len(body) and body[end].strip() and not (end and _OPENING.match(body[end].strip())):
        end += 1
    first = " ".join(each.strip() for each in body[:end])
    text = () if re.fullmatch(r"<p\s*/>", first) else _inline(body[:end])
    children = tuple(_flow(body[end:], depth + 1))
    hue = colour(looks.get("color"))
    if name in ("h1", "h2", "h3", "h4"):
        return Heading(text, hue, level=int(name[1]), toggle=bool(children), children=children)
    if name == "toggle" and (level := looks.get("heading", "")):
        at = int(level[1]) if level in ("h1", "h2", "h3", "h4") else 4
        return Heading(text, hue, level=at, toggle=True, children=children)
    if name == "todo":
        return ToDo(text, hue, looks.get("checked") == "true", children=children)
    if name == "tab":
        return Paragraph(text, hue, looks.get("icon", ""), children=children)
    if name == "mail":
        given = tuple(f"{key}: {value}" for key, value in looks.items() if value)
        heading = Paragraph(text, children=()) if text else None
        return Unknown("mail", given, children=(*([heading] if heading else []), *children))
    return _PLAIN[name](text, hue, children=children)


_PLAIN: dict[str, Callable[..., Block]] = {
    "p": Paragraph,
    "quote": Quote,
    "toggle": Toggle,
    "li": Bullet,
    "meeting-notes": MeetingNotes,
}
