"""The small mail server, spoken to by Python's own client: what it takes, and how it fails."""

import asyncio
import smtplib
from collections.abc import Callable
from email.message import EmailMessage

import pytest

from higherself.flows.mail import Mailbox, mail_server

pytestmark = pytest.mark.anyio


def letter() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@x.org", "b@x.org", "Hello"
    message.set_content("One\n.\n..two\n")
    return message


async def talk(box: Mailbox, say: Callable[[smtplib.SMTP], object]) -> object:
    def spoken() -> object:
        with smtplib.SMTP("127.0.0.1", box.port, timeout=20) as client:
            return say(client)

    return await asyncio.to_thread(spoken)


async def test_it_keeps_what_it_takes() -> None:
    async with mail_server() as box:
        for _ in range(2):
            assert await talk(box, lambda client: client.send_message(letter())) == {}
        (first, _) = await box.count(2)
        assert (first.sender, first.recipients, first.subject) == ("a@x.org", ("b@x.org",), "Hello")
        assert first.text.splitlines() == ["One", ".", "..two"]
        assert (len(box.to("B@x.org")), box.to("c@x.org")) == (2, [])


async def test_it_says_what_is_missing_or_not_known() -> None:
    async with mail_server() as box:

        def wrong(client: smtplib.SMTP) -> list[int]:
            client.ehlo()
            return [
                client.docmd(each)[0]
                for each in ("DATA", "RCPT TO:<a@x.org>", "MAIL a", "TURN", "RSET")
            ]

        assert await talk(box, wrong) == [503, 503, 501, 502, 250]
        assert box.letters == []


async def test_it_fails_as_it_is_told() -> None:
    async with mail_server() as box:
        box.mood = "busy"
        with pytest.raises(smtplib.SMTPSenderRefused, match="451"):
            await talk(box, lambda client: client.send_message(letter()))
        box.mood = "refusing"
        with pytest.raises(smtplib.SMTPRecipientsRefused, match="550"):
            await talk(box, lambda client: client.send_message(letter()))
        assert box.letters == []
        box.mood = "dropping"
        with pytest.raises(smtplib.SMTPServerDisconnected):
            await talk(box, lambda client: client.send_message(letter()))
        assert len(box.letters) == 1, "it has taken it, and nobody was told"
