"""The skills that are open to others: assistants (MCP) and agents elsewhere (A2A)."""

from collections.abc import Mapping
from typing import Literal

from higherself.agents.skills import Skill, SkillCall, SkillUnknown
from higherself.app.wiring import HigherSelf
from higherself.kernel.jsonvalue import JsonValue
from higherself.services.knowledge_skill import search_skill

Offering = Literal["read", "all"]
"""Whether only what looks is open, or also what changes something."""


class OpenSkills:
    """Those of the skills that are installed, and the search, that others may use.

    What is only for certain agents or states is not. With ``only``, it is one business's.
    """

    def __init__(self, hs: HigherSelf, offering: Offering, *, only: str | None = None) -> None:
        search = search_skill(hs.knowledge, only=only)
        installed = {**hs.hosted.extensions.skills, search.name: search}
        self.skills: Mapping[str, Skill] = {
            name: installed[name] for name in sorted(installed) if _open(installed[name], offering)
        }
        self._hs, self._search = hs, search

    async def run(self, name: str, given: Mapping[str, JsonValue], call: SkillCall) -> JsonValue:
        """Return what the skill makes of ``given``; see `agents.ports.Skills`.

        Raises
            SkillUnknown: there is none of this name, or it is not open.
            Exception: as of any run of it.
        """
        if name not in self.skills:
            raise SkillUnknown(name, self.skills)
        if name == self._search.name:
            return await self._search.run(given, call)
        return await self._hs.skills.run(name, given, call)


def reads(skill: Skill) -> bool:
    """Whether it only looks."""
    return skill.effects in ("pure", "read") and not skill.irreversible


def _open(skill: Skill, offering: Offering) -> bool:
    return not skill.agents and not skill.states and (offering == "all" or reads(skill))
