"""The way through a folder of this machine: for when nothing else that lasts can be reached.

A message is kept once its file is on the disk. Any process of the same home brings it to the table
when that answers again. Nothing is deleted before it is there, so a kill at any moment leaves each
message in the folder, in the table, or in both, where it counts once.
"""

import asyncio
import fcntl
import os
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, Rejected, Unavailable
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.model import Message, Published
from higherself.messaging.wire import came_by, packed, unpacked

EVERY = timedelta(seconds=1)
"""How often the folder is looked at."""

AT_ONCE = 200
"""Files that are taken at a time."""

Forward = Callable[[Sequence[Message]], Awaitable[object]]
"""Brings messages to the table; raises `Unavailable` while that does not answer."""


class SpoolRoad:
    """Keeps messages in ``folder``, one file for what is sent together."""

    name = "spool"

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder, self._clock = folder, clock
        self._last = 0
        """In the name of the file before, so that names stand in the order of sending."""
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise Misconfigured(
                f"the folder for messages {folder} cannot be made ({error}); correct "
                "HIGHERSELF_HOME, or set HIGHERSELF_SPOOL=off"
            ) from error

    async def send(self, *messages: Message) -> list[Published]:
        """Keep messages; they are on the disk when this returns."""
        now = self._clock.now()
        for each in messages:
            each.check()
        text = "".join(f"{packed(each, now)}\n" for each in messages)
        self._last = max(int(now.timestamp() * 1_000_000), self._last + 1)
        name = f"{self._last:020d}-{secrets.token_hex(6)}"
        try:
            await asyncio.to_thread(self._write, name, text.encode())
        except OSError as error:
            raise Unavailable(
                f"a message could not be kept in {self._folder}: {error}; make room there"
            ) from error
        telemetry.count("messaging.message.spooled", len(messages))
        return [Published(each.id, is_new=True) for each in messages if each.id is not None]

    async def pending(self) -> int:
        """Return how many files there are."""
        return len(await asyncio.to_thread(self._files))

    async def check(self) -> str:
        """Return what waits here."""
        waiting = await self.pending()
        strange = len(await asyncio.to_thread(list, self._folder.glob("*.refused")))
        aside = f", {strange} that the table refuses (*.refused)" if strange else ""
        return f"{waiting} files wait in {self._folder}{aside}"

    async def run(self, forward: Forward, *, every: timedelta = EVERY) -> None:
        """Bring what is kept to the table whenever that answers, for ever."""
        while True:
            try:
                while await self.drain(forward):
                    raise_if_cancelled()
            except HigherSelfError as error:
                telemetry.warning("messaging.spool.waits", reason=str(error))
            raise_if_cancelled()
            await self._clock.sleep(every)

    async def drain(self, forward: Forward) -> int:
        """Bring some of what is kept to the table, the oldest first; return how many files.

        One process does so at a time; to the others there is nothing to do. What the table refuses
        for good is set aside in the folder, with the reason beside it.

        Raises
            Unavailable: the table does not answer; what it has not taken is kept.
        """
        with self._alone() as first:
            if not first:
                return 0
            files = (await asyncio.to_thread(self._files))[:AT_ONCE]
            for file in files:
                await self._forward(file, forward)
            return len(files)

    async def _forward(self, file: Path, forward: Forward) -> None:
        try:
            text = await asyncio.to_thread(file.read_bytes)
            messages = [unpacked(line) for line in text.splitlines()]
            await forward([came_by(self.name, each) for each in messages])
        except Rejected as error:
            telemetry.warning("messaging.spool.refused", reason=str(error))
            await asyncio.to_thread(self._set_aside, file, str(error))
            return
        await asyncio.to_thread(file.unlink, missing_ok=True)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.messages"))

    def _write(self, name: str, text: bytes) -> None:
        """Write a file so that it is there whole, or not at all, whenever the power fails."""
        unfinished = self._folder / f"{name}.unfinished"
        with unfinished.open("xb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(self._folder / f"{name}.messages")
        self._sync_folder()

    def _set_aside(self, file: Path, reason: str) -> None:
        file.with_suffix(".reason").write_text(f"{reason}\n")
        file.rename(file.with_suffix(".refused"))
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Hold the folder's lock while the block runs; yield whether nobody else has it."""
        with (self._folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True
