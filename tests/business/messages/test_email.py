from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_string
from email.policy import default
from typing import Any

import pytest

from higherself.business.messages.email import EmailRejected, Letter, composed
from higherself.business.messages.text import read

LETTER = Letter(
    to=["Ana Sílva <ana@example.org>", "bo@example.org"],
    subject="Ein schöner Gruß ✨",
    blocks=read("Dear *Ana* <b>,\n\n- [pay](https://x.org?a=1&b=2)"),
    sender='"The 7 Space" <hello@the7space.com>',
    key="order 7",
    at=datetime(2026, 3, 1, 9, tzinfo=UTC),
    reply_to="studio@the7space.com",
    unsubscribe="https://x.org/u?1",
    business="The 7 Space",
)


def parsed(letter: Letter) -> Any:
    return message_from_string(composed(letter).as_string(), policy=default)


def test_what_is_sent_is_what_is_read() -> None:
    message = parsed(LETTER)
    assert message["Subject"] == "Ein schöner Gruß ✨"
    assert [each.addr_spec for each in message["To"].addresses] == [
        "ana@example.org",
        "bo@example.org",
    ]
    assert message["To"].addresses[0].display_name == "Ana Sílva"
    assert message["From"].addresses[0].display_name == "The 7 Space"
    assert message["Reply-To"] == "studio@the7space.com"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["Auto-Submitted"] == "auto-generated"
    text, page = message.get_body(["plain"]), message.get_body(["html"])
    assert (
        text.get_content().replace("\r\n", "\n")
        == "Dear Ana <b>,\n\n- pay (https://x.org?a=1&b=2)\n"
    )
    assert "Dear <em>Ana</em> &lt;b&gt;," in page.get_content()
    assert 'href="https://x.org?a=1&amp;b=2"' in page.get_content()


def test_the_same_letter_is_the_same_mail_byte_for_byte() -> None:
    assert composed(LETTER).as_bytes() == composed(LETTER).as_bytes()
    assert composed(replace(LETTER, key="order 8"))["Message-ID"] != composed(LETTER)["Message-ID"]


def test_it_is_ascii_on_the_wire() -> None:
    assert composed(LETTER).as_bytes().isascii()
    assert all(len(line) <= 998 for line in composed(LETTER).as_bytes().splitlines())


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"to": []}, "to: there is no recipient"),
        ({"to": ["ana@example.org\r\nBcc: all@x.org"]}, "to: .* no e-mail address"),
        ({"to": ["Ana\r\nBcc: b@x.org <ana@example.org>"]}, "to: .* no e-mail address"),
        ({"to": ["ana"]}, "to: 'ana' is no"),
        ({"to": ["a@x.org"] * 51}, "50 are allowed"),
        ({"sender": "nobody"}, "sender: 'nobody'"),
        ({"subject": "a\r\nBcc: x@y.z"}, "a header cannot be written"),
        ({"in_reply_to": "<a@b>\nX: y"}, "a header cannot be written"),
        ({"unsubscribe": "http://x.org"}, "unsubscribe: .* https://"),
        ({"unsubscribe": 'https://x.org/"><script>'}, "unsubscribe"),
    ],
)
def test_what_cannot_be_sent_names_the_field(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(EmailRejected, match=said):
        composed(replace(LETTER, **changed))
