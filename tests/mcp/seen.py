"""What the skills of these tests have seen, for the tests to look at; see `SKILLS`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from higherself.agents.skills import SkillCall

CALLS: list[SkillCall] = []
CANCELLED, STARTED, RELEASED = Event(), Event(), Event()

SKILLS = '''
import asyncio
from typing import Annotated
from pydantic import BaseModel, Field
from higherself import SkillCall, skill
from tests.mcp.seen import CALLS, CANCELLED, RELEASED, STARTED

class Lead(BaseModel):
    name: str
    score: int | None

@skill(effects="pure", description="Score a lead")
def score_lead(name: str, visits: Annotated[int, Field(ge=0)] = 0) -> Lead:
    return Lead(name=name, score=visits or None)

@skill(effects="read", idempotent=True, egress=True)
def count_letters(text: str) -> int:
    """Count the letters of a text."""
    return len(text)

@skill(effects="read")
def remember_call(call: SkillCall) -> dict[str, str]:
    CALLS.append(call)
    print("printed by a skill")
    return {"key": call.key, "entity": call.entity}

@skill(effects="write")
def rename_lead(name: str) -> str:
    return name.upper()

@skill(effects="external", irreversible=True)
def send_letter(to: str) -> str:
    return "sent"

@skill(effects="read")
def break_down() -> int:
    raise KeyError("the password is 1234")

@skill(effects="read")
def lie() -> Lead:
    return {"name": 7}

@skill(effects="read", agents=["nyra"])
def whisper() -> str:
    return "for nyra alone"

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

@skill(effects="read")
def block() -> str:
    STARTED.set()
    RELEASED.wait(20)
    return "done"
'''


def skills_in(folder: Path) -> Path:
    """Write the skills into ``folder`` and return it."""
    folder.joinpath("ours.py").write_text(SKILLS)
    return folder


@contextmanager
def nothing_seen() -> Iterator[None]:
    """Forget all, before and after; what still waits is released."""
    CALLS.clear()
    for event in (CANCELLED, STARTED, RELEASED):
        event.clear()
    try:
        yield
    finally:
        RELEASED.set()
