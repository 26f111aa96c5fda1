"""What goes on beside the running of skills: counts are stored, and old results forgotten."""

from datetime import timedelta

from higherself.agents.skills.invocation import SkillInvoker
from higherself.agents.skills.ports import SkillRecords
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import raise_if_cancelled

EVERY = timedelta(seconds=3)
"""How often counts are stored, and orders to forget results read."""

PRUNE_EVERY = 100
"""So many times, old results are deleted once."""


class SkillUpkeep:
    """Does what nobody should have to ask for, for the skills of one process."""

    def __init__(self, invoker: SkillInvoker, records: SkillRecords, clock: Clock) -> None:
        self._invoker, self._records, self._clock = invoker, records, clock
        self._read = 0

    async def keep_up(self, *, every: timedelta = EVERY) -> None:
        """Look for ever; what goes wrong is told, and tried again the next time."""
        rounds = 0
        while True:
            try:
                await self.once()
                if rounds % PRUNE_EVERY == 0:
                    pruned = await self._records.prune()
                    telemetry.count("skills.result.pruned", pruned)
            except HigherSelfError as error:
                telemetry.warning("skills.upkeep.failed", error=str(error))
            raise_if_cancelled()
            rounds += 1
            await self._clock.sleep(every)

    async def once(self) -> None:
        """Store the counts, forget in memory what somebody cleared, tell how much is there."""
        await self.store()
        for number, skill, entity in await self._records.clearings(self._read):
            self._invoker.cached.clear(skill, entity=entity)
            self._read = number
        memory = self._invoker.cached.memory
        memory.prune()
        telemetry.gauge("skills.cache.results", len(memory))
        telemetry.gauge("skills.cache.bytes", memory.size)

    async def store(self) -> None:
        """Store what was counted; what cannot be is kept for the next time."""
        if not (counted := self._invoker.tallies()):
            return
        try:
            await self._records.count(counted)
        except BaseException:
            self._invoker.count_again(counted)
            raise
