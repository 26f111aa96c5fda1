from hypothesis import given
from hypothesis import strategies as st

from higherself.business.messages.text import Block, Span, escaped, read

LINE = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Zl", "Zp"]), min_size=1).map(
    lambda text: " ".join(text.split())
)


@given(LINE.filter(bool))
def test_a_fact_is_shown_as_it_stands(fact: str) -> None:
    (block,) = read(f"x {escaped(fact)} x")
    assert block == Block("paragraph", (Span(f"x {fact} x"),))


def test_form_becomes_spans() -> None:
    (block,) = read("a **b *c*** `d` [e](https://x.org) [f](javascript:alert) <b>g</b>")
    assert block.spans == (
        Span("a "), Span("b ", bold=True), Span("c", bold=True, italic=True), Span(" "),
        Span("d", code=True), Span(" "), Span("e", link="https://x.org"),
        Span(" [f](javascript:alert) <b>g</b>"),
    )  # fmt: skip


def test_lists_know_how_deep_they_are_and_what_number() -> None:
    blocks = read("3. a\n4. b\n   - c\n\n     d\n\n> q\n\n---\n\n```\nx\n```")
    assert [(each.kind, each.text, each.level, each.number) for each in blocks] == [
        ("item", "a", 0, 3), ("item", "b", 0, 4), ("item", "c", 1, None), ("paragraph", "d", 0, None),
        ("quote", "q", 0, None), ("rule", "", 0, None), ("code", "x", 0, None),
    ]  # fmt: skip


@given(st.text(max_size=200))
def test_any_text_can_be_read(text: str) -> None:
    assert all(span.text for block in read(text) for span in block.spans)
