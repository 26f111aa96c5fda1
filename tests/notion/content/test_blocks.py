"""Reading block JSON: every type there is, recorded traffic, and depth."""

import time
from typing import Any

import pytest
from tests.notion.content.recorded import needs_recordings, plain_texts, trees

from higherself.notion.content import (
    canonical_content,
    filled,
    from_blocks,
    links,
    parse,
    plain_text,
    render,
    to_knowledge_markdown,
    unknown_ids,
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
    Synced,
    Table,
    TableOfContents,
    Tabs,
    Template,
    Text,
    ToDo,
    Toggle,
    Unknown,
    walk,
)

Json = dict[str, Any]
ID = "01234567-89ab-4def-8123-456789abcdef"


def text(words: str) -> list[Json]:
    return [{"type": "text", "text": {"content": words, "link": None}, "annotations": {}, "plain_text": words, "href": None}]  # fmt: skip


FILE = {"type": "file", "file": {"url": "https://prod-files-secure.s3.us-west-2.amazonaws.com/x.png?X-Amz-Signature=1", "expiry_time": "2026-01-01"}}  # fmt: skip

# The members of `BlockObjectResponse` in @notionhq/client 5.26.0, each with what may be in it, the
# class it becomes and the words that a reader of the page sees.
COVERAGE: dict[str, tuple[Json, type[Block], tuple[str, ...]]] = {
    "paragraph": ({"rich_text": text("W1"), "color": "default", "icon": None}, Paragraph, ("W1",)),
    "heading_1": ({"rich_text": text("W1"), "is_toggleable": False}, Heading, ("W1",)),
    "heading_2": ({"rich_text": text("W1"), "is_toggleable": False}, Heading, ("W1",)),
    "heading_3": ({"rich_text": text("W1"), "is_toggleable": False}, Heading, ("W1",)),
    "heading_4": ({"rich_text": text("W1"), "is_toggleable": True}, Heading, ("W1",)),
    "bulleted_list_item": ({"rich_text": text("W1")}, Bullet, ("W1",)),
    "numbered_list_item": ({"rich_text": text("W1"), "list_start_index": 3}, Numbered, ("W1",)),
    "quote": ({"rich_text": text("W1")}, Quote, ("W1",)),
    "to_do": ({"rich_text": text("W1"), "checked": True}, ToDo, ("W1",)),
    "toggle": ({"rich_text": text("W1")}, Toggle, ("W1",)),
    "template": ({"rich_text": text("W1")}, Template, ("W1",)),
    "synced_block": ({"synced_from": {"type": "block_id", "block_id": ID}}, Synced, ()),
    "child_page": ({"title": "W1"}, ChildPage, ("W1",)),
    "child_database": ({"title": "W1"}, ChildDatabase, ("W1",)),
    "equation": ({"expression": "e=mc^2"}, Equation, ("e=mc^2",)),
    "code": (
        {"rich_text": text("W1"), "language": "python", "caption": text("W2")},
        Code,
        ("W1", "W2"),
    ),
    "callout": (
        {"rich_text": text("W1"), "icon": {"type": "emoji", "emoji": "💡"}},
        Callout,
        ("W1",),
    ),
    "divider": ({}, Divider, ()),
    "breadcrumb": ({}, Breadcrumb, ()),
    "table_of_contents": ({"color": "gray"}, TableOfContents, ()),
    "tab": ({}, Tabs, ()),
    "column_list": ({}, Columns, ()),
    "column": ({"width_ratio": 0.25}, Column, ()),
    "link_to_page": ({"type": "page_id", "page_id": ID}, LinkToPage, ()),
    "table": ({"table_width": 1, "has_column_header": True, "has_row_header": False}, Table, ()),
    "table_row": ({"cells": [text("W1"), text("W2")]}, Row, ("W1", "W2")),
    "meeting_notes": (
        {"title": text("W1"), "children": {"notes_block_id": ID}},
        MeetingNotes,
        ("W1",),
    ),
    "transcription": ({"title": text("W1")}, MeetingNotes, ("W1",)),
    "embed": ({"url": "https://example.com/e", "caption": text("W1")}, Embed, ("W1",)),
    "bookmark": ({"url": "https://example.com/b", "caption": text("W1")}, Bookmark, ("W1",)),
    "image": ({"caption": text("W1"), **FILE}, Media, ("W1",)),
    "video": ({"caption": text("W1"), **FILE}, Media, ("W1",)),
    "pdf": ({"caption": text("W1"), **FILE}, Media, ("W1",)),
    "file": ({"caption": text("W1"), "name": "W2.txt", **FILE}, Media, ("W1", "W2.txt")),
    "audio": ({"caption": text("W1"), **FILE}, Media, ("W1",)),
    "link_preview": ({"url": "https://example.com/p"}, LinkPreview, ()),
    "unsupported": ({"block_type": "ai_block"}, Unknown, ()),
}


def test_all_types_of_blocks_are_covered() -> None:
    from higherself.notion.content.blocks import READERS

    assert len(COVERAGE) == 37
    assert set(COVERAGE) == set(READERS)


@pytest.mark.parametrize("kind", COVERAGE)
def test_a_block_of_each_type_keeps_its_words_and_its_children(kind: str) -> None:
    payload, made, words = COVERAGE[kind]
    child = {"object": "block", "id": ID.replace("0", "f"), "type": "paragraph", "paragraph": {"rich_text": text("inside")}}  # fmt: skip
    block = {"object": "block", "id": ID, "type": kind, kind: payload, "children": [child]}
    content = from_blocks([block])
    assert type(content.blocks[0]) is made
    assert [c for _, c in walk(content.blocks)][-1] == Paragraph((Text("inside"),))
    for word in (*words, *(["inside"] if kind != "table" else [])):
        assert word in plain_text(content)
        assert word in to_knowledge_markdown(content)
    assert "X-Amz" not in to_knowledge_markdown(content) + canonical_content(content)


