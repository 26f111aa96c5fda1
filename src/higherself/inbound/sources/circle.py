"""Circle: members of a community and what they do. It signs nothing: a shared secret comes along.

The body is what a workflow of Circle's is told to send. Which event it is, it says itself
(``event``, ``event_type`` or ``type``) or the address does: `/webhooks/circle/new_member`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from higherself.inbound.bodies import instant, name_of, read_object
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import SECRET_HEADER, verify_shared
from higherself.inbound.sources.shared import event_of

_INNER = ("data", "payload", "member", "community_member")


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless the request carries the secret."""
    verify_shared(arrived, secrets)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the header that has to come with ``body``."""
    return {SECRET_HEADER: secret}


def read(arrived: Arrived) -> Reading:
    """Return what is said of a member or an event of the community.

    Raises
        Malformed: it says of no event.
    """
    body = read_object(arrived.body)
    event = event_of(arrived, body)
    inner: dict[str, Any] = {**body}
    for name in _INNER:
        if isinstance(body.get(name), dict):
            inner = {**body, **body[name]}
    identifier = inner.get("community_member_id") or inner.get("member_id")
    email = inner.get("email") or inner.get("member_email")
    community = inner.get("community_id") or inner.get("space_id")
    member = identifier or (email.strip().lower() if isinstance(email, str) else None)
    announcement = Announcement(
        event=event,
        data=inner,
        subject=None if member is None else f"member:{name_of(member, 'member')}",
        occurred_at=instant(inner.get("timestamp") or inner.get("created_at")),
        places=() if community is None else (f"community:{community}",),
    )
    return Reading(announcements=(announcement,))


CIRCLE = Source(
    name="circle",
    title="Circle",
    setting="CIRCLE_WEBHOOK_SECRET",
    verify=verify,
    read=read,
    sign=sign,
    secret_headers=frozenset({SECRET_HEADER, "authorization"}),
    takes_event=True,
)
