"""Letters, notices, webhooks, texts and files, to real servers on this machine."""

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from tests.outbound.rig import ANA, ENTITY, due_now, run, sending

from higherself import HigherSelf
from higherself.agents.skills import SkillCall
from higherself.flows.mail import Mailbox, mail_server
from higherself.kernel.errors import Rejected
from higherself.outbound.errors import (
    NothingToRelease,
    NotSetUp,
    OutcomeUnknown,
    OutOfReach,
    ParcelRejected,
    Refused,
)
from higherself.outbound.model import Delivery, Parcel
from higherself.outbound.ports import HandOver
from higherself.outbound.web import standard_signature

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

LETTER = {"to": ANA, "subject": "Your visit", "body": "Hello **Ana**,\n\nsee you on {{ day }}."}


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with mail_server() as box:
        yield box


@pytest.fixture
async def hs(database_url: str, tmp_path: Path, mailbox: Mailbox) -> AsyncIterator[HigherSelf]:
    async with sending(
        database_url, tmp_path, SMTP_URL=mailbox.url, MAIL_FROM="The 7 Space <hello@the7.example>"
    ) as hs:
        yield hs


async def test_a_letter_arrives_once_with_what_led_to_it(hs: HigherSelf, mailbox: Mailbox) -> None:
    sent = await run(hs, "send_email", **LETTER, facts={"day": "Friday"})
    assert sent["status"] == "sent"
    assert await run(hs, "send_email", **LETTER, facts={"day": "Friday"}) == sent
    (letter,) = mailbox.letters
    assert (letter.sender, letter.recipients) == ("hello@the7.example", (ANA,))
    assert letter.message["From"] == "The 7 Space <hello@the7.example>"
    assert letter.message["Message-ID"] == sent["message_id"]
    assert letter.message["X-Correlation-ID"] == "lead-1"
    assert "see you on Friday" in letter.text
    (known,) = await hs.outbound.ledger.list(correlation="lead-1")
    assert str(known.id) == sent["delivery"]
    assert known.answer.startswith("250")


async def test_another_mail_server_reads_it_the_same(database_url: str, tmp_path: Path) -> None:
    """Dots at the start of lines, letters of other languages, and a file that goes along."""
    taken: list[Envelope] = []

    class Keeps:
        async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
            taken.append(envelope)
            return "250 taken"

    controller = Controller(Keeps(), hostname="127.0.0.1", port=_free_port())
    controller.start()
    try:
        url = f"smtp://127.0.0.1:{controller.port}"
        async with sending(database_url, tmp_path, SMTP_URL=url) as hs:
            letter = {"to": f"Ána <{ANA}>", "subject": "Grüße", "body": "One\n\n.\n\n..two {{ x }}"}
            files = [
                {"name": "bild.png", "base64": base64.b64encode(b"\x89PNG").decode(), "media_type": "image/png"},
                {"name": "a.txt", "text": ".\r\n.."},
            ]  # fmt: skip
            assert (await run(hs, "send_email", **letter, attachments=files))["status"] == "sent"
    finally:
        controller.stop()
    from email import message_from_bytes
    from email.policy import default

    content = taken[0].content
    assert isinstance(content, bytes)
    message = message_from_bytes(content, policy=default)
    assert message["Subject"] == "Grüße"
    body = message.get_body(("plain",))
    assert body is not None
    assert "..two {{ x }}" in body.get_content()
    attached = {each.get_filename(): each.get_content() for each in message.iter_attachments()}
    assert attached["bild.png"] == b"\x89PNG"
    assert attached["a.txt"].split() == [".", ".."]


async def test_while_the_mail_server_is_down_letters_wait_and_each_goes_once(
    hs: HigherSelf, mailbox: Mailbox
) -> None:
    mailbox.mood = "busy"
    for number in range(3):
        sent = await run(hs, "send_email", key=f"k{number}", to=ANA, subject=f"{number}", body="x")
        assert sent["status"] == "queued"
    await due_now(hs)
    postman = hs.outbound.postman
    assert await postman.round() == 0, "a channel that does not answer is left alone for a while"
    mailbox.mood = "well"
    postman._resting.clear()
    assert await postman.round() == 3
    assert [each.subject for each in mailbox.letters] == ["0", "1", "2"]
    again = await run(hs, "send_email", key="k0", to=ANA, subject="0", body="x")
    assert (again["status"], again["reason"]) == ("sent", "")
    assert len(mailbox.letters) == 3


