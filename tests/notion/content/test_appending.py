"""Content as blocks to append: what Notion would refuse is split, or refused by us with its place."""

import pytest

from higherself.notion.content import ContentRejected, from_blocks, parse, plain_text, to_blocks
from higherself.notion.content.tree import (
    Block,
    Bookmark,
    Bullet,
    Callout,
    ChildPage,
    Code,
    Column,
    Columns,
    Content,
    Equation,
    Heading,
    LinkPreview,
    Marks,
    Math,
    Media,
    Paragraph,
    Quote,
    Row,
    Synced,
    Table,
    Text,
    ToDo,
    Unknown,
)
from higherself.notion.writing.limits import units


def made(*blocks: Block) -> list[dict[str, object]]:
    return to_blocks(Content(blocks))


def test_long_text_is_cut_between_characters() -> None:
    [block] = made(Paragraph((Text("😀" * 3_000, Marks(bold=True)),)))
    items = block["paragraph"]["rich_text"]  # type: ignore[index]
    assert [units(item["text"]["content"]) for item in items] == [2_000, 2_000, 2_000]
    assert all(item["annotations"] == {"bold": True} for item in items)


@pytest.mark.parametrize(
    ("block", "kinds", "inside"),
    [
        (Paragraph, ["paragraph"] * 3, []),
        (Quote, ["quote"] * 3, []),
        (Heading, ["heading_1", "paragraph", "paragraph"], []),
        (Bullet, ["bulleted_list_item"], ["paragraph"] * 2),
        (ToDo, ["to_do"], ["paragraph"] * 2),
        (Callout, ["callout"], ["paragraph"] * 2),
    ],
)
def test_text_too_long_for_a_block_goes_on_in_the_next(
    block: type[Paragraph], kinds: list[str], inside: list[str]
) -> None:
    text = "word " * 50_000
    blocks = made(block((Text(text),)))
    assert [b["type"] for b in blocks] == kinds
    assert [b["type"] for b in blocks[0].get("children", [])] == inside  # type: ignore[attr-defined]
    assert "".join(plain_text(from_blocks(blocks)).split()) == "".join(text.split())


def test_many_looks_go_on_in_the_next_block_too() -> None:
    text = tuple(Text("x", Marks(bold=n % 2 == 0)) for n in range(250))
    blocks = made(Paragraph(text))
    assert [len(b["paragraph"]["rich_text"]) for b in blocks] == [100, 100, 50]  # type: ignore[index]


def test_long_code_keeps_its_language_and_says_its_caption_once() -> None:
    code = "x = 1\n" * 50_000
    blocks = made(Code(code, "py", (Text("c"),)))
    assert {b["code"]["language"] for b in blocks} == {"python"}  # type: ignore[index]
    assert sum("caption" in b["code"] for b in blocks) == 1  # type: ignore[operator]
    assert plain_text(from_blocks(blocks)).replace("\nc", "").replace("\n", "") == code.replace("\n", "")  # fmt: skip


def test_a_table_gets_rows_of_one_width_and_at_least_one() -> None:
    [table] = made(Table(children=(Row(((Text("a"),),)), Row(((), (), (Text("b"),))))))
    assert table["table"]["table_width"] == 3  # type: ignore[index]
    assert [len(row["table_row"]["cells"]) for row in table["children"]] == [3, 3]  # type: ignore[attr-defined]
    assert len(made(Table())[0]["children"]) == 1  # type: ignore[arg-type]


def test_columns_are_two_at_least_and_never_empty_or_in_one_another() -> None:
    one = Columns(children=(Column(children=(Paragraph((Text("a"),)),)),))
    assert [b["type"] for b in made(one)] == ["paragraph"]
    assert made(Columns()) == []
    [two] = made(Columns(children=(Column(children=(one,)), Column())))
    assert [[b["type"] for b in c["children"]] for c in two["children"]] == [["paragraph"], ["paragraph"]]  # type: ignore[attr-defined]  # fmt: skip


def test_children_of_what_cannot_have_any_become_its_neighbours() -> None:
    content = Content((Heading((Text("h"),), children=(Paragraph((Text("a"),)),)),))
    assert [b["type"] for b in to_blocks(content)] == ["heading_1", "paragraph"]


def test_names_of_languages_that_people_use() -> None:
    found = [made(Code("x", name))[0]["code"]["language"] for name in ("js", "C++", "klingon", "")]  # type: ignore[index]  # fmt: skip
    assert found == ["javascript", "c++", "plain text", "plain text"]


def test_what_the_blocks_of_a_page_with_everything_say() -> None:
    markdown = "# a\n- b\n\t1. c\n> d\n- [x] e\n<callout icon=\"💡\">\n\tf\n</callout>\n---\n$$\ng\n$$\n![h](https://e.com/h.png)"  # fmt: skip
    content = parse(markdown)
    assert from_blocks(to_blocks(content)) == content


@pytest.mark.parametrize(
    ("block", "place", "reason"),
    [
        (Equation("x" * 1_001), "blocks[0]", "1,001 characters; Notion takes 1,000"),
        (Paragraph((Math("x" * 1_001),)), "blocks[0]", "1,001 characters; Notion takes 1,000"),
        (Paragraph((Text("a", link="https://e.com/" + "x" * 2_000),)), "blocks[0]", "the address of the link 'a'"),
        (Bookmark("https://e.com/" + "x" * 2_000), "blocks[0]", "its address has 2,014 characters"),
        (Media("image"), "blocks[0]", "no address"),
        (Bullet(children=(ChildPage("T"),)), "blocks[0].children[0]", "only Notion can make"),
        (Unknown("ai_block"), "blocks[0]", "only Notion can make a block of this kind (ai_block)"),
        (Table(children=(Row(((Text("x" * 200_001),),)),)), "blocks[0].rows[0][0]", "it has 200,001 characters"),
    ],
)  # fmt: skip
def test_what_cannot_be_written_is_refused_with_its_place(
    block: Block, place: str, reason: str
) -> None:
    with pytest.raises(ContentRejected) as refused:
        made(block)
    assert refused.value.place == place
    assert reason in str(refused.value)


def test_synced_blocks_and_previews() -> None:
    [copy, preview] = made(Synced("01234567-89ab-cdef-0123-456789abcdef"), LinkPreview("https://e.com"))  # fmt: skip
    assert copy["synced_block"] == {"synced_from": {"type": "block_id", "block_id": "01234567-89ab-cdef-0123-456789abcdef"}}  # fmt: skip
    assert preview["bookmark"] == {"url": "https://e.com"}
