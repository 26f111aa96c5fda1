"""One thing that was looked at, whether it is well, and what to do if not."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked. ``fix`` says what to do, when something is to be done.

    ``ok`` with a ``fix`` is advice: it works as it is, and better after that.
    """

    name: str
    ok: bool
    detail: str
    fix: str = ""