async def test_a_server_that_is_not_there_is_asked_again(database_url: str, tmp_path: Path) -> None:
    url = f"smtp://127.0.0.1:{_free_port()}"
    async with sending(database_url, tmp_path, SMTP_URL=url) as hs:
        sent = await run(hs, "send_email", to=ANA, subject="x", body="x")
        assert sent["status"] == "queued"
        assert "does not take letters now" in sent["reason"]


async def test_what_is_refused_is_not_tried_again(hs: HigherSelf, mailbox: Mailbox) -> None:
    mailbox.mood = "refusing"
    for _ in range(2):
        with pytest.raises(Refused, match=r"550 ana@example\.org: nobody of this name"):
            await run(hs, "send_email", to=ANA, subject="x", body="x")
    assert mailbox.connections == 1


async def test_what_may_have_arrived_is_left_to_a_person(hs: HigherSelf, mailbox: Mailbox) -> None:
    mailbox.mood = "dropping"
    for _ in range(2):
        with pytest.raises(OutcomeUnknown, match="may have arrived"):
            await run(hs, "send_email", to=ANA, subject="x", body="x")
    await due_now(hs)
    assert await hs.outbound.postman.round() == 0
    assert len(mailbox.letters) == 1
    mailbox.mood = "well"
    (known,) = await hs.outbound.ledger.list(status="uncertain")
    assert (await hs.outbound.postman.release(known.id)).status == "sent"
    assert len(mailbox.letters) == 2


@pytest.mark.parametrize("handed_over", [False, True])
async def test_after_a_kill_only_what_cannot_have_arrived_goes_again(
    hs: HigherSelf, mailbox: Mailbox, handed_over: bool
) -> None:
    mailbox.mood = "busy"
    await run(hs, "send_email", to=ANA, subject="x", body="x")
    mailbox.mood = "well"
    await due_now(hs)
    (claimed,) = await hs.outbound.ledger.claim(1)  # and the process is gone
    if handed_over:
        assert await hs.outbound.ledger.hand_over(claimed)
    await due_now(hs)
    hs.outbound.postman._resting.clear()
    await hs.outbound.postman.round()
    assert len(mailbox.letters) == (0 if handed_over else 1)
    (known,) = await hs.outbound.ledger.list()
    assert known.status == ("uncertain" if handed_over else "sent")
    assert not await hs.outbound.ledger.hand_over(claimed), "whoever comes back late sends nothing"


async def test_two_processes_do_not_send_the_same(hs: HigherSelf, mailbox: Mailbox) -> None:
    mailbox.mood = "busy"
    for number in range(20):
        await run(hs, "send_email", key=str(number), to=ANA, subject=str(number), body="x")
    mailbox.mood = "well"
    await due_now(hs)
    hs.outbound.postman._resting.clear()
    await asyncio.gather(*(hs.outbound.postman.round() for _ in range(3)))
    assert sorted(int(each.subject) for each in mailbox.letters) == list(range(20))


async def test_the_sandbox_holds_what_is_for_others_until_they_are_allowed(
    hs: HigherSelf, mailbox: Mailbox, database_url: str, tmp_path: Path
) -> None:
    sent = await run(hs, "send_email", to="bo@example.org", subject="x", body="x")
    assert sent["status"] == "held"
    (known,) = await hs.outbound.ledger.list(status="held")
    with pytest.raises(NothingToRelease, match="HIGHERSELF_ALLOW_LIST"):
        await hs.outbound.postman.release(known.id)
    allowing = {"SMTP_URL": mailbox.url, "HIGHERSELF_ALLOW_LIST": "@example.org"}
    async with sending(database_url, tmp_path, **allowing) as other:
        assert (await other.outbound.postman.release(known.id)).status == "sent"
    assert len(mailbox.to("bo@example.org")) == 1


