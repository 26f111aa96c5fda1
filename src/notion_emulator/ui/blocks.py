"""Blocks as HTML, each as people know it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from markupsafe import Markup

from notion_emulator.call import Call
from notion_emulator.errors import Json
from notion_emulator.richtext import plain
from notion_emulator.store import Node
from notion_emulator.ui import databases
from notion_emulator.ui.diagram import NotDrawn, read
from notion_emulator.ui.drawing import drawn
from notion_emulator.ui.html import joined, tag
from notion_emulator.ui.rich import color_class, icon, link, reference, rich

_LISTS = {"bulleted_list_item": "ul", "numbered_list_item": "ol"}
_DEEPEST = 60
Show = Callable[["Page", Node, Json], Markup]


class Page:
    """Draws the blocks of one page."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self.depth = 0
        self.copies: set[str] = set()

    def children(self, node: Node) -> Markup:
        """Return what is inside a node."""
        if self.depth > _DEEPEST:
            return tag("p", "…", class_="faint")
        self.depth += 1
        shown = joined(self._grouped(self.call.store.living_children(node)))
        self.depth -= 1
        return shown

    def _grouped(self, nodes: Sequence[Node]) -> Iterator[Markup]:
        """Put list items that follow each other into one list."""
        place = 0
        while place < len(nodes):
            listing = _LISTS.get(nodes[place].data.get("type", ""))
            if listing is None:
                yield self.block(nodes[place])
                place += 1
                continue
            end = place
            while end < len(nodes) and _LISTS.get(nodes[end].data.get("type", "")) == listing:
                end += 1
            start = (nodes[place].data["payload"] or {}).get("list_start_index")
            yield tag(listing, *map(self.block, nodes[place:end]), start=start if listing == "ol" else None)  # fmt: skip
            place = end

    def block(self, node: Node) -> Markup:
        """Return one block with what is inside it."""
        if node.kind == "page":
            return tag("p", reference(self.call, node.id), class_="child")
        if node.kind == "database":
            return databases.inline(self.call, node)
        payload = node.data["payload"] or {}
        return _BLOCKS.get(node.data["type"], _unsupported)(self, node, payload)

    def text(self, payload: Json) -> Markup:
        """Return the text of a block."""
        return rich(self.call, payload.get("rich_text", []))

    def inside(self, node: Node) -> Markup | None:
        """Return the children of a block, indented, if it has any."""
        return tag("div", self.children(node), class_="inside") if node.children else None


def _class(name: str, payload: Json) -> str:
    return " ".join(filter(None, ("b", name, color_class(payload.get("color")))))


def _paragraph(page: Page, node: Node, payload: Json) -> Markup:
    shown = tag("p", icon(payload.get("icon")), page.text(payload), class_=_class("text", payload), id=node.id)  # fmt: skip
    return joined([shown, page.inside(node)])


def _heading(level: int) -> Show:
    def show(page: Page, node: Node, payload: Json) -> Markup:
        head = tag(f"h{level + 1}", page.text(payload), class_=_class(f"heading-{level}", payload), id=node.id)  # fmt: skip
        if not payload.get("is_toggleable"):
            return joined([head, page.inside(node)])
        return tag("details", tag("summary", head), tag("div", page.children(node), class_="inside"), class_="toggle")  # fmt: skip

    return show


def _item(page: Page, node: Node, payload: Json) -> Markup:
    return tag("li", page.text(payload), page.inside(node), class_=color_class(payload.get("color")), id=node.id)  # fmt: skip


def _to_do(page: Page, node: Node, payload: Json) -> Markup:
    done = bool(payload.get("checked"))
    box = tag("span", "✓" if done else "", class_="box on" if done else "box")
    line = tag("div", box, tag("span", page.text(payload), class_="words"), class_=_class("to-do" + " done" * done, payload), id=node.id)  # fmt: skip
    return joined([line, page.inside(node)])


def _toggle(page: Page, node: Node, payload: Json) -> Markup:
    summary = tag("summary", page.text(payload) or "Toggle")
    return tag("details", summary, tag("div", page.children(node), class_="inside"), class_=_class("toggle", payload), id=node.id)  # fmt: skip


def _quote(page: Page, node: Node, payload: Json) -> Markup:
    return tag("blockquote", page.text(payload), page.inside(node), class_=_class("quote", payload), id=node.id)  # fmt: skip


def _callout(page: Page, node: Node, payload: Json) -> Markup:
    text = page.text(payload)
    words = tag("div", tag("div", text, class_="words") if text else None, page.children(node))
    return tag("div", icon(payload.get("icon")), words, class_=_class("callout", payload), id=node.id)  # fmt: skip


def _code(page: Page, node: Node, payload: Json) -> Markup:
    source = plain(payload.get("rich_text", []))
    language = payload.get("language", "plain text")
    listing = tag("pre", tag("code", source))
    caption = rich(page.call, payload.get("caption", []))
    below = tag("figcaption", caption) if caption else None
    if language == "mermaid":
        try:
            picture = drawn(read(source))
        except (NotDrawn, RecursionError):
            picture = None
        if picture is not None:
            hidden = tag("details", tag("summary", "Source"), listing, class_="source")
            return tag("figure", tag("div", picture, class_="canvas"), hidden, below, class_="b mermaid", id=node.id)  # fmt: skip
    return tag("figure", tag("span", language, class_="language"), listing, below, class_="b code", id=node.id)  # fmt: skip


