"""Locks between processes that the kernel lets go when their holder dies, however it dies.

Each `FileLock` is one open file description, and ``flock`` belongs to the description: two of
them in one process exclude each other as two processes do. Python opens files non-inheritable,
so a program we start never holds a lock by accident, only through ``pass_fds``; a forked child
of ours closes its copies at once, or it would hold the locks for as long as it lives.
"""

import fcntl
import os
import weakref
from pathlib import Path
from types import TracebackType
from typing import Self

from higherself.db.server import files


class FileLock:
    """One hold on a lock file, at first not locked."""

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self.fd = files.open_private(path, os.O_RDWR, create=create)
        _OPEN.add(self)

    def lock_exclusive(self) -> None:
        """Wait until nobody else holds the lock at all."""
        fcntl.flock(self.fd, fcntl.LOCK_EX)

    def lock_shared(self) -> None:
        """Wait until nobody holds the lock exclusively."""
        fcntl.flock(self.fd, fcntl.LOCK_SH)

    def try_exclusive(self) -> bool:
        """Take the lock exclusively if nobody else holds it; a shared hold may be lost if not."""
        return self._try(fcntl.LOCK_EX)

    def try_shared(self) -> bool:
        """Take the lock shared if nobody holds it exclusively."""
        return self._try(fcntl.LOCK_SH)

    def close(self) -> None:
        """Let go. A program that was passed the descriptor keeps its hold."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _try(self, operation: int) -> bool:
        try:
            fcntl.flock(self.fd, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True


_OPEN = weakref.WeakSet[FileLock]()


def _close_in_child() -> None:
    for lock in list(_OPEN):
        lock.close()


os.register_at_fork(after_in_child=_close_in_child)
