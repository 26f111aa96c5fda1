"""The five error families, for extensions to raise and for callers to catch."""

from higherself.kernel.errors import (
    Conflict,
    HigherSelfError,
    Misconfigured,
    NotFound,
    Rejected,
    Unavailable,
)

__all__ = ["Conflict", "HigherSelfError", "Misconfigured", "NotFound", "Rejected", "Unavailable"]
