"""Webhooks as vendors send them: bodies of their real shapes, signed as they sign."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files

from higherself.inbound.model import Arrived, Source
from higherself.inbound.sources import SOURCES
from higherself.inbound.sources.woocommerce import TOPIC

FOLDER = files("higherself.flows") / "payloads"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105  it opens nothing: it is the one of the specification


@dataclass(frozen=True)
class Sample:
    """A delivery: whose it is, and what comes with it beside the signature."""

    source: str
    file: str
    headers: Mapping[str, str]
    becomes: tuple[str, ...]
    """What happens to the business by it; empty: nobody can be told who it is about."""

    event: str | None = None

    def __str__(self) -> str:
        return self.file.partition(".")[0]

    @property
    def of(self) -> Source:
        """The system that sends it."""
        return SOURCES[self.source]

    @property
    def body(self) -> bytes:
        """What it sends."""
        return (FOLDER / self.file).read_bytes()

    @property
    def path(self) -> str:
        """Where it is sent."""
        return f"/webhooks/{self.source}" + (f"/{self.event}" if self.event else "")


def _sample(file: str, becomes: str = "", event: str | None = None, **headers: str) -> Sample:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Sample(
        file.partition("_")[0].partition(".")[0], file, named, tuple(becomes.split()), event
    )


SAMPLES = (
    _sample("typeform_form_response.json", "new_lead"),
    _sample("typeform_without_email.json", ""),
    _sample(
        "woocommerce_order.json",
        "order_created payment_received",
        x_wc_webhook_topic="order.created",
    ),
    _sample("woocommerce_deleted.json", "order_changed", x_wc_webhook_topic="order.deleted"),
    _sample("woocommerce_customer.json", "contact_update", x_wc_webhook_topic="customer.updated"),
    _sample("amelia_new_booking.json", "booking_created"),
    _sample("amelia_status_update.json", "booking_status_update"),
    _sample("amelia_appointment.json", "booking_created payment_received booking_created"),
    _sample("amelia_appointment.form", "booking_status_update"),
    _sample("acuity_scheduled.form", ""),
    _sample("acuity_canceled.form", ""),
    _sample("circle_new_member.json", "new_member"),
    _sample("circle_member_activity.json", "member_activity", event="member_activity"),
    _sample("circle_event.json", "community_event"),
    _sample("beehiiv_subscription_created.json", "subscriber_joined"),
    _sample("stripe_checkout_session_completed.json", "payment_received"),
    _sample("stripe_payment_intent_succeeded.json", "payment_received"),
    _sample("stripe_charge_refunded.json", "payment_refunded"),
    _sample("userfeedback.json", "feedback_received"),
    _sample("tutorlm.json", "learning_activity"),
    _sample("snovio.json", "new_lead"),
    _sample("generic_new_lead.json", "new_lead"),
)


def sample(name: str) -> Sample:
    """Return the delivery of a file."""
    return next(each for each in SAMPLES if each.file == name)


def signed(
    of: Sample, body: bytes | None = None, *, secret: str = SECRET, now: datetime
) -> Arrived:
    """Return a delivery (or another body of its kind) as its vendor sends it."""
    sent = of.body if body is None else body
    headers = {**of.of.sign(sent, secret, now), **of.headers}
    if of.source == "woocommerce":
        headers[TOPIC] = of.headers[TOPIC]
    return Arrived(headers, sent, of.event)
