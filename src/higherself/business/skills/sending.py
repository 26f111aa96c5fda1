"""Skills that send something out: a letter, a notice, a webhook, a text, a file. Each once for its key."""

import json
from datetime import UTC
from email.utils import parseaddr
from typing import Annotated, Any, Protocol
from uuid import UUID

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill
from higherself.business.data.phones import NumberUnclear, read_phone
from higherself.business.messages import channels, email, letters, templates, text
from higherself.business.messages.purposes import is_strict
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, content_hash
from higherself.outbound.model import Delivery, Origin, Parcel, Purpose, one_word

OUTBOUND = "outbound"
"""The resource by which skills send."""


class Sends(Protocol):
    """Sends parcels (`app.outbound.Outbound`)."""

    @property
    def texts_are_from(self) -> str:
        """Who texts are from."""
        ...

    def sender(self, entity: str) -> str:
        """Return who e-mail of a business is from."""
        ...

    def ending(self) -> tuple[str, str] | None:
        """Return a new token that ends a subscription, and the address where."""
        ...

    async def send(
        self, parcel: Parcel, origin: Origin, *, unsubscribe: str | None = None
    ) -> Delivery:
        """Send something once for the key of its origin."""
        ...


class Sent(BaseModel):
    """What became of it. ``delivery`` is what `higherself deliveries` shows.

    `sent`; `queued`: it goes by itself when it can; `held`: for a person to release; `dropped`: they
    asked for it.
    """

    delivery: str
    status: str
    reason: str = ""
    message_id: str = ""
    path: str = ""


class Attached(BaseModel):
    """A file that goes along with a letter: ``text``, or ``base64``."""

    name: str
    text: str | None = None
    base64: str | None = None
    media_type: str | None = None


Facts = Annotated[dict[str, Any], Field(description="What the template or text has places for")]
Why = Annotated[
    Purpose,
    Field(description="transactional: about something they did; marketing: anything else"),
]


@skill(
    description="Send an e-mail, from a template or from Markdown; the same call sends it once.",
    idempotent=True,
    irreversible=True,
    egress=True,
    timeout="2m",
    tags=("communication", "sending"),
)
async def send_email(
    to: Annotated[list[str] | str, Field(description="ana@example.org, or Ana <ana@example.org>")],
    call: SkillCall,
    sender: Annotated[
        str | None,
        Field(
            description="An address, or a name for the one of the business, which is the default"
        ),
    ] = None,
    template: Annotated[
        str | None, Field(description="A built-in template's name: welcome, quote, ...")
    ] = None,
    facts: Facts = {},  # noqa: B006  pydantic copies it
    subject: Annotated[str | None, Field(description="Instead of a template")] = None,
    body: Annotated[str | None, Field(description="Markdown, instead of a template")] = None,
    purpose: Why = "transactional",
    contact: Annotated[
        Any, Field(description="The contact it is for, or its record: kept with the delivery")
    ] = None,
    attachments: Annotated[list[Attached], Field(max_length=20)] = [],  # noqa: B006
    reply_to: str | None = None,
    in_reply_to: Annotated[
        str | None, Field(description="A Message-ID: stay in its thread")
    ] = None,
) -> Sent:
    """Return what became of the letter.

    Raises
        TemplateRejected, EmailRejected: it cannot be written so; nothing was sent.
        Refused, OutcomeUnknown: the mail server does not take it, or may have.
    """
    out = _outbound(call)
    author = _author(sender, out, call.entity)
    business = author.partition("<")[0].strip().strip('"')
    ending = out.ending() if purpose == "marketing" else None
    written = letters.filled(
        template=template, subject=subject, body=body, facts=facts, business=business or author
    )
    recipients = [to] if isinstance(to, str) else to
    message = email.composed(
        email.Letter(
            to=recipients,
            subject=written.subject,
            blocks=text.read(written.body),
            sender=author,
            key=f"{call.entity}/{call.key}",
            at=SYSTEM_CLOCK.now(),
            reply_to=reply_to,
            in_reply_to=in_reply_to,
            unsubscribe=None if ending is None else ending[1],
            business=business,
        )
    )
    for each in letters.attached([each.model_dump() for each in attachments]):
        kind, _, subtype = each.media_type.partition("/")
        message.add_attachment(each.content, maintype=kind, subtype=subtype, filename=each.name)
    if call.correlation:
        message["X-Correlation-ID"] = one_word(call.correlation)
    parcel = Parcel(
        channel="email",
        to=tuple(recipients),
        content=message.as_bytes(),
        about=written.subject,
        purpose=purpose,
        sender=author,
        name=str(message["Message-ID"]),
        strict=is_strict(template, purpose),
        headers=_about(contact, template),
    )
    return _told(
        await out.send(parcel, _origin(call), unsubscribe=None if ending is None else ending[0])
    )


