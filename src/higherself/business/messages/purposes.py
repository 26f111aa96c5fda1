"""Which letters belong to what somebody has ordered, booked, paid or asked. Pure.

They go also to those who asked not to be contacted otherwise: who has bought something has a right to
hear of it. Whatever else a workflow calls transactional, such as an invitation, does not go to them.
"""

STRICTLY_TRANSACTIONAL = frozenset(
    [
        "booking_confirmation", "booking_lapsed", "booking_received", "booking_refunded",
        "booking_reminder", "booking_sold_out", "escalation", "event_cancelled", "event_postponed",
        "event_promoted", "event_refused", "event_registered", "event_reminder", "event_waiting",
        "order_cancelled", "order_confirmation", "payment_due", "payment_link", "payment_reminder",
        "payment_request", "refund_declined", "refund_made", "retreat_confirmed",
        "retreat_preparation", "retreat_reminder", "shipping_update", "support_answer",
        "support_received", "team_notice",
    ]
)  # fmt: skip
"""Templates, by name."""


def is_strict(template: str | None, purpose: str) -> bool:
    """Whether a letter goes also to those who asked not to be contacted otherwise.

    >>> is_strict("booking_confirmation", "transactional"), is_strict(None, "transactional")
    (True, False)
    """
    return purpose == "transactional" and template in STRICTLY_TRANSACTIONAL
