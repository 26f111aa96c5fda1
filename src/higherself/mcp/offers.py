"""Skills as MCP tools: what is said of each."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mcp_types import Tool, ToolAnnotations

from higherself.agents.skills import Skill
from higherself.app.open_skills import reads
from higherself.kernel import telemetry
from higherself.kernel.jsonvalue import JsonObject, JsonValue

CACHE = "network.higherself/cache"
"""In a tool's ``_meta``: how long its result is good for the same arguments."""

RESULT = "result"
"""Under this name stands a result that is no object: before 2026-07-28 it has to be one."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,128}")


@dataclass(frozen=True, slots=True)
class Offer:
    """A skill, and the tool that it is for assistants. ``wrapped``: its result stands in an object."""

    skill: Skill
    tool: Tool
    wrapped: bool

    def structured(self, result: JsonValue) -> Any:
        """Return ``result`` as the output schema has it; None if there is none for it."""
        if self.wrapped:
            return {RESULT: result}
        return result if isinstance(result, Mapping) else None


def offers_of(skills: Iterable[Skill]) -> dict[str, Offer]:
    """Return skills as tools, by name. One whose name MCP does not allow is left out, with a warning."""
    found: dict[str, Offer] = {}
    for each in skills:
        if not _NAME.fullmatch(each.name):
            telemetry.warning("mcp.skill.left_out", skill=each.name, reason="the name is no tool's")
            continue
        found[each.name] = offer_of(each)
    return found


def offer_of(skill: Skill) -> Offer:
    """Return one skill as a tool."""
    output, wrapped = _output(skill.output_schema)
    tool = Tool(
        name=skill.name,
        title=skill.name.replace("_", " ").capitalize(),
        description=skill.description or f"The skill {skill.name}.",
        input_schema=dict(skill.schema),
        output_schema=output,
        annotations=ToolAnnotations(
            read_only_hint=reads(skill),
            destructive_hint=skill.irreversible,
            idempotent_hint=skill.idempotent or reads(skill),
            open_world_hint=skill.egress or skill.effects == "external",
        ),
        _meta=_cache(skill),
    )
    return Offer(skill, tool, wrapped)


def _output(schema: JsonObject | None) -> tuple[dict[str, Any] | None, bool]:
    """Return the schema of an object, and whether the result has to be put into one."""
    if schema is None:
        return None, False
    if schema.get("type") == "object":
        return dict(schema), False
    inner = {key: value for key, value in schema.items() if key != "$defs"}
    outer: dict[str, Any] = {
        "type": "object",
        "properties": {RESULT: inner},
        "required": [RESULT],
    }
    return (outer | {"$defs": schema["$defs"]} if "$defs" in schema else outer), True


def _cache(skill: Skill) -> dict[str, Any] | None:
    """Return the cache policy in the words of the protocol, which has no place for it of its own."""
    if skill.cache is None:
        return None
    milliseconds = int(skill.cache.lifetime.total_seconds() * 1000)
    return {CACHE: {"ttlMs": milliseconds, "cacheScope": "private"}}
