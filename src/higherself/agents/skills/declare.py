"""``@skill`` makes a skill of a function, and refuses what contradicts itself."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar, overload

from higherself.agents.skills.errors import InputRejected, OutputRejected, SkillMistaken
from higherself.agents.skills.model import Cache, Effects, Example, Retry, Skill
from higherself.agents.skills.signature import CANNOT_BE, Input, Output
from higherself.agents.skills.versions import order_of
from higherself.kernel.durations import duration_of
from higherself.kernel.jsonvalue import JsonObject

F = TypeVar("F", bound=Callable[..., Any])


@overload
def skill(function: F, /) -> F: ...
@overload
def skill(
    *,
    name: str = "",
    description: str = "",
    version: str = "1",
    tags: Sequence[str] = (),
    effects: Effects | None = None,
    idempotent: bool | None = None,
    irreversible: bool = False,
    egress: bool = False,
    timeout: timedelta | str | None = None,
    retry: Retry | None = None,
    cache: Cache | None = None,
    agents: Sequence[str] = (),
    states: Sequence[str] = (),
    examples: Sequence[Example | JsonObject] = (),
) -> Callable[[F], F]: ...
def skill(
    function: F | None = None,
    /,
    *,
    name: str = "",
    description: str = "",
    version: str = "1",
    tags: Sequence[str] = (),
    effects: Effects | None = None,
    idempotent: bool | None = None,
    irreversible: bool = False,
    egress: bool = False,
    timeout: timedelta | str | None = None,
    retry: Retry | None = None,
    cache: Cache | None = None,
    agents: Sequence[str] = (),
    states: Sequence[str] = (),
    examples: Sequence[Example | JsonObject] = (),
) -> F | Callable[[F], F]:
    """Make a skill of a function; it stays the function it is.

    ``effects`` says what a run changes: nothing, and it depends on its input alone (``pure``);
    nothing (``read``); something here (``write``, as long as nothing is said); something elsewhere
    (``external``, so with ``egress``). What is pure or reads is idempotent, and alone may have a
    ``cache``. The other parameters are those of `Skill`.

    Raises
        SkillMistaken: its parameters have types of which no schema can be made, or what is said of
            it contradicts itself.
    """

    def make(function: F) -> F:
        called = name or function.__name__
        try:
            kind = _effects(effects, irreversible=irreversible, egress=egress)
            made = _skill_of(
                function,
                name=called,
                description=description or inspect.getdoc(function) or "",
                version=version,
                tags=_several("tags", tags),
                effects=kind,
                idempotent=_idempotent(idempotent, kind),
                irreversible=irreversible,
                egress=egress,
                timeout=duration_of(timeout) if isinstance(timeout, str) else timeout,
                retry=retry,
                cache=_cache(cache, kind),
                agents=_several("agents", agents),
                states=_several("states", states),
            )
            order_of(version)
        except CANNOT_BE as error:
            said = str(error).partition("\n")[0].partition(". Set `")[0]  # no advice on pydantic
            raise SkillMistaken(f"skill {called}: {said}") from error
        shown = tuple(each if isinstance(each, Example) else Example(each) for each in examples)
        _check_examples(made, shown)
        object.__setattr__(made, "examples", shown)  # nobody has seen it yet
        function.__higherself_skill__ = made  # type: ignore[attr-defined]
        return function

    return make if function is None else make(function)


activity = skill
"""The same by another name."""


def _skill_of(function: Callable[..., Any], **facts: Any) -> Skill:
    read, returned = Input.of(function), Output.of(function)
    return Skill(
        function=function,
        schema=read.schema(),
        output_schema=returned.schema(),
        _input=read,
        _output=returned,
        **facts,
    )


def _effects(said: Effects | None, *, irreversible: bool, egress: bool) -> Effects:
    if said is None:
        return "external" if egress else "write"
    if said not in ("pure", "read", "write", "external"):
        raise ValueError(f"effects={said!r}; say 'pure', 'read', 'write' or 'external'")
    if irreversible and said in ("pure", "read"):
        raise ValueError(f"it is {said} and irreversible; what changes nothing needs no way back")
    if egress and said in ("pure", "write"):
        raise ValueError(f"it is {said} and has egress; say effects='read' or 'external'")
    return said


def _idempotent(said: bool | None, effects: Effects) -> bool:
    harmless = effects in ("pure", "read")
    if harmless and said is False:
        raise ValueError(
            f"it is {effects} and not idempotent; what changes nothing can be repeated"
        )
    return harmless if said is None else said


def _cache(cache: Cache | None, effects: Effects) -> Cache | None:
    if cache is not None and effects not in ("pure", "read"):
        raise ValueError(
            f"it has a cache and is {effects}: what it does would not be done on a hit; say "
            "effects='pure' or 'read' if it changes nothing, else take cache= away"
        )
    return cache


def _several(what: str, said: Sequence[str]) -> tuple[str, ...]:
    if isinstance(said, str):
        raise TypeError(f"{what}={said!r} is one text; say {what}=[{said!r}]")
    return tuple(said)


def _check_examples(made: Skill, examples: Sequence[Example]) -> None:
    for number, each in enumerate(examples, start=1):
        try:
            made.arguments(each.input)
            if each.output is not None:
                made._output.checked(made.name, each.output)
        except (InputRejected, OutputRejected) as error:
            problems = "; ".join(error.problems)
            raise SkillMistaken(
                f"skill {made.name}: example {number} does not fit: {problems}"
            ) from None


def skills_in(namespace: Mapping[str, Any]) -> Iterator[Skill]:
    """Yield the skills among the values of a module, each once, however many names it has there."""
    seen: set[int] = set()
    for value in namespace.values():
        found = value if isinstance(value, Skill) else getattr(value, "__higherself_skill__", None)
        if isinstance(found, Skill) and id(found) not in seen:
            seen.add(id(found))
            yield found
