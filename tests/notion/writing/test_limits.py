"""What fits into a request: everything arrives, in order, whatever its size."""

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.notion.conftest import Json, a_page, paragraph, text

from higherself.notion.errors import NotionRejected
from higherself.notion.gateway.connection import NotionConnection
from higherself.notion.writing.limits import (
    BLOCKS,
    BYTES,
    CHILDREN,
    GENERATIONS,
    NEED_CHILDREN,
    TEXT,
    Portion,
    children_of,
    cut,
    fitted_properties,
    kind_of,
    markdown_parts,
    pieces,
    portions,
    units,
    with_children,
)
from higherself.notion.writing.limits import _bytes as size
from higherself.notion.writing.limits import _count as count


@given(st.text(st.sampled_from("a😀é\n "), max_size=60), st.integers(2, 9))
def test_text_is_cut_without_loss(whole: str, most: int) -> None:
    parts = list(cut(whole, most))
    assert "".join(parts) == whole
    assert all(units(part) <= most for part in parts)
    assert all(units(part) + units(following[0]) > most for part, following in pairwise(parts))


def toggle(name: str, children: list[Json]) -> Json:
    return with_children({"type": "toggle", "toggle": {"rich_text": text(name)}}, children)


def table(rows: int) -> Json:
    cells = [{"type": "table_row", "table_row": {"cells": [text(f"{n}")]}} for n in range(rows)]
    return {"type": "table", "table": {"table_width": 1, "children": cells}}


def columns(inside: list[Json]) -> Json:
    each = [{"type": "column", "column": {"children": inside}} for _ in range(2)]
    return {"type": "column_list", "column_list": {"children": each}}


leaves = st.one_of(
    st.builds(lambda n: paragraph("x" * n), st.sampled_from([0, 1, 1_999, 2_001, 5_000])),
    st.builds(table, st.sampled_from([1, 3, 101])),
)
trees = st.recursive(
    leaves,
    lambda inside: st.one_of(
        st.builds(toggle, st.just("t"), st.lists(inside, max_size=4)),
        st.builds(lambda one: toggle("many", [one] * 101), st.just(paragraph("x"))),
        st.builds(columns, st.lists(inside, min_size=1, max_size=3)),
    ),
    max_leaves=5,
)


def put_together(portions: list[Portion]) -> list[Any]:
    """Do what the requests would do, and return kinds and texts."""
    made: list[Json] = []
    for portion in portions:
        within_limits(portion)
        added = [_copy(block) for block in portion.blocks]
        for rest in portion.rests:
            place = added[rest.path[0]]
            for step in rest.path[1:]:
                place = place["inside"][step]
            place["inside"] += put_together(list(_portions(rest.blocks)))
        made += added
    return made


def _portions(blocks: list[Json]) -> list[Portion]:
    return list(portions(blocks))


def _copy(block: Json) -> Json:
    return {"kind": kind_of(block), "text": _text(block), "inside": [_copy(each) for each in children_of(block)]}  # fmt: skip


def _text(block: Json) -> str:
    content = block[kind_of(block)]
    items = content.get("rich_text") or [each for cell in content.get("cells", []) for each in cell]
    return "".join(each["text"]["content"] for each in items)


def within_limits(portion: Portion) -> None:
    assert len(portion.blocks) <= CHILDREN
    assert sum(map(count, portion.blocks)) <= BLOCKS
    assert sum(map(size, portion.blocks)) <= BYTES

    def check(block: Json, generation: int) -> None:
        inside = children_of(block)
        assert generation <= GENERATIONS
        assert len(inside) <= CHILDREN
        if kind_of(block) in NEED_CHILDREN:
            assert inside, "Notion refuses it empty"
        for each in inside:
            check(each, generation + 1)

    for block in portion.blocks:
        check(block, 1)


@settings(max_examples=20)
@given(st.lists(trees, max_size=4))
def test_portions_together_are_the_whole(blocks: list[Json]) -> None:
    assert put_together(_portions(blocks)) == [_copy(block) for block in blocks]


def test_a_text_too_long_for_a_block_goes_on_in_the_next() -> None:
    long = "x" * (TEXT * 250)
    blocks = [
        block for each in _portions([toggle(long, [paragraph("in")])]) for block in each.blocks
    ]
    assert "".join(map(_text, blocks)) == long
    assert all(len(block["toggle"]["rich_text"]) <= 100 for block in blocks)
    assert [len(children_of(block)) for block in blocks] == [0, 0, 1]


def test_what_cannot_be_cut_is_refused_by_name() -> None:
    with pytest.raises(NotionRejected, match="Notes is too long"):
        fitted_properties({"Notes": {"rich_text": text("x" * (TEXT * 101))}})
    with pytest.raises(NotionRejected, match=r"Links has 101 values.*other side"):
        fitted_properties({"Links": {"relation": [{"id": "x"}] * 101}})
    fitted = fitted_properties({"Notes": {"rich_text": text("x" * 4_001)}})
    assert [len(each["text"]["content"]) for each in fitted["Notes"]["rich_text"]] == [2_000, 2_000, 1]  # fmt: skip


def test_pieces_keep_what_they_look_like() -> None:
    item = {"type": "text", "text": {"content": "x" * 2_500, "link": {"url": "u"}}, "annotations": {"bold": True}}  # fmt: skip
    parts = pieces([item, {"type": "mention", "mention": {}}])
    assert [part["annotations"] for part in parts[:2]] == [{"bold": True}] * 2
    assert [part["text"]["link"] for part in parts[:2]] == [{"url": "u"}] * 2
    assert parts[2]["type"] == "mention"


lines = st.lists(
    st.sampled_from(["text", "\tinside", "- item", "```", "<details>", "</details>", "", "| x |"]),
    max_size=40,
)


@given(lines, st.integers(40, 200))
def test_markdown_is_cut_between_blocks(lines: list[str], most: int) -> None:
    whole = "\n".join(lines)
    try:
        parts = markdown_parts(whole, most)
    except NotionRejected:
        return
    assert "".join(parts) == whole
    assert all(len(part.encode()) <= most for part in parts)
    assert not any(part.startswith("\t") for part in parts[1:])


@pytest.mark.postgres
async def test_a_large_text_arrives_in_one_piece(notion: NotionConnection) -> None:
    whole = "\n".join(f"Line {number} " + "x" * 400 for number in range(1_100))
    made = await notion.writes.create_page({"workspace": True}, {"title": text("Large")}, markdown=whole, key="k")  # fmt: skip
    assert (await notion.api.markdown(made["id"])).markdown == whole


@pytest.mark.postgres
async def test_many_blocks_of_any_shape_arrive(notion: NotionConnection) -> None:
    page = await a_page(notion)
    blocks = [toggle("a", [toggle("b", [toggle("c", [table(130)])])]), columns([table(2), paragraph("p")]), table(250)]  # fmt: skip
    made = await notion.writes.append(page, blocks, key="k")
    assert len(made) == 3
    assert [_answered(each) for each in (await notion.api.tree(page)).blocks] == [_copy(each) for each in blocks]  # fmt: skip


def _answered(block: Json) -> Json:
    return {"kind": block["type"], "text": _text(block), "inside": [_answered(each) for each in block.get("children", [])]}  # fmt: skip
