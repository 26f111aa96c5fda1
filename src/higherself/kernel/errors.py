"""The five families of errors.

A family alone decides the exit code of a command, the HTTP status of an answer and whether
trying again makes sense. A concrete error names its case, keeps the facts as attributes and
tells the reader what to do.
"""

from typing import ClassVar


class HigherSelfError(Exception):
    """Anything this program knows how to explain. Raise one of the families below, not this."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


class Misconfigured(HigherSelfError):
    """A setting, a command line or the installation is wrong; a person has to change it."""

    exit_code = 2
    http_status = 500


class NotFound(HigherSelfError):
    """The thing that was named does not exist (or is not visible to the one who asks)."""

    exit_code = 3
    http_status = 404


class Conflict(HigherSelfError):
    """What is stored has moved on; read it again, then decide again."""

    exit_code = 4
    http_status = 409


class Rejected(HigherSelfError):
    """The input cannot be accepted as it is; trying again with the same input never helps."""

    exit_code = 5
    http_status = 422


class Unavailable(HigherSelfError):
    """Something we depend on does not answer now; the same call may work later."""

    exit_code = 6
    http_status = 503


FAMILIES: tuple[type[HigherSelfError], ...] = (
    Misconfigured,
    NotFound,
    Conflict,
    Rejected,
    Unavailable,
)
