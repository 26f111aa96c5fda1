"""What the edges may do with messages, on the database of an open server."""

from higherself.app.wiring import HigherSelf
from higherself.messaging.care import PostgresMessageCare


def message_care(hs: HigherSelf) -> PostgresMessageCare:
    """Return what looks at messages and decides about dead letters."""
    return PostgresMessageCare(hs.database)
