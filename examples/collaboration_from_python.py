"""Have the agents of ``examples/agents`` work together, and wait for what comes of it.

Run it with ``.venv/bin/python examples/collaboration_from_python.py``.
"""
# ruff: noqa: T201  an example prints

import asyncio
import os
from pathlib import Path
from uuid import UUID

from higherself import HigherSelf
from higherself.kernel.tasks import in_background

os.environ["HIGHERSELF_EXTENSIONS"] = str(Path(__file__).parent / "agents")


async def book_both(hs: HigherSelf) -> UUID:
    """Start a collaboration; the same key starts it once."""
    return await hs.collaborations.start(
        {
            "pattern": "concurrent",
            "join": "all",
            "steps": [
                {"id": "arrival", "name": "bookings", "task": "booking.wanted", "input": {"day": "2026-06-01"}},
                {"id": "return", "name": "bookings", "task": "booking.wanted", "input": {"day": "2026-06-08"}},
            ],
        },
        {"guest": "Ana"},
        entity="the_7_space",
        key="Ana's two nights",
    )  # fmt: skip


async def main() -> None:
    """Start it, run the agents, and print what came of it."""
    async with HigherSelf.open() as hs:
        number = await book_both(hs)
        async with in_background(hs.agents.work()), in_background(hs.hosted.worker().run()):
            done = await hs.collaborations.wait(number)
        print(done.status)
        for step, answer in sorted(done.outcome["steps"].items()):
            print(f"{step}: {answer}")


if __name__ == "__main__":
    asyncio.run(main())
