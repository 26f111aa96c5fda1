"""A real PgBouncer before the embedded server, where it is installed."""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest

PORT = 6543

Pooler = Callable[[str, str], str]


@pytest.fixture
def pooler() -> Iterator[Pooler]:
    """Put a PgBouncer of a mode before a URL; returns the URL through it, whose password is any."""
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed (apt-get install pgbouncer)")
    with ExitStack() as stack:

        def start(url: str, mode: str) -> str:
            assert program is not None
            return stack.enter_context(pgbouncer(program, url, mode))

        yield start


@contextmanager
def pgbouncer(program: str, url: str, mode: str) -> Iterator[str]:
    """Run PgBouncer as the account of the server, which alone may enter its socket's folder.

    The folders above are closed to that account, so the socket's folder is handed over open.
    """
    parts = urlsplit(url)
    sockets = parse_qs(parts.query)["host"][0]
    owner = os.stat(sockets)
    name, folder = parts.path.removeprefix("/"), Path(tempfile.mkdtemp(prefix="hs-pooler-"))
    fd = os.open(sockets, os.O_RDONLY | os.O_DIRECTORY)
    config = folder / "pgbouncer.ini"
    config.write_text(
        f"""[databases]
{name} = host=/proc/self/fd/{fd} user={parts.username} password={parts.password}
[pgbouncer]
unix_socket_dir = {folder}
listen_port = {PORT}
auth_type = any
pool_mode = {mode}
default_pool_size = 3
logfile = {folder}/log
"""
    )
    os.chown(folder, owner.st_uid, owner.st_gid)
    os.chown(config, owner.st_uid, owner.st_gid)
    account: dict[str, Any] = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    process = subprocess.Popen(
        [program, "-q", str(config)],
        cwd="/",
        pass_fds=(fd,),
        stderr=subprocess.DEVNULL,
        **(account if os.geteuid() == 0 else {}),
    )
    try:
        until = time.monotonic() + 30
        while not listens(folder / f".s.PGSQL.{PORT}"):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < until, "pgbouncer does not start"
            threading.Event().wait(0.01)
        host = quote(str(folder), safe="")
        yield f"postgresql://{parts.username}:any@/{name}?host={host}&port={PORT}"
    finally:
        process.terminate()
        process.wait()
        os.close(fd)
        shutil.rmtree(folder)


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(str(path)) == 0
