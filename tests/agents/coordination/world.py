"""A world for reducers: agents that a test decides for, and time that jumps to what is due next."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from higherself.agents.coordination import (
    NEW,
    Answered,
    Ask,
    CancelTask,
    CancelTimer,
    Command,
    End,
    Escalate,
    Event,
    Plan,
    Reject,
    SetTimer,
    Started,
    State,
    TimerDue,
    reduce,
)
from higherself.agents.coordination.state import ENDED

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class World:
    plan: Plan
    state: State = NEW
    now: datetime = NOON
    asked: list[Ask] = field(default_factory=list)
    open: dict[str, Ask] = field(default_factory=dict)
    timers: dict[str, datetime] = field(default_factory=dict)
    escalated: list[Escalate] = field(default_factory=list)
    rejected: list[Reject] = field(default_factory=list)
    ends: list[End] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def start(self, **audience: tuple[str, ...]) -> "World":
        self.happens(Started(audience))
        return self

    def happens(self, event: Event) -> tuple[Command, ...]:
        before = self.state
        self.state, commands = reduce(self.plan, self.state, event, self.now)
        self.events.append(event)
        assert State.from_json(self.state.to_json()) == self.state
        assert before.status not in ENDED or (self.state is before and not commands)
        for command in commands:
            self._do(command)
        if self.ends:
            assert not self.open, "somebody is still asked after the end"
            assert not self.timers, "a timer is left after the end"
        else:
            assert self.timers, "nothing would ever wake it"
        assert self.timers == dict(self.state.timers)
        return commands

    def _do(self, command: Command) -> None:
        assert not self.ends, f"{command} after the end"
        match command:
            case Ask():
                assert command.task not in self.open
                assert command.deadline >= self.now
                self.asked.append(command)
                self.open[command.task] = command
            case CancelTask(task):
                self.open.pop(task, None)
            case SetTimer(timer, due_at):
                assert due_at >= self.now
                self.timers[timer] = due_at
            case CancelTimer(timer):
                del self.timers[timer]
            case Reject():
                self.rejected.append(command)
            case Escalate():
                self.escalated.append(command)
            case End():
                self.ends.append(command)
                for told in [each for each in self.open.values() if each.kind == "reaction"]:
                    del self.open[told.task]  # what was told stays told

    def next_timer(self, *, skip: str = "") -> str:
        timer = min(self.timers, key=lambda each: (self.timers[each], each))
        self.now = max(self.now, self.timers.pop(timer))
        self.happens(TimerDue(timer))
        return timer

    def wait(self, **span: float) -> None:
        """Let so much time pass, and what becomes due in it."""
        until = self.now + timedelta(**span)
        while self.timers and min(self.timers.values()) <= until:
            self.next_timer()
        self.now = until

    def happens_to(self, task: str, make: Callable[[str], Event]) -> None:
        self.open.pop(task)
        self.happens(make(task))

    def answer(self, task: str, result: object = "done", agent: str | None = None) -> None:
        self.happens_to(task, lambda name: Answered(name, result, agent))  # type: ignore[arg-type]

    @property
    def end(self) -> End:
        (end,) = self.ends
        return end

    def types(self) -> list[str]:
        return [f"{each.type}>{each.to}" for each in self.asked]


def changed(plan: Plan, **facts: object) -> Plan:
    return replace(plan, **facts)  # type: ignore[arg-type]
