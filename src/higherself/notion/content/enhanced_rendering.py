"""The canonical tree to enhanced markdown (v1), as Notion takes it. Pure.

What v1 has no words for is left out: the caption of code, the name of a file, the width of a column.
Bookmarks, embeds and what is unknown are ``<unknown>``, as Notion writes them.
"""

import re

from higherself.notion.content.addresses import page_address, unsigned
from higherself.notion.content.inline_rendering import (
    colour_name,
    entity_address,
    escaped,
    render_inline,
)
from higherself.notion.content.tree import (
    Block,
    Bookmark,
    Breadcrumb,
    Bullet,
    Callout,
    ChildDatabase,
    ChildPage,
    Code,
    Column,
    Columns,
    Content,
    Divider,
    Embed,
    Equation,
    Heading,
    LinkPreview,
    LinkToPage,
    Media,
    MeetingNotes,
    Mention,
    Numbered,
    Paragraph,
    Quote,
    Row,
    Section,
    Synced,
    Table,
    TableOfContents,
    Tabs,
    Template,
    TextBlock,
    ToDo,
    Toggle,
    Unknown,
)

_READ_OTHERWISE = re.compile(r"#{1,6}(?=[ \t]|$)|[-+](?=[ \t]|$)|-{3,}$|_{3,}$|!(?=\[)")
_NUMBER = re.compile(r"([0-9]{1,9})([.)])(?=[ \t]|$)")
_TICKS = re.compile(r"^[ \t]*(`{3,})", re.MULTILINE)


def render_enhanced(content: Content, *, stable: bool = False) -> str:
    """Return content in enhanced markdown.

    With ``stable``, what changes from one reading to the next is left out: signatures of files.
    """
    lines: list[str] = []
    # From the top: a block with its depth and number in its list, or a line to end one with.
    work: list[tuple[int, Block, int] | str] = _numbered(content.blocks, 0)[::-1]
    while work:
        item = work.pop()
        if isinstance(item, str):
            lines.append(item)
            continue
        depth, block, number = item
        tabs = "\t" * depth
        head, ending = _written(block, tabs, number, stable)
        lines.append(head)
        if ending is not None:
            work.append(tabs + ending)
        if block.children and type(block) is not Table:
            inside = depth + 1 if block.nests and _holds(block) else depth
            work.extend(reversed(_numbered(block.children, inside)))
    return "\n".join(lines)


def _holds(block: Block) -> bool:
    return type(block) is not Heading or block.toggle


def _numbered(blocks: tuple[Block, ...], depth: int) -> list[tuple[int, Block, int] | str]:
    found: list[tuple[int, Block, int] | str] = []
    number: int | None = None
    for block in blocks:
        if type(block) is Numbered:
            number = block.start if number is None else number + 1
        else:
            number = None
        found.append((depth, block, number or 0))
    return found


def _written(block: Block, tabs: str, number: int, stable: bool) -> tuple[str, str | None]:
    """Return the line or lines a block begins with, and the one it ends with, if any."""
    kind = type(block)
    if isinstance(block, Paragraph):
        return tabs + _paragraph(block), None
    if isinstance(block, TextBlock) and (sign := _sign(block, number)):
        text = render_inline(block.text)
        line = f"{sign} {text}" if text else sign
        return tabs + line + _trailer(block), None
    if isinstance(block, Code):
        return _code(block, tabs), None
    if isinstance(block, Table):
        return _table(block, tabs), None
    if kind in _TAGS:
        return _opened(block, tabs)
    return tabs + _alone(block, stable).replace("\n", "\n" + tabs), None


def _paragraph(block: Paragraph) -> str:
    line = render_inline(block.text)
    if not line:
        return f'{{color="{colour_name(block.colour)}"}}' if block.colour else "<empty-block/>"
    first = line[0]
    if first in "#-+_!":
        if _READ_OTHERWISE.match(line):
            line = "\\" + line
    elif first in "0123456789" and (found := _NUMBER.match(line)):
        line = f"{found[1]}\\{line[found.end(1) :]}"
    return line + _trailer(block) if block.colour else line


def _trailer(block: TextBlock) -> str:
    given = ' toggle="true"' if type(block) is Heading and block.toggle else ""
    if block.colour:
        given += f' color="{colour_name(block.colour)}"'
    return f" {{{given[1:]}}}" if given else ""


def _sign(block: TextBlock, number: int) -> str:
    """Return what stands before the text of a block, or '' if it is written with tags."""
    match block:
        case Heading(level=level):
            return "#" * level
        case Bullet():
            return "-"
        case Numbered():
            return f"{number}."
        case ToDo(checked=checked):
            return "- [x]" if checked else "- [ ]"
        case Quote():
            return ">"
        case _:
            return ""


