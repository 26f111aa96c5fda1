"""Sequences of several agents: who does what after whom, as plans of collaborations. Pure.

A sequence begins with a trigger. If whoever took that has done its step already, the sequence goes on
after it, with what the step came to: nothing is done twice.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from higherself.agents.coordination.reading import plan_of
from higherself.kernel.errors import NotFound
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.nearest import did_you_mean

SPENT = ("previous", "left_out", "citations", "sequence")
"""What of an answer the next steps do not get as data."""


class SequenceUnknown(NotFound):
    """There is no sequence of this name."""

    def __init__(self, name: str, known: Mapping[str, Any]) -> None:
        super().__init__(f"there is no sequence {name!r}{did_you_mean(name, known)}")
        self.name = name


@dataclass(frozen=True, slots=True)
class Sequence:
    """Steps of several agents in a row; ``trigger`` is the type of message that begins it."""

    name: str
    about: str
    trigger: str
    steps: tuple[Mapping[str, Any], ...]
    timeout: str


def sequence(name: str) -> Sequence:
    """Return the sequence of a name.

    Raises
        SequenceUnknown: there is none.
    """
    known = all_sequences()
    if name not in known:
        raise SequenceUnknown(name, known)
    return known[name]


def plan(sequence: Sequence, *, done: str | None = None) -> dict[str, Any] | None:
    """Return the plan of what is left after the step ``done``; None if nothing is."""
    steps = list(sequence.steps)
    tasks = [str(each["task"]) for each in steps]
    if done is not None and done in tasks:
        steps = steps[tasks.index(done) + 1 :]
    if not steps:
        return None
    return {
        "pattern": "chain",
        "name": f"sequence/{sequence.name}",
        "steps": [dict(each) for each in steps],
        "timeout": sequence.timeout,
    }


def given(data: JsonObject, previous: JsonValue) -> JsonObject:
    """Return what all steps are given: what it began with, over what the step before has answered.

    >>> given({"email": "a@b.c"}, {"score": 80, "citations": []})
    {'score': 80, 'email': 'a@b.c'}
    """
    before = previous if isinstance(previous, Mapping) else {}
    return {
        **{name: value for name, value in before.items() if name not in SPENT},
        **{name: value for name, value in data.items() if name not in SPENT},
    }


@cache
def all_sequences() -> Mapping[str, Sequence]:
    """Return the sequences that come with the program (`sequences.yaml`)."""
    text = files("higherself.business").joinpath("sequences.yaml").read_text(encoding="utf-8")
    said: Mapping[str, Any] = yaml.safe_load(text)
    found = {
        name: Sequence(
            name, each["about"], each["trigger"], tuple(each["steps"]), each.get("timeout", "1d")
        )
        for name, each in said.items()
    }
    for each in found.values():
        plan_of(plan(each) or {})  # a mistake shows at once
    return found
