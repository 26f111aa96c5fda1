"""Skills: typed functions that workflows and agents run by name. ``@skill`` makes one of a function.

    @skill(description="Append a line to a file", irreversible=True)
    async def record(path: str, line: str, call: SkillCall) -> dict:
        ...

The types of the parameters make the schema that input is checked against, the return annotation
that of what comes out. A parameter named ``call`` gets the `SkillCall`. A plain function runs in a
thread.
"""

from higherself.agents.skills.declare import activity, skill, skills_in
from higherself.agents.skills.errors import (
    InputRejected,
    NotStarted,
    OutcomeUnknown,
    OutputRejected,
    PackageMistaken,
    SkillFailed,
    SkillForbidden,
    SkillMistaken,
    SkillsTooDeep,
    SkillTimedOut,
    SkillUnknown,
)
from higherself.agents.skills.model import Cache, Effects, Example, Log, Retry, Skill, SkillCall
from higherself.agents.skills.registry import SkillRegistry

__all__ = [
    "Cache",
    "Effects",
    "Example",
    "InputRejected",
    "Log",
    "NotStarted",
    "OutcomeUnknown",
    "OutputRejected",
    "PackageMistaken",
    "Retry",
    "Skill",
    "SkillCall",
    "SkillFailed",
    "SkillForbidden",
    "SkillMistaken",
    "SkillRegistry",
    "SkillTimedOut",
    "SkillUnknown",
    "SkillsTooDeep",
    "activity",
    "skill",
    "skills_in",
]
