"""What a flow is, and how it went. Values."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject

if TYPE_CHECKING:
    from higherself.flows.stage import Stage


class StepFailed(Rejected):
    """A step did not come to what was expected; the text says what was, and what was found."""


class FlowUnknown(Rejected):
    """There is no flow of this name."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Something a business does from one end to the other, step by step."""

    name: str
    title: str
    run: "Callable[[Stage], Awaitable[None]]" = field(repr=False)
    notion: bool = False
    """Whether it needs a workspace of Notion on the stage."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """How a step went. ``at`` is seconds after the begin of its flow."""

    name: str
    passed: bool
    at: float
    seconds: float
    detail: str = ""

    def to_json(self) -> JsonObject:
        """Return it as commands show it."""
        return {
            "name": self.name,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Arrow:
    """Something that went from one to another. ``at`` is seconds after the first."""

    at: float
    source: str
    target: str
    label: str


@dataclass(frozen=True, slots=True)
class FlowResult:
    """How a flow went, and what went to and fro in it."""

    name: str
    title: str
    steps: tuple[StepResult, ...]
    seconds: float
    arrows: tuple[Arrow, ...] = ()
    pictures: tuple[tuple[str, str], ...] = ()
    """State diagrams of the workflows it started, with what they show."""

    @property
    def passed(self) -> bool:
        """Whether every step came to what was expected."""
        return all(each.passed for each in self.steps)

    def to_json(self) -> JsonObject:
        """Return it as commands show it."""
        return {
            "name": self.name,
            "title": self.title,
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
            "steps": [each.to_json() for each in self.steps],
        }


@dataclass(frozen=True, slots=True)
class Past:
    """How an earlier run went, by flow."""

    at: datetime
    passed: dict[str, bool]


@dataclass(frozen=True, slots=True)
class Run:
    """A run of flows, and those before it."""

    at: datetime
    results: tuple[FlowResult, ...]
    seconds: float
    parts: tuple[tuple[str, str], ...] = ()
    history: Sequence[Past] = ()

    @property
    def passed(self) -> bool:
        """Whether all flows passed."""
        return all(each.passed for each in self.results)

    def to_json(self) -> JsonObject:
        """Return it as commands show it."""
        return {
            "flows": [each.to_json() for each in self.results],
            "passed": self.passed,
            "seconds": round(self.seconds, 3),
        }
