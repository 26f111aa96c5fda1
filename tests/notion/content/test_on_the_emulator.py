"""The emulator as judge: it reads and writes blocks and markdown with other code than ours."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.notion.content.recorded import needs_recordings, trees

from higherself.notion.content import (
    canonical,
    canonical_content,
    edit_for,
    from_blocks,
    parse,
    plain_text,
    region,
    render,
    to_blocks,
    with_region,
)
from higherself.notion.content.rich import rich
from higherself.notion.content.tree import (
    COLOURS,
    Block,
    Bookmark,
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
    Marks,
    Math,
    Media,
    Numbered,
    Paragraph,
    Quote,
    Row,
    Table,
    TableOfContents,
    Text,
    ToDo,
    Toggle,
)
from higherself.notion.gateway.connection import NotionConnection
from higherself.notion.reading.api import Notion
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

Json = dict[str, Any]


class Judge:
    """Pages of an emulator, over TCP."""

    def __init__(self, emulator: Emulator) -> None:
        headers = {"Authorization": f"Bearer {emulator.token}", "Notion-Version": "2026-03-11"}
        self.client = httpx.Client(base_url=f"{emulator.base_url}/v1/", headers=headers)

    def ask(self, method: str, path: str, body: Json | None = None) -> Json:
        answer = self.client.request(method, path, json=body)
        assert answer.status_code == 200, answer.text
        found: Json = answer.json()
        return found

    def page(self, **content: Any) -> str:
        title = {"title": {"title": [{"text": {"content": "Page"}}]}}
        body = {"parent": {"type": "workspace", "workspace": True}, "properties": title, **content}
        return str(self.ask("POST", "pages", body)["id"])

    def markdown(self, page: str) -> str:
        return str(self.ask("GET", f"pages/{page}/markdown")["markdown"])

    def blocks(self, parent: str) -> list[Json]:
        found = self.ask("GET", f"blocks/{parent}/children?page_size=100")["results"]
        return [b | {"children": self.blocks(b["id"]) if b["has_children"] else []} for b in found]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    app = create_app(seed_name="empty", settings=Settings(rate_mode="off", index_lag_s=0.0))
    with Emulator(app) as emulator:
        judge = Judge(emulator)
        with judge.client:
            yield judge


# What the emulator's own markdown keeps: marks around words, signs of every kind, no blanks at ends.
WORDS = (
    st.text("abc .,-#+!123*`~$[]<>{}|^\\é😀", min_size=1, max_size=8).map(str.strip).filter(bool)
)
MARKS = st.sampled_from([Marks(), Marks(bold=True), Marks(italic=True), Marks(strikethrough=True), Marks(underline=True), Marks(colour="red"), Marks(colour="blue_background"), Marks(bold=True, italic=True)])  # fmt: skip
RICH = st.one_of(
    WORDS.map(lambda word: rich((Text(word),))),
    st.tuples(st.text("abc", min_size=1), MARKS, st.text("xyz", min_size=1)).map(lambda t: rich((Text("see "), Text(t[0], t[1]), Text(f" {t[2]}")))),
    st.text("xyz+", min_size=1).map(lambda formula: rich((Text("so "), Math(formula)))),
    st.text("abc", min_size=1).map(lambda word: rich((Text(word, link="https://example.com/x?a=b"),))),
    st.text("abc -", min_size=1).map(lambda code: rich((Text("run "), Text(code, Marks(code=True))))),
)  # fmt: skip
HUES = st.just("") | st.sampled_from(sorted(COLOURS))
LEAVES = st.one_of(
    st.builds(Paragraph, RICH, HUES),
    st.builds(Heading, RICH, HUES, level=st.integers(1, 4)),
    st.builds(Code, st.text("abc\n\t<*`", max_size=12).filter(lambda c: "```" not in c and (not c or c.split("\n")[-1] != "")), st.sampled_from(["python", "mermaid"])),
    st.just(Divider()),
    st.builds(Equation, st.just("a = b")),
    st.just(TableOfContents()),
    st.builds(Table, st.booleans(), st.booleans(), children=st.lists(st.builds(Row, st.tuples(RICH, RICH)), min_size=1, max_size=2).map(tuple)),
    st.builds(Media, st.sampled_from(["image", "video", "pdf", "audio"]), st.just("https://example.com/f.bin"), RICH),
    st.builds(Bookmark, st.just("https://example.com"), RICH),
    st.builds(Embed, st.just("https://example.com"), RICH),
)  # fmt: skip


def _with(children: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    inside = st.lists(children, max_size=3).map(tuple)
    builds: Any = st.builds
    columns = st.lists(
        st.builds(Column, children=st.lists(children, min_size=1, max_size=2).map(tuple)),
        min_size=2,
        max_size=3,
    )
    return st.one_of(
        *(builds(kind, RICH, HUES, children=inside) for kind in (Bullet, Numbered, Toggle, Quote)),
        builds(ToDo, RICH, HUES, st.booleans(), children=inside),
        builds(Callout, RICH, HUES, st.just("💡"), children=inside),
        builds(Columns, children=columns.map(tuple)),
    )


CONTENTS = st.lists(_with(LEAVES) | LEAVES, max_size=5).map(tuple).map(Content)


@given(CONTENTS)
@settings(max_examples=25, deadline=None)
def test_blocks_and_markdown_of_a_page_say_the_same(judge: Judge, content: Content) -> None:
    page = judge.page(children=[_sent(block) for block in to_blocks(content)])
    blocks = from_blocks(judge.blocks(page))
    assert blocks == content
    read, said = canonical(judge.markdown(page)), canonical_content(content)
    assert _without_ids(read) == _without_ids(said)


def _sent(block: Json) -> Json:
    kind = block["type"]
    inside = [_sent(child) for child in block.get("children", [])]
    return {"type": kind, kind: {**block[kind], **({"children": inside} if inside else {})}}


def _without_ids(markdown: str) -> str:
    import re

    return re.sub(r'<unknown url="[^"]*"', "<unknown", markdown)


@given(CONTENTS)
@settings(max_examples=25, deadline=None)
def test_markdown_that_we_write_is_read_as_we_meant_it(judge: Judge, content: Content) -> None:
    meant = parse(_without_unknown(render(content)))
    page = judge.page(markdown=render(meant))
    assert canonical(judge.markdown(page)) == canonical_content(meant)


def _without_unknown(markdown: str) -> str:
    return "\n".join(line for line in markdown.split("\n") if "<unknown" not in line)


@needs_recordings
def test_recorded_blocks_say_the_same_on_both_roads(judge: Judge) -> None:
    skipped = ("child_page", "child_database", "link_to_page")  # of other pages
    recorded = [block for block in trees() if block["type"] not in skipped]
    content = from_blocks(recorded)
    for start in range(0, len(content.blocks), 50):
        part = Content(content.blocks[start : start + 50])
        page = judge.page(children=[_sent(block) for block in to_blocks(part)])
        assert canonical_content(from_blocks(judge.blocks(page))) == canonical_content(part)
        assert _without_ids(canonical(judge.markdown(page))) == _without_ids(
            canonical_content(part)
        )


def test_a_region_is_edited_while_people_write_around_it(judge: Judge) -> None:
    page = judge.page(markdown=with_region("# Mine\nAbove", "status", "- one"))
    for number, body in enumerate(
        ["- two\n\t- three", "```mermaid\ngraph TD\n```", "**bold** words"]
    ):
        judge.ask("PATCH", f"pages/{page}/markdown", {"type": "insert_content", "insert_content": {"content": f"human {number}"}})  # fmt: skip
        read = judge.markdown(page)
        edit = edit_for(read, "status", body)
        assert edit is not None
        update = {"content_updates": [{"old_str": edit.old, "new_str": edit.new}]}
        judge.ask("PATCH", f"pages/{page}/markdown", {"type": "update_content", "update_content": update})  # fmt: skip
        after = judge.markdown(page)
        assert canonical(region(after, "status") or "") == canonical(body)
        assert edit_for(after, "status", body) is None
        assert plain_text(parse(after)).startswith("Mine\nAbove\n")
        assert f"human {number}" in after


async def test_a_long_and_deep_content_is_appended_whole(notion: NotionConnection) -> None:
    deep: Block = Toggle((Text("w"),))
    for number in range(12):
        deep = Toggle((Text(f"level {number}"),), children=(deep, Paragraph((Text("beside"),))))
    rows = tuple(Row(((Text(f"r{n}"),), (Text("x"),))) for n in range(130))
    tall = Column(children=tuple(Bullet((Text(f"c{n}"),)) for n in range(120)))
    nested = Column(
        children=(Table(children=rows), Callout((Text("in"),), icon="💡", children=(deep,)))
    )
    content = Content((
        Paragraph((Text("long " * 1_000),)),
        Code("x = 1\n" * 600, "python"),
        deep,
        Table(True, children=rows),
        Columns(children=(tall, nested)),
        Toggle((Text("many"),), children=tuple(Numbered((Text(f"n{n}"),)) for n in range(230))),
        Equation("x^2"),
    ))  # fmt: skip
    content = parse(render(content))
    api: Notion = notion.api
    root = await notion.writes.create_page({"type": "workspace", "workspace": True}, {"title": {"title": [{"text": {"content": "Long"}}]}}, key="long")  # fmt: skip
    await notion.writes.append(root["id"], to_blocks(content), key="content")
    tree = await api.tree(root["id"])
    assert canonical_content(from_blocks(tree.blocks)) == canonical_content(content)
