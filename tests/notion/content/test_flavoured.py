"""Notion-flavoured markdown (v2), as far as its specification says."""

import pytest

from higherself.notion.content import parse, plain_text, render
from higherself.notion.content.tree import (
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

ID = "01234567-89ab-cdef-0123-456789abcdef"
HEX = ID.replace("-", "")


def words(text: str) -> tuple[Text, ...]:
    return (Text(text),)


def p(text: str) -> Paragraph:
    return Paragraph(words(text))


@pytest.mark.parametrize(
    ("markdown", "blocks"),
    [
        ("One\ngoes on \\\nand breaks", [Paragraph(words("One goes on\nand breaks"))]),
        ("One\n\nTwo", [p("One"), p("Two")]),
        ("<p />", [Paragraph()]),
        ("### Three", [Heading(words("Three"), level=3)]),
        ("<h2 color=\"red\">\nT\n\ninside\n</h2>", [Heading(words("T"), "red", level=2, toggle=True, children=(p("inside"),))]),
        ("<toggle heading=\"h1\">\nT\n\ninside\n</toggle>", [Heading(words("T"), level=1, toggle=True, children=(p("inside"),))]),
        ("<toggle>\nT\n\n- a\n</toggle>", [Toggle(words("T"), children=(Bullet(words("a")),))]),
        ("- a\n  - b\n\n    more\n- c", [Bullet(words("a"), children=(Bullet(words("b"), children=(p("more"),)),)), Bullet(words("c"))]),
        ("3. a\n4. b", [Numbered(words("a"), start=3), Numbered(words("b"))]),
        ("- [ ] a\n- [x] b", [ToDo(words("a")), ToDo(words("b"), checked=True)]),
        ("<todo checked=\"true\" color=\"blue_bg\">a</todo>", [ToDo(words("a"), "blue_background", True)]),
        ("<ol type=\"1\">\n<li color=\"red\">\na\n\ninside\n</li>\n</ol>", [Numbered(words("a"), "red", children=(p("inside"),))]),
        ("> a\n> b\n>\n> c", [Quote(words("a b"), children=(p("c"),))]),
        ("<quote color=\"red\">\nTitle\n\n- a\n</quote>", [Quote(words("Title"), "red", children=(Bullet(words("a")),))]),
        ("<callout icon=\"💡\" color=\"yellow_bg\">\nBody\n</callout>", [Callout(words("Body"), "yellow_background", "💡")]),
        ("````md\n```\nx\n```\n````", [Code("```\nx\n```", "md")]),
        ("$$\nx + y\n$$", [Equation("x + y")]),
        ("<equation color=\"red\">x + y</equation>", [Equation("x + y")]),
        ("---", [Divider()]),
        ("<table-of-contents color=\"gray\" />", [TableOfContents("gray")]),
        ("| a | b |\n|---|---|\n| 1 | x\\|y |", [Table(True, children=(Row((words("a"), words("b"))), Row((words("1"), words("x|y")))))]),
        ("<table header-row=\"true\"><tr><td>a</td><td>b</td></tr></table>", [Table(True, children=(Row((words("a"), words("b"))),))]),
        ("![cap](https://e.com/a.png)", [Media("image", "https://e.com/a.png", words("cap"))]),
        ("<pdf source=\"https://e.com/a.pdf\" color=\"red\">cap</pdf>", [Media("pdf", "https://e.com/a.pdf", words("cap"), colour="red")]),
        ("<bookmark source=\"https://e.com\">cap</bookmark>", [Bookmark("https://e.com", words("cap"))]),
        ("<embed source=\"https://e.com\" />", [Embed("https://e.com")]),
        ("<columns>\n<column ratio=\"25\">\nA\n</column>\n<column>\nB\n</column>\n</columns>", [Columns(children=(Column(0.25, children=(p("A"),)), Column(children=(p("B"),))))]),
        ("<tabs>\n<tab icon=\"🎯\">\nOne\n\ninside\n</tab>\n</tabs>", [Tabs(children=(Paragraph(words("One"), icon="🎯", children=(p("inside"),)),))]),
        (f"<synced-block-reference url=\"https://app.notion.com/p/{HEX}\">\nA\n</synced-block-reference>", [Synced(ID, children=(p("A"),))]),
        ("<meeting-notes>\nSync\n\n<meeting-notes-section-notes>\nSaid\n</meeting-notes-section-notes>\n</meeting-notes>", [MeetingNotes(words("Sync"), children=(Section("notes", children=(p("Said"),)),))]),
        ("<folder url=\"https://app.notion.com/f\">Papers</folder>", [Unknown("folder", ("Papers",))]),
        ("a <u>b</u> <mention url=\"user://" + HEX + "\">Ana</mention> &lt;c&gt;", [Paragraph((Text("a "), Text("b", Marks(underline=True)), Text(" "), Mention("user", ID, "Ana"), Text(" <c>")))]),
        ("<blink>a</blink>", [p("<blink>a</blink>")]),
    ],
)  # fmt: skip
def test_v2(markdown: str, blocks: list[Block]) -> None:
    assert parse(markdown, version="v2") == Content(tuple(blocks))


def test_both_versions_of_a_page_are_the_same_content() -> None:
    first = parse("# T\nwords **b**\n- a\n\t- b\n<details>\n<summary>S</summary>\n\tin\n</details>")
    second = parse("# T\n\nwords **b**\n\n- a\n  - b\n\n<toggle>\nS\n\nin\n</toggle>", version="v2")
    assert first == second
    assert render(first) == render(second)


def test_tags_in_one_another_without_end_are_read_without_harm() -> None:
    text = "<quote>\n" * 400 + "w\n" + "</quote>\n" * 400
    assert "w" in plain_text(parse(text, version="v2"))
    deep = "\n".join("  " * n + f"- w{n}" for n in range(300))
    assert {f"w{n}" for n in range(300)} <= set(plain_text(parse(deep, version="v2")).replace("-", " ").split())  # fmt: skip
