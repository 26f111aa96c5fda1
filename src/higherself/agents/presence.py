"""The heartbeat of a worker: where its agents are, what they have to do, how it went."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from higherself.agents.model import AgentCard, Phase
from higherself.agents.roster import BEAT, Pulse, Roster
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Rejected
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.errors import LeaseLost
from higherself.messaging.ports import HandledBefore


@dataclass(slots=True)
class Vitals:
    """One agent in this worker. ``done``, ``failed`` and ``seconds`` are those not yet told of."""

    card: AgentCard
    phase: Phase = "starting"
    problem: str | None = None
    running: int = 0
    done: int = 0
    failed: int = 0
    seconds: float = 0.0

    @contextmanager
    def at_work(self, clock: Clock) -> Iterator[None]:
        """Count a task. What is refused, or was done already, counts as neither done nor failed."""
        self.running += 1
        began = clock.monotonic()
        try:
            yield
        except (Rejected, HandledBefore, LeaseLost):
            raise
        except Exception:
            self._ended(clock.monotonic() - began, failed=True)
            raise
        else:
            self._ended(clock.monotonic() - began, failed=False)
        finally:
            self.running -= 1

    def _ended(self, seconds: float, *, failed: bool) -> None:
        self.failed += failed
        self.done += not failed
        self.seconds += seconds
        telemetry.count(
            "agents.task.failed" if failed else "agents.task.done", agent=self.card.name
        )


class Heart:
    """Tells, again and again, that this worker is alive."""

    def __init__(self, roster: Roster, worker: str, vitals: list[Vitals], clock: Clock) -> None:
        self._roster, self._worker, self._vitals, self._clock = roster, worker, vitals, clock
        self._beating = asyncio.Lock()

    async def beat(self) -> None:
        """Tell now how all agents are.

        Raises
            DatabaseUnavailable: nothing was told; what is to be counted is told the next time.
        """
        async with self._beating:
            told = [(each, each.done, each.failed, each.seconds) for each in self._vitals]
            await self._roster.beat(self._worker, [_pulse(each) for each in self._vitals])
            for each, done, failed, seconds in told:
                each.done -= done
                each.failed -= failed
                each.seconds -= seconds

    async def beat_quietly(self) -> None:
        """The same; what goes wrong is logged, and made good by the next beat."""
        try:
            await self.beat()
        except HigherSelfError as error:
            telemetry.warning("agents.presence.not_told", reason=str(error))

    async def keep_beating(self) -> None:
        """Beat until cancelled."""
        while True:
            await self.beat_quietly()
            raise_if_cancelled()
            await self._clock.sleep(BEAT)


def _pulse(vitals: Vitals) -> Pulse:
    return Pulse(
        card=vitals.card,
        phase=vitals.phase,
        problem=vitals.problem,
        running=vitals.running,
        done=vitals.done,
        failed=vitals.failed,
        seconds=vitals.seconds,
    )
