"""Random contents in canonical form, as enhanced markdown (v1) can say them."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from higherself.notion.content.addresses import address
from higherself.notion.content.rich import expression, rich
from higherself.notion.content.tree import (
    COLOURS,
    Block,
    Bullet,
    Callout,
    ChildDatabase,
    ChildPage,
    Code,
    Column,
    Columns,
    Content,
    DateMention,
    Divider,
    Equation,
    Heading,
    Marks,
    Math,
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
    Text,
    ToDo,
    Toggle,
    Unknown,
)

# Letters, and every sign that markdown reads, often.
SIGNS = 'ab1 \n\t*`~$[]<>{}|^\\#-+.!:_&()="/é\u00a0😀'
WORDS = st.sampled_from(["<br>", "</td>", "<b>", "**", "```", "$$", "- ", "1. ", "# ", "{color=\"red\"}", "</callout>", "---", "[a](b)", "|---|", "<span>", "`$"])  # fmt: skip
TEXTS = st.lists(st.text(SIGNS, max_size=6) | WORDS, max_size=4).map("".join) | st.text(max_size=5)
LINES = TEXTS.map(lambda text: " ".join(text.split()))
URLS = (
    st.sampled_from(
        [
            "https://example.com/a?b=c&d",
            "https://www.notion.so/X-" + "0a" * 16,
            "https://en.wikipedia.org/wiki/A_(b)",
        ]
    )
    | st.text(SIGNS + "/:.", min_size=1, max_size=8).map(lambda rest: f"https://example.com/{rest}")
).map(address)
IDS = st.uuids(version=4).map(str)
HUES = st.just("") | st.sampled_from(sorted(COLOURS))
MARKS = st.builds(Marks, *[st.booleans()] * 5, HUES)
EXPRESSIONS = TEXTS.map(expression)
ICONS = st.sampled_from(["", "💡", "⚙️", ":party:", "https://example.com/i.png"])
MENTIONS = st.builds(Mention, st.sampled_from(["user", "page", "database", "data_source", "agent"]), IDS, LINES.map(lambda name: name.removeprefix("@")).map(str.strip).filter(lambda name: not name.startswith("@")), MARKS)  # fmt: skip
DATES = st.one_of(
    st.builds(DateMention, st.just("2026-01-02"), st.sampled_from(["", "2026-02-03"])),
    st.builds(
        DateMention,
        st.just("2026-01-02T10:00"),
        st.sampled_from(["", "2026-02-03T11:30"]),
        st.just("Europe/Berlin"),
    ),
    st.just(DateMention("2026-01-02T10:00+01:00")),
)
RICH = st.lists(
    st.builds(Text, TEXTS, st.just(Marks()) | MARKS, st.just("") | URLS)
    | st.builds(Math, EXPRESSIONS, MARKS)
    | MENTIONS
    | DATES,
    max_size=4,
).map(rich)


def leaves() -> st.SearchStrategy[Block]:
    """Blocks without anything inside."""
    return st.one_of(
        st.builds(Paragraph, RICH, HUES),
        st.builds(
            Code,
            TEXTS.map(lambda t: t.replace("\r\n", "\n").replace("\r", "\n")),
            st.sampled_from(["", "python", "mermaid", "c++"]),
        ),
        st.builds(Equation, EXPRESSIONS),
        st.just(Divider()),
        st.builds(TableOfContents, HUES),
        st.builds(
            Table,
            st.booleans(),
            st.booleans(),
            children=st.lists(
                st.builds(Row, st.lists(RICH, max_size=3).map(tuple)), max_size=3
            ).map(tuple),
        ),
        st.builds(
            Media,
            st.sampled_from(["image", "video", "pdf", "file", "audio"]),
            URLS,
            RICH,
            colour=HUES,
        ),
        st.builds(ChildPage, LINES, IDS, HUES),
        st.builds(ChildDatabase, LINES, IDS, st.booleans(), st.just("") | IDS, ICONS, HUES),
        st.builds(Unknown, st.sampled_from(["bookmark", "embed", "link_preview", "breadcrumb"])),
    )


def _inside(blocks: st.SearchStrategy[Block]) -> st.SearchStrategy[Block]:
    children = st.lists(blocks, max_size=3).map(first_numbered)
    text: Callable[..., Any] = st.builds
    columns = st.builds(Column, children=children)
    return st.one_of(
        *(text(kind, RICH, HUES, children=children) for kind in (Paragraph, Bullet, Toggle, Quote)),
        st.builds(Numbered, RICH, HUES, st.sampled_from([1, 7]), children=children),
        st.builds(ToDo, RICH, HUES, st.booleans(), children=children),
        st.builds(Heading, RICH, HUES, level=st.integers(1, 4)),
        st.builds(
            Heading, RICH, HUES, level=st.integers(1, 4), toggle=st.just(True), children=children
        ),
        st.builds(Callout, RICH, HUES, ICONS, children=children),
        st.builds(Columns, children=st.lists(columns, max_size=3).map(tuple)),
        st.builds(Tabs, children=children),
        st.builds(Synced, st.just("") | IDS, children=children),
        st.builds(
            MeetingNotes,
            RICH,
            HUES,
            children=st.lists(
                st.builds(
                    Section, st.sampled_from(["summary", "notes", "transcript"]), children=children
                ),
                max_size=3,
            ).map(tuple),
        ),
    )


def first_numbered(blocks: list[Block]) -> tuple[Block, ...]:
    """Only the first item of a list says where it starts."""
    found: list[Block] = []
    for block in blocks:
        if isinstance(block, Numbered) and found and isinstance(found[-1], Numbered):
            block = Numbered(block.text, block.colour, children=block.children)
        found.append(block)
    return tuple(found)


BLOCKS = st.recursive(leaves(), _inside, max_leaves=6)
CONTENTS = st.lists(BLOCKS, max_size=4).map(first_numbered).map(Content)
