import html
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.messages.channels import (
    MessageTooLong,
    as_html,
    as_notion,
    as_slack,
    as_sms,
    plain,
)
from higherself.business.messages.text import Block, Span, escaped, read

WORDS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=40)
ALLOWED = {
    "p",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "ul",
    "ol",
    "li",
    "hr",
    "br",
    "pre",
    "code",
    "em",
    "strong",
    "a",
    "blockquote",
}


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[Any]) -> None:
        assert tag in ALLOWED
        assert all(name in ("style", "href") for name, _ in attrs)
        if tag not in ("hr", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text(max_size=300))
def test_html_is_whole_and_has_only_our_tags(markdown: str) -> None:
    tags = Tags()
    tags.feed(as_html(read(markdown)))
    tags.close()
    assert tags.open == []


@given(WORDS)
def test_a_fact_cannot_become_markup_in_any_channel(fact: str) -> None:
    blocks = read(f"Dear {escaped(fact)}x")
    shown = f"Dear {' '.join(fact.split())}x" if fact.split() else "Dear x"
    assert html.unescape(re.sub(r"<[^>]*>", "", as_html(blocks))) == shown
    text: Any = as_slack(blocks)["blocks"]
    raw = text[0]["text"]["text"]
    assert "<" not in raw.replace("&lt;", "")
    assert ">" not in raw.replace("&gt;", "")


def test_plain_text_is_wrapped_and_shows_where_links_lead() -> None:
    text = plain(read("# Hi\n\n- **a**\n- [b](https://x.org/y) " + "word " * 30 + "\n\nend"))
    assert text.startswith("HI\n\n- a\n- b (https://x.org/y) word")
    assert max(map(len, text.split("\n"))) <= 76
    assert text.endswith("\n\nend\n")


def test_slack_takes_what_it_can_and_no_more() -> None:
    message: Any = as_slack(read("# Title\n\n" + "long " * 1000 + "\n\n---"))
    kinds = [block["type"] for block in message["blocks"]]
    assert kinds == ["header", "section", "section", "divider"]
    assert all(len(block["text"]["text"]) <= 3000 for block in message["blocks"][:3])
    with pytest.raises(MessageTooLong, match="Slack takes 50"):
        as_slack([Block("paragraph", (Span("x"),))] * 51)


@pytest.mark.parametrize(
    ("text", "encoding", "segments"),
    [
        ("a" * 160, "GSM-7", 1),
        ("a" * 161, "GSM-7", 2),
        ("€" * 80, "GSM-7", 1),
        ("€" * 81, "GSM-7", 2),
        ("ç" * 70, "UCS-2", 1),
        ("ç" * 71, "UCS-2", 2),
        ("\N{SPARKLES}" * 70, "UCS-2", 1),
        ("😀" * 36, "UCS-2", 2),
        ("it\u2019s \u2026", "GSM-7", 1),
    ],
)
def test_how_many_messages_an_sms_is(text: str, encoding: str, segments: int) -> None:
    sms = as_sms([Block("paragraph", (Span(text),))])
    assert (sms.encoding, sms.segments) == (encoding, segments)


def test_an_sms_that_is_too_long_says_why() -> None:
    with pytest.raises(MessageTooLong, match=r"3 messages \(because of '😀'\), and 2"):
        as_sms([Block("paragraph", (Span("a" * 140 + "😀"),))], most_segments=2)


@given(st.text(st.characters(blacklist_categories=["Cs"]), min_size=1, max_size=5000))
def test_notion_gets_the_whole_text_in_pieces(text: str) -> None:
    (block,) = as_notion([Block("paragraph", (Span(text, bold=True),))])
    rich: Any = block["paragraph"]["rich_text"]  # type: ignore[index, call-overload]
    assert "".join(each["text"]["content"] for each in rich) == text
    assert all(len(each["text"]["content"]) <= 2000 for each in rich)
