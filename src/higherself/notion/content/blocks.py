"""Block JSON, as the API answers it, to the canonical tree. Pure.

A block's children are given in it under ``children``, as `Notion.tree` collects them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from higherself.notion.content.addresses import address, dashed, reference
from higherself.notion.content.rich import expression
from higherself.notion.content.rich_json import from_rich_text, one_line, tree_colour
from higherself.notion.content.tree import (
    MAX_DEPTH,
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
    ToDo,
    Toggle,
    Unknown,
    walk,
)
from higherself.notion.ports import JsonObject

Payload = Mapping[str, Any]


def from_blocks(blocks: Sequence[JsonObject]) -> Content:
    """Return the content of blocks. What is of no kind we know is `Unknown`, with its texts."""
    return Content(_read(blocks))


def filled(content: Content, found: Mapping[str, JsonObject]) -> Content:
    """Return content with the blocks in ``found`` (by id) where markdown only said `Unknown`."""
    known = {dashed(identifier): block for identifier, block in found.items()}
    wanted = [b for _, b in walk(content.blocks) if isinstance(b, Unknown) and b.id in known]
    if not wanted:
        return content
    return Content(_rebuilt(content.blocks, lambda b: _found(b, known)))


def _found(block: Block, known: Mapping[str, JsonObject]) -> Block:
    if isinstance(block, Unknown) and block.id in known:
        return _read([known[block.id]])[0]
    return block


def _rebuilt(blocks: Sequence[Block], change: Callable[[Block], Block]) -> tuple[Block, ...]:
    """Return blocks with each changed; `MAX_DEPTH` bounds how deep this goes."""
    return tuple(
        change(replace(b, children=_rebuilt(b.children, change)) if b.children else b)
        for b in blocks
    )


def _read(blocks: Sequence[JsonObject]) -> tuple[Block, ...]:
    """Read blocks in blocks, from the inside; deeper than `MAX_DEPTH` they become neighbours."""
    root: list[Block] = []
    work: list[tuple[JsonObject, int, list[Block], list[Block] | None]] = [
        (block, 0, root, None) for block in reversed(blocks)
    ]
    while work:
        block, depth, siblings, inside = work.pop()
        children = block.get("children") or []
        if inside is not None:
            siblings.append(_made(block, inside, siblings))
        elif not isinstance(children, list) or not children:
            siblings.append(_made(block, [], siblings))
        elif depth >= MAX_DEPTH:
            siblings.append(_made(block, [], siblings))
            work.extend((child, depth, siblings, None) for child in reversed(children))
        else:
            inside = []
            work.append((block, depth, siblings, inside))
            work.extend((child, depth + 1, inside, None) for child in reversed(children))
    return tuple(root)


def _made(block: JsonObject, inside: list[Block], siblings: list[Block]) -> Block:
    kind = str(block.get("type", ""))
    given = block.get(kind)
    payload: Payload = given if isinstance(given, Mapping) else {}
    identifier = str(block.get("id") or "")
    read = READERS.get(kind)
    made = read(payload, block) if read else _unknown(kind, payload)
    if isinstance(made, Numbered) and siblings and isinstance(siblings[-1], Numbered):
        made = replace(made, start=1)
    if isinstance(made, MeetingNotes):
        inside = _sections(payload, inside)
    return replace(made, children=tuple(inside), id=dashed(identifier) if identifier else "")


def _text(payload: Payload) -> dict[str, Any]:
    return {
        "text": from_rich_text(payload.get("rich_text")),
        "colour": tree_colour(payload.get("color")),
    }


def _heading(level: int) -> Callable[[Payload, JsonObject], Block]:
    return lambda p, b: Heading(**_text(p), level=level, toggle=bool(p.get("is_toggleable")))


def icon_text(given: object) -> str:
    """Return an icon as text: an emoji, an address, or the name of one of Notion's own."""
    if not isinstance(given, Mapping):
        return ""
    kind = str(given.get("type") or next(iter(given), ""))
    value = given.get(kind)
    if kind == "emoji":
        return one_line(str(value or ""))
    if not isinstance(value, Mapping):
        return ""
    if kind == "custom_emoji":
        return f":{one_line(str(value.get('name') or value.get('id') or ''))}:"
    if kind == "icon":
        return f"/icons/{value.get('name', '')}_{value.get('color', 'gray')}.svg"
    return address(str(value.get("url") or ""))


def _code(payload: Payload, block: JsonObject) -> Block:
    items = payload.get("rich_text") or []
    code = "".join(str(item.get("plain_text") or (item.get("text") or {}).get("content") or "") for item in items)  # fmt: skip
    language = one_line(str(payload.get("language") or ""))
    return Code(
        code.replace("\r\n", "\n").replace("\r", "\n"),
        "" if language == "plain text" else language,
        from_rich_text(payload.get("caption")),
    )


def _media(kind: Any) -> Callable[[Payload, JsonObject], Block]:
    def read(payload: Payload, block: JsonObject) -> Block:
        where = payload.get(str(payload.get("type", ""))) or {}
        return Media(
            kind,
            address(str(where.get("url") or "")),
            from_rich_text(payload.get("caption")),
            one_line(str(payload.get("name") or "")),
            upload=str(where.get("id") or "") if payload.get("type") == "file_upload" else "",
        )

    return read


