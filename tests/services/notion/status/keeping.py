"""Processes that keep the pages of instances and do what is chosen there, and may be killed at any moment.

``keeping.py DATABASE BASE_URL TOKEN ROLES``. For every line that comes in it starts a process (by fork:
nothing is loaded again), says its number, and in the end how it ended: 0 when nothing is left to do.
"""

import asyncio
import os
import sys
from datetime import timedelta

from tests.notion.databases.declared import PRODUCT

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.databases.lookup import Databases
from higherself.notion.following.sightings import Sighting
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import connect
from higherself.services.notion.commands import Roles
from higherself.services.notion.status import INSTANCES, NotionStatus, StatusPolicy
from higherself.services.notion.status_store import StatusStore
from higherself.services.notion.steering import NotionSteering
from higherself.workflow.engine.wiring import open_workflows

NOW = timedelta(0)
AT_ONCE = StatusPolicy(requests=100_000, settle=NOW, rest=NOW)


async def main(url: str, base: str, token: str, roles: str) -> None:
    async with (
        open_database(url, connections=4) as database,
        open_workflows(url, database) as workflows,
    ):
        notion = connect(token, base, BudgetPolicy(requests=100_000), database, SYSTEM_CLOCK, settle=timedelta(seconds=0.3))  # fmt: skip
        databases = Databases(database, SYSTEM_CLOCK)
        await databases.load()
        source = databases.data_source(INSTANCES)
        assert source is not None
        store = StatusStore(database, SYSTEM_CLOCK)
        status = NotionStatus(
            workflows.engine, store, notion.api, notion.writes, databases, PRODUCT[INSTANCES],
            SYSTEM_CLOCK, policy=AT_ONCE,
        )  # fmt: skip
        steering = NotionSteering(
            workflows.engine, status, notion.api, notion.writes, SYSTEM_CLOCK,
            roles=Roles.read(roles), comments_every=NOW,
        )  # fmt: skip
        while True:
            done = await status.refresh()
            await steering.tick()
            pages = [page async for page in notion.api.query(source.data_source_id)]
            seen = await steering.see([Sighting(p["id"], p, source.data_source_id) for p in pages])
            if not (done.handled or seen.updated or seen.failed or await store.open_commands()):
                break
        await notion.close()


if __name__ == "__main__":
    for _ in sys.stdin:
        if (child := os.fork()) == 0:
            asyncio.run(main(*sys.argv[1:5]))
            os._exit(0)
        print(child, flush=True)  # noqa: T201
        _, status = os.waitpid(child, 0)
        print(abs(os.waitstatus_to_exitcode(status)), flush=True)  # noqa: T201
