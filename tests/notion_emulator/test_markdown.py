from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notion_emulator.blocks import Draft
from notion_emulator.markdown_apply import drafted
from notion_emulator.markdown_inline import items_of
from notion_emulator.markdown_marks import inline
from notion_emulator.markdown_parse import parse
from notion_emulator.markdown_render import Rendering, render
from notion_emulator.richtext import FLAGS, text_items
from notion_emulator.seed import DEMO

Json = dict[str, Any]
ID = "38c9ce7b-60a4-81a6-97bc-71930b58470c"


def rendered(items: list[Draft] | tuple[Draft, ...]) -> str:
    return render([drafted(item) for item in items], Rendering())


def again(text: str) -> str:
    return rendered(parse(text))


def test_the_demo_is_a_fixed_point() -> None:
    for page in DEMO["pages"]:
        once = again(page["markdown"])
        assert again(once) == once


# Text as Notion keeps it: joined where the form is the same, no mark around spaces at its edges.
LETTERS = st.text('ab é$[]()<>{}|^\\#-1.!*_~`"&:\n😀', max_size=9)
NOTES = st.fixed_dictionaries(
    {flag: st.booleans() for flag in FLAGS}
    | {"color": st.sampled_from(["default", "red", "blue_background"])}
)
LINK = st.one_of(st.none(), st.sampled_from(["https://a.example/?q=(b)", "https://b.example"]))


@st.composite
def texts(draw: st.DrawFn) -> Json:
    item = text_items(draw(LETTERS) or "w")[0]
    item["annotations"] = draw(NOTES)
    link = draw(LINK)
    item["text"]["link"] = {"url": link} if link else None
    item["href"] = link
    return item


def mention(kind: str, value: Json, shown: str, href: str | None) -> Json:
    return {"type": "mention", "mention": {"type": kind, kind: value}, "plain_text": shown, "href": href}  # fmt: skip


ATOMS = st.sampled_from(
    [
        {"type": "equation", "equation": {"expression": "a_1^2"}, "plain_text": "a_1^2", "href": None},
        mention("user", {"object": "user", "id": ID}, "@Robin *", None),
        mention("page", {"id": ID}, "Page", "https://app.notion.com/p/" + ID.replace("-", "")),
        mention("date", {"start": "2026-07-04", "end": None, "time_zone": None}, "2026-07-04", None),
    ]
)  # fmt: skip


@st.composite
def atoms(draw: st.DrawFn) -> Json:
    found: Json = copy.deepcopy(draw(ATOMS))
    return found | {"annotations": draw(NOTES) | {"code": False}}


RICH = st.lists(st.one_of(texts(), texts(), atoms()), max_size=5).map(
    lambda items: items_of(inline(items).strip(" \t"))
)


@given(st.lists(st.one_of(texts(), atoms()), max_size=6))
@settings(max_examples=150, deadline=None)
def test_marks_survive_however_they_overlap(items: list[Json]) -> None:
    """Every letter keeps its marks; bold, italic and strikethrough may leave spaces alone."""
    assert letters(items_of(inline(items))) == letters(items)


