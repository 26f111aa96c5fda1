"""Killed, stopped and out of room in the middle of taking documents in.

What was confirmed is there and can be found, nothing is half there, and the same command goes on.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from higherself.app.settings import load_settings
from higherself.app.wiring import HigherSelf
from higherself.db import embedded
from higherself.db.embedded import EmbeddedPostgres

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(sys.platform != "linux", reason="signals and mounts of Linux"),
]

MAIN = """if True:
    # The command itself; it only tells of every batch, and batches are small.
    import higherself.cli.progress, higherself.knowledge.ingest
    from higherself.cli.main import main
    higherself.cli.progress.SECONDS_BETWEEN_LINES = 0
    higherself.knowledge.ingest.EMBEDDED_AT_ONCE = 12
    main()
"""
DOCUMENTS = 84
ADDED = ["knowledge", "add", "--source", "many", "--json"]


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file of many short documents, each with a word of its own and some weight."""
    path = tmp_path / "many.jsonl"
    with path.open("w") as file:
        for number in range(DOCUMENTS):
            document = {
                "id": f"d{number}",
                "title": f"Room {number}",
                "text": f"The key of room {number} is called key{number}word.",
                "metadata": {"weight": os.urandom(4000).hex()},
            }
            file.write(json.dumps(document) + "\n")
    return path


class Program:
    """The command as a process of its own."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        tiers = {"HIGHERSELF_EMBEDDING_TIERS": "local"}
        self.environment, self.folder = {**os.environ, **tiers, **environment}, folder

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", MAIN, *map(str, arguments)],
            env=self.environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: object) -> dict[str, Any]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
        answer: dict[str, Any] = json.loads(out)
        return answer

    async def finds(self, numbers: range) -> int:
        """Each of these is found by the word it alone has; return how many are stored in all."""
        settings, _ = load_settings(self.environment, folder=self.folder)
        async with HigherSelf.open(settings) as hs:
            for number in numbers:
                answer = await hs.knowledge.search(f"key{number}word", mode="lexical", limit=5)
                names = [hit.document.external_id for hit in answer.hits]
                assert names == [f"d{number}"]
            assert all(finding.ok for finding in await hs.knowledge.verify())
            stats = await hs.knowledge.stats()
        stored: int = stats["documents"]
        return stored

    async def goes_on(self, many: Path, confirmed: int) -> None:
        """What was confirmed is found, nothing is half there, and the next run does the rest."""
        assert 0 < confirmed < DOCUMENTS, "it was in the middle"
        stored = await self.finds(range(confirmed))
        assert confirmed <= stored < DOCUMENTS
        report = self.run(*ADDED, many)
        assert (report["unchanged"], report["created"]) == (stored, DOCUMENTS - stored)
        assert report["failed"] == []
        assert await self.finds(range(0, DOCUMENTS, 7)) == DOCUMENTS


def confirmed_so_far(process: subprocess.Popen[str]) -> int:
    """Wait for the first batch and return how many documents it confirmed."""
    assert process.stderr is not None
    heard = []
    for line in process.stderr:
        heard.append(line)
        if f" of {DOCUMENTS} documents" in line:
            return int(line.split()[0])
    raise AssertionError("".join(heard))


def last_confirmed(err: str, so_far: int) -> int:
    """Return how many documents the rest of what was said confirmed."""
    lines = [line for line in err.splitlines() if f" of {DOCUMENTS} documents" in line]
    return int(lines[-1].split()[0]) if lines else so_far


@pytest.fixture
def on_server(database_url: str, tmp_path: Path) -> Program:
    return Program({"DATABASE_URL": database_url}, tmp_path)


@contextmanager
def a_home(place: Path, tmp_path: Path) -> Iterator[Program]:
    """A home with a server of its own."""
    home = place / "home"
    try:
        yield Program({"HIGHERSELF_HOME": str(home)}, tmp_path)
    finally:
        embedded.stop(home)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every account can enter, in memory where there is room."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1_000_000_000
    folder = Path(tempfile.mkdtemp(prefix="higherself-place-", dir=memory if roomy else None))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


async def test_a_killed_command(on_server: Program, many: Path) -> None:
    process = on_server.start(*ADDED, many)
    confirmed = confirmed_so_far(process)
    process.kill()
    out, err = process.communicate()
    assert out == ""
    await on_server.goes_on(many, last_confirmed(err, confirmed))


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
async def test_a_stopped_command(on_server: Program, many: Path, kind: signal.Signals) -> None:
    process = on_server.start(*ADDED, many)
    confirmed = confirmed_so_far(process)
    process.send_signal(kind)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "stopped; what was reported as done is stored" in err
    await on_server.goes_on(many, last_confirmed(err, confirmed))


async def test_a_lost_connection(on_server: Program, many: Path, database_url: str) -> None:
    process = on_server.start(*ADDED, many)
    confirmed = confirmed_so_far(process)
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    if process.returncode == 0:
        return  # between two statements; the pool made another connection
    assert (process.returncode, out) == (6, "")
    assert "does not answer" in err
    await on_server.goes_on(many, last_confirmed(err, confirmed))


async def test_a_killed_server(place: Path, tmp_path: Path, many: Path) -> None:
    with a_home(place, tmp_path) as program:
        process = program.start(*ADDED, many)
        confirmed = confirmed_so_far(process)
        pid = embedded.status(place / "home").pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        out, err = process.communicate(timeout=60)
        assert (process.returncode, out) == (6, "")
        assert "Traceback" not in err
        assert "the database does not answer" in err
        assert "what was confirmed is stored" in err
        await program.goes_on(many, last_confirmed(err, confirmed))


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A disk in memory, if we may mount one."""
    folder = Path(tempfile.mkdtemp(prefix="higherself-disk-"))
    options = f"size={megabytes}m,mode=0755"
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", folder],
            capture_output=True,
            text=True,
            check=False,
        )
        if mounted.returncode:
            pytest.skip(f"a disk cannot be mounted here: {mounted.stderr.strip()}")
        try:
            yield folder
        finally:
            subprocess.run(["umount", folder], check=True)
    finally:
        folder.rmdir()


def begin_a_segment(home: Path) -> None:
    """Leave room in the write-ahead log, so that it is the data that meets the end of the disk."""
    with (
        EmbeddedPostgres.attach(home) as server,
        psycopg.connect(server.admin_url, autocommit=True) as admin,
    ):
        admin.execute("SELECT pg_switch_wal()")
        admin.execute("CHECKPOINT")


def leave_free(disk: Path, kilobytes: int) -> Path:
    """Fill ``disk`` but for so much; return the file to remove."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free - kilobytes * 1024
    with ballast.open("wb") as file:
        for _ in range(free // 1_000_000):
            file.write(bytes(1_000_000))
        file.write(bytes(free % 1_000_000))
    return ballast


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small disk")
async def test_a_full_disk(tmp_path: Path, many: Path) -> None:
    with small_disk(120) as disk, a_home(disk, tmp_path) as program:
        program.run("knowledge", "stats", "--json")
        begin_a_segment(disk / "home")
        process = program.start(*ADDED, many)
        confirmed = confirmed_so_far(process)
        process.send_signal(signal.SIGSTOP)
        ballast = leave_free(disk, kilobytes=100)
        process.send_signal(signal.SIGCONT)
        out, err = process.communicate(timeout=120)
        assert (process.returncode, out) == (6, "")
        assert "Traceback" not in err
        assert "disk is full" in err
        assert "free some space and run the command again" in err
        confirmed = last_confirmed(err, confirmed)
        await program.finds(range(confirmed))
        ballast.unlink()
        await program.goes_on(many, confirmed)
