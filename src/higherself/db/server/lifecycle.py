"""Bring the server of a home up, whatever state it is found in, and let it go again.

Every function here expects its caller to hold ``start.lock``.
"""

import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from higherself.db.errors import translate
from higherself.db.server import creation, files, preparation, process
from higherself.db.server.account import server_account
from higherself.db.server.errors import NoAnswer, ServerFailed, explain_output
from higherself.db.server.home import (
    DATABASE,
    ROLE,
    SOCKET_NAME,
    SUPERUSER,
    Layout,
    Passwords,
    close_socket_folder,
    connection_url,
    keep_passwords,
    open_socket_folder,
    socket_folder_of_server,
)
from higherself.db.server.locks import FileLock
from higherself.db.server.programs import Programs, find_programs, has_lz4, programs_for
from higherself.db.server.settings import choose_settings, read_machine
from higherself.kernel.clock import SYSTEM_CLOCK, Clock

Report = Callable[[str], None]

_LOG_LIMIT_BYTES = 10_000_000
_REPORT_SECONDS = 2.0
_ORPHAN_SECONDS = 5.0
_SILENCE_SECONDS = 60.0
"""How long a server may stay silent that says it is ready. To become ready it may take forever."""


@dataclass(frozen=True)
class Access:
    """How to get in."""

    passwords: Passwords
    socket_folder: Path

    @property
    def url(self) -> str:
        """For the program: our role in our database."""
        return connection_url(self.socket_folder, ROLE, self.passwords.role, DATABASE)

    def admin_url(self, database: str = SUPERUSER) -> str:
        """For the superuser, who has a database of the same name."""
        return connection_url(self.socket_folder, SUPERUSER, self.passwords.superuser, database)


class Progress:
    """Says every two seconds that something still goes on."""

    def __init__(self, report: Report, clock: Clock = SYSTEM_CLOCK) -> None:
        self._report, self._clock = report, clock
        self._since = clock.monotonic()
        self._due_seconds = _REPORT_SECONDS

    @property
    def seconds(self) -> float:
        """How long it has gone on."""
        return self._clock.monotonic() - self._since

    def tick(self, what: Callable[[], str]) -> None:
        """Report ``what`` if it is time."""
        if self.seconds >= self._due_seconds:
            self._due_seconds += _REPORT_SECONDS
            self._report(f"{what()}: {self.seconds:.0f} s")


def bring_up(layout: Layout, report: Report) -> Access:
    """Return how to reach the home's server, started and prepared if it was not.

    Raises
        Misconfigured, Unavailable: see `server.errors`. A server may have been started.
    """
    files.cap(layout.log, limit_bytes=_LOG_LIMIT_BYTES)
    passwords = keep_passwords(layout)
    progress = Progress(report)
    with FileLock(layout.server_lock) as lock:
        while True:
            if lock.try_exclusive():
                access = _start(layout, passwords, lock, report)
                report(f"PostgreSQL is ready after {progress.seconds:.2f} s")
                return access
            found = _join(layout, passwords, progress)
            if found is not None:
                return found
            process.pause()


def let_go(layout: Layout, holders: FileLock) -> None:
    """End this hold on the server; the last one to do so stops it.

    Raises
        ServerFailed: it does not stop. The hold has ended nevertheless.
    """
    try:
        if holders.try_exclusive():
            process.halt(layout)
            close_socket_folder(layout)
    finally:
        holders.close()


def log_phase(log: str) -> str:
    """Return what a server that is not ready yet is doing, by what it wrote since its start.

    >>> log_phase("LOG:  database system was not properly shut down; automatic recovery ...")
    'PostgreSQL is recovering after a crash'
    """
    signs = ("was interrupted", "not properly shut down", "redo starts")
    crashed = any(sign in log for sign in signs)
    return "PostgreSQL is recovering after a crash" if crashed else "PostgreSQL is starting"


