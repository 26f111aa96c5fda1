"""Sequences of contact over time: what is done about somebody, and when the next step is due. Pure.

The sequences of the businesses are data (`contact_sequences.yaml`); a workflow may bring steps of
its own, or only the days on which it follows up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from higherself.kernel.durations import duration_of
from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.nearest import did_you_mean

MOST_STEPS = 50
GRACE = timedelta(hours=12)


class SequenceRejected(Rejected):
    """A sequence is not as it has to be; the text names the step and the field."""


class SequenceUnknown(NotFound):
    """There is no sequence of this name."""


class Step(BaseModel):
    """One step: what is done, so long ``after`` the sequence began."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    after: str
    do: Literal["email", "task", "notify"]
    template: str | None = None
    subject: str | None = None
    text: str | None = None
    urgent: bool = False

    @field_validator("after")
    @classmethod
    def _is_a_duration(cls, said: str) -> str:
        wait_of(said)
        return said

    @property
    def wait(self) -> timedelta:
        """How long after the beginning."""
        return wait_of(self.after)


@dataclass(frozen=True, slots=True)
class Due:
    """The step that comes next, its number (from 1), and when. ``left``: how many after it."""

    number: int
    step: Step
    at: datetime
    left: int


def wait_of(said: str) -> timedelta:
    """Return how long ``said`` is; nothing, too, is a wait.

    >>> wait_of("0s"), wait_of("2h")
    (datetime.timedelta(0), datetime.timedelta(seconds=7200))
    """
    return timedelta(0) if said.strip("smhdw") == "0" else duration_of(said)


def read_steps(said: Sequence[Any]) -> tuple[Step, ...]:
    """Return the steps of a sequence, the first first.

    Raises
        SequenceRejected: naming the step and the field.
    """
    if len(said) > MOST_STEPS:
        raise SequenceRejected(f"steps: {len(said)} steps, and {MOST_STEPS} are the most")
    steps = []
    for place, each in enumerate(said):
        try:
            step = Step.model_validate(each)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, ("steps", place, *first["loc"])))
            raise SequenceRejected(f"{where}: {first['msg']}") from None
        if step.do != "notify" and step.template is None and (not step.subject or not step.text):
            raise SequenceRejected(
                f"steps.{place}: {step.do} needs `template`, or `subject` and `text`"
            )
        steps.append(step)
    return tuple(sorted(steps, key=lambda each: each.wait))


def steps_on_days(days: Sequence[float]) -> tuple[Step, ...]:
    """Return the steps of following up by e-mail on these days.

    Raises
        SequenceRejected: one is no number of days, or they are too many.
    """
    for place, each in enumerate(days):
        if isinstance(each, bool) or not 0 <= each <= 3650:
            raise SequenceRejected(f"days.{place}: {each!r} is no number of days")
    said = [
        {"after": f"{round(d * 86_400)}s", "do": "email", "template": "follow_up"} for d in days
    ]
    return read_steps(said)


def named(name: str) -> tuple[Step, ...]:
    """Return the steps of a sequence that comes with the program.

    Raises
        SequenceUnknown: there is none of this name.
    """
    known = sequences()
    if name not in known:
        raise SequenceUnknown(f"sequence: there is no {name!r}{did_you_mean(name, known)}")
    return known[name]


@cache
def sequences() -> Mapping[str, tuple[Step, ...]]:
    """Return every sequence that comes with the program."""
    text = files("higherself.business").joinpath("contact_sequences.yaml").read_text("utf-8")
    return {name: read_steps(each["steps"]) for name, each in yaml.safe_load(text).items()}


def next_step(
    steps: Sequence[Step], taken: int, since: datetime, *, now: datetime | None = None
) -> Due | None:
    """Return the step that follows ``taken`` steps of a sequence that began at ``since``, if any.

    With ``now``, what is overdue by more than `GRACE` is passed over: nobody gets three e-mails at
    once because they were busy with something else meanwhile.

    >>> from datetime import UTC
    >>> began = datetime(2026, 3, 2, tzinfo=UTC)
    >>> next_step(steps_on_days([1, 3]), 1, began).at.day
    5
    """
    while now is not None and taken < len(steps) and since + steps[taken].wait < now - GRACE:
        taken += 1
    if not 0 <= taken < len(steps):
        return None
    return Due(taken + 1, steps[taken], since + steps[taken].wait, len(steps) - taken - 1)


class Wanted(BaseModel):
    """Where the steps come from: one of the three."""

    sequence: str | None = None
    steps: list[Any] = Field(default_factory=list)
    days: list[float] = Field(default_factory=list)

    def read(self) -> tuple[Step, ...]:
        """Return the steps.

        Raises
            SequenceRejected, SequenceUnknown: they are not as they have to be; nothing is said.
        """
        given = [bool(self.sequence), bool(self.steps), bool(self.days)]
        if sum(given) != 1:
            raise SequenceRejected("give `sequence`, `steps` or `days`, one of them")
        if self.sequence:
            return named(self.sequence)
        return read_steps(self.steps) if self.steps else steps_on_days(self.days)