@pytest.mark.parametrize("mode", ["sandbox", "testing"])
async def test_who_asked_not_to_be_contacted_is_not(
    database_url: str, tmp_path: Path, mailbox: Mailbox, mode: str
) -> None:
    async with sending(
        database_url, tmp_path, SMTP_URL=mailbox.url, HIGHERSELF_DELIVERY=mode
    ) as hs:
        await hs.contacts.save(ENTITY, {"email": "Ana@Example.org", "status": "Do Not Contact"})
        sent = await run(hs, "send_email", to=f"Ana <{ANA}>", subject="x", body="x")
        assert (sent["status"], mailbox.letters) == ("dropped", [])
        assert "asked not to be contacted" in sent["reason"]
        theirs: dict[str, Any] = {"template": "refund_made", "facts": _REFUND}
        paid = await run(hs, "send_email", key="2", to=ANA, **theirs)
        assert paid["status"] == "sent", "they hear of the money that they get back"
        news = await run(hs, "send_email", key="3", to=ANA, purpose="marketing", **theirs)
        assert news["status"] == "dropped"


async def test_a_click_ends_marketing_and_nothing_else(
    database_url: str, tmp_path: Path, mailbox: Mailbox
) -> None:
    url = "https://network.example.org"
    async with sending(database_url, tmp_path, SMTP_URL=mailbox.url, HIGHERSELF_URL=url) as hs:
        news = {"to": ANA, "subject": "News", "body": "x", "purpose": "marketing"}
        await hs.outbound.ledger.suppress(ENTITY, "bo@example.org", "nothing", origin="bo")
        named = {**news, "to": [f"Ana <{ANA}>", "bo@example.org"]}
        assert (await run(hs, "send_email", key="1", **named))["status"] == "sent"
        assert mailbox.letters[0].recipients == (ANA,)
        message = mailbox.letters[0].message
        assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
        token = message["List-Unsubscribe"].strip("<>").rpartition("/")[2]
        assert await hs.outbound.ledger.unsubscribe("not-a-token-of-ours") is None
        mailbox.mood = "busy"
        late = await run(hs, "send_email", key="late", **news)
        assert late["status"] == "queued"
        assert await hs.outbound.ledger.unsubscribe(token) == (ENTITY, [f"Ana <{ANA}>"])
        mailbox.mood = "well"
        await due_now(hs)
        hs.outbound.postman._resting.clear()
        await hs.outbound.postman.round()
        assert len(mailbox.letters) == 1, "who leaves while a letter waits does not get it"
        assert (await run(hs, "send_email", key="2", **news))["status"] == "dropped"
        other = {**news, "purpose": "transactional"}
        assert (await run(hs, "send_email", key="3", **other))["status"] == "sent"


async def test_what_is_written_wrongly_is_not_sent(hs: HigherSelf, mailbox: Mailbox) -> None:
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"to": ANA, "template": "quote", "facts": {}}, "template quote: a fact is missing"),
        ({"to": ANA, "template": "quot"}, "did you mean 'quote'"),
        ({"to": "ana", "subject": "x", "body": "x"}, "to: 'ana' is no e-mail address"),
        ({"to": f"{ANA}\r\nBcc: eve@example.org", "subject": "x", "body": "x"}, "is no e-mail"),
        ({"to": ANA, "subject": "x"}, "give either"),
        (
            {"to": ANA, "subject": "x", "body": "x",
             "attachments": [{"name": "a.pdf", "text": "x" * 10_000_001}]},
            "10 MB are the most; the largest is a.pdf",
        ),
        ({"to": ANA, "subject": "x", "body": "x", "attachments": [{"name": "../a", "text": ""}]},
         "attachments.0.name"),
    ]  # fmt: skip
    for given, said in wrong:
        with pytest.raises(Exception, match=said) as raised:
            await run(hs, "send_email", **given)
        assert raised.value.exit_code in (Rejected.exit_code, 3)  # type: ignore[attr-defined]
    assert (mailbox.connections, await hs.outbound.ledger.list()) == (0, [])


