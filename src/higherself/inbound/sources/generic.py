"""Whoever else: signed by the Standard Webhooks specification, in our own vocabulary.

The body is ``{"type": ..., "timestamp": ..., "data": {...}}``; the type is the name of what
happened, the data are as in our happenings. Data may name the business (``entity``) and what it is
about (``subject``), for both are signed. Source: standardwebhooks.com, version 1.0.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from higherself.inbound.bodies import instant, name_of, read_object, require
from higherself.inbound.errors import Malformed
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import sign_standard, verify_standard
from higherself.kernel.errors import Rejected
from higherself.kernel.ids import checked_entity

PREFIXES = ("webhook", "svix")


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless this was signed with a secret of ours, lately."""
    verify_standard(arrived, secrets, now, *PREFIXES)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the headers that have to come with ``body``."""
    identifier = f"msg_{int(now.timestamp() * 1_000_000)}"
    return sign_standard(body, secret, now, prefix="webhook", identifier=identifier)


def read(arrived: Arrived) -> Reading:
    """Return what is announced.

    Raises
        Malformed: a field is missing, or names no business that there could be.
    """
    body = read_object(arrived.body)
    event = name_of(require(body, "type"), "type")
    data = body.get("data")
    if not isinstance(data, dict):
        raise Malformed("data", "it is missing" if data is None else "it is no object")
    stamp = body.get("timestamp")
    occurred_at = instant(stamp)
    if stamp is not None and occurred_at is None:
        raise Malformed("timestamp", "it is no instant as in ISO 8601")
    subject, entity = data.get("subject"), data.get("entity")
    if entity is not None:
        try:
            checked_entity(name_of(entity, "data.entity"))
        except Rejected as error:
            raise Malformed("data.entity", str(error)) from None
    form = data.get("form")
    places = (f"form:{name_of(form, 'data.form')}",) if isinstance(form, str) and form else ()
    announcement = Announcement(
        event=event,
        data=data,
        subject=None if subject is None else name_of(subject, "data.subject"),
        occurred_at=occurred_at,
        places=places,
        entity=None if entity is None else str(entity),
    )
    headers = arrived.headers
    delivery = next((headers[f"{p}-id"] for p in PREFIXES if f"{p}-id" in headers), None)
    return Reading(
        announcements=(announcement,), delivery=delivery and name_of(delivery, "webhook-id")
    )


GENERIC = Source(
    name="generic",
    title="Standard Webhooks",
    setting="WEBHOOK_SECRET",
    verify=verify,
    read=read,
    sign=sign,
)
