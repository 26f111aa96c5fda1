"""Skills that write to people: an e-mail composed, a text in the form of a channel."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.messages import channels, email, letters, templates, text
from higherself.kernel.clock import SYSTEM_CLOCK

Channel = Literal["email", "slack", "sms", "notion", "plain"]


class Email(BaseModel):
    """An e-mail that is ready to be sent. ``mime`` is the whole message as it goes over the wire."""

    to: list[str]
    subject: str
    text: str
    html: str
    mime: str
    message_id: str


@skill(
    description="Compose an e-mail, plain text and HTML, from a template or from Markdown. Sends nothing.",
    effects="read",
    tags=("communication",),
)
def compose_email(
    to: Annotated[list[str] | str, Field(description="ana@example.org, or Ana <ana@example.org>")],
    sender: Annotated[str, Field(description="Who it is from, and where answers go")],
    call: SkillCall,
    template: Annotated[
        str | None, Field(description="A built-in template's name: welcome, quote, ...")
    ] = None,
    facts: Annotated[
        dict[str, Any], Field(description="What the template or the text has places for")
    ] = {},  # noqa: B006  pydantic copies it
    subject: Annotated[str | None, Field(description="Instead of a template")] = None,
    body: Annotated[str | None, Field(description="Markdown, instead of a template")] = None,
    reply_to: str | None = None,
    in_reply_to: Annotated[
        str | None, Field(description="A Message-ID: stay in its thread")
    ] = None,
    unsubscribe: Annotated[
        str | None, Field(description="https://...; bulk mail must have it")
    ] = None,
    at: Annotated[datetime | None, Field(description="Its date; default: now")] = None,
) -> Email:
    """Return the e-mail; the same call gives the same Message-ID on every attempt."""
    filled = letters.filled(
        template=template,
        subject=subject,
        body=body,
        facts=facts,
        business=sender.partition("<")[0].strip() or sender,
    )
    blocks = text.read(filled.body)
    recipients = [to] if isinstance(to, str) else to
    letter = email.Letter(
        to=recipients,
        subject=filled.subject,
        blocks=blocks,
        sender=sender,
        key=call.key,
        at=at or SYSTEM_CLOCK.now(),
        reply_to=reply_to,
        in_reply_to=in_reply_to,
        unsubscribe=unsubscribe,
        business=sender.partition("<")[0].strip().strip('"'),
    )
    message = email.composed(letter)
    return Email(
        to=recipients,
        subject=filled.subject,
        text=channels.plain(blocks),
        html=email.document(filled.subject, blocks, letter.business, unsubscribe),
        mime=message.as_string(),
        message_id=str(message["Message-ID"]),
    )


class Formatted(BaseModel):
    """A text in a channel's form: ``text`` for all, and what the channel wants besides."""

    channel: Channel
    text: str
    html: str | None = None
    blocks: list[dict[str, Any]] | None = None
    segments: int | None = None


@skill(
    description="Put a Markdown text into the form of a channel: e-mail, Slack, SMS, Notion or plain.",
    effects="pure",
    tags=("communication",),
)
def format_message(
    markdown: str,
    channel: Channel,
    facts: Annotated[dict[str, Any], Field(description="For places like {{ client.name }}")] = {},  # noqa: B006
    most_segments: Annotated[int, Field(ge=1, le=10, description="Of an SMS")] = 3,
) -> Formatted:
    """Return the text as the channel takes it; an SMS with how many messages it will be."""
    filled = templates.fill(templates.Template("text", "", markdown), facts)
    blocks = text.read(filled.body)
    match channel:
        case "email":
            return Formatted(
                channel=channel, text=channels.plain(blocks), html=channels.as_html(blocks)
            )
        case "slack":
            message: Any = channels.as_slack(blocks)
            return Formatted(channel=channel, text=message["text"], blocks=message["blocks"])
        case "sms":
            sms = channels.as_sms(blocks, most_segments=most_segments)
            return Formatted(channel=channel, text=sms.text, segments=sms.segments)
        case "notion":
            return Formatted(
                channel=channel,
                text=channels.plain(blocks),
                blocks=[dict(each) for each in channels.as_notion(blocks)],
            )
        case "plain":
            return Formatted(channel=channel, text=channels.plain(blocks))
