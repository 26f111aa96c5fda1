"""The PostgreSQL that comes with the program: one server per home, shared by all its processes.

Whoever attaches first starts it, whoever leaves last stops it. There is no list of who uses it:
each process holds a lock that the kernel drops when the process dies, so a killed process never
keeps others waiting and never takes the server down with it. What the server consists of is in
`db.server`.
"""

import atexit
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from higherself.db.server import process
from higherself.db.server.errors import ServerFailed, explain_os_error
from higherself.db.server.home import Layout, close_socket_folder, socket_folder_of_server
from higherself.db.server.lifecycle import Access, Report, bring_up, let_go
from higherself.db.server.locks import FileLock
from higherself.kernel.clock import SYSTEM_CLOCK

_TURN_SECONDS = 5.0


@dataclass(frozen=True)
class Status:
    """What can be known about a home's server without starting it."""

    running: bool
    pid: int | None
    """None too while it starts, or when it runs in another container."""
    data: Path
    log: Path
    socket_folder: Path | None
    """Of the running server."""
    version: str | None
    """The major version of PostgreSQL that made the data; None if there are none yet."""
    size_bytes: int


class EmbeddedPostgres:
    """One process's hold on the server of one home. Get one with `attach`.

    A forked child does not share the hold of its parent: it attaches for itself.
    """

    def __init__(self, layout: Layout, access: Access, holders: FileLock, report: Report) -> None:
        self._layout, self._access, self._holders, self._report = layout, access, holders, report
        self._owner = os.getpid()
        self._closing = threading.RLock()  # a signal may interrupt close() and call it too
        self._is_open = True
        atexit.register(self.close)

    @classmethod
    def attach(cls, home: Path, *, report: Report = lambda line: None) -> Self:
        """Return a hold on the server of ``home``, which answers when this returns.

        Creates the home and its database, starts the server and waits as long as it takes, while
        ``report`` gets a line for a person from time to time.

        Raises
            Misconfigured: a person has to change something; the text says what.
            Unavailable: it does not work now (no room left, server died); the text says why.
        """
        layout = Layout.of(home)
        with _explained(layout):
            layout.make_folders()
            holders = FileLock(layout.holders_lock)
            try:
                with _turn(layout, report):
                    access = _hold(layout, holders, report)
            except BaseException:
                holders.close()
                raise
            return cls(layout, access, holders, report)

    @property
    def url(self) -> str:
        """The connection URL for the program: role and database ``higherself``, with password."""
        return self._access.url

    @property
    def admin_url(self) -> str:
        """The connection URL of the superuser, with password."""
        return self._access.admin_url()

    def close(self) -> None:
        """Leave; the last one stops the server. May be called again, and never fails.

        Until then the server runs on when this process is killed; the next one to attach and
        leave stops it.
        """
        with self._closing:
            was_open, self._is_open = self._is_open, False
        if not was_open:
            return
        atexit.unregister(self.close)
        if os.getpid() != self._owner:
            return  # a forked child has lost the hold already
        try:
            with FileLock(self._layout.start_lock, create=False) as turn:
                if _comes(turn):
                    let_go(self._layout, self._holders)
        except (OSError, ServerFailed) as error:
            self._report(f"leaving PostgreSQL: {error}")
        finally:
            self._holders.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def status(home: Path) -> Status:
    """Return what is known about the server of ``home``. Starts and creates nothing."""
    layout = Layout.of(home)
    with _explained(layout):
        running = process.is_alive(layout)
        postmaster = process.live_postmaster(layout)
        return Status(
            running=running,
            pid=postmaster.pid if postmaster is not None else None,
            data=layout.data,
            log=layout.log,
            socket_folder=socket_folder_of_server(layout) if running else None,
            version=_version(layout),
            size_bytes=_size_of_tree(layout.data),
        )


def stop(home: Path) -> bool:
    """Stop the server of ``home`` even if it is in use, and return whether it was running.

    Raises
        Unavailable: it does not stop.
    """
    layout = Layout.of(home)
    with _explained(layout):
        if not process.is_alive(layout):
            return False
        was_running = process.halt(layout)
        close_socket_folder(layout)
        return was_running


def _hold(layout: Layout, holders: FileLock, report: Report) -> Access:
    holders.lock_shared()
    try:
        return bring_up(layout, report)
    except BaseException:
        let_go(layout, holders)
        raise


@contextmanager
def _turn(layout: Layout, report: Report) -> Iterator[None]:
    """Be the only one, for the length of the block, who starts or stops the server."""
    with FileLock(layout.start_lock) as lock:
        if not lock.try_exclusive():
            report("waiting for another process, which starts or stops PostgreSQL")
            lock.lock_exclusive()
        yield


def _comes(turn: FileLock) -> bool:
    """Wait for our turn to leave, but not for long, and return whether it came.

    Others who leave while we hold need it for an instant. Whoever keeps it longer brings the
    server up again for itself, after a crash, and is left to stop it.
    """
    until = SYSTEM_CLOCK.monotonic() + _TURN_SECONDS
    while not turn.try_exclusive():
        if SYSTEM_CLOCK.monotonic() > until:
            return False
        process.pause()
    return True


@contextmanager
def _explained(layout: Layout) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise explain_os_error(error, layout.home) from error


def _version(layout: Layout) -> str | None:
    try:
        return (layout.data / "PG_VERSION").read_text(encoding="ascii").strip()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _size_of_tree(folder: Path) -> int:
    total = 0
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                continue  # the server removes files as it pleases
    return total
