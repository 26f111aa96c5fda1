"""What must hold for every content and every text."""

import re

from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from tests.notion.content.trees import CONTENTS, RICH, SIGNS, WORDS

from higherself.notion.content import (
    ContentRejected,
    canonical,
    canonical_content,
    content_hash,
    from_blocks,
    parse,
    plain_text,
    render,
    to_blocks,
    to_knowledge_markdown,
)
from higherself.notion.content.inline_parsing import Version, _Reader, _simply, parse_inline
from higherself.notion.content.inline_rendering import render_inline
from higherself.notion.content.reading import rich_texts
from higherself.notion.content.tree import (
    Callout,
    Code,
    Columns,
    Content,
    DateMention,
    Media,
    Mention,
    Rich,
    Row,
    Table,
    TableOfContents,
    Tabs,
    Text,
    walk,
)

MARKUP = st.sampled_from([
    '<callout icon="a">', "</callout>", "<details>", "</details>", "<summary>", "</summary>",
    "<table>", "</table>", "<tr>", "</tr>", "<td>x</td>", "<columns>", "</columns>", "<column>",
    "</column>", "```", "````py", "$$", "---", "- a", "\t- b", "  - c", "1. d", "| a | b |", "|---|---|",
    "<empty-block/>", "<summary>t</summary>", "\t\t\tdeep", "> q", '# h {toggle="true"}',
    "<notes>n</notes>", "<callout>x</callout>", '<unknown url="" alt="x"/>', "<synced_block>",
    "</synced_block>", "![a](b)", "<quote>", "</quote>", '<toggle heading="h2">', "</toggle>", "<ul>",
    "</ul>", "<li>z</li>", "a \\", "<p />", "<bookmark source=\"https://a.b\">c</bookmark>",
])  # fmt: skip
LINES = st.lists(
    MARKUP | st.lists(st.text(SIGNS, max_size=6) | WORDS, max_size=5).map("".join), max_size=12
).map("\n".join)


@given(RICH)
def test_rich_text_is_read_as_it_was_written(text: Rich) -> None:
    assert parse_inline(render_inline(text)) == text


PIECES = st.sampled_from([
    '<span color="red">', '<span color="odd">', "</span>", '<mention-user url="user://1">', "</mention-user>",
    "$`", "`$", '<mention-date start="2026-01-02"/>', "**", "*", "`", "~~", "[a](b)", "[", "](c)", "\\", "<br>",
    "a", " b ", " ", "@c", "&lt;", "1$", "x y",
])  # fmt: skip


@given(st.lists(PIECES, max_size=8).map("".join) | LINES, st.sampled_from(["v1", "v2"]))
@settings(max_examples=300)
def test_the_short_way_reads_what_the_long_way_reads(line: str, version: Version) -> None:
    short = _simply(line, version)
    assert short is None or short == _Reader(line, version).read()


@given(CONTENTS)
def test_content_is_read_as_it_was_written(content: Content) -> None:
    assert parse(render(content)) == content


@given(LINES | st.text())
@settings(max_examples=200)
@example("# - a\n\r\n\x0b# b\x85c")
@example("`" * 9 + "\n" + "[" * 200 + "](" * 200)
def test_every_text_is_taken_and_stays_as_it_is_once_it_was_written(text: str) -> None:
    once = render(parse(text))
    assert parse(once) == parse(text)
    assert render(parse(once)) == once


@given(LINES | st.text(), st.sampled_from(["v1", "v2"]))
def test_what_is_canonical_stays_as_it_is(text: str, version: Version) -> None:
    once = canonical(text, version=version)
    assert canonical(once) == once
    assert content_hash(once) == content_hash(once + "\n")


@given(st.lists(MARKUP | WORDS | st.sampled_from("\n \t*~`[](){}<>|$\\-#.!"), min_size=1), st.data(), st.sampled_from(["v1", "v2"]))  # fmt: skip
def test_no_word_is_lost_whatever_stands_around_it(
    markup: list[str], data: st.DataObject, version: Version
) -> None:
    words = [f"Q{number}Q" for number in range(len(markup))]
    # Letters between a tag and its end, in a line of text, in a cell, after a fence, ...
    text = "".join(f"{sign}{data.draw(st.sampled_from(['', ' ', chr(10)]))}{word}" for sign, word in zip(markup, words, strict=True))  # fmt: skip
    content = parse(text, version=version)
    kept = plain_text(content) + repr(content)  # an address, a language and an icon are kept too
    assert [word for word in words if word not in kept] == []
    read = plain_text(content)
    hub = to_knowledge_markdown(content)
    bare = re.sub(r"[\s\\]", "", hub)
    assert [w for w in words if w in read and w not in bare] == []


def _writable(content: Content) -> bool:
    """Whether blocks can say all: no names of pages, ragged tables, custom emoji, coloured media."""
    for _, block in walk(content.blocks):
        if isinstance(block, Code) and block.language not in ("", "python"):
            return False
        if isinstance(block, Columns) and len(block.children) < 2:
            return False
        if isinstance(block, Tabs) and not block.children:
            return False
        if (isinstance(block, Callout) and block.icon.startswith(":")) or (
            isinstance(block, Media | TableOfContents) and block.colour
        ):
            return False
        if isinstance(block, Table):
            widths = {len(row.cells) for row in block.children if isinstance(row, Row)}
            if len(widths) != 1 or 0 in widths:
                return False
        for text in rich_texts(block):
            if any(isinstance(i, Mention | DateMention) for i in text):
                return False
    return True


@given(CONTENTS.filter(_writable))
def test_blocks_say_what_the_content_says(content: Content) -> None:
    try:
        blocks = to_blocks(content)
    except ContentRejected:
        assume(False)
        return
    assert plain_text(from_blocks(blocks)) == plain_text(content)
    nested = [block for _, block in walk(content.blocks) if isinstance(block, Columns)]
    if not nested:
        assert canonical_content(from_blocks(blocks)) == canonical_content(content)


@given(st.text(min_size=1))
def test_any_text_can_be_a_paragraph(text: str) -> None:
    from higherself.notion.content.rich import rich
    from higherself.notion.content.tree import Paragraph

    content = Content((Paragraph(rich((Text(text),))),))
    assert parse(render(content)) == content
