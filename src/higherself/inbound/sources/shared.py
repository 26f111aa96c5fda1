"""UserFeedback, TutorLM and Snov.io: what they send carries a shared secret, and says which event it is."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from higherself.inbound.bodies import instant, name_of, read_object
from higherself.inbound.errors import Malformed
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import SECRET_HEADER, verify_shared

_SAYS_EVENT = ("event", "event_type", "type")


def event_of(arrived: Arrived, body: Mapping[str, Any]) -> str:
    """Return which event a body is about, or else what the address says.

    Raises
        Malformed: neither says.
    """
    for name in _SAYS_EVENT:
        if isinstance(body.get(name), str) and body[name]:
            return name_of(body[name], name)
    if arrived.event:
        return name_of(arrived.event, "the address")
    raise Malformed(
        "event", "it is missing: say there, or at the end of the address, what happened"
    )


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless the request carries the secret."""
    verify_shared(arrived, secrets)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the header that has to come with ``body``."""
    return {SECRET_HEADER: secret}


def _read_feedback(arrived: Arrived) -> Reading:
    body = read_object(arrived.body)
    feedback = body.get("feedback")
    if not isinstance(feedback, dict):
        raise Malformed("feedback", "it is missing, or no object")
    identifier = name_of(feedback.get("id"), "feedback.id")
    said = [body[name] for name in _SAYS_EVENT if isinstance(body.get(name), str)]
    announcement = Announcement(
        event=name_of((said or [arrived.event or "feedback"])[0], "event"),
        data=body,
        subject=f"feedback:{identifier}",
        occurred_at=instant(feedback.get("created_at") or body.get("timestamp")),
        places=_places(body, "survey"),
    )
    return Reading(announcements=(announcement,))


def _read_student(arrived: Arrived) -> Reading:
    body = read_object(arrived.body)
    student = name_of(body.get("student_id"), "student_id")
    announcement = Announcement(
        event=event_of(arrived, body),
        data=body,
        subject=f"student:{student}",
        occurred_at=instant(body.get("timestamp")),
        places=_places(body, "course"),
    )
    return Reading(announcements=(announcement,))


def _read_prospect(arrived: Arrived) -> Reading:
    body = read_object(arrived.body)
    inner = body["data"] if isinstance(body.get("data"), dict) else body
    email = inner.get("email") or inner.get("prospectEmail")
    announcement = Announcement(
        event=event_of(arrived, body),
        data={**body, **inner},
        subject=f"prospect:{name_of(email, 'email').lower()}" if email else None,
        occurred_at=instant(body.get("timestamp") or inner.get("created_at")),
        places=_places({**body, **inner}, "campaign"),
    )
    return Reading(announcements=(announcement,))


def _places(body: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    identifier = body.get(f"{kind}_id") or body.get(f"{kind}Id")
    return () if identifier is None else (f"{kind}:{identifier}",)


_SECRET_HEADERS = frozenset({SECRET_HEADER, "authorization"})

USERFEEDBACK = Source(
    name="userfeedback",
    title="UserFeedback",
    setting="USERFEEDBACK_WEBHOOK_SECRET",
    verify=verify,
    read=_read_feedback,
    sign=sign,
    secret_headers=_SECRET_HEADERS,
    takes_event=True,
)
TUTORLM = Source(
    name="tutorlm",
    title="TutorLM",
    setting="TUTORLM_WEBHOOK_SECRET",
    verify=verify,
    read=_read_student,
    sign=sign,
    secret_headers=_SECRET_HEADERS,
    takes_event=True,
)
SNOVIO = Source(
    name="snovio",
    title="Snov.io",
    setting="SNOVIO_WEBHOOK_SECRET",
    verify=verify,
    read=_read_prospect,
    sign=sign,
    secret_headers=_SECRET_HEADERS,
    takes_event=True,
)