def _web(make: type[Bookmark] | type[Embed]) -> Callable[[Payload, JsonObject], Block]:
    return lambda p, b: make(address(str(p.get("url") or "")), from_rich_text(p.get("caption")))


def _link_to_page(payload: Payload, block: JsonObject) -> Block:
    given = str(payload.get("type") or "page_id")
    kind: Any = given.removesuffix("_id")
    return LinkToPage(
        kind if kind in ("page", "database") else "comment",
        reference(str(payload.get(given) or "")),
    )


def _synced(payload: Payload, block: JsonObject) -> Block:
    origin = payload.get("synced_from") or {}
    return Synced(reference(str(origin.get("block_id") or "")) if origin else "")


def _row(payload: Payload, block: JsonObject) -> Block:
    return Row(tuple(from_rich_text(cell) for cell in payload.get("cells") or ()))


def _meeting(payload: Payload, block: JsonObject) -> Block:
    return MeetingNotes(from_rich_text(payload.get("title")))


def _sections(payload: Payload, inside: list[Block]) -> list[Block]:
    """Return the children of meeting notes, those whose ids it names as its parts."""
    named: dict[str, Any] = {}
    for part in ("summary", "notes", "transcript"):
        if identifier := (payload.get("children") or {}).get(f"{part}_block_id"):
            named[dashed(str(identifier))] = part
    return [_section(block, named) for block in inside]


def _section(block: Block, named: Mapping[str, Any]) -> Block:
    if isinstance(block, Section) or block.id not in named:
        return block
    alone = replace(block, children=())
    own = () if alone in (Unknown(), Paragraph()) or isinstance(block, Unknown) else (alone,)
    return Section(named[block.id], children=(*own, *block.children), id=block.id)


def _title(payload: Payload) -> str:
    return one_line(str(payload.get("title") or ""))


def _unknown(kind: str, payload: Payload) -> Block:
    return Unknown(one_line(kind), tuple(_strings(payload)))


def _strings(value: object) -> Iterator[str]:
    """Yield the texts in JSON of a kind we do not know: those of rich text, titles and names."""
    stack = [value]
    while stack:
        match stack.pop():
            case {"plain_text": str(text)}:
                yield text
            case Mapping() as found:
                for name in ("title", "name", "text", "content"):
                    if isinstance(found.get(name), str):
                        yield found[name]
                stack.extend(reversed([v for v in found.values() if not isinstance(v, str)]))
            case list(items):
                stack.extend(reversed(items))
            case _:
                pass


READERS: dict[str, Callable[[Payload, JsonObject], Block]] = {
    "paragraph": lambda p, b: Paragraph(**_text(p), icon=icon_text(p.get("icon"))),
    **{f"heading_{level}": _heading(level) for level in (1, 2, 3, 4)},
    "bulleted_list_item": lambda p, b: Bullet(**_text(p)),
    "numbered_list_item": lambda p, b: Numbered(
        **_text(p), start=int(p.get("list_start_index") or 1)
    ),
    "quote": lambda p, b: Quote(**_text(p)),
    "to_do": lambda p, b: ToDo(**_text(p), checked=bool(p.get("checked"))),
    "toggle": lambda p, b: Toggle(**_text(p)),
    "template": lambda p, b: Template(**_text(p)),
    "synced_block": _synced,
    "child_page": lambda p, b: ChildPage(_title(p), dashed(str(b.get("id") or ""))),
    "child_database": lambda p, b: ChildDatabase(_title(p), dashed(str(b.get("id") or ""))),
    "equation": lambda p, b: Equation(expression(str(p.get("expression") or ""))),
    "code": _code,
    "callout": lambda p, b: Callout(**_text(p), icon=icon_text(p.get("icon"))),
    "divider": lambda p, b: Divider(),
    "breadcrumb": lambda p, b: Breadcrumb(),
    "table_of_contents": lambda p, b: TableOfContents(_contents_colour(p)),
    "tab": lambda p, b: Tabs(),
    "column_list": lambda p, b: Columns(),
    "column": lambda p, b: Column(float(p.get("width_ratio") or 0)),
    "link_to_page": _link_to_page,
    "table": lambda p, b: Table(bool(p.get("has_column_header")), bool(p.get("has_row_header"))),
    "table_row": _row,
    "meeting_notes": _meeting,
    "transcription": _meeting,
    "embed": _web(Embed),
    "bookmark": _web(Bookmark),
    **{kind: _media(kind) for kind in ("image", "video", "pdf", "file", "audio")},
    "link_preview": lambda p, b: LinkPreview(address(str(p.get("url") or ""))),
    "unsupported": lambda p, b: Unknown(one_line(str(p.get("block_type") or "unsupported"))),
}
"""How each type of block is read: the 37 types of `BlockObjectResponse` in @notionhq/client 5.26.0."""


def _contents_colour(payload: Payload) -> str:
    colour = tree_colour(payload.get("color"))
    return "" if colour == "gray" else colour  # gray is what an answer says when none was chosen
