"""A process that asks for one result many times at once; what it got is on its standard output.

    python asking.py DATABASE_URL FILE HOW_MANY SECONDS

The skill adds a line to FILE when it begins, and takes SECONDS.
"""

import asyncio
import os
import sys
import time
from pathlib import Path

from higherself import Cache, SkillCall, skill
from higherself.agents.skills import SkillRegistry, skills_in
from higherself.agents.skills.invocation import SkillInvoker
from higherself.agents.skills.store_postgres import PostgresSkillResults
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK


@skill(effects="read", cache=Cache("1h", where="postgres"))
def look_up(path: str, seconds: float) -> int:
    """Add a line to a file and return how many it has then."""
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(file, b"began\n")
    os.close(file)
    time.sleep(seconds)
    return len(Path(path).read_text().splitlines())


async def ask(url: str, path: str, how_many: int, seconds: float) -> list[object]:
    skills = SkillRegistry()
    for each in skills_in(globals()):
        skills.add(each)
    async with open_database(url, connections=3) as database:
        shared = PostgresSkillResults(database, SYSTEM_CLOCK)
        invoker = SkillInvoker(skills, shared=shared)
        given: dict[str, str | float] = {"path": path, "seconds": seconds}
        async with asyncio.TaskGroup() as group:
            asked = [
                group.create_task(invoker.run("look_up", given, SkillCall(key=str(number))))
                for number in range(how_many)
            ]
    return [each.result() for each in asked]


if __name__ == "__main__":
    url, path, how_many, seconds = sys.argv[1:]
    results = asyncio.run(ask(url, path, int(how_many), float(seconds)))
    sys.stdout.write(f"{len(results)} {set(results)}\n")