async def test_testing_reaches_this_machine_alone(database_url: str, tmp_path: Path) -> None:
    elsewhere = {
        "HIGHERSELF_DELIVERY": "testing",
        "SMTP_URL": "smtp://mail.example.org",
        "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
        "HIGHERSELF_WEBHOOK_TARGETS": "crm=https://crm.example.org",
        "WEBHOOK_SIGNING_SECRET": "s3cr3t",
        "SMS_URL": "https://sms.example.org",
    }
    async with sending(database_url, tmp_path, **elsewhere) as hs:
        for skill, given in _ONE_OF_EACH.items():
            with pytest.raises(OutOfReach, match="testing reaches servers on this machine alone"):
                await run(hs, skill, **given)
        assert await hs.outbound.ledger.list() == []


async def test_live_without_a_server_says_what_to_set(database_url: str, tmp_path: Path) -> None:
    async with sending(database_url, tmp_path, HIGHERSELF_DELIVERY="live", MAIL_FROM=ANA) as hs:
        for skill, given in _ONE_OF_EACH.items():
            with pytest.raises(NotSetUp, match="set "):
                await run(hs, skill, **given)
    async with sending(database_url, tmp_path, HIGHERSELF_DELIVERY="live") as hs:
        with pytest.raises(NotSetUp, match="MAIL_FROM"):
            await run(hs, "send_email", to=ANA, subject="x", body="x")


async def test_notices_webhooks_and_texts_arrive_signed(database_url: str, tmp_path: Path) -> None:
    with _receiver() as site:
        async with sending(
            database_url,
            tmp_path,
            HIGHERSELF_ALLOW_LIST="127.0.0.1, +19735550170",
            SLACK_WEBHOOK_URL=f"{site.url}/team; sales={site.url}/sales",
            SLACK_SIGNING_SECRET="s3cr3t",
            HIGHERSELF_WEBHOOK_TARGETS=f"crm={site.url}/crm; {ENTITY}.crm={site.url}/crm7",
            WEBHOOK_SIGNING_SECRET="s3cr3t",
            SMS_URL=f"{site.url}/sms",
            SMS_TOKEN="t0ken",
            SMS_FROM="+19735550100",
        ) as hs:
            for skill, given in _ONE_OF_EACH.items():
                if skill != "send_email":
                    for _ in range(2):
                        assert (await run(hs, skill, key=skill, **given))["status"] == "sent"
            with pytest.raises(ParcelRejected, match=r"there are crm, the_7_space\.crm"):
                await run(hs, "send_webhook", to="crn", event="a.b", data={})
            site.status = 503
            late = await run(hs, "send_webhook", key="late", to="crm", event="a.b", data={})
            assert late["status"] == "queued"
            site.status = 200
            await due_now(hs)
            hs.outbound.postman._resting.clear()
            assert await hs.outbound.postman.round() == 1
            site.status = 410
            with pytest.raises(Refused, match="410"):
                await run(hs, "send_webhook", key="gone", to="crm", event="a.b", data={})
    slack, webhook, sms, *tries = site.came
    assert slack.path == "/team"
    assert slack.headers["x-slack-signature"].startswith("v0=")
    assert json.loads(slack.body)["text"]
    assert webhook.path == "/crm7"
    assert json.loads(webhook.body)["data"] == {"x": 1}
    stamp, name = int(webhook.headers["webhook-timestamp"]), webhook.headers["webhook-id"]
    signed = standard_signature("s3cr3t", name, stamp, webhook.body)
    assert webhook.headers["webhook-signature"] == signed
    assert webhook.headers["x-correlation-id"] == "lead-1"
    assert json.loads(sms.body)["to"] == "+19735550170"
    assert sms.headers["authorization"] == "Bearer t0ken"
    assert tries[0].headers["webhook-id"] == tries[1].headers["webhook-id"]


async def test_a_file_is_there_whole(database_url: str, tmp_path: Path) -> None:
    dropped = tmp_path / "dropped" / ENTITY / "news" / "a.md"
    async with sending(database_url, tmp_path) as hs:
        done = await run(hs, "drop_file", name="news/a.md", content="# A")
        assert done["status"] == "sent"
        assert Path(done["path"]) == dropped
        with dropped.open() as file:
            assert file.read() == "# A"
        with pytest.raises(ParcelRejected, match="name:"):
            await run(hs, "drop_file", key="2", name="../a.md", content="x")


