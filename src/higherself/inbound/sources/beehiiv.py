"""Beehiiv: subscribers and newsletters. Its webhooks go by Svix: ``svix-id``, ``-timestamp``, ``-signature``.

Source: Beehiiv's developer documentation, "Webhooks"; Svix's, "Verifying webhooks manually".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from higherself.inbound.bodies import instant, name_of, read_object, require
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import sign_standard, verify_standard

PREFIXES = ("svix", "webhook")


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless Svix signed this for Beehiiv, lately."""
    verify_standard(arrived, secrets, now, *PREFIXES)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the headers with which Svix would send ``body``."""
    identifier = f"msg_{int(now.timestamp() * 1000)}"
    return sign_standard(body, secret, now, prefix="svix", identifier=identifier)


def read(arrived: Arrived) -> Reading:
    """Return what happened to a subscription, a post or a survey.

    Raises
        Malformed: it is no event.
    """
    body = read_object(arrived.body)
    event = name_of(require(body, "event_type"), "event_type")
    thing = require(body, "data", dict)
    resource = event.partition(".")[0]
    identifier = name_of(thing.get("id") or body.get("uid"), "data.id")
    publication = thing.get("publication_id") or body.get("publication_id")
    announcement = Announcement(
        event=event,
        data=thing,
        subject=f"{resource}:{identifier}",
        occurred_at=instant(body.get("event_timestamp")),
        places=(f"publication:{publication}",) if isinstance(publication, str) else (),
    )
    headers = arrived.headers
    delivery = next((headers[f"{p}-id"] for p in PREFIXES if f"{p}-id" in headers), None)
    return Reading(
        announcements=(announcement,), delivery=delivery and name_of(delivery, "svix-id")
    )


BEEHIIV = Source(
    name="beehiiv",
    title="Beehiiv",
    setting="BEEHIIV_WEBHOOK_SECRET",
    verify=verify,
    read=read,
    sign=sign,
)
