"""What workers do for instances: run activities, and move on what became due.

A worker that ends an activity goes on with the one that follows: its message becomes that of the
next, in the statement that stores the step, with the same lease. So a hot instance is claimed once,
not once a step; and it can die anywhere, for all that it was about is in that message.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from higherself.db.pool import Transaction
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Rejected
from higherself.kernel.ids import InstanceId
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.model import (
    DONE,
    Claimed,
    Message,
    Outcome,
    RetryPolicy,
    Snoozed,
)
from higherself.messaging.outbox import PostgresOutbox
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.settlement import End
from higherself.workflow.engine.activities import ActivityRunner, Deferred, ended
from higherself.workflow.engine.engine import Engine
from higherself.workflow.engine.errors import CannotRun, InstanceNotFound
from higherself.workflow.engine.model import ACTIVITIES, SIGNALS, Handled
from higherself.workflow.engine.outgoing import (
    CHILD_CANCELLED,
    CHILD_ENDS,
    CHILD_STARTS,
    ENDED_ELSEWHERE,
    LOST,
    TIMER,
)
from higherself.workflow.errors import ControlRefused, InstanceFinished
from higherself.workflow.machine import (
    ActivityCompleted,
    ActivityFailed,
    ActivityTimedOut,
    Cancelled,
    ChildFinished,
    Event,
    Parent,
    RunActivity,
    RunCollaboration,
    Snapshot,
    StartChild,
    TimerDue,
)
from higherself.workflow.machine.asking import command_of
from higherself.workflow.machine.codec import from_json

CONCURRENCY = 64
"""Activities that one worker runs at a time, unless it is told otherwise."""

LEASE = timedelta(seconds=5)
"""How long the work of a worker that died waits for another."""

STICKY = timedelta(seconds=30)
"""How long a worker goes on with one instance before others have their turn."""

NOT_HERE = timedelta(seconds=2)
"""When to look again whether somebody can run what nobody could."""
HALTED = timedelta(seconds=15)
"""When to look again whether a paused instance was resumed."""

AGAIN = Snoozed(timedelta(0))
"""What a message spoke of is over. It may speak of something else by now: so it is read again."""

MOST_LAPSES = 3
"""So many workers may die over one activity before it is taken to have failed."""

ACTIVITY_POLICY = RetryPolicy(
    max_attempts=1_000_000_000,  # the definition says how often an activity is tried
    base=timedelta(milliseconds=200),
    max_lapses=MOST_LAPSES,
    timeout=timedelta(days=1),  # of everything that a worker does in a row: activities have theirs
)
SIGNAL_POLICY = RetryPolicy(
    max_attempts=20, base=timedelta(milliseconds=100), timeout=timedelta(minutes=1)
)


class Worker:
    """Handles the engine's messages."""

    def __init__(
        self, engine: Engine, runner: ActivityRunner, outbox: PostgresOutbox, clock: Clock
    ) -> None:
        self._engine, self._runner, self._outbox, self._clock = engine, runner, outbox, clock
        self._signals: Mapping[str, Callable[[Delivery], Awaitable[Outcome | None]]] = {
            TIMER: self._timer,
            LOST: self._lost,
            ENDED_ELSEWHERE: self._ended_elsewhere,
            CHILD_STARTS: self._start_child,
            CHILD_ENDS: self._child_ended,
            CHILD_CANCELLED: self._cancel_child,
        }

    def subscriptions(self, *, concurrency: int = CONCURRENCY) -> tuple[Subscription, ...]:
        """Return what a consumer has to subscribe to."""
        return (
            Subscription(
                topic=ACTIVITIES,
                handler=self.run_activity,
                concurrency=concurrency,
                policy=ACTIVITY_POLICY,
                ended=self._report_lost,
            ),
            Subscription(
                topic=SIGNALS, handler=self.handle_signal, concurrency=32, policy=SIGNAL_POLICY
            ),
        )

    # --- Activities.

    async def run_activity(self, delivery: Delivery) -> Outcome | None:
        """Run an activity, and those that follow it in the same instance."""
        said = _data(delivery)
        snapshot = await self._snapshot(delivery)
        command = await self._wanted(snapshot, said["key"], said["attempt"])
        lapses, began = delivery.message.lapses, self._clock.monotonic()
        while snapshot is not None and command is not None:
            if snapshot.status in ("paused", "failed"):
                return Snoozed(HALTED)
            try:
                event = await ended(self._runner, command, snapshot, self._clock, lapses=lapses)
            except CannotRun as cannot:
                await self._engine.note_obstacle(snapshot.instance, cannot.reason)
                telemetry.count("workflow.activity.put_off", workflow=snapshot.workflow)
                return Snoozed(NOT_HERE)
            if isinstance(event, Deferred):
                return DONE
            goes_on = self._clock.monotonic() - began < STICKY.total_seconds()
            applied = await self._engine.stepper.apply(
                snapshot.instance,
                event,
                snapshot=snapshot,
                handled=_handled(delivery, goes_on=goes_on),
            )
            if not applied.stored:
                return AGAIN
            if applied.follow is None:
                delivery.settled = True
                return None
            snapshot, command, lapses = applied.step.snapshot, applied.follow, 0
        return DONE

    async def _wanted(
        self, snapshot: Snapshot | None, key: str, attempt: int
    ) -> RunActivity | RunCollaboration | None:
        """Return the activity that is asked for under ``key``, unless nobody waits for it any more."""
        pending = snapshot.pending.get(key) if snapshot else None
        if snapshot is None or pending is None or pending.attempt != attempt:
            return None
        return command_of(
            await self._engine.pinned(snapshot), key, pending, await self._engine.stepper.now()
        )

    async def _report_lost(self, tx: Transaction, message: Claimed, end: End) -> None:
        """Have the instance know, in the transaction that gives an activity up."""
        lost = Message(
            topic=SIGNALS,
            type=LOST,
            source=message.envelope.source,
            subject=message.envelope.subject,
            entity=message.envelope.entity,
            data={**_object(message.envelope.data), "reason": end.reason or end.status},
        ).caused_by(message.envelope)
        await self._outbox.publish(tx, lost)

    # --- Signals.

    async def handle_signal(self, delivery: Delivery) -> Outcome | None:
        """Do what became due."""
        handler = self._signals.get(delivery.envelope.type)
        if handler is None:
            raise AssertionError(f"nobody sends {delivery.envelope.type}")
        try:
            return await handler(delivery)
        except (InstanceNotFound, InstanceFinished):
            return DONE

    async def _timer(self, delivery: Delivery) -> Outcome | None:
        timer = _data(delivery)["timer"]
        snapshot = await self._snapshot(delivery)
        if snapshot is None or timer not in snapshot.timers:
            return DONE
        lag = await self._engine.stepper.now() - snapshot.timers[timer].due_at
        telemetry.duration("workflow.timer.lag", max(0.0, lag.total_seconds()))
        return await self._applied(delivery, TimerDue(timer), snapshot=snapshot)

    async def _lost(self, delivery: Delivery) -> Outcome | None:
        said = _data(delivery)
        failed = ActivityFailed(
            said["key"], said["attempt"], f"its worker was lost: {said['reason']}", ("WorkerLost",)
        )
        return await self._applied(delivery, failed)

    async def _ended_elsewhere(self, delivery: Delivery) -> Outcome | None:
        """Take how a collaboration ended, if it is still that attempt which is waited for."""
        if delivery.envelope.source.startswith("urn:higherself:agent:"):
            raise Rejected(f"{delivery.envelope.source} may not say how an activity ended")
        said, snapshot = _data(delivery), await self._snapshot(delivery)
        pending = snapshot.pending.get(said["key"]) if snapshot else None
        if pending is None or pending.attempt != said["attempt"]:
            return DONE
        return await self._applied(delivery, _ending(said), snapshot=snapshot)

    async def _child_ended(self, delivery: Delivery) -> Outcome | None:
        said = _data(delivery)
        ending = ChildFinished(said["key"], said["status"], said["state"], said.get("context", {}))
        return await self._applied(delivery, ending)

    async def _applied(
        self, delivery: Delivery, event: Event, *, snapshot: Snapshot | None = None
    ) -> Outcome | None:
        applied = await self._engine.stepper.apply(
            _instance(delivery), event, snapshot=snapshot, handled=_handled(delivery)
        )
        delivery.settled = applied.stored
        return None if applied.stored else DONE

    async def _start_child(self, delivery: Delivery) -> Outcome | None:
        command: StartChild = from_json(StartChild, _data(delivery))
        parent = await self._snapshot(delivery)
        if parent is None or command.key not in parent.pending:
            return DONE
        await self._engine.start(
            command.workflow,
            context=command.context,
            key=command.key,
            entity=parent.entity,
            version=command.version,
            parent=Parent(parent.instance, command.key),
        )
        return DONE

    async def _cancel_child(self, delivery: Delivery) -> Outcome | None:
        said = _data(delivery)
        child = (await self._engine.children(_instance(delivery))).get(said["key"])
        if child is not None:
            try:
                await self._engine.stepper.apply(child, Cancelled(said["reason"]))
            except ControlRefused:
                return DONE  # it is being cancelled already
        return DONE

    async def _snapshot(self, delivery: Delivery) -> Snapshot | None:
        try:
            return (await self._engine.get(_instance(delivery))).snapshot
        except InstanceNotFound:
            return None


def _ending(said: dict[str, Any]) -> ActivityCompleted | ActivityFailed | ActivityTimedOut:
    key, attempt, agent, took = said["key"], said["attempt"], said["agent"], said["milliseconds"]
    if said["status"] == "completed":
        return ActivityCompleted(key, said["result"], agent, took)
    if said["type"] == "Timeout":
        return ActivityTimedOut(key, attempt, agent)
    types = (said["type"] or "CollaborationFailed",)
    again = types[0] != "Rejected"
    return ActivityFailed(key, attempt, said["reason"], types, again, agent, took)


def _handled(delivery: Delivery, *, goes_on: bool = False) -> Handled:
    message = delivery.message
    return Handled(message.id, message.lease, message.envelope.correlation_id, goes_on)


def _instance(delivery: Delivery) -> InstanceId:
    return InstanceId(UUID(delivery.envelope.subject or ""))


def _data(delivery: Delivery) -> dict[str, Any]:
    return _object(delivery.data)


def _object(data: JsonValue) -> dict[str, Any]:
    return dict(data) if isinstance(data, Mapping) else {}
