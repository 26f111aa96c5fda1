"""What a message from elsewhere asks for: who is to do it, and what goes to him. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from a2a.types.a2a_pb2 import Message, Part
from a2a.utils.errors import ContentTypeNotSupportedError, InvalidParamsError
from google.protobuf.json_format import MessageToDict, SerializeToJsonError

from higherself.agents.runtime import DESK
from higherself.agents.skills import Skill
from higherself.kernel.jsonvalue import JsonValue

SKILLS = "a2a.skills"
"""The topic of skills to be run for somebody elsewhere."""

TYPE = "a2a.message"
"""The type of a message to an agent that does not say one."""

TEXT, LONGEST = "text", 200
_EXACT = 2**53


@dataclass(frozen=True, slots=True)
class Ask:
    """A message of ours that does what is asked."""

    to: str
    type: str
    data: JsonValue


def ask_of(message: Message, skills: Mapping[str, Skill]) -> Ask:
    """Return what ``message`` asks for; ``skills`` are those that are open.

    ``metadata.skill`` says who: an id of the card, or ``agent:NAME``, ``role:NAME``. Without it, it
    is routed by ``metadata.type``.

    Raises
        ContentTypeNotSupportedError: a part is a file.
        InvalidParamsError: it is not clear what is asked for; the text names the field.
    """
    try:
        metadata: dict[str, Any] = MessageToDict(message.metadata)
    except SerializeToJsonError as error:
        raise InvalidParamsError(f"message.metadata: {error}") from None
    who, type_ = metadata.get("skill"), metadata.get("type", TYPE)
    if not isinstance(type_, str) or not 0 < len(type_) <= LONGEST:
        raise InvalidParamsError("message.metadata.type: it must be the type of a message")
    if who is not None and not isinstance(who, str):
        raise InvalidParamsError("message.metadata.skill: it must be the id of a skill of the card")
    data, text = _given(message)
    if who is None:
        return Ask(f"topic:{DESK}", type_, _joined(data, text))
    kind, _, name = who.partition(":")
    if kind == "skill":
        if name not in skills:
            raise InvalidParamsError(
                f"message.metadata.skill: there is no skill {name!r} here, or it is not open; the "
                "agent card lists those there are"
            )
        return Ask(
            f"topic:{SKILLS}", SKILLS, {"skill": name, "input": _input(skills[name], data, text)}
        )
    if kind not in ("agent", "capability", "role") or not name:
        raise InvalidParamsError(
            f"message.metadata.skill: {who[:60]!r} is no id of the agent card; these begin with "
            "capability:, agent: or skill:"
        )
    return Ask(who, type_, _joined(data, text))


def _given(message: Message) -> tuple[list[Any], str]:
    data, texts = [], []
    for number, part in enumerate(message.parts):
        match part.WhichOneof("content"):
            case "text":
                texts.append(part.text)
            case "data":
                data.append(_whole(_plain(part, number)))
            case _:
                raise ContentTypeNotSupportedError(
                    f"message.parts[{number}]: only texts and data are taken, no files"
                )
    return data, "\n".join(texts)


def _plain(part: Part, number: int) -> Any:
    try:
        return MessageToDict(part)["data"]
    except SerializeToJsonError as error:
        raise InvalidParamsError(f"message.parts[{number}].data: {error}") from None


def _whole(value: Any) -> Any:
    """Return ``value`` with whole numbers as such: on the way every number became a fraction."""
    match value:
        case float() if value.is_integer() and abs(value) < _EXACT:
            return int(value)
        case list():
            return [_whole(each) for each in value]
        case dict():
            return {name: _whole(each) for name, each in value.items()}
        case _:
            return value


def _joined(data: list[Any], text: str) -> JsonValue:
    """Return one object: that of the data, with the text under ``text``."""
    whole: dict[str, Any]
    if len(data) == 1 and isinstance(data[0], dict):
        whole = dict(data[0])
    else:
        whole = {"data": data} if data else {}
    return {TEXT: text, **whole} if text else whole


def _input(skill: Skill, data: list[Any], text: str) -> JsonValue:
    """Return the input of a skill; a text alone is that of the only text that it needs."""
    if data:
        return _joined(data, "")
    properties: Any = skill.schema.get("properties", {})
    required: Any = skill.schema.get("required", [])
    needed = [name for name in required if properties.get(name, {}).get("type") == "string"]
    if text and len(required) == len(needed) == 1:
        return {needed[0]: text}
    if text:
        raise InvalidParamsError(
            f"message.parts: the skill {skill.name} takes an object; give it as a data part with "
            f"{', '.join(map(repr, required)) or 'its fields'}"
        )
    return {}
