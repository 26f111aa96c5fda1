"""What a skill is, and one run of it."""

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any, Literal, Protocol

from higherself.agents.skills.signature import Input, Output
from higherself.kernel import telemetry
from higherself.kernel.durations import duration_of, text_of
from higherself.kernel.errors import Misconfigured
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.tasks import abandonable

Effects = Literal["pure", "read", "write", "external"]
"""What a run changes: nothing, and it sees its input alone; nothing; something here; elsewhere."""

Where = Literal["memory", "postgres"]


@dataclass(frozen=True, slots=True)
class Cache:
    """How long a result is as good as a new one, and where it is kept.

    In ``memory`` each process has its own; in ``postgres`` all have one, also those on other
    machines. ``ttl`` is a time, also as text: ``10m``.
    """

    ttl: timedelta | str
    where: Where = "memory"

    def __post_init__(self) -> None:
        if self.where not in ("memory", "postgres"):
            raise ValueError(f"cache: where={self.where!r}; say 'memory' or 'postgres'")
        if self.lifetime <= timedelta(0):
            raise ValueError("cache: ttl is not longer than nothing")

    @property
    def lifetime(self) -> timedelta:
        """The time to live."""
        return _time(self.ttl)


@dataclass(frozen=True, slots=True)
class Retry:
    """How often a run that failed is tried, and how long is waited before the second time.

    The wait doubles every time, to ``ceiling``. Only what may be run again is: a skill that is
    idempotent, or one that raises `NotStarted`.
    """

    attempts: int = 3
    wait: timedelta | str = timedelta(milliseconds=200)
    ceiling: timedelta | str = timedelta(seconds=10)

    def __post_init__(self) -> None:
        if not 1 <= self.attempts <= 100:
            raise ValueError(f"retry: attempts={self.attempts}; say 1 to 100")
        if self.first < timedelta(0) or self.most < self.first:
            raise ValueError("retry: wait is less than nothing, or more than ceiling")

    @property
    def first(self) -> timedelta:
        """The wait before the second attempt."""
        return _time(self.wait)

    @property
    def most(self) -> timedelta:
        """The longest wait."""
        return _time(self.ceiling)


@dataclass(frozen=True, slots=True)
class Example:
    """An input, and what comes of it if that is always the same."""

    input: JsonObject
    output: JsonValue = None
    description: str = ""


def _time(said: timedelta | str) -> timedelta:
    return duration_of(said) if isinstance(said, str) else said


@dataclass(frozen=True, slots=True)
class Log:
    """Where a skill tells what a person should know, with the run it belongs to."""

    facts: Mapping[str, Any]

    def info(self, event: str, **facts: Any) -> None:
        """Log that something happened."""
        telemetry.info(event, **{**self.facts, **facts})

    def warning(self, event: str, **facts: Any) -> None:
        """Log something a person should know."""
        telemetry.warning(event, **{**self.facts, **facts})


