"""How the engine is doing, told as metrics."""

from datetime import timedelta

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.workflow.engine.postgres import PostgresInstances

EVERY = timedelta(seconds=15)


class Watch:
    """Counts what waits where. Any number of processes may do so."""

    def __init__(self, instances: PostgresInstances, clock: Clock) -> None:
        self._instances, self._clock = instances, clock
        self._told: set[tuple[str, str, str]] = set()

    async def keep_telling(self, *, every: timedelta = EVERY) -> None:
        """Tell the counts for ever; what goes wrong is told, and tried again the next time."""
        while True:
            try:
                await self.tell()
            except HigherSelfError as error:
                telemetry.warning("workflow.watch.failed", reason=str(error))
            await self._clock.sleep(every)

    async def tell(self) -> None:
        """Tell how many instances are in which status, and what they wait for."""
        counts: dict[tuple[str, str, str], int] = {}
        for row in await self._instances.counts():
            key = row["workflow"], row["status"], row["waits_for"]
            counts[key] = counts.get(key, 0) + row["instances"]
        for key in self._told - counts.keys():
            counts[key] = 0
        for (workflow, status, waits_for), instances in counts.items():
            telemetry.gauge(
                "workflow.instance.unfinished",
                instances,
                workflow=workflow,
                status=status,
                waits_for=waits_for or "nothing",
            )
        self._told = {key for key, instances in counts.items() if instances}
