"""Skills as the program offers them: run in one place, with results kept and runs counted."""

from contextlib import suppress
from dataclasses import dataclass

from higherself.agents.skills.invocation import Cards, SkillInvoker
from higherself.agents.skills.registry import SkillRegistry
from higherself.agents.skills.store_postgres import PostgresSkillResults
from higherself.agents.skills.upkeep import SkillUpkeep
from higherself.db.pool import Database
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError


@dataclass(frozen=True, slots=True)
class HostedSkills:
    """The skills of a process: whoever runs one does it by ``invoker``."""

    invoker: SkillInvoker
    records: PostgresSkillResults
    upkeep: SkillUpkeep

    async def close(self) -> None:
        """Store what was counted last, if the database answers."""
        with suppress(HigherSelfError):
            await self.upkeep.store()


def build_skills(
    skills: SkillRegistry,
    database: Database,
    clock: Clock,
    *,
    cards: Cards = lambda name: None,
) -> HostedSkills:
    """Return what runs ``skills`` on a database. Nothing is read or stored yet."""
    records = PostgresSkillResults(database, clock)
    invoker = SkillInvoker(skills, clock=clock, shared=records, cards=cards)
    return HostedSkills(invoker, records, SkillUpkeep(invoker, records, clock))