class Runs(Protocol):
    """Runs skills by name; see `SkillInvoker`."""

    async def run(self, name: str, given: Mapping[str, JsonValue], call: "SkillCall") -> JsonValue:
        """Return what the skill makes of ``given``."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillCall:
    """One run of a skill.

    ``key`` is the same on every ``attempt``: pass it on as the idempotency key of whatever is done
    elsewhere, and it counts once. ``instance``, ``workflow`` and ``state`` are None if no workflow
    asked, ``agent`` if no agent did; ``allowed`` are the skills that it may use, or patterns of them
    (none: its card says). ``operator``: a person asked who may do everything here.
    ``correlation`` and ``traceparent`` tie the run to what led to it.
    """

    key: str
    attempt: int = 1
    instance: str | None = None
    entity: str = "default"
    agent: str | None = None
    workflow: str | None = None
    state: str | None = None
    allowed: tuple[str, ...] = ()
    operator: bool = False
    correlation: str | None = None
    traceparent: str | None = None
    runs: Runs | None = field(default=None, repr=False, compare=False)
    resources: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _asked: Counter[str] = field(default_factory=Counter, init=False, repr=False, compare=False)

    @property
    def log(self) -> Log:
        """A log that says which run it is about."""
        facts: dict[str, Any] = {"key": self.key, "attempt": self.attempt, "entity": self.entity}
        for name in ("agent", "instance", "correlation", "traceparent"):
            if (value := getattr(self, name)) is not None:
                facts[name] = value
        return Log(facts)

    def resource(self, name: str) -> Any:
        """Return something that skills work with and the program opened for them.

        Raises
            Misconfigured: it is not to be had here.
        """
        if name not in self.resources:
            there = ", ".join(sorted(self.resources)) or "nothing"
            raise Misconfigured(
                f"there is no {name!r} for skills in this process; there is {there}"
            )
        return self.resources[name]

    async def skill(self, name: str, /, **given: JsonValue) -> JsonValue:
        """Run another skill, for the same one who asked, and return what comes of it.

        Its key is made of this one's, the name, and how many of that name came before: the same on
        every attempt if this skill asks in the same order.

        Raises
            SkillUnknown, InputRejected, SkillForbidden, SkillsTooDeep: nothing was done.
            Exception: whatever the skill raises.
        """
        if self.runs is None:
            raise AssertionError(f"this call of {self.key} came from no invoker")
        self._asked[name] += 1
        return await self.runs.run(name, given, self.under(f"{name}/{self._asked[name]}"))

    def under(self, part: str) -> "SkillCall":
        """Return a call of its own for a part of the work, by the same one who asked."""
        return SkillCall(
            key=f"{self.key}/{part}",
            instance=self.instance,
            entity=self.entity,
            agent=self.agent,
            workflow=self.workflow,
            state=self.state,
            allowed=self.allowed,
            operator=self.operator,
            correlation=self.correlation,
            traceparent=self.traceparent,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A function that can be run by name, and what is known of it.

    ``schema`` is the JSON Schema of its input, ``output_schema`` of what it returns (None:
    anything). ``irreversible``: what it does cannot be taken back; ``idempotent``: to run it again
    with the same key does no more; ``egress``: what it is given leaves this machine. ``agents`` and
    ``states`` that may use it are patterns (``nyra``, ``lead_nurturing.*``); none: all. ``digest``
    tells its code apart from another of the same version, where versions are not to be relied on.
    """

    name: str
    function: Callable[..., Any]
    description: str
    schema: JsonObject
    irreversible: bool = False
    version: str = "1"
    output_schema: JsonObject | None = None
    tags: tuple[str, ...] = ()
    effects: Effects = "write"
    idempotent: bool = False
    egress: bool = False
    timeout: timedelta | None = None
    retry: Retry | None = None
    cache: Cache | None = None
    agents: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    examples: tuple[Example, ...] = ()
    instructions: str | None = None
    digest: str = ""
    _input: Input = field(repr=False)
    _output: Output = field(default_factory=Output, repr=False)

    @property
    def full_name(self) -> str:
        """The name that says which version, too."""
        return f"{self.name}@{self.version}"

    def arguments(self, given: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return ``given`` as the function's arguments.

        Raises
            InputRejected: it does not fit.
        """
        return self._input.arguments(self.name, given)

    async def run(self, given: Mapping[str, JsonValue], call: SkillCall) -> JsonValue:
        """Return what the skill makes of ``given``, as JSON.

        Whoever cancels this need not wait for a plain function: its thread ends when it ends.

        Raises
            InputRejected: ``given`` does not fit; nothing was done.
            OutputRejected, NotJson: it returned what it does not say it returns, or what is no JSON.
            Exception: whatever the skill raises.
        """
        return await self.run_with(self.arguments(given), call)

    async def run_with(self, arguments: dict[str, Any], call: SkillCall) -> JsonValue:
        """Like `run`, with what `arguments` returned."""
        if self._input.takes_call:
            arguments = {**arguments, "call": call}
        try:
            result = await _called(partial(self.function, **arguments))
            return self._output.checked(self.name, result)
        except (SystemExit, StopIteration) as error:
            raise RuntimeError(f"it ended with {error!r}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("it cancelled itself") from None

    def described(self) -> dict[str, Any]:
        """Return what there is to know of it, as JSON."""
        cache, retry = self.cache, self.retry
        return {
            "name": self.name,
            "version": self.version,
            "description": self.description,
            "tags": list(self.tags),
            "effects": self.effects,
            "idempotent": self.idempotent,
            "irreversible": self.irreversible,
            "egress": self.egress,
            "agents": list(self.agents),
            "states": list(self.states),
            "timeout": self.timeout and text_of(self.timeout),
            "retry": retry and {"attempts": retry.attempts},
            "cache": cache and {"ttl": text_of(cache.lifetime), "where": cache.where},
            "input_schema": self.schema,
            "output_schema": self.output_schema,
            "examples": [
                {"input": each.input, "output": each.output, "description": each.description}
                for each in self.examples
            ],
            "instructions": self.instructions,
        }


async def _called(function: "partial[Any]") -> Any:
    if inspect.iscoroutinefunction(function):
        return await function()
    result = await abandonable(partial(copy_context().run, _without_stop_iteration, function))
    return await result if inspect.isawaitable(result) else result


def _without_stop_iteration(function: Callable[[], Any]) -> Any:
    try:
        return function()
    except StopIteration as error:  # a future cannot hold it
        raise RuntimeError(f"it ended with {error!r}") from error