@skill(
    description="Post a notice to a channel of the team (Slack, or what speaks like it).",
    idempotent=True,
    irreversible=True,
    egress=True,
    timeout="1m",
    tags=("communication", "sending"),
)
async def send_slack(
    markdown: Annotated[str, Field(min_length=1, max_length=20_000)],
    call: SkillCall,
    to: Annotated[str, Field(description="The channel's name in SLACK_WEBHOOK_URL")] = "team",
    facts: Facts = {},  # noqa: B006
) -> Sent:
    """Return what became of the notice."""
    body = (
        templates.fill(templates.Template("the text", "", markdown), facts).body
        if facts
        else markdown
    )
    blocks = text.read(body)
    message = channels.as_slack(blocks)
    parcel = Parcel(
        channel="slack",
        to=(to,),
        content=json.dumps(message, ensure_ascii=False).encode(),
        about=_line(channels.plain(blocks)),
        name=_name(call),
        headers={"entity": call.entity},
    )
    return _told(await _outbound(call).send(parcel, _origin(call)))


@skill(
    description="Tell another system by a signed webhook; it knows the same call by its id.",
    idempotent=True,
    irreversible=True,
    egress=True,
    timeout="1m",
    tags=("communication", "sending"),
)
async def send_webhook(
    to: Annotated[str, Field(description="The target's name in HIGHERSELF_WEBHOOK_TARGETS")],
    event: Annotated[str, Field(pattern=r"^[a-z0-9_.]+$", description="Such as content.published")],
    data: dict[str, Any],
    call: SkillCall,
) -> Sent:
    """Return what became of the webhook."""
    said = {
        "type": event,
        "timestamp": SYSTEM_CLOCK.now().astimezone(UTC).isoformat(),
        "data": data,
    }
    parcel = Parcel(
        channel="webhook",
        to=(to,),
        content=json.dumps(said, ensure_ascii=False).encode(),
        about=event,
        name=_name(call),
        headers={"entity": call.entity},
    )
    return _told(await _outbound(call).send(parcel, _origin(call)))


@skill(
    description="Send a text message to a telephone.",
    idempotent=True,
    irreversible=True,
    egress=True,
    timeout="1m",
    tags=("communication", "sending"),
)
async def send_sms(
    to: Annotated[str, Field(description="A telephone number; best with its country: +1 973 ...")],
    message: Annotated[str, Field(min_length=1, description="What it says, with places for facts")],
    call: SkillCall,
    facts: Facts = {},  # noqa: B006
    purpose: Why = "transactional",
    most_segments: Annotated[int, Field(ge=1, le=10)] = 3,
) -> Sent:
    """Return what became of the text."""
    try:
        number = read_phone(to)
    except NumberUnclear as error:
        raise Rejected(f"to: {error}") from None
    body = (
        templates.fill(templates.Template("the text", "", message), facts).body
        if facts
        else message
    )
    sms = channels.as_sms(text.read(body), most_segments=most_segments)
    out = _outbound(call)
    parcel = Parcel(
        channel="sms",
        to=(number,),
        content=sms.text.encode(),
        about=_line(sms.text),
        purpose=purpose,
        sender=out.texts_are_from,
        name=_name(call),
    )
    return _told(await out.send(parcel, _origin(call)))


@skill(
    description="Put a file into the folder from which others take what goes out.",
    effects="external",
    idempotent=True,
    irreversible=True,
    timeout="1m",
    tags=("communication", "sending"),
)
async def drop_file(
    name: Annotated[str, Field(description="A path below the folder: newsletter/welcome.md")],
    content: Annotated[str, Field(max_length=20_000_000)],
    call: SkillCall,
) -> Sent:
    """Return where it is."""
    parcel = Parcel(
        channel="file",
        to=(name,),
        content=content.encode(),
        about=name,
        name=_name(call),
    )
    done = await _outbound(call).send(parcel, _origin(call))
    told = _told(done)
    told.path = done.answer
    return told


def _outbound(call: SkillCall) -> Sends:
    out: Sends = call.resource(OUTBOUND)
    return out


def _origin(call: SkillCall) -> Origin:
    return Origin(
        entity=call.entity,
        key=call.key,
        correlation=call.correlation,
        instance=None if call.instance is None else UUID(call.instance),
        agent=call.agent,
    )


def _author(said: str | None, out: Sends, entity: str) -> str:
    """Return who a letter is from: a name alone stands before the address of the business."""
    if said and "@" in said:
        return said
    ours = out.sender(entity)
    if not said:
        return ours
    return f"{said} <{parseaddr(ours)[1]}>"


def _about(contact: Any, template: str | None) -> JsonObject:
    """Return what is kept with a letter for those who look at it later."""
    found = (
        (contact.get("record_id") or contact.get("email")) if isinstance(contact, dict) else contact
    )
    told = {"contact": None if found in (None, "") else str(found)[:200], "template": template}
    return {name: value for name, value in told.items() if value is not None}


def _name(call: SkillCall) -> str:
    """Return what it is known by outside: the same on every attempt."""
    return f"msg_{content_hash('outbound', call.entity, call.key).hex()[:32]}"


def _line(said: str) -> str:
    line = " ".join(said.split())
    return line if len(line) <= 80 else f"{line[:79]}…"


def _told(done: Delivery) -> Sent:
    return Sent(
        delivery=str(done.id),
        status=done.status,
        reason=done.reason,
        message_id=done.parcel.name if done.parcel.channel == "email" else "",
    )
