"""HigherSelf Network Server: the automation behind a small service business.

The names below are the whole Python interface. They are looked up on first use, so that
``higherself --version`` costs no import of the machinery.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from higherself.agents.agent import Agent as Agent
    from higherself.agents.agent import agent as agent
    from higherself.agents.agent import handles as handles
    from higherself.agents.context import AgentContext as AgentContext
    from higherself.agents.model import AgentCard as AgentCard
    from higherself.agents.model import Task as Task
    from higherself.agents.skills import Cache as Cache
    from higherself.agents.skills import Retry as Retry
    from higherself.agents.skills import SkillCall as SkillCall
    from higherself.agents.skills import activity as activity
    from higherself.agents.skills import skill as skill
    from higherself.app.wiring import HigherSelf as HigherSelf

_HOMES = {
    "Agent": "higherself.agents.agent",
    "AgentCard": "higherself.agents.model",
    "AgentContext": "higherself.agents.context",
    "Cache": "higherself.agents.skills",
    "HigherSelf": "higherself.app.wiring",
    "Retry": "higherself.agents.skills",
    "SkillCall": "higherself.agents.skills",
    "Task": "higherself.agents.model",
    "activity": "higherself.agents.skills",
    "agent": "higherself.agents.agent",
    "handles": "higherself.agents.agent",
    "skill": "higherself.agents.skills",
}

__all__ = [
    "Agent",
    "AgentCard",
    "AgentContext",
    "Cache",
    "HigherSelf",
    "Retry",
    "SkillCall",
    "Task",
    "__version__",
    "activity",
    "agent",
    "handles",
    "skill",
]


def __getattr__(name: str) -> Any:
    """Import a public name from its home the first time it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
