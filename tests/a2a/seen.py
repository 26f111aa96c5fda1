"""What the skills and agents of these tests have seen, for the tests to look at."""

from pathlib import Path
from threading import Event

RUNS: list[str] = []
STARTED, RELEASED, CANCELLED = Event(), Event(), Event()

OURS = '''
import asyncio
from higherself import SkillCall, skill
from higherself.agents.agent import agent
from higherself.errors import Rejected
from tests.a2a.seen import CANCELLED, RELEASED, RUNS, STARTED

@skill(effects="pure", description="Add numbers")
def add(numbers: list[int]) -> int:
    RUNS.append("add")
    return sum(numbers)

@skill(effects="read")
def greet(name: str) -> str:
    RUNS.append(name)
    return f"Hello {name}"

@skill(effects="write")
def change(name: str) -> str:
    return name

@skill(effects="read")
async def wait_for_it() -> str:
    STARTED.set()
    try:
        while not RELEASED.is_set():
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        CANCELLED.set()
        raise
    return "it has come"

@agent(name="booker", accepts=["booking.asked"], capabilities=["booking"], role="bookings")
async def booker(task, context):
    """Books what is asked for."""
    if task["room"] == "none":
        raise Rejected("there is no such room")
    return {"booked": task["room"], "for": task.data.get("text"), "subject": task.subject}
'''


def ours_in(folder: Path) -> Path:
    """Write the skills and the agent into ``folder``, and return it."""
    folder.joinpath("ours.py").write_text(OURS)
    return folder


def forget() -> None:
    """Forget all."""
    RUNS.clear()
    for event in (STARTED, RELEASED, CANCELLED):
        event.clear()
