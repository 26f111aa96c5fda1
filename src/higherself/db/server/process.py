"""The processes of one server: who they are, how to start and how to end them.

The server inherits a locked descriptor of ``server.lock``, and so do all its children. Whoever can
take that lock knows that not one process of the server is left, whatever pid files say, after
crashes, reboots and in other containers too.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from higherself.db.server import files
from higherself.db.server.account import Account
from higherself.db.server.errors import ServerFailed
from higherself.db.server.home import Layout
from higherself.db.server.locks import FileLock
from higherself.db.server.programs import Programs, environment
from higherself.kernel.clock import SYSTEM_CLOCK

_POLL_SECONDS = 0.005
_Ending = tuple[signal.Signals, float]
_ENDINGS: tuple[
    _Ending, ...
] = (  # how to end a server, and how many seconds to leave it before the next one
    (signal.SIGINT, 60.0),  # roll back, write everything, leave
    (signal.SIGQUIT, 10.0),  # leave at once; the next start recovers
    (signal.SIGKILL, 10.0),
)


@dataclass(frozen=True)
class PidFile:
    """What the server tells about itself in ``postmaster.pid``."""

    pid: int
    is_ready: bool


def parse_pid_file(text: str) -> PidFile | None:
    r"""Return what a pid file says, or None if it is not (yet) whole.

    Source: PostgreSQL's ``miscadmin.h``: the pid is the first line, the status the eighth.

    >>> parse_pid_file("42\n/data\n1\n5432\n/run\n\n 1 2\nready   \n")
    PidFile(pid=42, is_ready=True)
    """
    lines = text.splitlines()
    if not lines or not lines[0].strip().isdigit():
        return None
    return PidFile(int(lines[0]), is_ready=len(lines) > 7 and lines[7].strip() == "ready")


def read_pid_file(layout: Layout) -> PidFile | None:
    """Return what the pid file of this home says, or None if there is none."""
    try:
        return parse_pid_file(layout.pid_file.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return None


def live_postmaster(layout: Layout) -> PidFile | None:
    """Return the pid file if the process it names lives and is the server of this home."""
    found = read_pid_file(layout)
    return found if found is not None and works_in(found.pid, layout.data) else None


def works_in(pid: int, folder: Path) -> bool:
    """Whether process ``pid`` lives and its working folder is ``folder``: PostgreSQL's does."""
    if sys.platform == "linux":
        try:
            return os.path.samestat(os.stat(f"/proc/{pid}/cwd"), os.stat(folder))
        except OSError:
            return False  # dead, a zombie, or somebody else's
    answer = subprocess.run(  # noqa: S603  fixed words and a number
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return "postgres" in answer.stdout


def processes_in(folder: Path) -> Iterator[int]:
    """Yield every process we can see that works in ``folder``."""
    if sys.platform == "linux":
        for entry in os.listdir("/proc"):
            if entry.isdigit() and works_in(int(entry), folder):
                yield int(entry)


def is_alive(layout: Layout) -> bool:
    """Whether any process of this home's server lives. Changes nothing."""
    try:
        lock = FileLock(layout.server_lock, create=False)
    except FileNotFoundError:
        return False
    with lock:
        return not lock.try_shared()


def launch(
    layout: Layout,
    account: Account,
    programs: Programs,
    socket_folder: Path,
    settings: Mapping[str, str],
    lock: FileLock,
) -> subprocess.Popen[bytes]:
    """Start the server and return at once. It keeps ``lock`` locked for as long as it lives."""
    with ExitStack() as stack:
        data, data_fds = stack.enter_context(account.way_into(layout.data))
        sockets, socket_fds = stack.enter_context(account.way_into(socket_folder))
        log = files.open_private(layout.log, os.O_WRONLY | os.O_APPEND)
        stack.callback(os.close, log)
        options = {"unix_socket_directories": _quoted(sockets)} | dict(settings)
        process = subprocess.Popen(  # noqa: S603  our own program
            [
                programs.path("postgres"),
                *("-D", data),
                *(part for name, value in options.items() for part in ("-c", f"{name}={value}")),
            ],
            **account.run_as,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=environment(),
            pass_fds=(*data_fds, *socket_fds, lock.fd),
            start_new_session=True,
        )
    # Somebody has to take note of its end, or a dead server stays in the process table and looks
    # alive to the next one.
    threading.Thread(target=process.wait, name="postgres-reaper", daemon=True).start()
    return process


def halt(layout: Layout) -> bool:
    """End every process of this home's server and return whether there was one.

    Raises
        ServerFailed: it resisted, or runs where we cannot see it (another container).
    """
    with FileLock(layout.server_lock) as lock:
        if lock.try_exclusive():
            return False
        victims, endings = _victims(layout)
        for kind, patience in endings:
            _signal(victims, kind, layout.data)
            until = SYSTEM_CLOCK.monotonic() + patience
            while SYSTEM_CLOCK.monotonic() < until:
                if lock.try_exclusive():
                    return True
                if victims and not any(works_in(pid, layout.data) for pid in victims):
                    return True  # and the next server is running already
                pause()
    raise ServerFailed(
        f"the server of {layout.home} does not stop; processes of another container may use it, "
        f"or the disk does not answer: see {layout.log}"
    )


def end_orphans(layout: Layout, kind: signal.Signals) -> None:
    """End what a killed server left behind: such processes serve nobody and block the next one."""
    _signal(list(processes_in(layout.data)), kind, layout.data)


def pause() -> None:
    """Let a few milliseconds pass before looking again."""
    threading.Event().wait(_POLL_SECONDS)


def _victims(layout: Layout) -> tuple[list[int], tuple[_Ending, ...]]:
    """Return whom to end, and how: the postmaster ends its children, orphans end themselves.

    Chosen once, so that a server that another process starts meanwhile is left alone.
    """
    postmaster = live_postmaster(layout)
    if postmaster is not None:
        return [postmaster.pid], _ENDINGS
    return list(processes_in(layout.data)), _ENDINGS[1:]


def _signal(pids: list[int], kind: signal.Signals, folder: Path) -> None:
    for pid in pids:
        if works_in(pid, folder):
            with suppress(ProcessLookupError):
                os.kill(pid, kind)


def _quoted(folder: str) -> str:
    """Return a folder for a setting that takes a list of them: commas are allowed in paths."""
    return '"' + folder.replace('"', '""') + '"'
