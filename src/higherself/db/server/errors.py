"""What can go wrong with our own server, and what to do about it."""

import errno
from pathlib import Path

from higherself.db.errors import DatabaseFull
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable

ELSEWHERE = "or set DATABASE_URL to a PostgreSQL server of your own"


class ProgramsMissing(Misconfigured):
    """The PostgreSQL programs are not installed, or there are none for this platform."""


class HomeUnusable(Misconfigured):
    """The home folder, or something in it, cannot be used as it is."""


class AccountUnusable(Misconfigured):
    """PostgreSQL cannot run under the account it would have to."""


class DataOfAnotherVersion(Misconfigured):
    """The data folder was made by another major version of PostgreSQL."""

    def __init__(self, data: Path, *, found: str, needed: str) -> None:
        super().__init__(
            f"{data} was made by PostgreSQL {found}, and this installation brings {needed}; "
            f"install the release that made it, export with `pg_dump`, move {data} away, and "
            f"import with `pg_restore` into the new one, {ELSEWHERE}"
        )
        self.data, self.found, self.needed = data, found, needed


class ServerFailed(Unavailable):
    """The server did not start, does not answer or does not stop."""


class NoAnswer(ServerFailed):
    """The server accepts no connection at this moment."""


_NOT_OURS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
_NOT_A_FOLDER = frozenset({errno.ENOTDIR, errno.EEXIST, errno.EISDIR, errno.ELOOP})
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


def explain_os_error(error: OSError, home: Path) -> HigherSelfError:
    """Return what a failed system call under ``home`` means to the person who reads it."""
    what = f"{error.filename or home}: {error.strerror or error}"
    if error.errno in _NO_ROOM:
        return DatabaseFull(f"no room left for the database ({what}); free some space and retry")
    if error.errno in _NOT_OURS:
        return HomeUnusable(
            f"cannot keep a database in {home} ({what}); point HIGHERSELF_HOME to a folder that "
            f"this account may write to, run as the account that owns it, {ELSEWHERE}"
        )
    if error.errno in _NOT_A_FOLDER:
        return HomeUnusable(
            f"cannot keep a database in {home} ({what}); point HIGHERSELF_HOME to a folder"
        )
    return ServerFailed(f"the embedded PostgreSQL of {home} cannot run now ({what}); retry")


def explain_output(output: str, log: Path | None = None) -> HigherSelfError:
    """Return why a PostgreSQL program died, from what it wrote: the end of its ``log``, if any."""
    full = "\n".join(_useful(output)) or "nothing"
    if log is not None:
        full += f"\nThe whole log is {log}"
    if "No space left on device" in output or "Disk quota exceeded" in output:
        return DatabaseFull(
            f"PostgreSQL ran out of room; free some space and retry. It said:\n{full}"
        )
    if "could not look up effective user ID" in output:
        return AccountUnusable(
            "PostgreSQL wants to know the name of the account it runs under, and this one has "
            "none; add it to /etc/passwd (in a container image: `useradd --uid ...`), run as "
            f"another account, {ELSEWHERE}"
        )
    if "Permission denied" in output or "has invalid permissions" in output:
        return HomeUnusable(
            "PostgreSQL may not use its files; give them back to the account that runs it, "
            f"with mode 0700 for the data folder. It said:\n{full}"
        )
    if "is not compatible with this version" in output:
        return HomeUnusable(f"the data belongs to another PostgreSQL. It said:\n{full}")
    return ServerFailed(f"PostgreSQL ended before it was ready. It said:\n{full}")


def _useful(output: str, *, at_most: int = 8) -> list[str]:
    """Return the last lines that tell what went wrong, or just the last ones."""
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    telling = [
        line
        for line in lines
        if any(word in line for word in ("FATAL", "PANIC", "ERROR", "HINT", "DETAIL", "error:"))
    ]
    return (telling or lines)[-at_most:]
