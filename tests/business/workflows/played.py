"""A workflow of ours played through on a clock of its own: skills that only reckon are the real ones."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from tests.business.workflows.shipped import DEFINITIONS
from tests.workflow.world import World

from higherself.business.skills.events import append_item
from higherself.business.skills.following import next_step
from higherself.business.skills.insight import analyse_sentiment
from higherself.kernel.errors import Rejected
from higherself.services.setups import effective
from higherself.workflow.machine import RunActivity, RunCollaboration

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
REAL: Mapping[str, Any] = {
    "append_item": append_item,
    "analyse_sentiment": analyse_sentiment,
    "next_step": next_step,
}


class Played:
    """A run of a shipped workflow. ``answers`` are what its other skills come to, by name."""

    def __init__(self, workflow: str, answers: Mapping[str, Any] | None = None) -> None:
        self.world = World(DEFINITIONS[workflow])
        self.answers = dict(answers or {})

    def start(self, settings: Mapping[str, Any] | None = None, **context: Any) -> "Played":
        """Begin, as a business begins that has these settings."""
        chosen = effective(self.world.definition, dict(settings or {}))
        self.world.start(settings=chosen, **context)
        return self.on()

    def on(self) -> "Played":
        """Have everything end that runs by now; what is tried again later waits for that."""
        for _ in range(1_000):
            command = next((each for each, due in self._running() if due <= self.world.now), None)
            if command is None:
                return self
            answer = self._answer(command)
            if isinstance(answer, BaseException):
                self.world.break_down(
                    str(answer),
                    *(each.__name__ for each in type(answer).__mro__),
                    activity=command.activity,
                    retryable=not isinstance(answer, Rejected),
                )
            else:
                self.world.complete(answer, command.activity)
        raise AssertionError("it never ends")

    def _running(self) -> Iterator[tuple[RunActivity | RunCollaboration, datetime]]:
        for key, command in self.world.running.items():
            due = self.world.snapshot.pending[key].due_at
            yield command, self.world.now if due is None else due

    def _answer(self, command: RunActivity | RunCollaboration) -> Any:
        name = command.skill if isinstance(command, RunActivity) else command.pattern
        answer = self.answers.get(name)
        if callable(answer):
            return answer(command)
        if name not in REAL or name in self.answers:
            return answer
        given: dict[str, Any] = {**command.input}  # type: ignore[dict-item]
        for each in ("since", "now"):
            if isinstance(given.get(each), str):
                given[each] = datetime.fromisoformat(given[each])
        return REAL[name](**given).model_dump(mode="json")

    def told(self, event: str, /, **data: Any) -> "Played":
        """Have an event happen."""
        self.world.receive(event, **data)
        return self.on()

    def decided(self, outcome: str, by: str = "ann", *roles: str, comment: str = "") -> "Played":
        """Have somebody decide."""
        self.world.decide(outcome, by, *roles, comment=comment)
        return self.on()

    def waited(self, duration: timedelta) -> "Played":
        """Let time pass, a timer at a time."""
        until = self.world.now + duration
        while True:
            timer = self.world._next_timer()
            dues = [due for _, due in self._running()]
            at = min([*dues, *([self.world.timers[timer]] if timer else [])], default=until)
            if at > until or (at == until and not dues and timer is None):
                self.world.now = max(self.world.now, until)
                return self
            self.world.now = max(self.world.now, at)
            if timer is not None and self.world.timers[timer] <= self.world.now:
                self.world.next_timer()
            self.on()

    @property
    def state(self) -> str:
        """Where it is."""
        return self.world.state

    @property
    def context(self) -> Any:
        """What it knows."""
        return self.world.context

    def asked(self, skill: str) -> list[Any]:
        """Return what a skill was given, each time it was asked for."""
        return [
            each.input
            for each in self.world.asked
            if isinstance(each, RunActivity) and each.skill == skill and each.attempt == 1
        ]

    @property
    def letters(self) -> list[tuple[str, str]]:
        """To whom e-mails went, by which template."""
        return [(each["to"], each["template"]) for each in self.asked("send_email")]

    @property
    def tasks(self) -> list[str]:
        """The templates of the tasks that were made."""
        return [each["template"] for each in self.asked("create_task")]

    @property
    def collaborations(self) -> list[Any]:
        """What agents were asked."""
        return [each for each in self.world.asked if isinstance(each, RunCollaboration)]
