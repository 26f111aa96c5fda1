"""The command that serves: as a process of its own, told to stop in every way, leaving nothing."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from queue import Queue
from urllib.parse import urlsplit

import pytest

from higherself.cli.serve import listen
from higherself.db import embedded
from higherself.kernel.errors import Misconfigured

COMMAND = [sys.executable, "-c", "from higherself.cli.main import main; main()", "serve"]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A home that every account can enter, as the embedded server may run as another one."""
    place = Path(tempfile.mkdtemp(prefix="higherself-serve-"))
    place.chmod(0o755)
    yield place / "home"
    embedded.stop(place / "home")
    shutil.rmtree(place)


class Serving:
    """A running command and what it has said so far."""

    def __init__(self, home: Path, *options: str, **environment: str) -> None:
        given = {"HIGHERSELF_HOME": str(home), "HIGHERSELF_EMBEDDING_TIERS": "local"}
        self.process = subprocess.Popen(
            [*COMMAND, *options],
            env=os.environ | given | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._said: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._said.put(line.rstrip())
        self._said.put("")

    def until(self, word: str) -> str:
        """Return the first line that has ``word``."""
        while line := self._said.get(timeout=120):
            self.lines.append(line)
            if word in line:
                return line
        raise AssertionError(f"it ended without {word!r}: {self.lines}")

    @property
    def address(self) -> tuple[str, int]:
        url = urlsplit(next(line for line in self.lines if "dashboard:" in line).split()[1])
        return str(url.hostname), int(url.port or 0)

    def get(self, path: str) -> tuple[int, bytes]:
        connection = HTTPConnection(*self.address, timeout=60)
        connection.request("GET", path)
        answer = connection.getresponse()
        found = answer.status, answer.read()
        connection.close()
        return found

    def ended(self) -> int:
        """Return the exit code; everything it said is in ``lines``."""
        code = self.process.wait(timeout=60)
        self._reader.join()
        while line := self._said.get():
            self.lines.append(line)
        assert self.process.stdout is not None
        assert self.process.stdout.read() == ""
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


@contextmanager
def serving(home: Path, *options: str, **environment: str) -> Iterator[Serving]:
    running = Serving(home, *options, **environment)
    try:
        yield running
    finally:
        running.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_it_is_told_to_stop_and_leaves_nothing(
    home: Path, number: signal.Signals
) -> None:
    with serving(home, "--port", "0") as server:
        server.until("dashboard: http://127.0.0.1:")
        assert server.get("/readyz")[0] == 200
        assert server.get("/")[0] == 200
        server.process.send_signal(number)
        assert server.ended() == 0
        assert server.lines[-1] == "stopped"
    assert embedded.stop(home) is False, "the embedded PostgreSQL was still running"


def test_told_to_stop_while_it_starts_it_stops(home: Path) -> None:
    with serving(home, "--port", "0") as server:
        server.until("PostgreSQL")
        server.process.terminate()
        assert server.ended() == 0
    assert embedded.stop(home) is False


def test_a_request_that_has_begun_is_answered(home: Path) -> None:
    body = json.dumps({"query": "is a request that has begun answered"}).encode()
    head = (
        "POST /api/v1/knowledge/search HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with serving(home, "--port", "0") as server:
        server.until("dashboard:")
        with socket.create_connection(server.address, timeout=60) as connection:
            connection.sendall(head.encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 100")  # it waits for the body
            server.process.terminate()
            while answers(server.address):
                pass
            connection.sendall(body)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        assert server.ended() == 0


def answers(address: tuple[str, int]) -> bool:
    try:
        socket.create_connection(address, timeout=60).close()
    except ConnectionRefusedError:
        return False
    return True


def test_logs_are_lines_of_json_if_asked(home: Path) -> None:
    with serving(home, "--port", "0", HIGHERSELF_LOG="json") as server:
        server.until("dashboard:")
        server.get("/knowledge?q=a")
        line = json.loads(server.until("http.request.answered"))
        assert (line["method"], line["path"], line["status"]) == ("GET", "/knowledge", 200)
        assert line["correlation"]
        status, text = server.get("/metrics")
        assert status == 200
        assert b'answered_total{method="GET",route="/knowledge",status="200"} 1.0' in text
        assert b'search_answered_seconds_count{mode="hybrid"} 1.0' in text
        server.process.terminate()
        assert server.ended() == 0


def test_workers_beside_it_stop_with_it(home: Path) -> None:
    with serving(home, "--port", "0", "--workers", "2") as server:
        for word in ("dashboard:", "worker with", "worker with"):
            server.until(word)
        server.process.terminate()
        assert server.ended() == 0
        assert server.lines[-3:] == ["worker stopped", "worker stopped", "stopped"]
    assert embedded.stop(home) is False


def test_a_worker_that_dies_is_started_again(home: Path) -> None:
    with serving(home, "--port", "0", "--workers", "1", HIGHERSELF_LOG="json") as server:
        server.until("worker with")
        os.kill(only_child(server.process.pid), signal.SIGKILL)
        assert json.loads(server.until("workflow.worker.ended"))["code"] == -signal.SIGKILL
        server.until("worker with")
        server.process.terminate()
        assert server.ended() == 0


def test_workers_do_not_outlive_it(home: Path) -> None:
    with serving(home, "--port", "0", "--workers", "1") as server:
        server.until("worker with")
        server.process.kill()
        server.until("worker stopped")


def only_child(parent: int) -> int:
    """Return the worker: the child that is no PostgreSQL."""
    listed = subprocess.run(
        ["ps", "-A", "-ww", "-o", "pid=,ppid=,args="], check=True, capture_output=True, text=True
    ).stdout.splitlines()
    rows = [line.split(maxsplit=2) for line in listed]
    (found,) = (
        int(pid) for pid, ppid, what in rows if int(ppid) == parent and "--child-of" in what
    )
    return found


def test_a_port_that_is_taken_is_named_with_what_to_do(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving(home, HIGHERSELF_PORT=port) as server:
            assert server.ended() == 2
            assert port in server.lines[-1]
            assert "--port" in server.lines[-1]
    assert not any("PostgreSQL" in line for line in server.lines)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "0"])
def test_it_listens_on_this_machine_only(host: str) -> None:
    with pytest.raises(Misconfigured, match=r"127\.0\.0\.1 and put a proxy with authentication"):
        listen(host, 0)


def test_an_address_that_does_not_exist_is_refused() -> None:
    with pytest.raises(Misconfigured, match="no-such-host"):
        listen("no-such-host.invalid", 0)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.9"])
def test_every_name_of_this_machine_will_do(host: str) -> None:
    with listen(host, 0) as listener:
        assert listener.getsockname()[1] > 0


def test_asking_for_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\n"
        "from higherself.cli.main import run\n"
        "assert run(['serve', '--help']) == 0\n"
        "heavy = {'structlog', 'prometheus_client', 'fastapi', 'uvicorn', 'jinja2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Example: higherself serve" in done.stdout
