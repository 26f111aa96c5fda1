"""The work behind tasks: answers of agents become results, and skills are run."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from higherself.a2a.asking import SKILLS
from higherself.a2a.model import State
from higherself.a2a.store import Tasks
from higherself.agents.skills import SkillCall
from higherself.app.open_skills import OpenSkills
from higherself.db.pool import Database
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.tasks import raise_if_cancelled, task_group
from higherself.messaging.bus import Bus
from higherself.messaging.model import Cancelled, RetryPolicy
from higherself.messaging.ports import Delivery, HandledBefore
from higherself.messaging.protocol import PERFORMATIVE, Identity
from higherself.messaging.serving import Served

ANSWERS = "a2a.answers"
"""The topic of what comes of the work."""

UPKEEP = timedelta(minutes=5)
GIVE_UP_AFTER = timedelta(days=1, minutes=10)
KEPT_FOR = timedelta(days=30)

_STATES: Mapping[str, State] = {"failure": "failed", "refuse": "rejected"}


class Work:
    """Handles what the tasks of agents elsewhere need, in this process."""

    def __init__(
        self, tasks: Tasks, database: Database, bus: Bus, skills: OpenSkills, clock: Clock
    ) -> None:
        self._tasks, self._database, self._skills, self._clock = tasks, database, skills, clock
        self._bus = bus.speaking_as(Identity("service", "a2a"))
        self._running: dict[UUID, asyncio.Task[JsonValue]] = {}

    def served(self) -> tuple[Served, Served]:
        """Return the subscriptions: to answers, and to skills that are to be run."""
        policy = RetryPolicy(max_attempts=3)
        return (
            self._bus.serving(f"topic:{ANSWERS}", self._answered),
            self._bus.serving(f"topic:{SKILLS}", self._run, policy=policy),
        )

    def cancel(self, task: UUID) -> None:
        """Stop the skill that runs for a task here, if one does."""
        if (running := self._running.get(task)) is not None:
            running.cancel()

    async def keep_up(self) -> None:
        """End what nobody answers, and forget what is old, for ever."""
        while True:
            try:
                await self._tasks.give_up(GIVE_UP_AFTER, "nobody has answered within a day")
                await self._tasks.prune(KEPT_FOR)
            except HigherSelfError as error:
                telemetry.warning("a2a.upkeep.failed", error=str(error))
            raise_if_cancelled()
            await self._clock.sleep(UPKEEP)

    async def _answered(self, delivery: Delivery) -> None:
        """Move the task on whose work has been answered; its conversation says which that is."""
        envelope = delivery.envelope
        said = str(envelope.extensions.get(PERFORMATIVE))
        try:
            request = UUID(envelope.correlation_id)
        except ValueError:
            return
        moved = None
        try:
            async with delivery.once() as tx:
                moved = await self._tasks.of_request(tx, request)
                if moved is not None and said in _STATES:
                    await self._tasks.move(tx, moved, _STATES[said], told=_reason(envelope.data))
                elif moved is not None:
                    await self._tasks.move(tx, moved, "completed", result=envelope.data)
        except HandledBefore:
            return
        if moved is not None:
            self._tasks.wake(moved)

    async def _run(self, delivery: Delivery) -> JsonValue | Cancelled:
        """Run a skill for a task, unless that has ended; what it returns is the answer."""
        envelope = delivery.envelope
        data = cast("dict[str, Any]", envelope.data)
        entity = envelope.entity or "default"
        async with self._database.transaction(entity=entity) as tx:
            task = await self._tasks.of_request(tx, UUID(str(envelope.id)))
            if task is None:
                return Cancelled("its task is gone")
            await self._tasks.move(tx, task, "working")
        self._tasks.wake(task)
        kept = await self._tasks.get(entity, task)
        if kept is None or not kept.is_open:
            return Cancelled("its task has ended")
        call = SkillCall(key=delivery.key, entity=entity, correlation=envelope.correlation_id)
        async with task_group() as group:
            running = group.create_task(self._skills.run(data["skill"], data["input"], call))
            self._running[task] = running
            try:
                await asyncio.wait((running,))
            finally:
                del self._running[task]
                running.cancel()
        return Cancelled("its task was cancelled") if running.cancelled() else running.result()


def _reason(data: JsonValue) -> str:
    told = data.get("reason") if isinstance(data, Mapping) else data
    return str(told or "no reason was given")
