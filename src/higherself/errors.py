"""The families of errors, for those who write skills: `Rejected` is never retried."""

from higherself.kernel.errors import (
    Conflict,
    HigherSelfError,
    Misconfigured,
    NotFound,
    Rejected,
    Unavailable,
)

__all__ = ["Conflict", "HigherSelfError", "Misconfigured", "NotFound", "Rejected", "Unavailable"]
