"""The reducers: a plan, a state and an event make the next state and what is to be done. Pure.

What nobody waits for changes nothing, so an event may come twice, late, or after the end. Every
collaboration ends: all that is waited for has a deadline, and all that is repeated a bound.
"""

from datetime import datetime
from typing import assert_never

from higherself.agents.coordination.commands import Command
from higherself.agents.coordination.events import (
    Answered,
    Bid,
    Cancelled,
    Event,
    Failed,
    HandedOff,
    PersonAnswered,
    Refused,
    Started,
    TimerDue,
    Unreachable,
)
from higherself.agents.coordination.model import RETRIES, Plan, Step
from higherself.agents.coordination.patterns import HANDOFF, RULES
from higherself.agents.coordination.state import ENDED, Offer, State, Task
from higherself.agents.coordination.turn import UNDO_ATTEMPTS, Turn


def reduce(
    plan: Plan, state: State, event: Event, now: datetime
) -> tuple[State, tuple[Command, ...]]:
    """Return where the collaboration is after ``event``, and what is to be done for it.

    The very same ``state`` comes back if the event changes nothing.
    """
    begins = isinstance(event, Started)
    if state.status in ENDED or (state.status == "new") != begins:
        return state, ()
    turn = Turn(plan, state, now)
    if not _take(turn, event):
        return state, ()
    return turn.state(), tuple(turn.commands)


def _take(turn: Turn, event: Event) -> bool:
    """Apply an event; return whether it was waited for."""
    match event:
        case Started(audience):
            turn.status = "running"
            turn.set_timer("deadline", turn.deadline)
            RULES[turn.plan.pattern].begin(turn, audience)
            return True
        case Cancelled(reason):
            if turn.status == "undoing":
                return False
            turn.cancel(reason)
            return True
        case PersonAnswered():
            return _decided(turn, event)
        case TimerDue(timer):
            return _due(turn, timer)
        case Answered() | Failed() | Refused() | Unreachable() | Bid() | HandedOff():
            task = turn.open(event.task)
            if task is None:
                return False
            _settle(turn, task, event)
            return True
        case _:
            assert_never(event)


def _settle(
    turn: Turn,
    task: Task,
    event: Answered | Failed | Refused | Unreachable | Bid | HandedOff,
) -> None:
    """Apply what became of an asking that is waited for."""
    name = event.task
    match event:
        case Answered():
            _answered(turn, name, task, event)
        case Bid():
            _bid(turn, name, task, event)
        case HandedOff():
            _handed_off(turn, name, task, event)
        case Failed(_, reason, again, agent):
            turn.close(name, "failed", by=agent, reason=reason)
            _trouble(turn, name, reason, again=again)
        case Refused(_, reason, agent):
            turn.close(name, "refused", by=agent, reason=reason)
            _trouble(turn, name, reason or "it refused", again=False)
        case Unreachable(_, reason):
            _away(turn, name, task, reason)
        case _:
            assert_never(event)


# --- Answers.


def _answered(turn: Turn, name: str, task: Task, event: Answered) -> None:
    rules = RULES[turn.plan.pattern]
    match task.kind:
        case "work":
            turn.finish_step(name, event.result, event.agent)
            rules.answered(turn, turn.tasks[name])
        case "reaction":
            turn.close(name, "answered", by=event.agent)
            turn.results[name] = event.result
            rules.answered(turn, turn.tasks[name])
        case "undo":
            turn.close(name, "answered", by=event.agent)
            turn.undone.append(turn.undo.pop(0))
            turn.undo_next()
        case "bid":
            turn.close(name, "refused", by=event.agent, reason="it made no bid")
            rules.lost(turn, turn.tasks[name], "it made no bid")


def _bid(turn: Turn, name: str, task: Task, event: Bid) -> None:
    if task.kind != "bid":
        turn.close(name, "failed", by=event.agent, reason="it made a bid where work was asked")
        _trouble(turn, name, "it made a bid where work was asked", again=False)
        return
    turn.close(name, "answered", by=event.agent)
    turn.offers[name] = Offer(
        event.agent,
        max(event.price, 0.0),
        max(event.seconds, 0.0),
        min(max(event.confidence, 0.0), 1.0),
    )
    RULES[turn.plan.pattern].answered(turn, turn.tasks[name])


