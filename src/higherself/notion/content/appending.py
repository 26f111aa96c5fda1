"""The canonical tree to block JSON for appending, within Notion's limits. Pure.

`to_blocks` makes blocks as `from_blocks` reads them, children under ``children``; `limits.portions`
cuts them into requests.
"""

from collections.abc import Iterator, Sequence

from higherself.notion.content.errors import ContentRejected
from higherself.notion.content.languages import language
from higherself.notion.content.rich import plain
from higherself.notion.content.rich_json import (
    MAX_EXPRESSION,
    MAX_URL,
    to_rich_text,
)
from higherself.notion.content.tree import (
    Block,
    Bookmark,
    Breadcrumb,
    Bullet,
    Callout,
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
    Numbered,
    Paragraph,
    Quote,
    Rich,
    Row,
    Synced,
    Table,
    TableOfContents,
    Tabs,
    Text,
    TextBlock,
    ToDo,
    Toggle,
)
from higherself.notion.ports import JsonObject
from higherself.notion.writing.limits import PIECES, TEXT, cut, units

MOST_TEXT = 100_000
"""UTF-16 units in one block, so that it fits a request; more goes on in the next block."""

_KINDS: dict[type[Block], str] = {
    Paragraph: "paragraph",
    Bullet: "bulleted_list_item",
    Numbered: "numbered_list_item",
    ToDo: "to_do",
    Toggle: "toggle",
    Quote: "quote",
    Callout: "callout",
    Tabs: "tab",
    Column: "column",
    Synced: "synced_block",
}


def to_blocks(content: Content) -> list[JsonObject]:
    """Return content as blocks to append, each with its children under ``children``.

    Text too long for a block goes on in the next, a single column dissolves, rows are filled to
    the width of their table. Notion gives a callout without an icon its own (💡): blocks cannot say
    that there is none, as markdown can.

    Raises
        ContentRejected: Notion would refuse it: an equation or an address is too long, or the
            block can only be made by Notion (a page inside, a file of Notion's own, ...).
    """
    root: list[JsonObject] = []
    work: list[tuple[Block, str, list[JsonObject]]] = _placed(content.blocks, "blocks", root)
    while work:
        block, place, siblings = work.pop()
        if isinstance(block, Columns) and len(block.children) < 2:
            inside = [b for column in block.children for b in _inside(column)]
            work += _placed(inside, place, siblings)
            continue
        made, rest = _written(block, place)
        siblings.append(made[0])
        siblings += made[1:]
        children = _inside(block)
        if not (block.nests and (type(block) is not Heading or block.toggle)):
            work += _placed(children, f"{place}.children", siblings)
            children = ()
        if rest or children:
            inside_json: list[JsonObject] = list(rest)
            made[0]["children"] = inside_json
            work += _placed(children, f"{place}.children", inside_json)
    return root


def _inside(block: Block) -> Sequence[Block]:
    """Return the children that are written as blocks of their own."""
    if isinstance(block, Table):
        return ()
    if isinstance(block, Columns):
        return [c if isinstance(c, Column) else Column(children=(c,)) for c in block.children]
    if isinstance(block, Column):
        return list(_columnless(block.children)) or [Paragraph()]
    if isinstance(block, Tabs) and not block.children:
        return [Paragraph()]
    return block.children


def _columnless(blocks: Sequence[Block]) -> Iterator[Block]:
    """Yield blocks; columns among them dissolve, for Notion has no columns in columns."""
    for block in blocks:
        if isinstance(block, Columns | Column):
            yield from _columnless(block.children)
        else:
            yield block


def _placed(
    blocks: Sequence[Block], place: str, siblings: list[JsonObject]
) -> list[tuple[Block, str, list[JsonObject]]]:
    """Return work that is to be done from the end of the list."""
    return [(block, f"{place}[{at}]", siblings) for at, block in enumerate(blocks)][::-1]


def _written(block: Block, place: str) -> tuple[list[JsonObject], list[JsonObject]]:
    """Return a block, with those that go on with its text: beside it, and inside of it."""
    if isinstance(block, TextBlock) and (kind := _kind(block)):
        first, *more = _parts(to_rich_text(block.text, place))
        made = _block(kind, {"rich_text": first, **_looks(block, place)})
        going_on = [_block("paragraph", {"rich_text": part}) for part in more]
        if type(block) in (Paragraph, Quote):
            return [
                made,
                *(_block(kind, {"rich_text": p, **_looks(block, place)}) for p in more),
            ], []
        return ([made, *going_on], []) if isinstance(block, Heading) else ([made], going_on)
    if isinstance(block, Code):
        return _code(block, place), []
    if isinstance(block, Table):
        return [_table(block, place)], []
    if isinstance(block, Row):
        return [_table(Table(children=(block,)), place)], []
    return [_other(block, place)], []


def _kind(block: Block) -> str:
    return f"heading_{block.level}" if isinstance(block, Heading) else _KINDS.get(type(block), "")


def _block(kind: str, payload: JsonObject) -> JsonObject:
    return {"object": "block", "type": kind, kind: payload}


