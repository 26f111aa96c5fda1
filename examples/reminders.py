"""Store something and a message about it, and handle the message once, whatever dies meanwhile.

Run it with ``.venv/bin/python examples/reminders.py``.
"""
# ruff: noqa: T201  an example prints

import asyncio
from datetime import timedelta

from higherself.app.settings import load_settings
from higherself.app.wiring import database_url
from higherself.db.migrate import migrate
from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.tasks import in_background
from higherself.messaging.consumer import Consumer
from higherself.messaging.model import Message, RetryPolicy
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.postgres import PostgresChannel, open_channel

TOPIC = "booking.reminder"
reminded = asyncio.Event()


async def book(guest: str, database: Database, channel: PostgresChannel) -> None:
    """Store a booking and the message about its reminder: both, or neither."""
    reminder = Message(
        topic=TOPIC,
        type="com.example.reminder.v1",
        source="urn:example:bookings",
        data={"guest": guest},
        partition_key=guest,  # one after the other for each guest
        idempotency_key=f"reminder for {guest}",  # once, however often it is published
        not_before=timedelta(seconds=0.5),
    )
    async with database.transaction() as tx:
        await tx.connection.execute("INSERT INTO booking (guest) VALUES (%s)", [guest])
        await channel.outbox.publish(tx, reminder)


async def remind(delivery: Delivery) -> None:
    """Note that a guest was reminded. What this raises is a failed attempt."""
    if delivery.attempt == 1:
        raise ConnectionError("the mail server does not answer")
    guest = delivery.data["guest"]  # type: ignore[index,call-overload]
    async with delivery.once() as tx:  # the effect and the end of the message: both, or neither
        await tx.connection.execute("UPDATE booking SET reminded = true WHERE guest = %s", [guest])
    print(f"reminded {guest} at attempt {delivery.attempt}")
    reminded.set()


async def main() -> None:
    """Book, and wait for the reminder."""
    soon = RetryPolicy(max_attempts=5, base=timedelta(seconds=0.2))
    async with database_url(load_settings()[0]) as url:
        await migrate(url, clock=SYSTEM_CLOCK)
        async with (
            open_database(url, connections=4) as database,
            open_channel(url, database) as channel,
        ):
            async with database.transaction() as tx:
                await tx.script("CREATE TABLE IF NOT EXISTS booking (guest text, reminded boolean)")
            work = Subscription(topic=TOPIC, handler=remind, concurrency=8, policy=soon)
            async with in_background(Consumer(channel.store, work).run()):
                await book("Ana", database, channel)
                await reminded.wait()


if __name__ == "__main__":
    asyncio.run(main())
