"""HigherSelf Network Server: the automation behind a small service business.

The names below are the whole Python interface. They are looked up on first use, so that
``higherself --version`` costs no import of the machinery.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from higherself.agents.skills import SkillCall as SkillCall
    from higherself.agents.skills import activity as activity
    from higherself.agents.skills import skill as skill
    from higherself.app.wiring import HigherSelf as HigherSelf

_HOMES = {
    "HigherSelf": "higherself.app.wiring",
    "SkillCall": "higherself.agents.skills",
    "activity": "higherself.agents.skills",
    "skill": "higherself.agents.skills",
}

__all__ = ["HigherSelf", "SkillCall", "__version__", "activity", "skill"]


def __getattr__(name: str) -> Any:
    """Import a public name from its home the first time it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