def test_what_is_of_no_known_type_is_marked_and_keeps_its_texts() -> None:
    block = {"object": "block", "id": ID, "type": "hologram", "hologram": {"rich_text": text("seen"), "deep": {"title": "too"}}}  # fmt: skip
    content = from_blocks([block])
    assert content.blocks == (Unknown("hologram", ("seen", "too")),)
    assert "seen" in to_knowledge_markdown(content)
    assert unknown_ids(parse(render(content))) == [ID]


def test_what_markdown_does_not_show_is_filled_in_from_blocks() -> None:
    markdown = (
        f'- a\n\t<unknown url="https://www.notion.so/p#{ID.replace("-", "")}" alt="bookmark"/>'
    )
    content = parse(markdown)
    assert unknown_ids(content) == [ID]
    block = {"object": "block", "id": ID, "type": "bookmark", "bookmark": {"url": "https://example.com", "caption": text("C")}}  # fmt: skip
    whole = filled(content, {ID.replace("-", ""): block})
    assert whole.blocks[0].children == (Bookmark("https://example.com", (Text("C"),)),)
    assert unknown_ids(whole) == []


def test_rich_text_of_every_kind_keeps_what_is_read() -> None:
    notes = {"bold": True, "color": "red"}
    items = [
        {"type": "text", "text": {"content": "a ", "link": {"url": "/" + ID.replace("-", "")}}, "annotations": notes, "plain_text": "a "},
        {"type": "equation", "equation": {"expression": "x^2"}, "annotations": {}, "plain_text": "x^2"},
        {"type": "mention", "mention": {"type": "user", "user": {"object": "user", "id": ID}}, "annotations": {}, "plain_text": "@Ana"},
        {"type": "mention", "mention": {"type": "page", "page": {"id": ID}}, "annotations": {}, "plain_text": "Plan"},
        {"type": "mention", "mention": {"type": "date", "date": {"start": "2026-06-27T18:01:00.000+01:00", "end": None, "time_zone": None}}, "annotations": {}, "plain_text": "x"},
        {"type": "mention", "mention": {"type": "link_mention", "link_mention": {"href": "https://e.com", "title": "Linked"}}, "annotations": {}, "plain_text": "https://e.com"},
        {"type": "mention", "mention": {"type": "link_preview", "link_preview": {"url": "https://p.com"}}, "annotations": {}, "plain_text": "https://p.com"},
        {"type": "mention", "mention": {"type": "template_mention", "template_mention": {"type": "template_mention_date", "template_mention_date": "today"}}, "annotations": {}, "plain_text": "@Today"},
        {"type": "mention", "mention": {"type": "custom_emoji", "custom_emoji": {"id": ID, "name": "party", "url": "u"}}, "annotations": {}, "plain_text": ":party:"},
    ]  # fmt: skip
    content = from_blocks([{"type": "paragraph", "paragraph": {"rich_text": items}}])
    shown = plain_text(content)
    for words in ("a ", "x^2", "@Ana", "Plan", "2026-06-27T18:01+01:00", "Linked", "https://p.com", "@Today", ":party:"):  # fmt: skip
        assert words in shown
    assert links(content) == [ID]
    assert Mention("user", ID, "Ana") in content.blocks[0].text  # type: ignore[attr-defined]
    assert parse(render(content)) == content


@needs_recordings
def test_every_word_of_recorded_blocks_is_in_the_markdown_for_the_hub() -> None:
    blocks = trees()
    assert len({block["type"] for block in blocks}) >= 15
    missing: list[str] = []
    for block in blocks:
        written = " ".join(to_knowledge_markdown(from_blocks([block])).split())
        missing += [w for w in plain_texts(block) if " ".join(w.split()) not in written]
    assert missing == []


@needs_recordings
def test_recorded_blocks_are_the_same_once_they_were_written_as_markdown() -> None:
    content = from_blocks(trees())
    assert canonical_content(parse(render(content))) == canonical_content(content)


def _deep(levels: int) -> Json:
    block: Json = {"type": "toggle", "toggle": {"rich_text": text("w0")}}
    for level in range(1, levels):
        block = {"type": "toggle", "toggle": {"rich_text": text(f"w{level}")}, "children": [block]}
    return block


def test_a_page_100_deep_is_kept_as_it_is() -> None:
    content = from_blocks([_deep(100)])
    assert [depth for depth, _ in walk(content.blocks)] == list(range(100))
    assert parse(render(content)) == content


def test_what_is_deeper_than_that_loses_its_place_and_no_word() -> None:
    content = from_blocks([_deep(800)])
    assert {f"w{n}" for n in range(800)} == set(plain_text(content).split())
    tabs = "\n".join("\t" * n + f"- w{n}" for n in range(800))
    tags = "<callout>\n" * 800 + "w0\n" + "</callout>\n" * 800
    assert {f"w{n}" for n in range(800)} == set(plain_text(parse(tabs)).split())
    assert "w0" in plain_text(parse(tags))


def test_5_000_children_are_read_soon() -> None:
    blocks = [{"type": "paragraph", "paragraph": {"rich_text": text(f"word {n}")}} for n in range(5_000)]  # fmt: skip
    begun = time.perf_counter()
    content = from_blocks([{"type": "toggle", "toggle": {"rich_text": []}, "children": blocks}])
    assert len(content.blocks[0].children) == 5_000
    assert parse(render(content)) == content
    assert time.perf_counter() - begun < 5