async def test_a_letter_knows_its_contact_and_a_name_stands_before_the_address(
    hs: HigherSelf, mailbox: Mailbox
) -> None:
    given: dict[str, Any] = {
        "to": ANA,
        "subject": "x",
        "body": "x",
        "sender": "Solari",
        "contact": {"record_id": "r1"},
    }
    await run(hs, "send_email", **given)
    assert mailbox.letters[0].message["From"] == "Solari <hello@the7.example>"
    (known,) = await hs.outbound.ledger.list()
    assert known.to_json()["contact"] == "r1"


async def test_what_leads_to_a_letter_ends_no_line_of_it(hs: HigherSelf, mailbox: Mailbox) -> None:
    call = SkillCall(key="k", entity=ENTITY, correlation="é\r\nBcc: eve@example.org", operator=True)
    await hs.skills.run("send_email", {"to": ANA, "subject": "x", "body": "x"}, call)
    message = mailbox.letters[0].message
    assert (message["Bcc"], message["X-Correlation-ID"]) == (None, "___Bcc:_eve@example.org")


async def test_a_full_mailbox_keeps_nobody_else_waiting(hs: HigherSelf, mailbox: Mailbox) -> None:
    mailbox.mood = "full"
    sent = await run(hs, "send_email", to=ANA, subject="x", body="x")
    assert (sent["status"], "452 ana@example.org" in sent["reason"]) == ("queued", True)
    mailbox.mood = "well"
    await due_now(hs)
    assert await hs.outbound.postman.round() == 1
    assert len(mailbox.letters) == 1


class _Broken:
    """A carrier with a mistake in it."""

    async def carry(self, delivery: Delivery, hand_over: HandOver) -> str:
        await hand_over()
        raise RuntimeError("a mistake")

    def places(self, parcel: Parcel) -> Sequence[str]:
        return parcel.to


async def test_one_that_cannot_be_carried_stops_no_other(hs: HigherSelf, mailbox: Mailbox) -> None:
    mailbox.mood = "busy"
    for number in range(2):
        await run(hs, "send_email", key=str(number), to=ANA, subject=str(number), body="x")
    await due_now(hs)
    postman = hs.outbound.postman
    postman._resting.clear()
    postman._carriers = {**postman._carriers, "email": _Broken()}
    assert await postman.round() == 2
    assert {each.status for each in await hs.outbound.ledger.list()} == {"uncertain"}


@pytest.mark.parametrize(
    ("skill", "status"), [("send_slack", "uncertain"), ("send_webhook", "queued")]
)
async def test_a_receiver_that_fails_on_the_way_may_have_taken_it(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skill: str, status: str
) -> None:
    """In the mode for tests, past the proxy that the environment names: it is another machine."""
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{_free_port()}")
    with _receiver() as site:
        site.status = 500
        async with sending(
            database_url,
            tmp_path,
            HIGHERSELF_DELIVERY="testing",
            SLACK_WEBHOOK_URL=site.url,
            HIGHERSELF_WEBHOOK_TARGETS=f"crm={site.url}",
            WEBHOOK_SIGNING_SECRET="s3cr3t",
        ) as hs:
            with suppress(OutcomeUnknown):
                await run(hs, skill, **_ONE_OF_EACH[skill])
            (known,) = await hs.outbound.ledger.list()
    assert (known.status, len(site.came)) == (status, 1)


_REFUND = {"client": {"name": "Ana"}, "subject": "Mugs", "amount": "$45", "message": ""}

_ONE_OF_EACH: Mapping[str, Mapping[str, Any]] = {
    "send_email": {"to": ANA, "subject": "x", "body": "x"},
    "send_slack": {"markdown": "A **hot** lead"},
    "send_webhook": {"to": "crm", "event": "content.published", "data": {"x": 1}},
    "send_sms": {"to": "+1 (973) 555-0170", "message": "See you"},
}


@dataclass
class _Asked:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class _Site:
    url: str = ""
    status: int = 200
    came: list[_Asked] = field(default_factory=list)


@contextmanager
def _receiver() -> Iterator[_Site]:
    site = _Site()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            named = {name.lower(): value for name, value in self.headers.items()}
            site.came.append(_Asked(self.path, named, body))
            self.send_response(site.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.url = f"http://127.0.0.1:{server.server_port}"
        Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