def _start(layout: Layout, passwords: Passwords, lock: FileLock, report: Report) -> Access:
    """Start the server and wait until it is ready. There is no process of an earlier one."""
    account = server_account(layout.folder, layout.data)
    programs = programs_for(account, report)
    creation.remove_unfinished(layout)
    if not creation.has_data(layout):
        report(f"creating the database in {layout.data} (only once)")
        creation.create_data(layout, account, programs, passwords.superuser)
    creation.check_data(layout, account, programs)
    _remove_stale_pid_file(layout)
    access = Access(passwords, open_socket_folder(layout, account))
    settings = choose_settings(read_machine(has_lz4=has_lz4(find_programs())))
    report(f"starting PostgreSQL {programs.release}")
    written = files.size(layout.log)
    server = process.launch(layout, account, programs, access.socket_folder, settings, lock)
    with _ready(layout, access, server, written, Progress(report)) as admin:
        _prepare(admin, access, programs, report)
    return access


def _ready(
    layout: Layout,
    access: Access,
    server: subprocess.Popen[bytes],
    written: int,
    progress: Progress,
) -> preparation.Superuser:
    """Wait until the server accepts a connection, for as long as it lives, and return one."""
    ready_at: float | None = None
    while True:
        if server.returncode is not None:
            raise explain_output(files.text_from(layout.log, written), layout.log)
        found = process.read_pid_file(layout)
        if found is not None and found.pid == server.pid and found.is_ready:
            ready_at = ready_at or progress.seconds
            try:
                return preparation.connect(access.admin_url())
            except NoAnswer:
                if progress.seconds - ready_at > _SILENCE_SECONDS:
                    raise
        progress.tick(lambda: log_phase(files.text_from(layout.log, written)))
        process.pause()


def _join(layout: Layout, passwords: Passwords, progress: Progress) -> Access | None:
    """Return how to reach the server that runs, or None if it has to be looked at again."""
    access = Access(passwords, socket_folder_of_server(layout) or layout.folder / "run")
    postmaster = process.live_postmaster(layout)
    if postmaster is not None and not postmaster.is_ready:
        progress.tick(lambda: "waiting for PostgreSQL, which another process starts or stops")
        return None
    if postmaster is not None and not (access.socket_folder / SOCKET_NAME).exists():
        process.halt(layout)  # somebody removed its socket: no one will ever reach it again
        return None
    try:
        with preparation.connect(access.admin_url()) as admin:
            _prepare(admin, access, find_programs(), lambda line: None)
            return access
    except NoAnswer as error:
        if progress.seconds > _SILENCE_SECONDS:
            raise ServerFailed(
                f"{error}, although its processes live; stop it with `higherself db stop`"
            ) from error
    if postmaster is None:
        patient = progress.seconds < _ORPHAN_SECONDS
        process.end_orphans(layout, signal.SIGQUIT if patient else signal.SIGKILL)
    progress.tick(lambda: "waiting for PostgreSQL to answer")
    return None


def _remove_stale_pid_file(layout: Layout) -> None:
    """Remove the pid file of a server that is gone.

    PostgreSQL would too, except when another process of the account has its pid now, or when it
    still stands in the process table because nobody took note of its end.
    """
    stranger = process.live_postmaster(layout)
    if stranger is not None:
        raise ServerFailed(
            f"process {stranger.pid} already runs PostgreSQL in {layout.data}, and it was not "
            "started by this program; stop it first"
        )
    layout.pid_file.unlink(missing_ok=True)


def _prepare(
    admin: preparation.Superuser, access: Access, programs: Programs, report: Report
) -> None:
    """Make the server ours unless it is already."""
    try:
        if preparation.is_prepared(admin, programs.version):
            return
        report("preparing the database")
        preparation.prepare_server(admin, access.passwords.role)
        with preparation.connect(access.admin_url(DATABASE)) as inside:
            preparation.prepare_database(inside)
            preparation.mark_prepared(inside, programs.version)
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise translate(error) or ServerFailed(
            f"the database could not be prepared: {reason}"
        ) from error