def letters(items: list[Json]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        notes = item["annotations"]
        whole = item["type"] != "text" or notes["code"]
        for letter in [item["plain_text"]] if item["type"] != "text" else item["plain_text"]:
            blank = not whole and letter == " "
            marks = tuple(notes[k] for k in sorted(notes) if not (blank and k in ("bold", "italic", "strikethrough")))  # fmt: skip
            found.append((letter, marks, item["href"]))
    return found


def text_draft(kind: str, **more: st.SearchStrategy[Any]) -> st.SearchStrategy[Draft]:
    payload = {"rich_text": RICH, "color": st.sampled_from(["default", "gray", "red_background"])}
    return st.fixed_dictionaries(payload | more).map(lambda body: Draft(kind, body))


SOURCE = {"type": "external", "external": {"url": 'https://a.example/(1)?x="&y=\\'}}
ICON = st.sampled_from([None, {"type": "emoji", "emoji": "💡"}])
LEAVES = st.one_of(
    st.just(Draft("divider", {})),
    st.sampled_from(["gray", "red"]).map(lambda c: Draft("table_of_contents", {"color": c})),
    st.text("ab$\n\\_^", min_size=1).filter(lambda t: "$$" not in t).map(lambda t: Draft("equation", {"expression": t})),
    st.builds(lambda t, lang: Draft("code", {"caption": [], "rich_text": text_items(t), "language": lang}), st.text("a`\n\t# <&"), st.sampled_from(["mermaid", "plain text", "c++"])),
    st.builds(lambda kind, caption: Draft(kind, {"caption": caption} | SOURCE), st.sampled_from(["image", "video", "pdf", "audio"]), RICH),
    RICH.map(lambda caption: Draft("file", {"caption": caption} | SOURCE | {"name": "(1)"})),
    st.sampled_from(["page_id", "database_id"]).map(lambda k: Draft("link_to_page", {"type": k, k: ID})),
    st.sampled_from(["bookmark", "breadcrumb", "unsupported"]).map(lambda k: Draft("unknown", {"id": ID, "alt": k})),
    st.builds(lambda k, t: Draft(k, {"id": ID, "title": t}), st.sampled_from(["child_page", "child_database"]), st.text("a*<b\"")),
    st.just(Draft("synced_block", {"synced_from": {"type": "block_id", "block_id": ID}})),
    st.integers(1, 3).flatmap(lambda width: st.builds(
        lambda rows, top, side: Draft("table", {"table_width": width, "has_column_header": top, "has_row_header": side}, tuple(Draft("table_row", {"cells": r}) for r in rows)),
        st.lists(st.lists(RICH, min_size=width, max_size=width), min_size=1, max_size=2), st.booleans(), st.booleans())),
)  # fmt: skip
NESTING = st.one_of(
    text_draft("paragraph", icon=st.none()),
    text_draft("bulleted_list_item"),
    text_draft("numbered_list_item"),
    text_draft("to_do", checked=st.booleans()),
    text_draft("quote"),
    text_draft("toggle"),
    text_draft("callout", icon=ICON),
    *(text_draft(f"heading_{n}", is_toggleable=st.just(True)) for n in (1, 2, 3, 4)),
    st.sampled_from(["column_list", "column", "tab"]).map(lambda k: Draft(k, {})),
    st.just(Draft("synced_block", {"synced_from": None})),
)


def with_children(inner: st.SearchStrategy[Draft]) -> st.SearchStrategy[Draft]:
    return st.builds(
        lambda draft, children: Draft(draft.type, draft.payload, tuple(children)),
        NESTING,
        st.lists(inner, max_size=3),
    )


TREES = st.recursive(st.one_of(LEAVES, NESTING), with_children, max_leaves=8)


@given(st.lists(TREES, max_size=4))
@settings(max_examples=60, deadline=None)
def test_a_tree_is_read_back_as_it_was_written(trees: list[Draft]) -> None:
    text = rendered(trees)
    assert parse(text) == trees
    assert again(text) == text


@pytest.mark.parametrize(
    ("text", "written"),
    [
        pytest.param("5 * 3 * 2", "5 \\* 3 \\* 2", id="stars between spaces are text"),
        pytest.param("**open", "\\*\\*open", id="a mark that is not closed is text"),
        pytest.param("**a *b* c**", "**a *b* c**", id="nested"),
        pytest.param("<span color='x'>", "\\<span color='x'\\>", id="no tag of ours"),
        pytest.param("a [b] (c)", "a \\[b\\] (c)", id="no link"),
        pytest.param("costs $5 and $6", "costs \\$5 and \\$6", id="money"),
        pytest.param("so $x^2$ is", "so $`x^2`$ is", id="a short equation"),
        pytest.param("$$\na\nb\n$$", "$$\na\nb\n$$", id="an equation in lines"),
        pytest.param("$$x$$", "$$\nx\n$$", id="an equation in one line"),
        pytest.param("##### five", "#### five", id="heading 5"),
        pytest.param("</details>\na", "a", id="a stray end"),
        pytest.param("3. c\n4. d\n\na\n1. e", "3. c\n4. d\na\n1. e", id="a list that begins at 3"),
        pytest.param("<callout>one line</callout>", "<callout>\n\tone line\n</callout>", id="callout"),
        pytest.param("<columns>\n<column>\na\n</column>\n<column>\nb\n</column>\n</columns>", "<columns>\n\t<column>\n\t\ta\n\t</column>\n\t<column>\n\t\tb\n\t</column>\n</columns>", id="not indented"),
        pytest.param('<mention-date start="2026-07-04" startTime="10:30"/>', '<mention-date start="2026-07-04T10:30:00.000+00:00"/>', id="a time"),
    ],
)  # fmt: skip
def test_what_people_write(text: str, written: str) -> None:
    assert again(text) == written
    assert again(written) == written
