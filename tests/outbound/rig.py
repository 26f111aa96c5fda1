"""A program that sends, with its settings as a test wants them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from higherself import HigherSelf
from higherself.agents.skills import SkillCall
from higherself.app.settings import Settings, load_settings

ENTITY = "the_7_space"
ANA = "ana@example.org"


def settings(url: str, folder: Path, **environment: str) -> Settings:
    named = {"DATABASE_URL": url, "HIGHERSELF_HOME": str(folder), "HIGHERSELF_ALLOW_LIST": ANA}
    return load_settings({**named, **environment}, folder=folder)[0]


@asynccontextmanager
async def sending(url: str, folder: Path, **environment: str) -> AsyncIterator[HigherSelf]:
    """Yield the program, without workflows."""
    async with HigherSelf.open(settings(url, folder, **environment), workflows=False) as hs:
        yield hs


async def run(hs: HigherSelf, skill: str, key: str = "k", **given: Any) -> Any:
    """Run a skill of the business, under a key."""
    call = SkillCall(key=key, entity=ENTITY, correlation="lead-1", operator=True)
    return await hs.hosted_skills.invoker.run(skill, given, call)


async def due_now(hs: HigherSelf) -> None:
    """Let what waits be due, and what is being sent be left by its process."""
    async with hs.database.transaction() as tx:
        await tx.connection.execute("UPDATE delivery SET due_at = now() WHERE status = 'queued'")
        await tx.connection.execute(
            "UPDATE delivery SET leased_until = now() - interval '1s' WHERE status = 'sending'"
        )
