"""A process that sets databases up and kills itself after a number of writes have reached Notion."""

import asyncio
import os
import signal
import sys
from typing import Any

from tests.notion.conftest import SETTLE, UNLIMITED
from tests.notion.databases.declared import SMALL

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.databases.lookup import Databases
from higherself.notion.databases.setup import SetUp
from higherself.notion.gateway.connection import connect


async def main(base_url: str, token: str, database_url: str, parent: str, writes: int) -> None:
    async with open_database(database_url, connections=3) as database:
        notion = connect(token, base_url, UNLIMITED, database, SYSTEM_CLOCK, settle=SETTLE)
        asked, done = notion.gateway.request, 0

        async def request(method: str, path: str, **more: Any) -> Any:
            nonlocal done
            answer = await asked(method, path, **more)
            done += method in ("POST", "PATCH")
            if done == writes:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        notion.gateway.request = request  # type: ignore[method-assign]
        set_up = SetUp(SMALL, notion=notion.api, writes=notion.writes, databases=Databases(database, SYSTEM_CLOCK))  # fmt: skip
        await set_up.run(parent)


if __name__ == "__main__":
    base_url, token, database_url, parent, writes = sys.argv[1:]
    asyncio.run(main(base_url, token, database_url, parent, int(writes)))
