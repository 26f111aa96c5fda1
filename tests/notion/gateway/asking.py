"""A process of its own that asks Notion: ``asking.py DATABASE BASE_URL TOKEN LANE REQUESTS LIMIT WINDOW``."""

import asyncio
import sys
from datetime import timedelta

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.connection import connect
from higherself.notion.gateway.gateway import Lane


async def main(
    url: str, base: str, token: str, lane: Lane, number: str, limit: str, window: str
) -> None:
    policy = BudgetPolicy(
        requests=int(limit),
        window=timedelta(seconds=float(window)),
        life=timedelta(milliseconds=100),
        margin=timedelta(seconds=1),
    )
    async with open_database(url, connections=3) as database:
        notion = connect(token, base, policy, database, SYSTEM_CLOCK)
        api = notion.api.in_lane(lane)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(int(number)):
                    group.create_task(api.me())
        finally:
            await notion.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))  # type: ignore[arg-type]