def _equation(page: Page, node: Node, payload: Json) -> Markup:
    return tag("div", tag("code", payload.get("expression", ""), class_="math"), class_="b equation", id=node.id)  # fmt: skip


def _columns(page: Page, node: Node, payload: Json) -> Markup:
    columns = page.call.store.living_children(node)
    return tag("div", *map(page.block, columns), class_="b columns", id=node.id)


def _column(page: Page, node: Node, payload: Json) -> Markup:
    ratio = payload.get("width_ratio")
    size = f"column g{min(20, max(1, round(ratio * 20)))}" if isinstance(ratio, int | float) else "column"  # fmt: skip
    return tag("div", page.children(node), class_=size)


def _tabs(page: Page, node: Node, payload: Json) -> Markup:
    """Each tab is a paragraph that says its name; only one of them is open at a time."""
    made = []
    for number, tab in enumerate(page.call.store.living_children(node)):
        given = tab.data.get("payload") or {}
        name = joined([icon(given.get("icon")), page.text(given) or f"Tab {number + 1}"])
        made.append(tag("details", tag("summary", name), tag("div", page.children(tab), class_="panel"), open=number == 0, name=f"tabs-{node.id}"))  # fmt: skip
    return tag("div", *made, class_="b tabs", id=node.id)


def _table(page: Page, node: Node, payload: Json) -> Markup:
    rows = []
    for number, row in enumerate(page.call.store.living_children(node)):
        head = number == 0 and payload.get("has_column_header")
        cells = [
            tag("th" if head or (place == 0 and payload.get("has_row_header")) else "td", rich(page.call, cell))
            for place, cell in enumerate((row.data["payload"] or {}).get("cells", []))
        ]  # fmt: skip
        rows.append(tag("tr", *cells, id=row.id))
    return tag("div", tag("table", *rows), class_="b scroll", id=node.id)


def _media(page: Page, node: Node, payload: Json) -> Markup:
    """A card: nothing is loaded from elsewhere."""
    kind = node.data["type"]
    url = (payload.get(payload.get("type", "")) or {}).get("url", "") or payload.get("url", "")
    name = payload.get("name") or url.split("?")[0].rstrip("/").rsplit("/", 1)[-1] or kind
    caption = rich(page.call, payload.get("caption", []))
    sign = {"image": "▣", "video": "▶", "audio": "♪", "pdf": "▤", "bookmark": "⌁", "embed": "⧉"}.get(kind, "⎘")  # fmt: skip
    words = tag("div", tag("strong", name), tag("small", link(url, url) if url else kind))
    return tag("figure", tag("div", tag("span", sign, class_="sign"), words, class_=f"card {kind}"), tag("figcaption", caption) if caption else None, class_="b media", id=node.id)  # fmt: skip


def _contents(page: Page, node: Node, payload: Json) -> Markup:
    owner = page.call.store.page_of(node)
    heads = _headings(page.call, owner) if owner else []
    links = [tag("a", page.text(h.data["payload"]), href=f"#{h.id}", class_=f"level-{h.data['type'][-1]}") for h in heads]  # fmt: skip
    return tag("nav", *links, class_="b contents", id=node.id)


def _headings(call: Call, node: Node) -> list[Node]:
    found = []
    for child in call.store.living_children(node):
        if child.data.get("type", "").startswith("heading"):
            found.append(child)
        if child.kind == "block":
            found += _headings(call, child)
    return found


def _synced(page: Page, node: Node, payload: Json) -> Markup:
    origin = (payload.get("synced_from") or {}).get("block_id")
    source = page.call.store.nodes.get(origin, node) if origin else node
    if source.id in page.copies:
        return tag("p", "A synced block inside itself.", class_="faint")
    page.copies.add(source.id)
    shown = tag("div", page.children(source), class_="b synced", title="synced block", id=node.id)
    page.copies.discard(source.id)
    return shown


def _link_to_page(page: Page, node: Node, payload: Json) -> Markup:
    target = payload.get(payload.get("type", ""), "")
    return tag("p", reference(page.call, target), class_="child", id=node.id)


def _path(page: Page, node: Node, payload: Json) -> Markup:
    above = [n for n in page.call.store.ancestors(node) if n.kind in ("page", "database")]
    return tag("nav", joined((reference(page.call, n.id) for n in reversed(above)), " / "), class_="b breadcrumb")  # fmt: skip


def _unsupported(page: Page, node: Node, payload: Json) -> Markup:
    return tag("p", node.data["type"], ": not shown here", class_="faint", id=node.id)


_BLOCKS: dict[str, Show] = {
    "paragraph": _paragraph,
    **{f"heading_{level}": _heading(level) for level in (1, 2, 3, 4)},
    **dict.fromkeys(_LISTS, _item),
    "to_do": _to_do,
    "toggle": _toggle,
    "template": _toggle,
    "quote": _quote,
    "callout": _callout,
    "code": _code,
    "equation": _equation,
    "divider": lambda page, node, payload: tag("hr"),
    "column_list": _columns,
    "column": _column,
    "tab": _tabs,
    "table": _table,
    "table_of_contents": _contents,
    "synced_block": _synced,
    "link_to_page": _link_to_page,
    "breadcrumb": _path,
    **dict.fromkeys(("image", "video", "pdf", "file", "audio", "bookmark", "embed", "link_preview"), _media),
}  # fmt: skip