def _parts(items: list[JsonObject]) -> list[list[JsonObject]]:
    """Return items in lists that a block can hold; at least one."""
    parts: list[list[JsonObject]] = [[]]
    size = 0
    for item in items:
        more = units(item["text"]["content"]) if item["type"] == "text" else 100
        if len(parts[-1]) == PIECES or (parts[-1] and size + more > MOST_TEXT):
            parts.append([])
            size = 0
        parts[-1].append(item)
        size += more
    return parts


def _looks(block: TextBlock, place: str) -> JsonObject:
    found: JsonObject = {"color": block.colour} if block.colour else {}
    match block:
        case ToDo(checked=checked):
            found["checked"] = checked
        case Heading(toggle=True):
            found["is_toggleable"] = True
        case Numbered(start=start) if start > 1:
            found["list_start_index"] = start
        case Callout(icon=icon) | Paragraph(icon=icon) if icon:
            found |= _icon(icon)
        case _:
            pass
    return found


def _icon(icon: str) -> JsonObject:
    if icon.startswith("https://"):
        return {"icon": {"type": "external", "external": {"url": icon}}}
    if icon.startswith(":") or icon.isascii():
        return {}  # a custom emoji is known by its id only, which markdown does not give
    return {"icon": {"type": "emoji", "emoji": icon}}


def _code(block: Code, place: str) -> list[JsonObject]:
    items: list[JsonObject] = [
        {"type": "text", "text": {"content": part}} for part in cut(block.code) if part
    ]
    caption = _caption(block.caption, place)
    parts = _parts(items)
    made = [
        _block("code", {"rich_text": part, "language": language(block.language)}) for part in parts
    ]
    made[-1]["code"] |= caption
    return made


def _caption(caption: Rich, place: str) -> JsonObject:
    return {"caption": _at_most(caption, f"{place}.caption")} if caption else {}


def _at_most(text: Rich, place: str) -> list[JsonObject]:
    """Return rich text that cannot go on elsewhere: without its looks, if they make it too much.

    Raises
        ContentRejected: it is too long even so.
    """
    items = to_rich_text(text, place)
    if len(items) > PIECES:
        items = to_rich_text((Text(plain(text)),), place)
    if len(items) > PIECES:
        raise ContentRejected(place, f"it has {units(plain(text)):,} characters; Notion takes {PIECES * TEXT:,}: shorten it")  # fmt: skip
    return items


def _table(block: Table, place: str) -> JsonObject:
    rows = [row.cells for row in block.children if isinstance(row, Row)] or [()]
    width = max(1, *map(len, rows))
    children: list[JsonObject] = []
    for number, row in enumerate(rows):
        cells = [_at_most(cell, f"{place}.rows[{number}][{at}]") for at, cell in enumerate(row)]
        cells += [[] for _ in range(width - len(row))]
        children.append(_block("table_row", {"cells": cells}))
    payload = {
        "table_width": width,
        "has_column_header": block.header_row,
        "has_row_header": block.header_column,
    }
    return {**_block("table", payload), "children": children}


def _other(block: Block, place: str) -> JsonObject:  # noqa: C901 - one case per type
    match block:
        case Divider():
            return _block("divider", {})
        case Breadcrumb():
            return _block("breadcrumb", {})
        case TableOfContents(colour):
            return _block("table_of_contents", {"color": colour} if colour else {})
        case Equation(formula):
            if units(formula) > MAX_EXPRESSION:
                raise ContentRejected(place, f"the equation has {units(formula):,} characters; Notion takes {MAX_EXPRESSION:,}: split it")  # fmt: skip
            return _block("equation", {"expression": formula})
        case Columns():
            return _block("column_list", {})
        case Column(ratio):
            return _block("column", {"width_ratio": ratio} if ratio else {})
        case Tabs():
            return _block("tab", {})
        case Synced(source):
            origin = {"type": "block_id", "block_id": source} if source else None
            return _block("synced_block", {"synced_from": origin})
        case Media():
            return _media(block, place)
        case Bookmark(url, caption) | Embed(url, caption):
            kind = "bookmark" if isinstance(block, Bookmark) else "embed"
            return _block(kind, {"url": _url(url, place), **_caption(caption, place)})
        case LinkPreview(url):
            return _block("bookmark", {"url": _url(url, place)})
        case LinkToPage(kind, ref):
            return _block("link_to_page", {"type": f"{kind}_id", f"{kind}_id": ref})
        case _:
            name = getattr(block, "kind", "") or type(block).__name__
            raise ContentRejected(place, f"only Notion can make a block of this kind ({name}): leave it out")  # fmt: skip


def _url(url: str, place: str) -> str:
    if not url:
        raise ContentRejected(place, "it has no address")
    if units(url) > MAX_URL:
        raise ContentRejected(place, f"its address has {units(url):,} characters; Notion takes {MAX_URL:,}: use a shorter one")  # fmt: skip
    return url


def _media(block: Media, place: str) -> JsonObject:
    where: JsonObject
    if block.upload:
        where = {"type": "file_upload", "file_upload": {"id": block.upload}}
    else:
        where = {"type": "external", "external": {"url": _url(block.url, place)}}
    if block.name and block.kind == "file":
        where["name"] = block.name
    return _block(block.kind, {**where, **_caption(block.caption, place)})
