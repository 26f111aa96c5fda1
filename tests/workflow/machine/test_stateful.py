"""Whatever happens, in whatever order, to whatever definition: what `World` checks holds.

After every event: the history has no gap and leads to the snapshot; the snapshot survives JSON in
any order of keys, and the same event leads to the same step again; no timer and nothing that was
asked for is lost; a key stands for one run of one activity. What is refused changes nothing, and a
finished instance never changes. In the end, all of it from the beginning leads to the same.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from tests.workflow.machine.definitions import EVENTS, definitions
from tests.workflow.world import INSTANCE, World

from higherself.kernel.errors import Conflict, Rejected
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.errors import InstanceFinished
from higherself.workflow.machine import (
    ActivityCompleted,
    ActivityFailed,
    ActivityTimedOut,
    Cancelled,
    ChildFinished,
    Decided,
    Event,
    HistoryEntry,
    Parent,
    Paused,
    Received,
    Resumed,
    Retried,
    Started,
    TimerDue,
    advance,
    migrated,
    new_instance,
)

PARENT = Parent(INSTANCE, "parent")
results = st.sampled_from([None, 0, 5, "text", {"n": 3}, [1], True])
contexts = st.sampled_from([None, {"n": 0, "flag": True}, {"n": 9, "flag": False, "missing": 1}])


class AnyInstance(RuleBasedStateMachine):
    """Things happen to an instance of some definition."""

    def __init__(self) -> None:
        super().__init__()
        self.happened: list[tuple[Event | WorkflowDefinition, Any, float]] = []
        self.gone: list[Event] = []

    @initialize(definition=definitions(), n=st.integers(0, 4))
    def start(self, definition: WorkflowDefinition, n: int) -> None:
        self.first = definition
        self.world = World(definition, parent=PARENT)
        self.happens(Started({"n": n}))

    def happens(self, event: Event, draw: float = 0.0) -> None:
        before = self.world.snapshot
        self.world.draw = draw
        try:
            self.world.send(event)
        except (Rejected, Conflict):
            assert self.world.snapshot is before
            return
        self.happened.append((event, self.world.now, draw))
        if before.finished:
            assert self.world.snapshot is before

    @rule(name=st.sampled_from([*EVENTS, "unknown"]), n=results, id=st.none() | st.integers(0, 9))
    def an_event_comes(self, name: str, n: Any, id: int | None) -> None:
        self.happens(Received(name, {"n": n}, None if id is None else str(id)))

    @precondition(lambda self: self.world.running)
    @rule(data=st.data(), result=results)
    def an_activity_ends_well(self, data: st.DataObject, result: Any) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.running)))
        event = ActivityCompleted(key, result)
        self.happens(event)
        self.gone.append(event)

    @precondition(lambda self: self.world.running)
    @rule(data=st.data(), retryable=st.booleans(), draw=st.floats(0, 1))
    def an_attempt_fails(self, data: st.DataObject, retryable: bool, draw: float) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.running)))
        attempt = self.world.running[key].attempt
        if data.draw(st.booleans()):
            event: Event = ActivityFailed(key, attempt, "boom", ("OSError",), retryable=retryable)
        else:
            event = ActivityTimedOut(key, attempt)
        self.happens(event, draw)
        self.gone.append(event)

    @precondition(lambda self: self.world.timers)
    @rule()
    def a_timer_is_due(self) -> None:
        at, timer = min((at, timer) for timer, at in self.world.timers.items())
        self.world.now = max(self.world.now, at)
        self.happens(TimerDue(timer))
        self.gone.append(TimerDue(timer))

    @rule(minutes=st.integers(1, 10_000))
    def time_passes(self, minutes: int) -> None:
        self.world.now += timedelta(minutes=minutes)

    @precondition(lambda self: self.world.approvals)
    @rule(
        data=st.data(),
        outcome=st.sampled_from(["approved", "rejected"]),
        role=st.sampled_from(["owner", "guest"]),
    )
    def somebody_decides(self, data: st.DataObject, outcome: Any, role: str) -> None:
        key = data.draw(st.sampled_from([None, *sorted(self.world.approvals)]))
        event = Decided(outcome, "ann", (role,), "fine", key)
        self.happens(event)
        self.gone.append(event)

    @precondition(lambda self: self.world.children)
    @rule(data=st.data(), status=st.sampled_from(["completed", "cancelled"]))
    def a_child_ends(self, data: st.DataObject, status: Any) -> None:
        key = data.draw(st.sampled_from(sorted(self.world.children)))
        event = ChildFinished(key, status, "end", {"n": 1})
        self.happens(event)
        self.gone.append(event)

    @precondition(lambda self: self.gone)
    @rule(data=st.data())
    def something_comes_again(self, data: st.DataObject) -> None:
        self.happens(data.draw(st.sampled_from(self.gone)))

    @rule(event=st.sampled_from([Paused(), Resumed(), Resumed()]))
    def somebody_pauses_or_resumes(self, event: Event) -> None:
        self.happens(event)

    @rule(state=st.sampled_from([None, None, "s0", "s1", "end", "nowhere"]), context=contexts)
    def somebody_retries(self, state: str | None, context: Any) -> None:
        self.happens(Retried(state, context, "ann"))

    @rule()
    def somebody_moves_it_to_the_next_version(self) -> None:
        """A version that says the same always fits."""
        world = self.world
        new = replace(world.definition, version=world.definition.version + 1)
        before = world.snapshot
        try:
            step = migrated(world.definition, new, before, world.now)
        except InstanceFinished:
            assert before.finished
            return
        world.take(step, new)
        self.happened.append((new, world.now, 0.0))

    @precondition(lambda self: len(self.happened) > 8)
    @rule()
    def somebody_cancels(self) -> None:
        self.happens(Cancelled("enough"))

    def teardown(self) -> None:
        """What happened, once more from the beginning, leads to the same snapshot and history."""
        if not self.happened:
            return
        world = self.world
        definition = self.first
        snapshot = new_instance(definition, instance=INSTANCE, entity="the_7_space", parent=PARENT)
        history: list[HistoryEntry] = []
        for event, now, draw in self.happened:
            if isinstance(event, WorkflowDefinition):
                step = migrated(definition, event, snapshot, now)
                definition = event
            else:
                step = advance(definition, snapshot, event, now, draw=draw)
            snapshot = step.snapshot
            history += step.history
        assert snapshot == world.snapshot
        assert history == world.history


TestAnyInstance = AnyInstance.TestCase
TestAnyInstance.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
