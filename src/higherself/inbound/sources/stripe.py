"""Stripe: payments. Signed with ``Stripe-Signature: t=...,v1=...``, within five minutes.

Source: Stripe's documentation, "Verify webhook signatures manually" and "The Event object".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from higherself.inbound.bodies import instant, name_of, read_object, require
from higherself.inbound.errors import BadSignature
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import digest, require_match, require_recent

HEADER = "stripe-signature"


def signature(body: bytes, secret: str, seconds: str) -> str:
    """Return the signature of version 1."""
    return digest(f"{seconds}.".encode() + body, secret.encode()).hex()


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless Stripe signed this, lately; of several signatures one has to fit."""
    given = arrived.headers.get(HEADER, "")
    parts = [each.strip().partition("=") for each in given.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    if len(times) != 1:
        raise BadSignature(f"the header {HEADER} is missing, or has not one time")
    require_recent(times[0], now, HEADER)
    expected = [signature(arrived.body, each, times[0]) for each in secrets]
    require_match([value for name, _, value in parts if name == "v1"], expected, HEADER)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the header with which Stripe would send ``body``."""
    seconds = str(int(now.timestamp()))
    return {HEADER: f"t={seconds},v1={signature(body, secret, seconds)}"}


def read(arrived: Arrived) -> Reading:
    """Return the event. What belongs to one payment has that payment as its subject.

    Raises
        Malformed: it is no event.
    """
    body = read_object(arrived.body)
    event = name_of(require(body, "type"), "type")
    delivery = name_of(require(body, "id"), "id")
    thing = require(body, "data.object", dict)
    payment = thing.get("payment_intent")
    kind = str(thing.get("object") or event.partition(".")[0])
    identifier = payment if isinstance(payment, str) and payment else thing.get("id")
    name = name_of(identifier or delivery, "data.object.id")
    is_payment = kind == "payment_intent" or name == payment
    account = body.get("account")
    links = (thing.get("payment_link"), thing.get("price"), thing.get("product"))
    places = [f"account:{account}"] if isinstance(account, str) else []
    places += [f"product:{each}" for each in links if isinstance(each, str)]
    announcement = Announcement(
        event=event,
        data={"object": thing, "livemode": body.get("livemode")},
        subject=f"payment:{name}" if is_payment else f"{kind}:{name}",
        occurred_at=instant(body.get("created")),
        places=tuple(places),
    )
    return Reading(announcements=(announcement,), delivery=delivery)


STRIPE = Source(
    name="stripe",
    title="Stripe",
    setting="STRIPE_WEBHOOK_SECRET",
    verify=verify,
    read=read,
    sign=sign,
)
