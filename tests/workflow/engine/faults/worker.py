"""A worker process of the engine, to be killed, frozen and cut off: ``python worker.py URL FOLDER CONCURRENCY``.

Effects are files in FOLDER, named by the key of the activity: whoever comes second with a key sees
that it is there. What was begun and what took effect is appended to a log that forgets nothing.
``jump SECONDS`` on standard input sets how wrong its clock is.
"""

import asyncio
import hashlib
import os
import signal
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.workflow.engine.activities import ActivityCall, Ran
from higherself.workflow.engine.wiring import open_workflows

LOG = "attempts.log"


class WrongClock:
    """The machine's clock, as somebody has set it."""

    def __init__(self) -> None:
        self.wrong = timedelta(0)

    def now(self) -> datetime:
        return SYSTEM_CLOCK.now() + self.wrong

    def monotonic(self) -> float:
        return SYSTEM_CLOCK.monotonic()

    async def sleep(self, wait: timedelta) -> None:
        await SYSTEM_CLOCK.sleep(wait)


def effect_of(folder: Path, key: str) -> Path:
    """Return the file that is the effect of an activity."""
    return folder / hashlib.sha256(key.encode()).hexdigest()


class Effects:
    """Runs activities, each with an effect that counts once for its key."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._log = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    async def run(self, call: ActivityCall) -> Ran:
        self._note("begun", call)
        given = call.input if isinstance(call.input, Mapping) else {}
        seconds = float(str(given.get("ms", 20))) / 1000
        await asyncio.sleep(seconds / 2)
        if call.skill == "flaky" and call.attempt == 1:
            raise RuntimeError(f"refused the first time, by {os.getpid()}")
        self._take(call)
        await asyncio.sleep(seconds / 2)
        return Ran({"key": call.key, "by": os.getpid()}, agent=str(os.getpid()))

    def _take(self, call: ActivityCall) -> None:
        try:
            os.close(os.open(effect_of(self._folder, call.key), os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            self._note("suppressed", call)
        else:
            self._note("effect", call)

    def _note(self, word: str, call: ActivityCall) -> None:
        at = SYSTEM_CLOCK.now().isoformat()
        os.write(self._log, f"{word} {call.key} {call.attempt} {os.getpid()} {at}\n".encode())


async def main(url: str, folder: Path, concurrency: int) -> None:
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    clock = WrongClock()

    def obey() -> None:
        if line := sys.stdin.readline():
            clock.wrong = timedelta(seconds=float(line.split()[1]))
            say("jumped")
        else:
            loop.remove_reader(sys.stdin)

    loop.add_reader(sys.stdin, obey)
    async with (
        open_database(url, connections=2) as database,
        open_workflows(url, database, clock=clock) as workflows,
    ):
        consumer = workflows.consumer(Effects(folder), concurrency=concurrency)
        say("ready")
        await consumer.run()


def say(word: str) -> None:
    sys.stdout.write(f"{word}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])))
    except (asyncio.CancelledError, KeyboardInterrupt):
        say("stopped")
