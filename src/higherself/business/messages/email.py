"""An e-mail as it goes over the wire: plain text and HTML in one MIME message. Pure."""

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from higherself.business.messages.channels import as_html, plain
from higherself.business.messages.text import Block
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import content_hash

MOST_RECIPIENTS = 50

WIRE = SMTP.clone(max_line_length=998, cte_type="7bit")
"""How messages are written: an address in a header stays whole, however long it is (at the usual 78
columns it would be encoded, and no mail program would find the link to unsubscribe), and the text is
one that every mail server takes, also one without 8BITMIME."""


class EmailRejected(Rejected):
    """An e-mail cannot be composed: an address or a header is not as it has to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """What is to be sent. ``key`` makes its Message-ID, so that the same letter is the same mail.

    ``unsubscribe`` is where one click ends the subscription (RFC 8058): bulk mail must have it.
    """

    to: Sequence[str]
    subject: str
    blocks: Sequence[Block]
    sender: str
    key: str
    at: datetime
    reply_to: str | None = None
    in_reply_to: str | None = None
    unsubscribe: str | None = None
    business: str = ""


def composed(letter: Letter) -> EmailMessage:
    """Return the MIME message of a letter, with its plain text and its HTML.

    Raises
        EmailRejected: naming the field.
    """
    if not letter.to:
        raise EmailRejected("to: there is no recipient")
    if len(letter.to) > MOST_RECIPIENTS:
        raise EmailRejected(f"to: {len(letter.to)} recipients, and {MOST_RECIPIENTS} are allowed")
    sender = _address("sender", letter.sender)
    message = EmailMessage(policy=WIRE)
    try:
        message["From"] = sender
        message["To"] = [_address("to", each) for each in letter.to]
        message["Subject"] = letter.subject
        message["Date"] = format_datetime(letter.at)
        message["Message-ID"] = message_id(letter.key, sender.domain)
        message["Auto-Submitted"] = "auto-generated"
        if letter.reply_to:
            message["Reply-To"] = _address("reply_to", letter.reply_to)
        if letter.in_reply_to:
            message["In-Reply-To"] = message["References"] = letter.in_reply_to
        if letter.unsubscribe:
            message["List-Unsubscribe"] = f"<{_https('unsubscribe', letter.unsubscribe)}>"
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    except ValueError as error:
        raise EmailRejected(f"a header cannot be written: {error}") from None
    message.set_content(plain(letter.blocks))
    page = document(letter.subject, letter.blocks, letter.business, letter.unsubscribe)
    message.add_alternative(page, subtype="html")
    message.set_boundary(f"={content_hash('boundary', letter.key).hex()[:32]}=")
    return message


def message_id(key: str, domain: str) -> str:
    """Return the Message-ID of what is sent under ``key``: the same one on every attempt."""
    return f"<{content_hash('e-mail', key).hex()[:32]}@{domain}>"


def document(
    subject: str, blocks: Sequence[Block], business: str = "", unsubscribe: str | None = None
) -> str:
    """Return the HTML page of an e-mail."""
    foot = html.escape(business)
    if unsubscribe:
        link = html.escape(_https("unsubscribe", unsubscribe))
        foot += f' &middot; <a href="{link}" style="color:#8b8478">Unsubscribe</a>'
    footer = f'<p style="margin:32px 0 0;font-size:13px;color:#8b8478">{foot}</p>' if foot else ""
    return f"""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light">
<title>{html.escape(subject)}</title>
</head>
<body style="margin:0;padding:32px 16px;background:#f6f3ee">
<div style="max-width:560px;margin:0 auto;padding:36px 40px;background:#fff;border-radius:10px;\
font:16px/1.6 Georgia,'Times New Roman',serif;color:#2b2723">
{as_html(blocks)}
{footer}
</div>
</body>
</html>
"""


def _address(field: str, text: str) -> Address:
    """Return an address, ``ana@example.org`` or ``Ana <ana@example.org>``."""
    found = re.fullmatch(
        r"\s*(?:(?P<name>[^<>\r\n]*?)\s*<)?(?P<address>[^<>\s@]+@[^<>\s@]+)>?\s*", text
    )
    if found is None or ("<" in text) != text.rstrip().endswith(">"):
        raise EmailRejected(f"{field}: {text!r} is no e-mail address")
    try:
        return Address((found["name"] or "").strip('"'), addr_spec=found["address"])
    except (ValueError, IndexError) as error:
        raise EmailRejected(f"{field}: {text!r} is no e-mail address ({error})") from None


def _https(field: str, url: str) -> str:
    if not re.fullmatch(r"https://[^\s<>\"']+", url):
        raise EmailRejected(f"{field}: {url!r} has to be an address that begins with https://")
    return url
