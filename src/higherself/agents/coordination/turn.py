"""One event's worth of change: what patterns and their rules have in common. Pure.

A turn is made from a state, changed by the functions below, and read out again as the next state
and the commands that lead there.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from higherself.agents.coordination.commands import (
    Ask,
    CancelTask,
    CancelTimer,
    Command,
    End,
    Reject,
    SetTimer,
)
from higherself.agents.coordination.model import Plan, Step, Target
from higherself.agents.coordination.state import Kind, State, Task, TaskStatus, Trouble
from higherself.kernel.backoff import exponential
from higherself.kernel.jsonvalue import JsonObject, JsonValue

LONGEST_WAIT = timedelta(minutes=5)
"""The longest wait before somebody is asked again."""

LOOK_AGAIN = timedelta(seconds=2)
"""When to look first whether somebody is there who was not; the wait doubles."""

UNDO_ATTEMPTS = 3
UNDO_TIMEOUT = timedelta(hours=1)
"""How long one undoing may take whose plan does not say."""

OPEN: tuple[TaskStatus, ...] = ("planned", "asked")


class Turn:
    """A state that is being changed, and the commands so far."""

    def __init__(self, plan: Plan, state: State, now: datetime) -> None:
        self.plan, self.now = plan, now
        self.status = state.status
        self.tasks, self.timers = dict(state.tasks), dict(state.timers)
        self.results, self.done, self.lost = dict(state.results), list(state.done), dict(state.lost)
        self.queue, self.offers = list(state.queue), dict(state.offers)
        self.awarded, self.owners = list(state.awarded), list(state.owners)
        self.handed, self.undo, self.undone = state.handed, list(state.undo), list(state.undone)
        self.trouble, self.asks_people = state.trouble, state.asks_people
        self.deadline = state.deadline or now + plan.deadline
        self.commands: list[Command] = []

    def state(self) -> State:
        """Return what it has come to."""
        return State(
            self.status, self.tasks, self.timers, self.results, tuple(self.done), self.lost,
            tuple(self.queue), self.offers, tuple(self.awarded), tuple(self.owners), self.handed,
            tuple(self.undo), tuple(self.undone), self.trouble, self.deadline, self.asks_people,
        )  # fmt: skip

    # --- Timers.

    def set_timer(self, timer: str, due_at: datetime) -> None:
        """Have `TimerDue` come."""
        self.timers[timer] = due_at
        self.commands.append(SetTimer(timer, due_at))

    def drop_timers(self, *kinds: str, task: str = "") -> None:
        """Wait no more for timers of these kinds, of a task or of all; without kinds, for any."""
        for timer in list(self.timers):
            kind, _, of = timer.partition(":")
            if kind in (kinds or (kind,)) and (not task or of == task):
                del self.timers[timer]
                self.commands.append(CancelTimer(timer))

    # --- Asking.

    def step(self, id: str) -> Step:
        """Return a step of the plan."""
        return self.plan.by_id[id]

    def ask(
        self,
        step: str,
        agent: Target,
        *,
        kind: Kind = "work",
        place: int = 0,
        attempt: int = 1,
        wait: timedelta = timedelta(0),
    ) -> str:
        """Ask ``agent`` for a step, now or after a ``wait``; return the name of the task."""
        number = sum(each.step == step for each in self.tasks.values()) + 1
        task = f"{step}/{number}"
        self.tasks[task] = Task(step, kind, agent, "planned", place, attempt)
        if wait:
            self.set_timer(f"ask:{task}", self.now + wait)
        else:
            self.send(task)
        return task

    def send(self, task: str) -> None:
        """Ask what was planned."""
        planned = self.tasks[task]
        self.tasks[task] = replace(planned, status="asked")
        step = self.step(planned.step)
        limit = self._limit(planned, step)
        deadline = self.deadline if limit is None else self.now + limit
        deadline = self.timers.get(f"timeout:{task}", deadline)
        if self.status != "undoing":
            deadline = min(deadline, self.deadline)
        self.commands.append(
            Ask(
                task=task,
                step=planned.step,
                kind=planned.kind,
                to=planned.agent,
                type=_type(planned, step),
                data=self._data(planned, step),
                deadline=deadline,
                attempt=planned.attempt,
            )
        )
        if limit is not None and f"timeout:{task}" not in self.timers:
            self.set_timer(f"timeout:{task}", deadline)
        if step.hedge is not None and self._can_hedge(task, planned, step):
            self.set_timer(f"hedge:{task}", self.now + step.hedge)

    def look_again(self, task: str, reason: str) -> None:
        """Ask later, for there is nobody now."""
        asked = self.tasks[task]
        looks = asked.looks + 1
        self.tasks[task] = replace(asked, status="planned", looks=looks, reason=reason)
        self.drop_timers("hedge", task=task)
        wait = exponential(looks, base=LOOK_AGAIN, ceiling=LONGEST_WAIT)
        self.set_timer(f"ask:{task}", self.now + wait)

    def _limit(self, task: Task, step: Step) -> timedelta | None:
        if task.kind == "undo" and step.compensate is not None:
            return step.compensate.timeout or step.timeout or UNDO_TIMEOUT
        return step.timeout if task.kind == "work" else None

    def _data(self, task: Task, step: Step) -> JsonObject:
        if task.kind == "undo" and step.compensate is not None:
            return {**step.compensate.input, "result": self.results[task.step]}
        given = {**self.plan.input, **step.input}
        if self.plan.pattern == "chain" and self.done:
            given["previous"] = self.results[self.done[-1]]
        if self.handed:
            given["handed"] = self.handed
        return given

    def _can_hedge(self, name: str, task: Task, step: Step) -> bool:
        """Whether somebody else could be asked the same, and nobody is yet."""
        somebody = task.agent.name is None or task.place < len(step.substitute)
        return task.kind == "work" and somebody and self.open_tasks(task.step) == [name]

    # --- Answers.

    def open(self, task: str) -> Task | None:
        """Return a task that is waited for."""
        found = self.tasks.get(task)
        return found if found is not None and found.status == "asked" else None

    def close(
        self, task: str, status: TaskStatus, *, by: str | None = None, reason: str = ""
    ) -> None:
        """Wait for a task no more, because of what became of it."""
        self.tasks[task] = replace(self.tasks[task], status=status, by=by, reason=reason)
        self.drop_timers("timeout", "hedge", "ask", task=task)

    def withdraw(self, *, step: str | None = None, kind: Kind | None = None) -> None:
        """Cancel what is waited for: all, or that of a step or a kind."""
        for name, task in list(self.tasks.items()):
            fits = step in (None, task.step) and kind in (None, task.kind)
            if fits and task.status in OPEN:
                self.close(name, "cancelled")
                if task.status == "asked" and task.kind != "reaction":  # what was told stays told
                    self.commands.append(CancelTask(name))

    def withdraw_one(self, task: str, status: TaskStatus, reason: str) -> None:
        """Cancel one task that is waited for."""
        self.close(task, status, reason=reason)
        self.commands.append(CancelTask(task))

    def open_tasks(self, step: str | None = None, kind: Kind = "work") -> list[str]:
        """Return what is waited for, or planned."""
        return [
            name
            for name, each in self.tasks.items()
            if each.status in OPEN and step in (None, each.step) and each.kind == kind
        ]

    def finish_step(self, task: str, result: JsonValue, by: str | None) -> None:
        """Note what a step came to; nobody else who was asked the same is waited for."""
        step = self.tasks[task].step
        self.close(task, "answered", by=by)
        self.withdraw(step=step, kind="work")
        self.results[step] = result
        self.done.append(step)

    def who_did(self, step: str) -> Target:
        """Return who did a step: by name, if that is known."""
        for task in self.tasks.values():
            if task.step == step and task.kind == "work" and task.status == "answered":
                return Target(name=task.by) if task.by else task.agent
        return self.step(step).agent

    def again(self, task: Task, base: timedelta, *, attempt: int | None = None) -> None:
        """Ask the same agent again, after a wait that doubles."""
        tried = sum(
            (each.step, each.kind, each.agent) == (task.step, task.kind, task.agent)
            for each in self.tasks.values()
        )
        wait = exponential(tried, base=base, ceiling=LONGEST_WAIT)
        self.ask(
            task.step,
            task.agent,
            kind=task.kind,
            place=task.place,
            attempt=task.attempt + 1 if attempt is None else attempt,
            wait=wait,
        )

    # --- The end.

    def complete(self, result: JsonValue, **more: JsonValue) -> None:
        """End well: with the result of the pattern, and those of its steps."""
        self._end("completed", {"result": result, **self._told(), **more})

    def fail(self, reason: str, type: str = "CollaborationFailed") -> None:
        """End badly, once everything that was done is undone."""
        self._stop(Trouble("failed", reason, type))

    def cancel(self, reason: str) -> None:
        """End because nobody wants it any more, once everything that was done is undone."""
        self._stop(Trouble("cancelled", reason, "Cancelled"))

    def _stop(self, trouble: Trouble) -> None:
        self.withdraw()
        self.drop_timers()
        self.queue.clear()
        self.trouble, self.status, self.asks_people = trouble, "undoing", False
        self.undo = [each for each in reversed(self.done) if self.step(each).compensate]
        self.undo_next()

    def undo_next(self) -> None:
        """Undo the latest step that is not undone, or end."""
        if self.undo:
            id = self.undo[0]
            compensate = self.step(id).compensate
            agent = compensate.agent if compensate is not None else None
            self.ask(id, agent or self.who_did(id), kind="undo")
        elif self.trouble is not None:
            trouble = self.trouble
            said = {**self._told(), "undone": list(self.undone)} if self.undone else self._told()
            self._end(trouble.status, said, trouble.reason, trouble.type)

    def _told(self) -> dict[str, JsonValue]:
        """Return the results in the order of the plan: whoever was first makes no difference."""
        order = [step.id for step in self.plan.steps if step.id in self.results]
        told: dict[str, JsonValue] = {"steps": {id: self.results[id] for id in order}}
        if self.lost:
            told["lost"] = {id.id: self.lost[id.id] for id in self.plan.steps if id.id in self.lost}
        return told

    def _end(
        self,
        status: Literal["completed", "failed", "cancelled"],
        outcome: JsonValue,
        reason: str = "",
        type: str = "",
    ) -> None:
        self.withdraw()
        self.drop_timers()
        self.queue.clear()
        self.status, self.asks_people = status, False
        self._reject_the_rest()
        self.commands.append(End(status, outcome, reason, type))

    def _reject_the_rest(self) -> None:
        """Tell those who made a bid and were not chosen that nobody waits for them."""
        chosen = self.awarded[-1] if self.awarded else None
        reason = "nobody was chosen" if chosen is None else f"{chosen} was chosen"
        for task, offer in self.offers.items():
            if offer.agent not in self.awarded:
                type_ = self.step(self.tasks[task].step).task
                self.commands.append(Reject(task, offer.agent, type_, reason))


def _type(task: Task, step: Step) -> str:
    if task.kind == "undo" and step.compensate is not None:
        return step.compensate.task
    return step.task