def _handed_off(turn: Turn, name: str, task: Task, event: HandedOff) -> None:
    turn.close(name, "passed", by=event.agent, reason=event.reason)
    if turn.plan.pattern != "handoff" or task.kind != "work":
        said = f"it was to be handed on, which {turn.plan.pattern} does not allow"
        _trouble(turn, name, said, again=False)
        return
    turn.withdraw(step=task.step, kind="work")
    handed = {} if event.data is None else {"data": event.data}
    HANDOFF.pass_on(turn, task, event.to, event.reason, handed)


def _decided(turn: Turn, event: PersonAnswered) -> bool:
    if not turn.asks_people:
        return False
    turn.asks_people = False
    turn.drop_timers("person")
    if event.outcome == "approved":
        turn.complete(dict(event.data), by=event.by)
    else:
        turn.fail(f"{event.by} rejected it", "Rejected")
    return True


# --- Times.


def _due(turn: Turn, timer: str) -> bool:
    if turn.timers.pop(timer, None) is None:
        return False
    kind, _, name = timer.partition(":")
    match kind:
        case "deadline":
            turn.fail("its deadline has passed", "Timeout")
        case "window":
            RULES[turn.plan.pattern].window_closes(turn)
        case "person":
            turn.fail("no person decided in time", "Timeout")
        case "ask":
            turn.send(name)
        case "timeout":
            turn.withdraw_one(name, "late", "it took too long")
            _trouble(turn, name, "it took too long", again=True)
        case "hedge":
            _hedge(turn, name)
        case _:
            raise AssertionError(f"nobody sets the timer {timer}")
    return True


def _hedge(turn: Turn, name: str) -> None:
    """Ask somebody else as well: a substitute, or again whoever the step asks for."""
    task = turn.tasks[name]
    step = turn.step(task.step)
    if task.place < len(step.substitute):
        turn.ask(task.step, step.substitute[task.place], place=task.place + 1)
    else:
        turn.ask(task.step, task.agent, place=task.place, attempt=task.attempt)


# --- Trouble.


def _trouble(turn: Turn, name: str, reason: str, *, again: bool) -> None:
    """Ask again, ask a substitute, or give the step up."""
    task = turn.tasks[name]
    if task.kind == "undo":
        if again and task.attempt < UNDO_ATTEMPTS:
            turn.again(task, turn.step(task.step).backoff)
        else:
            turn.lost[task.step] = f"it could not be undone: {reason}"
            turn.undo.pop(0)
            turn.undo_next()
        return
    if task.kind == "work":
        step = turn.step(task.step)
        if turn.open_tasks(task.step):
            return  # somebody else is still at it
        if again and task.attempt < attempts_of(step):
            turn.again(task, step.backoff)
            return
        if _substituted(turn, task, step):
            return
        turn.lost[task.step] = reason
    RULES[turn.plan.pattern].lost(turn, task, reason)


def _away(turn: Turn, name: str, task: Task, reason: str) -> None:
    """Ask somebody else, or wait until there is somebody; the timeout or deadline ends that."""
    waits = turn.plan.pattern not in ("delegate", "escalation", "publish")
    others = [each for each in turn.open_tasks(task.step) if each != name]
    if task.kind == "work" and waits and not others:
        if _substituted(turn, task, turn.step(task.step)):
            turn.close(name, "away", reason=reason)
        else:
            turn.look_again(name, reason)
        return
    turn.close(name, "away", reason=reason)
    _trouble(turn, name, reason, again=task.kind == "undo")


def _substituted(turn: Turn, task: Task, step: Step) -> bool:
    used = max(each.place for each in turn.tasks.values() if each.step == task.step)
    if used >= len(step.substitute):
        return False
    turn.ask(task.step, step.substitute[used], place=used + 1)
    return True


def attempts_of(step: Step) -> int:
    """Return how often the same agent is asked for ``step``."""
    return max(step.attempts, RETRIES if step.on_failure == "retry" and step.attempts == 1 else 1)
