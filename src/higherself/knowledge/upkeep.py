"""What goes on in the background of a server: what waits is embedded, and a new model takes over."""

from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, HigherSelfError
from higherself.knowledge.backlog import Backlog
from higherself.knowledge.roster import Member, Roster
from higherself.knowledge.switching import Switching

EVERY = timedelta(seconds=5)
"""How often it is looked whether there is something to do."""


class Upkeep:
    """Does what nobody should have to ask for."""

    def __init__(
        self, backlog: Backlog, switching: Switching, roster: Roster, clock: Clock
    ) -> None:
        self._backlog = backlog
        self._switching = switching
        self._roster = roster
        self._clock = clock
        self._declined: set[str] = set()

    async def keep_up(self, *, every: timedelta = EVERY) -> None:
        """Look for ever; what goes wrong is told, and tried again the next time."""
        while True:
            try:
                await self.once()
            except HigherSelfError as error:
                telemetry.warning("knowledge.upkeep.failed", error=str(error))
            await self._clock.sleep(every)

    async def once(self) -> None:
        """Embed what waits, as far as the providers answer; then switch to what is ready."""
        for filled in await self._backlog.catch_up(gently=True):
            telemetry.info(
                "knowledge.backlog.filled",
                space=filled.space,
                embedded=filled.embedded,
                refused=filled.refused,
                waiting=filled.waiting,
                reason=filled.reason,
            )
        for member in await self._roster.ready():
            await self._switch(member)

    async def _switch(self, member: Member) -> None:
        """Let the model that the settings name answer, unless it was found to be worse."""
        name = member.stored.name
        if name in self._declined:
            return
        try:
            compared = await self._switching.activate(member.stored)
        except Conflict as error:
            self._declined.add(name)
            telemetry.warning("knowledge.space.declined", space=name, reason=str(error))
        else:
            found = compared.new_recall if compared else None
            telemetry.info("knowledge.space.activated", space=name, recall=found)
