"""A skill as a tool that a language model may call while it works on an ask."""

from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import RootModel

from higherself.agents.llm.model import Tool
from higherself.agents.skills.model import Skill
from higherself.kernel.jsonvalue import JsonValue

Run = Callable[..., Awaitable[JsonValue]]
"""Runs a skill by name, with its parameters; see `AgentContext.skill`."""


def tool_of(skill: Skill, run: Run) -> Tool:
    """Return ``skill`` as a tool. It is harmless if it only looks, and nothing leaves for it."""

    class Given(RootModel[dict[str, Any]]):
        @classmethod
        def model_json_schema(cls, *args: Any, **more: Any) -> dict[str, Any]:
            return dict(skill.schema)

    async def ran(given: Any) -> JsonValue:
        return await run(skill.name, **given.root)

    return Tool(
        name=skill.name,
        description=skill.description,
        input=Given,
        run=ran,
        harmless=skill.effects in ("pure", "read") and not skill.irreversible and not skill.egress,
    )
