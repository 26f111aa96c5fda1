"""A text for each channel: plain, HTML, Slack's Block Kit, SMS, Notion's blocks. Pure."""

import html
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from higherself.business.messages.text import Block, Span
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject

WIDTH = 76
"""Columns of a plain text: what mail programs show without wrapping."""

SLACK_TEXT, SLACK_HEADER, SLACK_BLOCKS = 3_000, 150, 50
"""Characters of a section and a header, and blocks of a message (docs.slack.dev)."""

NOTION_TEXT = 2_000
"""Characters of one text object (developers.notion.com, request limits)."""


class MessageTooLong(Rejected):
    """A text does not fit into what a channel carries."""


def plain(blocks: Sequence[Block]) -> str:
    """Return plain text, wrapped; a link's address stands behind it."""
    parts: list[str] = []
    for block in blocks:
        text = _plain(block.spans)
        match block.kind:
            case "heading":
                parts.append(text.upper() if block.level == 1 else text)
            case "item":
                mark = f"{block.number}. " if block.number is not None else "- "
                indent = "  " * block.level
                parts.append(_wrapped(text, indent + mark, " " * len(indent + mark)))
            case "quote":
                parts.append(_wrapped(text, "> ", "> "))
            case "code":
                parts.append(textwrap.indent(text, "    "))
            case "rule":
                parts.append("-" * 20)
            case "paragraph":
                parts.append(_wrapped(text, "", ""))
    return _spaced(blocks, parts)


def as_html(blocks: Sequence[Block]) -> str:
    """Return HTML with its style in place, as mail programs want it. All texts are escaped."""
    return "\n".join(_html_parts(blocks))


def as_slack(blocks: Sequence[Block]) -> JsonObject:
    """Return a Slack message: ``blocks``, and ``text`` for notifications.

    Raises
        MessageTooLong: it needs more blocks than Slack takes.
    """
    shown: list[JsonObject] = []
    for block in blocks:
        text = _mrkdwn(block)
        if block.kind == "heading" and len(block.text) <= SLACK_HEADER:
            shown.append({"type": "header", "text": {"type": "plain_text", "text": block.text}})
        elif block.kind == "rule":
            shown.append({"type": "divider"})
        else:
            shown += (
                {"type": "section", "text": {"type": "mrkdwn", "text": piece}}
                for piece in _pieces(text, SLACK_TEXT)
            )
    if len(shown) > SLACK_BLOCKS:
        raise MessageTooLong(
            f"the message has {len(shown)} blocks, and Slack takes {SLACK_BLOCKS}; send a link instead"
        )
    return {"text": plain(blocks)[:SLACK_TEXT], "blocks": shown}


@dataclass(frozen=True, slots=True)
class Sms:
    """A text message: how it is encoded, and as how many it is sent and paid."""

    text: str
    encoding: str
    segments: int


