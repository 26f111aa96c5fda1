"""One step of an instance: read where it is, decide, store it if it is still there.

Who comes second reads again and decides anew. In one process those who want the same instance
queue up for it, and hand on where it is, so that a hot instance is neither read nor fought over.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from weakref import WeakValueDictionary

from higherself.db.errors import WriteCollided
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, Rejected
from higherself.kernel.ids import InstanceId
from higherself.messaging.errors import LeaseLost
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.engine.errors import InstanceBusy, InstanceNotFound
from higherself.workflow.engine.measuring import measure
from higherself.workflow.engine.model import Handled, StoredInstance, Write
from higherself.workflow.engine.outgoing import follow_up
from higherself.workflow.engine.postgres import PostgresDefinitions, PostgresInstances
from higherself.workflow.engine.servertime import ServerTime
from higherself.workflow.engine.writing import Writer
from higherself.workflow.machine import (
    Event,
    RunActivity,
    RunCollaboration,
    Snapshot,
    Step,
    advance,
)

TRIES = 20
"""How often a step is made anew because another process moved the instance on meanwhile."""
SHORT, LONG = timedelta(milliseconds=2), timedelta(milliseconds=100)

Decide = Callable[[WorkflowDefinition, Snapshot, datetime], Step]


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an event: the step, and how it was stored, unless it changed nothing.

    ``follow`` is the activity that its worker goes on with, if any.
    """

    step: Step
    write: Write | None = None
    follow: RunActivity | RunCollaboration | None = None

    @property
    def stored(self) -> bool:
        """Whether anything was stored."""
        return self.write is not None


class _Seat:
    """An instance that somebody of this process is at; ``snapshot`` is where he left it."""

    __slots__ = ("__weakref__", "lock", "snapshot")

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.snapshot: Snapshot | None = None


class Stepper:
    """Makes steps of instances. Safe for concurrent use, in any number of processes."""

    def __init__(
        self,
        *,
        instances: PostgresInstances,
        definitions: PostgresDefinitions,
        writer: Writer,
        time: ServerTime,
        clock: Clock,
        draw: Callable[[], float],
    ) -> None:
        self._instances, self._definitions, self._writer = instances, definitions, writer
        self._time, self._clock, self._draw = time, clock, draw
        self._seats: WeakValueDictionary[InstanceId, _Seat] = WeakValueDictionary()

    async def find(self, instance: InstanceId) -> StoredInstance:
        """Return an instance.

        Raises
            InstanceNotFound: there is none of this identifier.
        """
        stored = await self._instances.find(instance)
        if stored is None:
            raise InstanceNotFound(str(instance))
        return stored

    async def pinned(self, snapshot: Snapshot) -> WorkflowDefinition:
        """Return the definition that an instance is pinned to."""
        return await self._definitions.pinned(snapshot.workflow, snapshot.version)

    async def now(self) -> datetime:
        """Return the time that steps go by."""
        return await self._time.now()

    def advanced(
        self, definition: WorkflowDefinition, snapshot: Snapshot, event: Event, now: datetime
    ) -> Step:
        """Return what the machine makes of ``event``."""
        return advance(definition, snapshot, event, now, draw=self._draw())

    async def begin(self, write: Write) -> bool:
        """Store the first step of an instance; return whether its key was still free."""
        if not await self._writer.store(write):
            return False
        measure(write, None)
        return True

    async def apply(
        self,
        instance: InstanceId,
        event: Event,
        *,
        snapshot: Snapshot | None = None,
        handled: Handled | None = None,
        event_id: str | None = None,
    ) -> Applied:
        """Move an instance on by ``event``. ``snapshot`` is where it probably is.

        Raises
            InstanceNotFound, InstanceBusy; what `advance` raises: nothing was stored.
            LeaseLost: the message that led to this is somebody else's by now; nothing was stored.
        """

        def decide(definition: WorkflowDefinition, before: Snapshot, now: datetime) -> Step:
            return self.advanced(definition, before, event, now)

        return await self.step(
            instance, decide, snapshot=snapshot, handled=handled, event_id=event_id
        )

    async def step(
        self,
        instance: InstanceId,
        decide: Decide,
        *,
        snapshot: Snapshot | None = None,
        handled: Handled | None = None,
        event_id: str | None = None,
    ) -> Applied:
        """Make the step that ``decide`` decides on; see `apply`."""
        seat = self._seats.setdefault(instance, _Seat())
        async with seat.lock:
            known = _later(seat.snapshot, snapshot)
            seat.snapshot = None
            applied = await self._step(instance, decide, known, handled, event_id)
            seat.snapshot = applied.step.snapshot
            return applied

    async def _step(
        self,
        instance: InstanceId,
        decide: Decide,
        known: Snapshot | None,
        handled: Handled | None,
        event_id: str | None,
    ) -> Applied:
        failed_at: int | None = None
        for attempt in range(TRIES):
            fresh = known is None
            snapshot = known or (await self.find(instance)).snapshot
            known = None
            if handled is not None and snapshot.sequence == failed_at:
                raise LeaseLost(handled.message)
            definition = await self.pinned(snapshot)
            now = await self.now()
            try:
                step = decide(definition, snapshot, now)
            except (Rejected, Conflict):
                if fresh:
                    raise
                continue  # it may stand elsewhere by now
            if not step.history:
                if fresh:
                    return Applied(step)
                continue
            write = Write(
                definition=definition, before=snapshot.sequence, step=step,
                handled=handled, event_id=event_id,
            )  # fmt: skip
            if await self._stored(write):
                measure(write, snapshot)
                return Applied(step, write, follow_up(write))
            if event_id is not None and await self._instances.has_event(instance, event_id):
                said = "an event of this id has counted already"
                return Applied(Step(snapshot, (), (), "ignored", said))
            failed_at = snapshot.sequence
            if attempt:
                wait = exponential(attempt, base=SHORT, ceiling=LONG, jitter=self._draw())
                await self._clock.sleep(wait)
        raise InstanceBusy(str(instance))

    async def _stored(self, write: Write) -> bool:
        try:
            return await self._writer.store(write)
        except WriteCollided:  # two steps that waited for each other: ours was the one to give way
            return await self._writer.store(write)


def _later(one: Snapshot | None, other: Snapshot | None) -> Snapshot | None:
    if one is None or other is None:
        return one or other
    return one if one.sequence > other.sequence else other
