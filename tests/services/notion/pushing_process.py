"""A process that pushes rows and kills itself after a number of writes have reached Notion."""

import asyncio
import os
import signal
import sys
from typing import Any

from tests.notion.conftest import SETTLE, UNLIMITED
from tests.services.notion.lab import SOME

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.databases.lookup import Databases
from higherself.notion.gateway.connection import connect
from higherself.services.notion.links import LinkBook
from higherself.services.notion.pushing import RecordPusher
from higherself.services.notion.workspace import Workspace


async def main(base_url: str, token: str, database_url: str, writes: int) -> None:
    async with open_database(database_url, connections=3) as database:
        notion = connect(token, base_url, UNLIMITED, database, SYSTEM_CLOCK, settle=SETTLE)
        asked, done = notion.gateway.request, 0

        async def request(method: str, path: str, **more: Any) -> Any:
            nonlocal done
            answer = await asked(method, path, **more)
            done += method == "PATCH" or path == "pages"
            if done == writes:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        notion.gateway.request = request  # type: ignore[method-assign]
        databases = Databases(database, SYSTEM_CLOCK)
        on = Workspace(SOME, database, databases, notion.api, LinkBook(), SYSTEM_CLOCK)
        pusher = RecordPusher(on, notion.writes)
        while (await pusher.push()).handled:
            pass


if __name__ == "__main__":
    base_url, token, database_url, writes = sys.argv[1:]
    asyncio.run(main(base_url, token, database_url, int(writes)))
