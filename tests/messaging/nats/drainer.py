"""A process that drains, to be killed: ``python drainer.py URL SETTINGS KEY``. It says when it works."""

import asyncio
import json
import sys

from higherself.db.pool import open_database
from higherself.messaging.nats import NatsSettings, open_nats
from higherself.messaging.postgres import open_channel


async def main(url: str, settings: str, key: str) -> None:
    async with (
        open_database(url, connections=2) as database,
        open_channel(url, database) as channel,
        open_nats(NatsSettings(**json.loads(settings)), bytes.fromhex(key)) as nats,
    ):
        drain = nats.drain(channel.outbox, database)

        async def tell() -> None:
            while not drain.works:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            sys.stdout.write("works\n")
            sys.stdout.flush()

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(tell())
            await drain.run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
