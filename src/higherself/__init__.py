"""HigherSelf Network Server: the automation behind a small service business.

The names below are the whole Python interface. They are looked up on first use, so that
``higherself --version`` costs no import of the machinery.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf as HigherSelf

_HOMES = {"HigherSelf": "higherself.app.wiring"}

__all__ = ["HigherSelf", "__version__"]


def __getattr__(name: str) -> Any:
    """Import a public name from its home the first time it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
