from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from notion_emulator.blocks import Draft
from notion_emulator.markdown_parse import parse
from notion_emulator.markdown_render import Piece, Rendering, render
from notion_emulator.seed import DEMO


def as_pieces(items: list[Draft] | tuple[Draft, ...]) -> tuple[Piece, ...]:
    return tuple(Piece(i.type, i.payload, "", as_pieces(i.children)) for i in items)


def again(text: str) -> str:
    return render(as_pieces(parse(text)), Rendering())


def test_the_demo_is_a_fixed_point() -> None:
    for page in DEMO["pages"]:
        once = again(page["markdown"])
        assert again(once) == once


LINES = st.sampled_from(["# {}", "- {}", "- [ ] {}", "1. {}", "> {}", "{}", "**{}**", "\t{}", "---", "*{}* `{}`"])  # fmt: skip
WORDS = st.text("abcé $[]<>{}|^\\#-1.", min_size=1, max_size=12).map(lambda s: "w" + s.strip() + "w")  # fmt: skip


@given(st.lists(st.tuples(LINES, WORDS), max_size=6))
@settings(max_examples=150, deadline=None)
def test_what_was_read_back_stays_as_it_is(parts: list[tuple[str, str]]) -> None:
    text = "\n".join(line.replace("{}", word) for line, word in parts)
    once = again(text)
    assert again(again(once)) == again(once)
