"""A world for one instance: it does what the machine asks, on a clock of its own.

After every step it checks what has to hold always, so every test of the machine checks it, too.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from higherself.kernel.ids import InstanceId
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.definition import WorkflowDefinition, load, load_text
from higherself.workflow.machine import (
    ActivityCompleted,
    ActivityFailed,
    ActivityTimedOut,
    AskApproval,
    CancelActivity,
    CancelChild,
    CancelTimer,
    ChildFinished,
    Command,
    Decided,
    Event,
    HistoryEntry,
    Parent,
    Received,
    RunActivity,
    RunCollaboration,
    SetTimer,
    Snapshot,
    StartChild,
    Started,
    Step,
    TimerDue,
    View,
    WithdrawApproval,
    advance,
    command_from_json,
    command_to_json,
    event_from_json,
    event_to_json,
    new_instance,
    replayed,
)

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)  # a Monday
INSTANCE = InstanceId(UUID(int=7))

Answer = JsonValue | BaseException
Skill = Callable[[RunActivity], Answer]


def machine(states: str, head: str = "") -> WorkflowDefinition:
    """Return the definition with these ``states`` in YAML, the first one being the initial one."""
    initial = states.strip().partition(":")[0]
    text = f"workflow: under_test\nversion: 1\ninitial: {initial}\n{head}\nstates:\n{states}"
    return load_text(text, file="under_test.yaml").definition


class World:
    """An instance, the activities and timers that it asked for, and the time."""

    def __init__(
        self,
        definition: WorkflowDefinition | str,
        *,
        head: str = "",
        parent: Parent | None = None,
    ) -> None:
        self.definition = machine(definition, head) if isinstance(definition, str) else definition
        self.now = NOON
        self.draw = 0.0
        self.snapshot = new_instance(
            self.definition, instance=INSTANCE, entity="the_7_space", parent=parent
        )
        self.history: list[HistoryEntry] = []
        self.commands: list[Command] = []
        self.asked: list[RunActivity | RunCollaboration] = []
        self.running: dict[str, RunActivity | RunCollaboration] = {}
        self.approvals: dict[str, AskApproval] = {}
        self.children: dict[str, StartChild] = {}
        self.timers: dict[str, datetime] = {}
        self.answered: set[str] = set()
        self.last: Step | None = None

    # --- What happens.

    def send(self, event: Event) -> Step:
        """Have ``event`` happen, do as the machine says, and check what always holds."""
        before = self.snapshot
        frozen = _text(before.to_json())
        step = advance(self.definition, before, event, self.now, draw=self.draw)
        assert _text(before.to_json()) == frozen, "the snapshot that was handed in has changed"
        self._check_the_same_again(before, event, step)
        self.answered |= self._answered(event)
        self._take(step)
        return step

    def take(self, step: Step, definition: WorkflowDefinition) -> None:
        """Take a step that moves the instance to ``definition``, and check what always holds."""
        self.definition = definition
        self._take(step)

    def _take(self, step: Step) -> None:
        self.snapshot, self.last = step.snapshot, step
        self.history += step.history
        for command in step.commands:
            self._obey(command)
        self.commands += step.commands
        self._forget_answered()
        self.check()

    def start(self, **context: Any) -> "World":
        self.send(Started(context))
        return self

    def receive(self, name: str, /, id: str | None = None, **data: Any) -> Step:
        return self.send(Received(name, data, id))

    def complete(self, result: Any = None, activity: str | None = None) -> Step:
        """Have the activity of that skill or path end well; the only one, if none is named."""
        return self.send(ActivityCompleted(self.key(activity), result))

    def receive_result(self, result: Any) -> Step:
        """Have the only activity end with what no activity should return, and no store can hold."""
        event = ActivityCompleted(self.key(None), result)
        step = advance(self.definition, self.snapshot, event, self.now)
        self.answered |= {event.key}
        self._take(step)
        return step

    def break_down(
        self,
        message: str = "boom",
        *types: str,
        activity: str | None = None,
        retryable: bool = True,
    ) -> Step:
        """Have an attempt fail."""
        command = self.running[self.key(activity)]
        return self.send(
            ActivityFailed(command.key, command.attempt, message, types, retryable=retryable)
        )

    def decide(self, outcome: Any, by: str = "ann", *roles: str, comment: str = "") -> Step:
        """Have somebody decide, with the role of owner if none is given."""
        approval = next(iter(self.approvals), None)
        return self.send(Decided(outcome, by, roles or ("owner",), comment, approval))

    def child_ends(self, state: str, status: Any = "completed", **context: Any) -> Step:
        (key,) = self.children
        return self.send(ChildFinished(key, status, state, context))

    def pass_time(self, duration: timedelta) -> None:
        """Let time pass; every timer that becomes due is sent, in order."""
        until = self.now + duration
        while (timer := self._next_timer()) is not None and self.timers[timer] <= until:
            self.now = max(self.now, self.timers[timer])
            self.send(TimerDue(timer))
        self.now = until

    def next_timer(self) -> Step:
        """Let time pass until the next timer is due."""
        timer = self._next_timer()
        assert timer is not None
        self.now = max(self.now, self.timers[timer])
        return self.send(TimerDue(timer))

    def _next_timer(self) -> str | None:
        """Return the timer that is due next and was not sent yet; those that are kept were."""
        left = [(at, timer) for timer, at in self.timers.items() if timer not in self.answered]
        return min(left)[1] if left else None

    # --- What is.

    @property
    def state(self) -> str:
        return self.snapshot.state

    @property
    def status(self) -> str:
        return self.snapshot.status

    @property
    def context(self) -> JsonObject:
        return self.snapshot.context

    @property
    def reason(self) -> str:
        assert self.last is not None
        return self.last.reason

    @property
    def states(self) -> dict[str, str]:
        """The states of all regions."""
        return {region: at.state for region, at in self.snapshot.positions.items()}

    @property
    def skills(self) -> list[str]:
        """Everything that was ever asked for, in order; of collaborations the pattern."""
        return [
            each.skill if isinstance(each, RunActivity) else each.pattern
            for each in self.asked
            if each.attempt == 1
        ]

    def key(self, activity: str | None = None) -> str:
        found = [
            key
            for key, each in self.running.items()
            if activity is None or activity in (each.activity, getattr(each, "skill", ""))
        ]
        assert len(found) == 1, f"{activity} of {[each.activity for each in self.running.values()]}"
        return found[0]

    def timer(self, path: str) -> str:
        (found,) = (key for key, each in self.snapshot.timers.items() if each.path == path)
        return found

    # --- What always holds.

    def check(self) -> None:
        snapshot = self.snapshot
        assert [entry.sequence for entry in self.history] == [*range(1, snapshot.sequence + 1)], (
            "the history has a gap"
        )
        assert replayed(self.history) == View(
            snapshot.sequence, snapshot.status, self.states, snapshot.context
        ), "the history does not lead to the snapshot"
        assert {key: each.due_at for key, each in snapshot.timers.items()} == self.timers, (
            "a timer was lost"
        )
        asked_for = {**self.running, **self.approvals, **self.children}
        assert snapshot.pending.keys() == asked_for.keys(), "something asked for was lost"
        assert Snapshot.from_json(_shuffled(snapshot.to_json())) == snapshot
        for entry in self.history[-3:]:
            assert HistoryEntry.from_json(_shuffled(entry.to_json())) == entry
        if snapshot.finished:
            left = (*snapshot.pending, *snapshot.timers, *snapshot.kept)
            assert not left, "something is still waited for"
        elif snapshot.status != "failed" and snapshot.sequence:
            assert snapshot.failure is None
            assert self.last is None or self.last.reason, "it does not say what it waits for"
        self._check_keys()

    def _check_keys(self) -> None:
        """A key stands for one run of one activity; its attempts differ in nothing but number."""
        runs: dict[str, tuple[str, Any]] = {}
        attempts: set[tuple[str, int]] = set()
        for each in self.asked:
            assert (each.key, each.attempt) not in attempts, "an attempt was asked for twice"
            attempts.add((each.key, each.attempt))
            assert runs.setdefault(each.key, (each.activity, each.input)) == (
                each.activity,
                each.input,
            ), "a key was used for two things"

    def _check_the_same_again(self, before: Snapshot, event: Event, step: Step) -> None:
        stored = Snapshot.from_json(_shuffled(before.to_json()))
        sent = event_from_json(_shuffled(event_to_json(event)))
        again = advance(self.definition, stored, sent, self.now, draw=self.draw)
        assert again == step, "the same event led somewhere else"
        for command in step.commands:
            assert command_from_json(_shuffled(command_to_json(command))) == command
        if step.outcome == "ignored" and not step.history:
            assert step.snapshot is before
            assert not step.commands

    def _obey(self, command: Command) -> None:
        match command:
            case RunActivity() | RunCollaboration():
                self.asked.append(command)
                self.running[command.key] = command
            case SetTimer(timer, due_at):
                assert timer not in self.timers, "a timer was set twice"
                self.timers[timer] = due_at
            case CancelTimer(key) | CancelActivity(key) | WithdrawApproval(key) | CancelChild(key):
                among = self._asked_for(command)
                assert key in among or key in self.answered, "something unknown was cancelled"
                among.pop(key, None)
            case AskApproval():
                self.approvals[command.key] = command
            case StartChild():
                self.children[command.key] = command
            case _:
                pass

    def _asked_for(self, command: Command) -> dict[str, Any]:
        match command:
            case CancelTimer():
                return self.timers
            case CancelActivity():
                return self.running
            case WithdrawApproval():
                return self.approvals
            case _:
                return self.children

    def _answered(self, event: Event) -> set[str]:
        match event:
            case ActivityCompleted() | ActivityFailed() | ActivityTimedOut() | ChildFinished():
                return {event.key}
            case TimerDue():
                return {event.timer}
            case Decided():
                return set(self.approvals) if event.approval is None else {event.approval}
            case _:
                return set()

    def _forget_answered(self) -> None:
        """Forget what an answer was sent for, once the machine has taken it in."""
        waits = {*self.snapshot.pending, *self.snapshot.timers}
        for asked_for in (self.running, self.approvals, self.children, self.timers):
            for key in self.answered & asked_for.keys():
                if key not in waits:
                    del asked_for[key]


def _text(value: JsonValue) -> str:
    return json.dumps(value)


def _shuffled(value: Any) -> Any:
    """Return ``value`` as a store may give it back: the keys of objects in another order."""
    return json.loads(json.dumps(value, sort_keys=True))


def run_through(world: World, skills: Mapping[str, Answer | Skill] | None = None) -> World:
    """Have every activity that runs end, with what ``skills`` says of it, until none does."""
    for _ in range(1_000):
        if not world.running:
            return world
        command = next(iter(world.running.values()))
        name = command.skill if isinstance(command, RunActivity) else command.pattern
        answer: Any = (skills or {}).get(name)
        if callable(answer):
            answer = answer(command)
        if isinstance(answer, BaseException):
            world.break_down(str(answer), type(answer).__name__, activity=command.activity)
        else:
            world.complete(answer, command.activity)
    raise AssertionError("it never ends")


def definition(**keys: Any) -> WorkflowDefinition:
    """Return the definition with these keys."""
    return load({"workflow": "under_test", "version": 1, **keys})
