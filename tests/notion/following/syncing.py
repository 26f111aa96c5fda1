"""A process that syncs once, for tests that kill it: DATABASE BASE_URL TOKEN."""

import asyncio
import sys
from datetime import timedelta

from tests.conftest import hub_on
from tests.knowledge.words_provider import WordsProvider

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.search_postgres import SESSION_SETTINGS
from higherself.notion.following.follower import CycleReport, Follower, OthersFollow
from higherself.notion.following.postgres import FollowStore
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import connect
from higherself.services.notion.knowledge import NotionKnowledge


async def main(url: str, base_url: str, token: str) -> None:
    async with open_database(url, connections=4, settings=SESSION_SETTINGS) as database:
        policy = BudgetPolicy(requests=1_000_000)
        connection = connect(token, base_url, policy, database, SYSTEM_CLOCK)
        hub = hub_on(database, WordsProvider())
        knowledge = NotionKnowledge(hub, connection.api, database, SYSTEM_CLOCK)
        store = FollowStore(database, SYSTEM_CLOCK)
        follower = Follower(connection.api, connection.gateway, store, SYSTEM_CLOCK, [knowledge])
        print("begins", flush=True)  # noqa: T201
        done: CycleReport | None = None
        while done is None:
            try:
                done = await follower.cycle()
            except OthersFollow:  # the server has not noticed yet that the last one was killed
                await SYSTEM_CLOCK.sleep(timedelta(milliseconds=50))
        print(done.created, done.updated, done.deleted, flush=True)  # noqa: T201
        await connection.close()
        await hub.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
