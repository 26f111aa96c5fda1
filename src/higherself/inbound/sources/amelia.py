"""Amelia: bookings of appointments and events. It signs nothing: the request carries a shared secret.

Three shapes are read: what Amelia's webhooks send (an ``appointment`` or ``event`` with its
``bookings``, as JSON or as a form of PHP's), and a booking by itself with an ``event_type``.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from higherself.inbound.bodies import instant, listed, name_of, read_form, read_object, require
from higherself.inbound.errors import Malformed
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import SECRET_HEADER, verify_shared

NEW, CHANGED = "new_booking", "booking_status_update"
_EVENTS = {
    "new_booking": NEW,
    "appointment_created": NEW,
    "booking_created": NEW,
    "booking_status_update": CHANGED,
    "booking_status_updated": CHANGED,
    "appointment_status_updated": CHANGED,
    "appointment_rescheduled": CHANGED,
    "booking_canceled": CHANGED,
}
_KINDS = {"appointment": "service", "event": "event"}


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless the request carries the secret."""
    verify_shared(arrived, secrets)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the header that has to come with ``body``."""
    return {SECRET_HEADER: secret}


def read(arrived: Arrived) -> Reading:
    """Return every booking of which something is said.

    Raises
        Malformed: there is none, or one has no identifier.
    """
    is_json = arrived.body.lstrip()[:1] == b"{"
    body = read_object(arrived.body) if is_json else read_form(arrived.body)
    for kind, place in _KINDS.items():
        if isinstance(body.get(kind), dict):
            return Reading(announcements=tuple(_of_bookings(body, body[kind], kind, place)))
    return Reading(announcements=(_of_one(body),))


def _of_bookings(
    body: Mapping[str, Any], held: dict[str, Any], kind: str, place: str
) -> Iterator[Announcement]:
    """Yield what is said of each booking of an appointment or event."""
    bookings = [each for each in listed(held.get("bookings")) if isinstance(each, dict)]
    bookings = bookings or [each for each in listed(body.get("bookings")) if isinstance(each, dict)]
    if not bookings:
        raise Malformed(f"{kind}.bookings", "it is missing, or no list of bookings")
    service = held.get("serviceId") if kind == "appointment" else held.get("id")
    for number, booking in enumerate(bookings):
        where = f"{kind}.bookings[{number}].id"
        identifier = name_of(booking.get("id"), where)
        payment = next((p for p in listed(booking.get("payments")) if isinstance(p, dict)), {})
        status = booking.get("status") or held.get("status")
        changed = _truthy(booking.get("isChangedStatus")) or _truthy(held.get("isRescheduled"))
        customer = booking.get("customer")
        data = {
            "booking": {
                "id": identifier,
                "appointment_id": held.get("id"),
                "service_id": service,
                "service": _name(held),
                "status": status,
                "starts_at": held.get("bookingStart"),
                "ends_at": held.get("bookingEnd"),
                "persons": booking.get("persons"),
                "price": booking.get("aggregatedPrice") or booking.get("price"),
                "created_at": booking.get("created"),
                "additional": {
                    "customFields": booking.get("customFields"),
                    "provider": _name_of_person(held.get("provider")),
                    "internalNotes": held.get("internalNotes"),
                },
            },
            "customer": customer if isinstance(customer, dict) else {},
            "payment": payment,
        }
        yield Announcement(
            event=CHANGED if changed else NEW,
            data=data,
            subject=f"booking:{identifier}",
            places=() if service is None else (f"{place}:{service}",),
        )


def _of_one(body: dict[str, Any]) -> Announcement:
    """Return what is said of a booking that comes by itself."""
    said = name_of(require(body, "event_type"), "event_type")
    event = _EVENTS.get(said.lower(), said)
    inner = next((body[k] for k in ("booking", "data") if isinstance(body.get(k), dict)), body)
    identifier = name_of(require(inner, "booking_id", (str, int)), "booking_id")
    service = inner.get("service_id")
    if event == CHANGED:
        require(inner, "status")
    customer = inner.get("customer_info")
    customer = customer if isinstance(customer, dict) else {}
    payment = inner.get("payment_info")
    names = ("appointment_id", "service_id", "status", "starts_at", "ends_at", "created_at")
    data = {
        "booking": {
            "id": identifier,
            **{name: inner.get(name) for name in names},
            "service": inner.get("service_name"),
            "additional": inner.get("additional_data"),
        },
        "customer": {
            "id": inner.get("customer_id"),
            "email": customer.get("email"),
            "firstName": customer.get("first_name"),
            "lastName": customer.get("last_name"),
            "phone": customer.get("phone"),
        },
        "payment": payment if isinstance(payment, dict) else {},
    }
    occurred_at = instant(inner.get("updated_at") or body.get("timestamp"))
    if occurred_at is None and event == NEW:
        occurred_at = instant(inner.get("created_at"))
    return Announcement(
        event=event,
        data=data,
        subject=f"booking:{identifier}",
        occurred_at=occurred_at,
        places=() if service is None else (f"service:{service}",),
    )


def _truthy(value: Any) -> bool:
    return value not in (None, False, "", "0", 0, "false")


def _name(held: Mapping[str, Any]) -> Any:
    service = held.get("service")
    return service.get("name") if isinstance(service, dict) else held.get("name")


def _name_of_person(person: Any) -> str | None:
    if not isinstance(person, dict):
        return None
    names = (person.get("firstName"), person.get("lastName"))
    return " ".join(str(each) for each in names if each) or None


AMELIA = Source(
    name="amelia",
    title="Amelia",
    setting="AMELIA_WEBHOOK_SECRET",
    verify=verify,
    read=read,
    sign=sign,
    content=("json", "form"),
    secret_headers=frozenset({SECRET_HEADER, "authorization"}),
)
