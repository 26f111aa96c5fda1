"""Skills: typed functions that activities run. ``@skill`` makes one of a function.

    @skill(description="Append a line to a file", irreversible=True)
    async def record(path: str, line: str, call: SkillCall) -> dict:
        ...

The types of the parameters make the schema that input is checked against. A parameter named
``call`` gets the `SkillCall`. A plain function runs in a thread.
"""

import asyncio
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextvars import copy_context
from dataclasses import dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any, TypeVar, get_type_hints, overload

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from higherself.kernel import telemetry
from higherself.kernel.errors import Misconfigured, NotFound, Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue, NotJson, check_json
from higherself.kernel.tasks import abandonable

F = TypeVar("F", bound=Callable[..., Any])


class SkillMistaken(Misconfigured):
    """A function cannot be a skill as it is written."""


class SkillUnknown(NotFound):
    """There is no skill of this name here."""

    def __init__(self, name: str, known: Mapping[str, Any]) -> None:
        near = get_close_matches(name, known, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        super().__init__(f"there is no skill {name!r} here{hint}")
        self.name = name


class InputRejected(Rejected):
    """What a skill was given does not fit its parameters."""

    def __init__(self, skill: str, problems: list[str]) -> None:
        super().__init__(f"skill {skill} was given what it cannot take: {'; '.join(problems)}")
        self.skill, self.problems = skill, tuple(problems)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class SkillCall:
    """One run of a skill.

    ``key`` is the same on every ``attempt``: pass it on as the idempotency key of whatever is done
    elsewhere, and it counts once. ``instance`` is None if no workflow asked.
    """

    key: str
    attempt: int = 1
    instance: str | None = None
    entity: str = "default"
    agent: str | None = None

    @property
    def log(self) -> Log:
        """A log that says which run it is about."""
        return Log({"key": self.key, "attempt": self.attempt, "entity": self.entity})


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """A function that can be run by name, and what is known of it.

    ``schema`` is the JSON Schema of its input. ``irreversible``: what it does cannot be taken back.
    """

    name: str
    function: Callable[..., Any]
    description: str
    schema: JsonObject
    irreversible: bool = False
    version: str = "1"
    _input: "_Input" = field(repr=False)

    async def run(self, given: Mapping[str, JsonValue], call: SkillCall) -> JsonValue:
        """Return what the skill makes of ``given``, as JSON.

        Whoever cancels this need not wait for a plain function: its thread ends when it ends.

        Raises
            InputRejected: ``given`` does not fit; nothing was done.
            NotJson: it returned what is none.
            Exception: whatever the skill raises.
        """
        arguments = self._input.arguments(self.name, given)
        if self._input.takes_call:
            arguments["call"] = call
        try:
            return _plain(await _called(partial(self.function, **arguments)))
        except (SystemExit, StopIteration) as error:
            raise RuntimeError(f"it ended with {error!r}") from error
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            raise RuntimeError("it cancelled itself") from None


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


_ANYTHING = TypeAdapter[Any](Any, config=ConfigDict(ser_json_inf_nan="constants"))


def _plain(result: Any) -> JsonValue:
    """Return what a skill returned as JSON: models, dates and the like are written as such.

    Raises
        NotJson: it cannot be.
    """
    try:
        return check_json(_ANYTHING.dump_python(result, mode="json"))
    except NotJson:
        raise
    except Exception as error:
        raise NotJson("", str(error)) from error


@overload
def skill(function: F, /) -> F: ...
@overload
def skill(
    *, name: str = "", description: str = "", irreversible: bool = False, version: str = "1"
) -> Callable[[F], F]: ...
def skill(
    function: F | None = None,
    /,
    *,
    name: str = "",
    description: str = "",
    irreversible: bool = False,
    version: str = "1",
) -> F | Callable[[F], F]:
    """Make a skill of a function; it stays the function it is.

    Raises
        SkillMistaken: its parameters have types of which no schema can be made.
    """

    def make(function: F) -> F:
        made = _skill_of(
            function,
            name=name or function.__name__,
            description=description or inspect.getdoc(function) or "",
            irreversible=irreversible,
            version=version,
        )
        function.__higherself_skill__ = made  # type: ignore[attr-defined]
        return function

    return make if function is None else make(function)


activity = skill
"""The same by another name."""


def _skill_of(function: Callable[..., Any], *, name: str, **facts: Any) -> Skill:
    try:
        read = _Input.of(function)
        return Skill(name=name, function=function, schema=read.schema(), _input=read, **facts)
    except (PydanticUserError, NameError, TypeError, ValueError) as error:
        said = str(error).partition("\n")[0].partition(". Set `")[0]  # without advice on pydantic
        raise SkillMistaken(f"skill {name}: {said}") from error


class _Described(GenerateJsonSchema):
    """Leaves a default out that is no JSON, without a word."""

    ignored_warning_kinds = frozenset(("skipped-choice", "non-serializable-default"))  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class _Input:
    """The parameters of a function. ``fields`` are their names, by the fields of ``model``."""

    model: type[BaseModel]
    fields: Mapping[str, str]
    takes_call: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "_Input":
        """Return the parameters of ``function``.

        Raises
            Exception: a type is unknown, or no schema can be made of it.
        """
        hints = get_type_hints(function, include_extras=True)
        parameters = inspect.signature(function).parameters
        named: dict[str, str] = {}
        fields: dict[str, Any] = {}
        for place, (name, each) in enumerate(parameters.items()):
            if each.kind in (each.VAR_POSITIONAL, each.POSITIONAL_ONLY):
                raise TypeError(f"its parameter {each} cannot be given by name")
            if isinstance(each.default, FieldInfo):
                raise TypeError(f"say of {name} what a Field says as Annotated[..., Field(...)]")
            if name != "call" and each.kind is not each.VAR_KEYWORD:
                # Not by its own name: pydantic has names that a field must not have.
                default = ... if each.default is each.empty else each.default
                named[f"p{place}"] = name
                fields[f"p{place}"] = (hints.get(name, Any), Field(default, alias=name))
        others = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
        config = ConfigDict(extra="allow" if others else "forbid")
        return cls(create_model("Input", __config__=config, **fields), named, "call" in parameters)

    def schema(self) -> JsonObject:
        """Return the JSON Schema of an object that holds them."""
        described = self.model.model_json_schema(schema_generator=_Described)
        del described["title"]
        for name, each in described.get("properties", {}).items():
            if each.get("title") == name.replace("_", " ").title().strip():
                del each["title"]
        return described

    def arguments(self, skill: str, given: Mapping[str, JsonValue]) -> dict[str, Any]:
        """Return ``given`` as arguments.

        Raises
            InputRejected: it does not fit.
        """
        try:
            read = self.model.model_validate(dict(given))
        except ValidationError as error:
            problems = [
                f"{'.'.join(str(part) for part in each['loc'])}: {each['msg']}"
                for each in error.errors(include_url=False, include_input=False)
            ]
            raise InputRejected(skill, problems) from None
        arguments = {name: getattr(read, field) for field, name in self.fields.items()}
        return arguments | (read.model_extra or {})


def skills_in(namespace: Mapping[str, Any]) -> Iterator[Skill]:
    """Yield the skills among the values of a module, each once, however many names it has there."""
    seen: set[int] = set()
    for value in namespace.values():
        found = getattr(value, "__higherself_skill__", None)
        if isinstance(found, Skill) and id(found) not in seen:
            seen.add(id(found))
            yield found


class SkillRegistry(Mapping[str, Skill]):
    """The skills that are installed here, by name."""

    def __init__(self) -> None:
        self._skills: dict[str, Skill] = {}
        self._origins: dict[str, str] = {}

    def add(self, added: Skill, *, origin: str = "") -> None:
        """Make a skill known; ``origin`` says where it comes from.

        Raises
            SkillMistaken: another of this name is known.
        """
        known = self._skills.get(added.name)
        if known is None:
            self._skills[added.name], self._origins[added.name] = added, origin
        elif known.function is not added.function:
            raise SkillMistaken(
                f"there are two skills {added.name!r}: in {self._origins[added.name]} and in "
                f"{origin}; name one of them otherwise: @skill(name=...)"
            )

    def find(self, name: str) -> Skill:
        """Return the skill of this name.

        Raises
            SkillUnknown: there is none.
        """
        if name not in self._skills:
            raise SkillUnknown(name, self._skills)
        return self._skills[name]

    def origin(self, name: str) -> str:
        """Return where a skill comes from."""
        return self._origins[name]

    def __getitem__(self, name: str) -> Skill:
        return self._skills[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._skills)

    def __len__(self) -> int:
        return len(self._skills)