def as_sms(blocks: Sequence[Block], *, most_segments: int = 3) -> Sms:
    """Return a text message.

    Raises
        MessageTooLong: it takes more than ``most_segments``; a letter beyond GSM's alphabet halves
            what one carries, and the text says which.

    >>> as_sms([Block("paragraph", (Span("See you at 6 pm"),))])
    Sms(text='See you at 6 pm', encoding='GSM-7', segments=1)
    """
    text = "\n".join(_plain(block.spans) for block in blocks if block.spans)
    for typographic, simple in _SIMPLER.items():
        text = text.replace(typographic, simple)
    beyond = sorted({each for each in text if each not in _GSM and each not in _GSM_TWICE})
    if beyond:
        length, single, joined = len(text.encode("utf-16-le")) // 2, 70, 67
    else:
        length, single, joined = len(text) + sum(text.count(each) for each in _GSM_TWICE), 160, 153
    segments = 1 if length <= single else -(-length // joined)
    if segments > most_segments:
        why = f" (because of {' '.join(beyond[:5])!r})" if beyond else ""
        raise MessageTooLong(
            f"the text would be sent as {segments} messages{why}, and {most_segments} are allowed; "
            "shorten it"
        )
    return Sms(text, "UCS-2" if beyond else "GSM-7", segments)


def as_notion(blocks: Sequence[Block]) -> list[JsonObject]:
    """Return the blocks of a Notion page."""
    return [_notion(block) for block in blocks]


# --- Plain text.


def _plain(spans: Sequence[Span]) -> str:
    parts = []
    for span in spans:
        address = (span.link or "").removeprefix("mailto:").removeprefix("tel:")
        shown = f"{span.text} ({address})" if address and address != span.text else span.text
        parts.append(shown)
    return "".join(parts)


def _wrapped(text: str, first: str, rest: str) -> str:
    lines = text.split("\n")
    return "\n".join(
        textwrap.fill(
            line, WIDTH, initial_indent=first if place == 0 else rest, subsequent_indent=rest,
            break_long_words=False, break_on_hyphens=False,
        )
        for place, line in enumerate(lines)
    )  # fmt: skip


def _spaced(blocks: Sequence[Block], parts: Sequence[str]) -> str:
    """Return ``parts`` with an empty line between them, but for the items of a list."""
    out = ""
    for place, part in enumerate(parts):
        if place:
            together = blocks[place].kind == blocks[place - 1].kind == "item"
            out += "\n" if together else "\n\n"
        out += part
    return out + "\n"


# --- HTML.

_STYLE = {
    "heading": "margin:28px 0 8px;font-size:{size}px;line-height:1.3;font-weight:600",
    "paragraph": "margin:0 0 16px",
    "quote": "margin:0 0 16px;padding-left:14px;border-left:3px solid #d9d3c7;color:#5d574d",
    "code": "margin:0 0 16px;padding:12px;background:#f6f3ee;border-radius:6px;overflow:auto",
}


def _html_parts(blocks: Sequence[Block]) -> Iterator[str]:
    open_lists: list[str] = []
    for block in blocks:
        depth = block.level + 1 if block.kind == "item" else 0
        while len(open_lists) > depth:
            yield f"</{open_lists.pop()}>"
        if block.kind == "item":
            tag = "ul" if block.number is None else "ol"
            while len(open_lists) < depth:
                open_lists.append(tag)
                yield f'<{tag} style="margin:0 0 16px;padding-left:22px">'
            yield f'<li style="margin:0 0 6px">{_html(block.spans)}</li>'
        elif block.kind == "rule":
            yield '<hr style="border:0;border-top:1px solid #e4ded3;margin:24px 0">'
        elif block.kind == "heading":
            size = {1: 24, 2: 20}.get(block.level, 17)
            style = _STYLE["heading"].format(size=size)
            yield f'<h{block.level} style="{style}">{_html(block.spans)}</h{block.level}>'
        elif block.kind == "code":
            yield f'<pre style="{_STYLE["code"]}">{html.escape(block.text)}</pre>'
        else:
            tag = "blockquote" if block.kind == "quote" else "p"
            yield f'<{tag} style="{_STYLE[block.kind]}">{_html(block.spans)}</{tag}>'
    while open_lists:
        yield f"</{open_lists.pop()}>"


def _html(spans: Sequence[Span]) -> str:
    out = ""
    for span in spans:
        text = html.escape(span.text).replace("\n", "<br>")
        if span.code:
            text = f"<code>{text}</code>"
        if span.italic:
            text = f"<em>{text}</em>"
        if span.bold:
            text = f"<strong>{text}</strong>"
        if span.link:
            text = f'<a href="{html.escape(span.link)}" style="color:#7a4e2d">{text}</a>'
        out += text
    return out


# --- Slack.


def _mrkdwn(block: Block) -> str:
    text = "".join(_slack_span(span) for span in block.spans)
    match block.kind:
        case "heading":
            return f"*{text}*"
        case "item":
            mark = f"{block.number}." if block.number is not None else "\N{BULLET}"
            return f"{'    ' * block.level}{mark} {text}"
        case "quote":
            return "\n".join(f"> {line}" for line in text.split("\n"))
        case "code":
            return f"```{_slack_text(block.text)}```"
        case _:
            return text


def _slack_span(span: Span) -> str:
    text = _slack_text(span.text)
    if span.link:
        text = f"<{_slack_text(span.link).replace('|', '%7C')}|{text.replace('|', '/')}>"
    for wanted, mark in ((span.code, "`"), (span.italic, "_"), (span.bold, "*")):
        if wanted and text.strip():
            text = f"{mark}{text}{mark}"
    return text


def _slack_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# --- SMS. The alphabet of GSM 03.38, and what takes two places in it.

_GSM = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    "ÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_TWICE = frozenset("^{}\\[~]|€")
_SIMPLER = {
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": '"',
    "\N{RIGHT DOUBLE QUOTATION MARK}": '"',
    "\N{EN DASH}": "-",
    "\N{EM DASH}": "-",
    "\N{HORIZONTAL ELLIPSIS}": "...",
    "\N{NO-BREAK SPACE}": " ",
}


# --- Notion.


def _notion(block: Block) -> JsonObject:
    match block.kind:
        case "rule":
            return {"type": "divider", "divider": {}}
        case "heading":
            kind = f"heading_{min(block.level, 3)}"
        case "item":
            kind = "bulleted_list_item" if block.number is None else "numbered_list_item"
        case "code":
            code: JsonObject = {"rich_text": _rich(block.spans), "language": "plain text"}
            return {"type": "code", "code": code}
        case _:
            kind = block.kind
    return {"type": kind, kind: {"rich_text": _rich(block.spans)}}


def _rich(spans: Sequence[Span]) -> list[JsonObject]:
    return [
        {
            "type": "text",
            "text": {"content": piece, "link": {"url": span.link} if span.link else None},
            "annotations": {"bold": span.bold, "italic": span.italic, "code": span.code},
        }
        for span in spans
        for piece in _pieces(span.text, NOTION_TEXT)
    ]


def _pieces(text: str, most: int) -> Iterator[str]:
    """Yield ``text`` in pieces of at most so many characters, cut at a space where there is one."""
    while len(text) > most:
        cut = text.rfind(" ", most // 2, most) + 1 or most
        yield text[:cut]
        text = text[cut:]
    yield text
