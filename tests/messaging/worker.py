"""A worker process, to be killed, frozen and stopped: ``python worker.py URL SECONDS CONCURRENCY``.

It takes SECONDS for a message, then has its effect, and says on standard output what it does.
"""

import asyncio
import signal
import sys
from datetime import timedelta

from higherself.db.pool import open_database
from higherself.messaging.consumer import Consumer
from higherself.messaging.errors import LeaseLost
from higherself.messaging.model import RetryPolicy
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.postgres import open_channel

LEASE = timedelta(seconds=1.5)
POLICY = RetryPolicy(
    max_attempts=50,
    max_lapses=50,
    base=timedelta(milliseconds=50),
    ceiling=timedelta(milliseconds=500),
)


async def main(url: str, seconds: float, concurrency: int) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)

    async def handle(delivery: Delivery) -> None:
        say("begun", delivery)
        await asyncio.sleep(seconds)
        try:
            async with delivery.once() as tx:
                await tx.connection.execute(
                    "INSERT INTO test.effect (value) VALUES (%s)", [str(delivery.data)]
                )
        except LeaseLost:
            say("refused", delivery)
            raise
        say("ended", delivery)

    def say(word: str, delivery: Delivery) -> None:
        sys.stdout.write(f"{word} {delivery.data} {delivery.attempt}\n")
        sys.stdout.flush()

    async with (
        open_database(url, connections=4) as database,
        open_channel(url, database) as channel,
    ):
        work = Subscription(topic="work", handler=handle, concurrency=concurrency, policy=POLICY)
        consumer = Consumer(channel.store, work, lease=LEASE, grace=timedelta(seconds=10))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await consumer.run()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], float(sys.argv[2]), int(sys.argv[3])))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.stdout.write("stopped\n")
