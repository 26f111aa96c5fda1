"""What the edges may do with messages, on the database of an open server."""

from typing import Any
from uuid import UUID

from higherself import __version__
from higherself.app.wiring import HigherSelf
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.messaging.care import PostgresMessageCare
from higherself.messaging.description import asyncapi
from higherself.messaging.explanation import Conversation, explain
from higherself.messaging.subscribing import Subscriptions


def message_care(hs: HigherSelf) -> PostgresMessageCare:
    """Return what looks at messages and decides about dead letters."""
    return PostgresMessageCare(hs.database)


async def explained(hs: HigherSelf, message: UUID) -> Conversation:
    """Return the tree of messages that ``message`` is in.

    Raises
        MessageNotFound: there is no such message.
    """
    return await explain(hs.database, message)


async def described_bus(hs: HigherSelf) -> dict[str, Any]:
    """Return the AsyncAPI document of the bus as it is now."""
    told = await Subscriptions(hs.database, SYSTEM_CLOCK).all()
    counts = await PostgresMessageCare(hs.database).topics()
    return asyncapi(version=__version__, told=told, topics=[each.topic for each in counts])
