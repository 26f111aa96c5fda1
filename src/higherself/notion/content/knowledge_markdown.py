"""Content as ordinary Markdown, for the hub: every word of a page, and nothing that expires. Pure."""

import re
from collections.abc import Iterator

from higherself.notion.content.addresses import page_address, unsigned
from higherself.notion.content.rich import plain, shown
from higherself.notion.content.tree import (
    Block,
    Bookmark,
    Bullet,
    Callout,
    ChildDatabase,
    ChildPage,
    Code,
    Content,
    Divider,
    Embed,
    Equation,
    Heading,
    LinkPreview,
    LinkToPage,
    Media,
    MeetingNotes,
    Numbered,
    Paragraph,
    Quote,
    Rich,
    Row,
    Section,
    Table,
    Template,
    Text,
    TextBlock,
    ToDo,
    Toggle,
    Unknown,
)

_LISTED = (Bullet, Numbered, ToDo)
_READ_OTHERWISE = re.compile(
    r"#{1,6}(?=\s)|[-+*](?=\s)|[-=_*]{3,}\s*$|>|\||[`~]{3}|[0-9]{1,9}[.)](?=\s)"
)


def to_knowledge_markdown(content: Content, *, title: str = "") -> str:
    """Return content in ordinary Markdown, under its title.

    Headings of the page stand below the title's. Looks are left out; links, mentions, captions and
    ticked boxes are kept. Addresses of files are without their signatures.
    """
    down = 1 if title else 0
    lines: list[str] = [f"# {_line(title)}", ""] if title else []
    # What is to be written: a block with the blanks before it and its number in its list.
    work: list[tuple[Block, str, int]] = _numbered(content.blocks, "")
    while work:
        block, blanks, number = work.pop()
        in_list = isinstance(block, _LISTED)
        if not in_list and lines and lines[-1]:
            lines.append("")
        written = list(_written(block, number, down))
        lines.extend(f"{blanks}{line}" if line else "" for line in written)
        if not in_list and written:
            lines.append("")
        inside = blanks + "  " if in_list and len(blanks) < _MOST_BLANKS else blanks
        if type(block) is not Table and block.children:
            work += _numbered(block.children, inside)
    text = "\n".join(lines)
    return text.strip("\n") + ("\n" if text.strip() else "")


_MOST_BLANKS = 12
"""Deeper lists are not moved further to the right: what reads them would take them for code."""


def _numbered(blocks: tuple[Block, ...], blanks: str) -> list[tuple[Block, str, int]]:
    found: list[tuple[Block, str, int]] = []
    number: int | None = None
    for block in blocks:
        number = (
            (block.start if number is None else number + 1) if isinstance(block, Numbered) else None
        )
        found.append((block, blanks, number or 0))
    return found[::-1]


def _written(block: Block, number: int, down: int) -> Iterator[str]:  # noqa: C901 - one case per type
    match block:
        case Heading(text=text, level=level):
            if text:
                yield f"{'#' * min(6, level + down)} {_line(_inline(text))}"
        case Bullet(text=text):
            yield from _after("-", _inline(text))
        case Numbered(text=text):
            yield from _after(f"{number}.", _inline(text))
        case ToDo(text=text, checked=checked):
            yield from _after(f"- [{'x' if checked else ' '}]", _inline(text))
        case Quote(text=text) | Callout(text=text):
            icon = f"{block.icon} " if isinstance(block, Callout) and _emoji(block.icon) else ""
            yield from (f"> {line}".rstrip() for line in (icon + _inline(text)).split("\n"))
        case Toggle(text=text) | Template(text=text) | MeetingNotes(text=text):
            yield from _paragraph(_inline(text))
        case Section(kind=kind):
            yield f"**{kind.capitalize()}**"
        case TextBlock(text=text):
            icon = f"{block.icon} " if isinstance(block, Paragraph) and _emoji(block.icon) else ""
            yield from _paragraph(icon + _inline(text) if text else "")
        case Code():
            yield from _code(block)
        case Equation(expression=expression):
            yield from ("$$", expression, "$$") if expression else ()
        case Divider():
            yield "---"
        case Table():
            yield from _table(block)
        case Row(cells=cells):
            yield _row(cells)
        case _:
            yield from _paragraph(_reference(block))


def _reference(block: Block) -> str:
    """Return the line that stands for what is elsewhere."""
    match block:
        case Media(kind=kind, url=url, caption=caption, name=name):
            words = _inline(caption)
            label = f"{name}: {words}" if name and words else name or words or kind
            return _link(label, unsigned(url))
        case Bookmark(url=url, caption=caption) | Embed(url=url, caption=caption):
            return _link(_inline(caption) or url, url)
        case LinkPreview(url=url):
            return url
        case LinkToPage(kind="page" | "database", ref=ref):
            return page_address(ref)
        case ChildPage(title=title, ref=ref) | ChildDatabase(title=title, ref=ref):
            return _link(title, page_address(ref) if ref else "")
        case Unknown(kind=kind, texts=texts):
            return "\n".join(texts) or (
                f"(Notion does not show its block of type {kind})" if kind else ""
            )
        case _:
            return ""


def _inline(text: Rich) -> str:
    """Return rich text without looks, with the addresses of links; code keeps its backticks."""
    found: list[str] = []
    for at, item in enumerate(text):
        words = shown(item)
        if isinstance(item, Text):
            if item.marks.code and "`" not in words:
                words = f"`{words}`"
            last = at + 1 == len(text) or getattr(text[at + 1], "link", "") != item.link
            if item.link and last and item.link.startswith(("http://", "https://")):
                whole = plain([i for i in text if getattr(i, "link", "") == item.link])
                if item.link not in (whole, f"{whole}/"):
                    words = f"{words} ({item.link})"
        elif type(item).__name__ == "Math":
            words = f"${words}$"
        found.append(words)
    return "".join(found)


def _line(text: str) -> str:
    return " ".join(text.split())


def _after(sign: str, text: str) -> Iterator[str]:
    first, *more = text.split("\n")
    yield f"{sign} {first}".rstrip()
    yield from (f"  {line}" if line.strip() else "" for line in more)


def _paragraph(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if line.strip():
            yield f"\\{line}" if _READ_OTHERWISE.match(line) else line
        else:
            yield ""


def _code(block: Code) -> Iterator[str]:
    fence = "```"
    while fence in block.code:
        fence += "`"
    if block.code:
        yield f"{fence}{block.language}"
        yield from block.code.split("\n")
        yield fence
    if block.caption:
        yield _line(_inline(block.caption))


def _table(block: Table) -> Iterator[str]:
    rows = [row.cells for row in block.children if isinstance(row, Row)]
    width = max(map(len, rows), default=0)
    for number, cells in enumerate(rows):
        yield _row(cells + ((),) * (width - len(cells)))
        if not number:
            yield "|" + "---|" * width


def _row(cells: tuple[Rich, ...]) -> str:
    return f"| {' | '.join(_line(_inline(cell)).replace('|', chr(92) + '|') for cell in cells)} |"


def _link(label: str, url: str) -> str:
    if not url or url == label:
        return label or url
    return f"{label} ({url})"


def _emoji(icon: str) -> bool:
    return bool(icon) and not icon.isascii()
