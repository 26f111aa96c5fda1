"""What a function takes and returns, read from its signature; input and output are checked by it."""

import inspect
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import reduce
from operator import or_
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NoReturn, Union, get_args, get_origin, get_type_hints

import pydantic
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, create_model
from pydantic.errors import PydanticUserError
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import ErrorDetails, PydanticSerializationError

from higherself.agents.skills.errors import InputRejected, OutputRejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue, NotJson, check_json

CANNOT_BE = (PydanticUserError, NameError, TypeError, ValueError)
"""What reading a signature raises if a type is unknown, or no schema can be made of it."""

_ANYTHING = TypeAdapter[Any](Any, config=ConfigDict(ser_json_inf_nan="constants"))


class _Described(GenerateJsonSchema):
    """Leaves a default out that is no JSON, without a word."""

    ignored_warning_kinds = frozenset(("skipped-choice", "non-serializable-default"))  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Input:
    """The parameters of a function. ``fields`` are their names, by the fields of ``model``."""

    model: type[BaseModel]
    fields: Mapping[str, str]
    takes_call: bool

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Input":
        """Return the parameters of ``function``.

        Raises
            Exception: one of `CANNOT_BE`.
        """
        hints = _hints(function)
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
            raise InputRejected(skill, _problems(error)) from None
        arguments = {name: getattr(read, field) for field, name in self.fields.items()}
        return arguments | (read.model_extra or {})


@dataclass(frozen=True, slots=True)
class Output:
    """What a function says it returns. ``adapter`` is None if it says nothing, or anything."""

    adapter: TypeAdapter[Any] | None = None

    @classmethod
    def of(cls, function: Callable[..., Any]) -> "Output":
        """Return what ``function`` returns, by its annotation.

        Raises
            Exception: one of `CANNOT_BE`.
        """
        declared = _awaited(_hints(function).get("return", Any))
        if declared in (Any, NoReturn, pydantic.JsonValue):
            return cls()
        if get_origin(declared) is AsyncIterator or inspect.isasyncgenfunction(function):
            raise TypeError("it yields; a skill returns one value, for example a list")
        try:
            adapter = TypeAdapter[Any](declared)
        except PydanticUserError as error:
            if error.code == "typed-dict-version":  # nobody can check it before Python 3.12
                return cls()
            raise
        adapter.json_schema(mode="serialization", schema_generator=_Described)
        return cls(adapter)

    def schema(self) -> JsonObject | None:
        """Return its JSON Schema; None: anything."""
        if self.adapter is None:
            return None
        described = self.adapter.json_schema(mode="serialization", schema_generator=_Described)
        return {name: each for name, each in described.items() if name != "title"}

    def checked(self, skill: str, result: Any) -> JsonValue:
        """Return ``result`` as JSON: models, dates and the like are written as such.

        Raises
            NotJson: it cannot be.
            OutputRejected: it is not what the skill says it returns.
        """
        plain = _plain(result)
        if self.adapter is None:
            return plain
        try:
            # As a reader of the JSON would: a tuple is a list, a date its text, but "3" is no number.
            self.adapter.validate_json(json.dumps(plain), strict=True)
        except ValidationError as error:
            if not self._is_one(result):
                raise OutputRejected(skill, _problems(error, of="the result")) from None
        return plain

    def _is_one(self, result: Any) -> bool:
        """Whether ``result`` is right though its JSON cannot be read back: its model has aliases."""
        assert self.adapter is not None  # noqa: S101  asked by `checked` alone
        try:
            self.adapter.validate_python(result, strict=True)
            self.adapter.dump_python(result, mode="json", warnings="error")
        except (ValidationError, PydanticSerializationError):
            return False
        return True


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    """Return the types that ``function`` names, with pydantic's JSON in place of ours."""
    hints = get_type_hints(function, include_extras=True)
    for name, said in inspect.get_annotations(function, eval_str=True).items():
        if (plain := _with_json(said)) is not said:
            hints[name] = plain
    return hints


def _with_json(said: Any) -> Any:
    """Return the type ``said`` with what pydantic can read in place of our recursive types."""
    if said == JsonValue:
        return pydantic.JsonValue
    if said == JsonObject:
        return dict[str, pydantic.JsonValue]
    origin, arguments = get_origin(said), get_args(said)
    if origin is None or origin is Literal:
        return said
    inside = [_with_json(each) for each in arguments]
    if all(new is old for new, old in zip(inside, arguments, strict=True)):
        return said
    if origin in (Union, UnionType):
        return reduce(or_, inside)
    return Annotated[tuple(inside)] if origin is Annotated else origin[tuple(inside)]


def _awaited(declared: Any) -> Any:
    """Return what awaiting gives, of a plain function that says it returns something awaitable."""
    if declared is None:
        return NoneType
    if get_origin(declared) in (Awaitable, Coroutine):
        return get_args(declared)[-1]
    return declared


def _plain(result: Any) -> JsonValue:
    try:
        return check_json(_ANYTHING.dump_python(result, mode="json", warnings=False))
    except NotJson:
        raise
    except Exception as error:
        raise NotJson("", str(error)) from error


def _problems(error: ValidationError, *, of: str = "") -> list[str]:
    """Return what is wrong, by field; never what was given, which may be a secret."""
    return [
        f"{_place(each) or of}: {each['msg']}"
        for each in error.errors(include_url=False, include_input=False)
    ]


def _place(found: ErrorDetails) -> str:
    return ".".join(str(part) for part in found["loc"])
