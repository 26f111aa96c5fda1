"""Acuity Scheduling: appointments and orders. Signed with ``X-Acuity-Signature``, by the API key.

The body is a form and says only which appointment it is about; everything else has to be asked for
with the API key. Source: Acuity's developer documentation, "Webhooks".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime

from higherself.inbound.bodies import name_of, read_form, require
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import base64_digest, verify_base64

HEADER = "x-acuity-signature"
ORDER = "order.completed"


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless Acuity signed this with the API key."""
    verify_base64(arrived, secrets, HEADER)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the header with which Acuity would send ``body``."""
    return {HEADER: base64_digest(body, secret)}


def read(arrived: Arrived) -> Reading:
    """Return which appointment or order was changed, and how.

    Raises
        Malformed: there is no action, or nothing that it was done to.
    """
    body = read_form(arrived.body)
    action = name_of(require(body, "action"), "action").removeprefix("appointment.")
    identifier = name_of(require(body, "id"), "id")
    calendar, kind = body.get("calendarID"), body.get("appointmentTypeID")
    places = [f"calendar:{calendar}"] if calendar else []
    places += [f"type:{kind}"] if kind else []
    announcement = Announcement(
        event=action,
        data={
            "action": action,
            "id": identifier,
            "calendar_id": calendar,
            "appointment_type_id": kind,
        },
        subject=f"order:{identifier}" if action == ORDER else f"booking:{identifier}",
        places=tuple(places),
    )
    return Reading(announcements=(announcement,))


ACUITY = Source(
    name="acuity",
    title="Acuity Scheduling",
    setting="ACUITY_API_KEY",
    verify=verify,
    read=read,
    sign=sign,
    content=("form",),
    acknowledged=200,
)
