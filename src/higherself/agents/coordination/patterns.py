"""What is peculiar to each pattern: how it begins, and what follows from what became of a step. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from higherself.agents.coordination.commands import Escalate
from higherself.agents.coordination.model import Pattern, Target
from higherself.agents.coordination.state import Offer, Task
from higherself.agents.coordination.turn import Turn
from higherself.kernel.jsonvalue import JsonObject, JsonValue

Audience = Mapping[str, tuple[str, ...]]


class Rules(Protocol):
    """A pattern."""

    def begin(self, turn: Turn, audience: Audience) -> None:
        """Ask the first ones."""
        ...

    def answered(self, turn: Turn, task: Task) -> None:
        """Go on after a step that came to a result, or a reaction."""
        ...

    def lost(self, turn: Turn, task: Task, reason: str) -> None:
        """Go on after a step that is given up."""
        ...

    def window_closes(self, turn: Turn) -> None:
        """Go on with what was collected."""
        ...


class _Rules:
    """What most patterns do."""

    def begin(self, turn: Turn, audience: Audience) -> None:
        first = turn.plan.steps[0]
        turn.ask(first.id, first.agent)

    def answered(self, turn: Turn, task: Task) -> None:
        turn.complete(turn.results[task.step])

    def lost(self, turn: Turn, task: Task, reason: str) -> None:
        turn.fail(_said(turn, task, reason), _type_of(task))

    def window_closes(self, turn: Turn) -> None:
        """Nothing is collected."""


class _Request(_Rules):
    """One agent is asked, and its answer is the outcome."""


class _Chain(_Rules):
    """One after another; what one came to is given to the next."""

    def answered(self, turn: Turn, task: Task) -> None:
        self._go_on(turn, task)

    def lost(self, turn: Turn, task: Task, reason: str) -> None:
        if turn.step(task.step).on_failure == "ignore":
            self._go_on(turn, task)
        else:
            super().lost(turn, task, reason)

    def _go_on(self, turn: Turn, task: Task) -> None:
        ids = [step.id for step in turn.plan.steps]
        rest = turn.plan.steps[ids.index(task.step) + 1 :]
        if rest:
            turn.ask(rest[0].id, rest[0].agent)
        elif turn.done:
            turn.complete(turn.results[turn.done[-1]])
        else:
            turn.fail("no step came to a result")


class _Concurrent(_Rules):
    """All at the same time; all, the first, or so many have to end well."""

    def begin(self, turn: Turn, audience: Audience) -> None:
        turn.queue = [step.id for step in turn.plan.steps]
        for _ in range(turn.plan.at_once or len(turn.queue)):
            self._begin_next(turn)

    def answered(self, turn: Turn, task: Task) -> None:
        self._look(turn)

    def lost(self, turn: Turn, task: Task, reason: str) -> None:
        usual = "fail" if turn.plan.join == "all" else "ignore"
        step = turn.step(task.step)
        ends_all = step.on_failure == "fail" or (step.on_failure != "ignore" and usual == "fail")
        if ends_all:
            super().lost(turn, task, reason)
        else:
            self._look(turn)

    def _begin_next(self, turn: Turn) -> None:
        if turn.queue:
            step = turn.step(turn.queue.pop(0))
            turn.ask(step.id, step.agent)

    def _look(self, turn: Turn) -> None:
        """End if enough have ended well, or cannot any more; else let the next begin."""
        plan, ended = turn.plan, len(turn.done)
        left = len(plan.steps) - ended - len(turn.lost)
        needed = plan.needed - (len(turn.lost) if plan.join == "all" else 0)
        if ended >= max(needed, 1):
            first = turn.results[turn.done[0]]
            turn.complete(first if plan.join == "first" else _in_order(turn))
        elif ended + left < max(needed, 1):
            reasons = "; ".join(f"{id}: {reason}" for id, reason in turn.lost.items())
            turn.fail(f"{ended} of {plan.needed} ended well, and no more can ({reasons})")
        else:
            self._begin_next(turn)


class _Publish(_Rules):
    """Everybody whom it concerns is told, and who reacts within a while is heard."""

    def begin(self, turn: Turn, audience: Audience) -> None:
        for step in turn.plan.steps:
            for agent in _heard_by(step.id, step.agent, audience):
                turn.ask(step.id, agent, kind="reaction")
        turn.set_timer("window", min(turn.now + turn.plan.window, turn.deadline))
        self._look(turn)

    def answered(self, turn: Turn, task: Task) -> None:
        self._look(turn)

    def lost(self, turn: Turn, task: Task, reason: str) -> None:
        self._look(turn)

    def window_closes(self, turn: Turn) -> None:
        told = [each for each in turn.tasks.values() if each.kind == "reaction"]
        reactions: list[JsonValue] = [
            {"agent": each.by or str(each.agent), "step": each.step, "result": turn.results[name]}
            for name, each in turn.tasks.items()
            if each.status == "answered"
        ]
        if len(reactions) < turn.plan.least:
            turn.fail(f"{len(reactions)} of {len(told)} reacted, and {turn.plan.least} are needed")
        else:
            turn.complete(reactions, told=len(told))

    def _look(self, turn: Turn) -> None:
        if not turn.open_tasks(kind="reaction"):
            self.window_closes(turn)


class _Delegate(_Rules):
    """Who can do it bids; the best bid has the task, and if that fails the next best."""

    def begin(self, turn: Turn, audience: Audience) -> None:
        for step in turn.plan.steps:
            for agent in _heard_by(step.id, step.agent, audience):
                turn.ask(step.id, agent, kind="bid")
        turn.set_timer("window", min(turn.now + turn.plan.window, turn.deadline))
        self._look(turn)

    def answered(self, turn: Turn, task: Task) -> None:
        if task.kind == "bid":
            self._look(turn)
            return
        turn.complete(
            turn.results[task.step],
            agent=turn.awarded[-1],
            bids=[
                {
                    "agent": each.agent,
                    "price": each.price,
                    "seconds": each.seconds,
                    "confidence": each.confidence,
                }
                for each in ranked(turn)
            ],
        )

    def lost(self, turn: Turn, task: Task, reason: str) -> None:
        if task.kind == "bid":
            self._look(turn)
        else:
            self._award(turn, reason)

    def window_closes(self, turn: Turn) -> None:
        turn.withdraw(kind="bid")
        turn.drop_timers("window")
        if len(turn.offers) < max(turn.plan.least, 1):
            asked = sum(each.kind == "bid" for each in turn.tasks.values())
            turn.fail(f"{len(turn.offers)} of {asked} agents that were asked made a bid")
        else:
            self._award(turn)

    def _look(self, turn: Turn) -> None:
        if not turn.open_tasks(kind="bid") and not turn.awarded:
            self.window_closes(turn)

    def _award(self, turn: Turn, reason: str = "") -> None:
        for offer in ranked(turn):
            if offer.agent not in turn.awarded:
                turn.awarded.append(offer.agent)
                step = next(
                    turn.tasks[task].step
                    for task, each in turn.offers.items()
                    if each.agent == offer.agent
                )
                turn.lost.pop(step, None)
                turn.ask(step, Target(name=offer.agent))
                return
        turn.fail(f"everybody who bid has failed; the last one: {reason}")


class _Handoff(_Rules):
    """One agent owns it at a time, and may pass it on, so many times."""

    def begin(self, turn: Turn, audience: Audience) -> None:
        turn.owners.append(str(turn.plan.steps[0].agent))
        super().begin(turn, audience)

    def answered(self, turn: Turn, task: Task) -> None:
        if task.by is not None and task.by != turn.owners[-1]:
            turn.owners.append(task.by)  # it was handed on between agents, or the role has a name
        turn.complete(turn.results[task.step], owners=list(turn.owners))

    def pass_on(
        self, turn: Turn, task: Task, to: Target | None, reason: str, handed: JsonObject
    ) -> None:
        """Have the next one own it; who may is said by the plan, if it names more than one."""
        ids = [step.id for step in turn.plan.steps]
        rest = turn.plan.steps[ids.index(task.step) + 1 :]
        others = [step for step in turn.plan.steps if to in (None, step.agent)]
        if len(turn.owners) > turn.plan.hops:
            turn.fail(f"it was handed on {turn.plan.hops} times, and nobody did it", "TooManyHops")
        elif to is None and not rest:
            turn.fail(f"{turn.owners[-1]} handed it on to nobody: {reason}")
        elif len(ids) > 1 and to is not None and not others:
            turn.fail(f"{turn.owners[-1]} handed it on to {to}, who is not in the plan")
        else:
            same = turn.step(task.step)
            step = rest[0] if to is None else others[0] if others else same
            agent = step.agent if to is None else to
            turn.handed = {"from": turn.owners[-1], "reason": reason, **handed}
            turn.owners.append(str(agent))
            turn.ask(step.id, agent)


class _Escalation(_Rules):
    """One agent after another is asked until one can do it; then a person."""

    def answered(self, turn: Turn, task: Task) -> None:
        turn.complete(turn.results[task.step], by=str(turn.who_did(task.step)))

    def lost(self, turn: Turn, task: Task, reason: str) -> None:
        ids = [step.id for step in turn.plan.steps]
        rest = turn.plan.steps[ids.index(task.step) + 1 :]
        people = turn.plan.people
        if rest:
            turn.ask(rest[0].id, rest[0].agent)
        elif people is None:
            super().lost(turn, task, reason)
        else:
            turn.asks_people = True
            until = min(turn.now + people.timeout, turn.deadline)
            tried: JsonObject = {"tried": dict(turn.lost)}
            turn.commands.append(
                Escalate(people.roles, people.question, {**turn.plan.input, **tried}, until)
            )
            turn.set_timer("person", until)


HANDOFF = _Handoff()
RULES: Mapping[Pattern, Rules] = {
    "request": _Request(),
    "publish": _Publish(),
    "delegate": _Delegate(),
    "concurrent": _Concurrent(),
    "chain": _Chain(),
    "handoff": HANDOFF,
    "escalation": _Escalation(),
}


@dataclass(frozen=True, slots=True)
class _Best:
    price: float
    seconds: float


def ranked(turn: Turn) -> list[Offer]:
    """Return the bids, the best first; of equal ones, by name.

    Price and time count as the share that the lowest one is of them, so that units do not matter.
    """
    offers = list(turn.offers.values())
    prefer = turn.plan.prefer
    best = _Best(
        min((each.price for each in offers), default=0),
        min((each.seconds for each in offers), default=0),
    )

    def merit(offer: Offer) -> float:
        return (
            prefer.price * _share(best.price, offer.price)
            + prefer.time * _share(best.seconds, offer.seconds)
            + prefer.confidence * offer.confidence
        )

    return sorted(offers, key=lambda each: (-merit(each), each.agent))


def _share(lowest: float, value: float) -> float:
    return 1.0 if value <= lowest else (lowest / value if lowest > 0 else 0.0)


def _heard_by(step: str, agent: Target, audience: Audience) -> list[Target]:
    if agent.name is not None or step not in audience:
        return [agent]
    return [Target(name=name) for name in dict.fromkeys(audience[step])]


def _in_order(turn: Turn) -> JsonObject:
    return {step.id: turn.results[step.id] for step in turn.plan.steps if step.id in turn.results}


def _said(turn: Turn, task: Task, reason: str) -> str:
    return f"{task.step} ({task.by or task.agent}): {reason}"


def _type_of(task: Task) -> str:
    return {"late": "Timeout", "refused": "Refused", "away": "Unreachable"}.get(
        task.status, "CollaborationFailed"
    )