def _code(block: Code, tabs: str) -> str:
    fence = "```"
    while any(len(run) >= len(fence) for run in _TICKS.findall(block.code)):
        fence += "`"
    lines = block.code.split("\n") if block.code else []
    inside = [tabs + line if line else "" for line in lines]
    return "\n".join([f"{tabs}{fence}{block.language}", *inside, tabs + fence])


def _table(block: Table, tabs: str) -> str:
    flags = ' header-row="true"' if block.header_row else ""
    flags += ' header-column="true"' if block.header_column else ""
    lines = [f"{tabs}<table{flags}>"]
    for row in block.children:
        if isinstance(row, Row):
            lines.append(f"{tabs}\t<tr>")
            lines += [f"{tabs}\t\t<td>{render_inline(cell)}</td>" for cell in row.cells]
            lines.append(f"{tabs}\t</tr>")
    return "\n".join([*lines, f"{tabs}</table>"])


_TAGS = {
    Toggle: "details",
    Callout: "callout",
    Columns: "columns",
    Column: "column",
    Tabs: "tabs",
    Synced: "synced_block",
    MeetingNotes: "meeting-notes",
    Section: "",
}


def _opened(block: Block, tabs: str) -> tuple[str, str | None]:
    """Return the tag a block begins with, its text below, and the tag it ends with."""
    tag, given = _TAGS[type(block)], ""
    match block:
        case Section(kind=kind):
            tag = kind
        case Synced(source=source) if source:
            tag, given = "synced_block_reference", f' url="{entity_address("page", source)}"'
        case Synced(id=identifier) if identifier:
            given = f' url="{page_address(identifier)}"'
        case Callout(icon=icon) if icon:
            given = f' icon="{icon}"'
    if isinstance(block, TextBlock) and block.colour:
        given += f' color="{colour_name(block.colour)}"'
    head = f"{tabs}<{tag}{given}>"
    if isinstance(block, Toggle):
        head += f"\n{tabs}<summary>{render_inline(block.text)}</summary>"
    elif isinstance(block, Callout | MeetingNotes):
        first = block.children[0] if block.children else None
        if block.text:
            head += f"\n{tabs}\t{_paragraph(Paragraph(block.text))}"
        elif type(first) is Paragraph and not (first.colour or first.children):
            head += f"\n{tabs}\t<empty-block/>"
    return head, f"</{tag}>"


def _alone(block: Block, stable: bool) -> str:
    match block:
        case Divider():
            return "---"
        case Equation(expression=expression):
            return "\n".join(["$$", *filter(None, [expression]), "$$"])
        case TableOfContents(colour=colour):
            return f"<table_of_contents{_colour(colour)}/>"
        case Media():
            return _media(block, stable)
        case ChildPage(title, ref, colour):
            return f'<page url="{entity_address("page", ref)}"{_colour(colour)}>{escaped(title)}</page>'
        case ChildDatabase():
            return _database(block)
        case LinkToPage(kind, ref) if kind != "comment":
            return render_inline((Mention(kind, ref),))
        case Row(cells=cells):
            return (
                render_inline(cells[0]) if len(cells) == 1 else _table(Table(children=(block,)), "")
            )
        case Unknown(kind=kind, url=url):
            return _unknown(kind, url or (page_address(block.id) if block.id else ""))
        case _:
            return _unknown(_KINDS[type(block)], page_address(block.id) if block.id else "")


_KINDS: dict[type[Block], str] = {
    Bookmark: "bookmark",
    Embed: "embed",
    LinkPreview: "link_preview",
    Breadcrumb: "breadcrumb",
    Template: "template",
    LinkToPage: "link_to_page",
}


def _unknown(kind: str, url: str) -> str:
    return f'<unknown url="{url}" alt="{kind}"/>'


def _colour(colour: str) -> str:
    return f' color="{colour_name(colour)}"' if colour else ""


def _media(block: Media, stable: bool) -> str:
    url = unsigned(block.url) if stable else block.url
    caption = render_inline(block.caption)
    if block.kind == "image":
        trailer = f" {{{_colour(block.colour)[1:]}}}" if block.colour else ""
        return f"![{caption}]({url}){trailer}"
    return f'<{block.kind} src="{url}"{_colour(block.colour)}>{caption}</{block.kind}>'


def _database(block: ChildDatabase) -> str:
    given = f' url="{entity_address("database", block.ref)}"' if block.ref else ""
    given += f' inline="{"true" if block.inline else "false"}"'
    if block.icon:
        given += f' icon="{block.icon}"'
    given += _colour(block.colour)
    if block.data_source:
        given += f' data-source-url="{entity_address("data_source", block.data_source)}"'
    return f"<database{given}>{escaped(block.title)}</database>"
