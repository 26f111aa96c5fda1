"""Reach a `HigherSelf` from any thread and any event loop.

A `HigherSelf` lives in one event loop. Frameworks call from plain functions, from threads of
theirs and from loops that come and go; a bridge carries such a call over and its answer back.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import AsyncExitStack, suppress
from typing import Any, Protocol, TypeVar

from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf

T = TypeVar("T")
Use = Callable[[HigherSelf], Coroutine[Any, Any, T]]
"""What to do with the `HigherSelf`, in its own loop."""


class Bridge(Protocol):
    """Two ways of making the same call."""

    def run(self, use: Use[T]) -> T:
        """Wait for ``use`` and return what it returned; blocks the calling thread."""
        ...

    async def arun(self, use: Use[T]) -> T:
        """Await ``use``, from whatever loop."""
        ...

    def leave(self) -> None:
        """Let go without waiting for anything."""
        ...

    def close(self) -> None:
        """Let go of what is held; calls under way are finished first."""
        ...


class OwnLoop:
    """Opens a `HigherSelf` in a thread of its own when the first call comes."""

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self._starting = threading.Lock()
        self._life: _Life | None = None
        self._closed = False

    def run(self, use: Use[T]) -> T:
        """Wait for ``use`` and return what it returned."""
        future = self._submitted(use)
        try:
            return future.result()
        finally:
            future.cancel()  # if we were interrupted while waiting

    async def arun(self, use: Use[T]) -> T:
        """Await ``use``. Cancelling cancels it there, too."""
        return await asyncio.wrap_future(self._submitted(use))

    def leave(self) -> None:
        """Have the thread end by itself."""
        self._closed = True
        if self._life is not None:
            self._life.stop()

    def close(self) -> None:
        """End the thread and wait for it. May be called again."""
        self.leave()
        if self._life is not None:
            self._life.thread.join()

    def _submitted(self, use: Use[T]) -> Future[T]:
        with self._starting:
            if self._closed:
                raise RuntimeError("it is closed; make a new one")
            # A forked child has no threads but the one that forked, so it starts anew.
            if self._life is None or not self._life.thread.is_alive():
                self._life = _Life(self._settings)
        return asyncio.run_coroutine_threadsafe(self._life.call(use), self._life.loop)


class _Life:
    """A thread with an event loop, and what is open in it."""

    loop: asyncio.AbstractEventLoop

    def __init__(self, settings: Settings | None) -> None:
        self._settings = settings
        self._hs: HigherSelf | None = None
        self._calls: set[asyncio.Task[Any]] = set()
        begun = threading.Event()
        self.thread = threading.Thread(
            target=lambda: asyncio.run(self._live(begun)), name="higherself", daemon=True
        )
        self.thread.start()
        begun.wait()

    def stop(self) -> None:
        """Have it end once the calls under way are done."""
        with suppress(RuntimeError):  # its loop is closed already
            self.loop.call_soon_threadsafe(self._stop.set)

    async def call(self, use: Use[T]) -> T:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  we are in one
        self._calls.add(task)
        try:
            return await use(await self._opened())
        finally:
            self._calls.discard(task)

    async def _live(self, begun: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        self._stop, self._opening = asyncio.Event(), asyncio.Lock()
        async with AsyncExitStack() as self._stack:
            begun.set()
            await self._stop.wait()
            while self._calls:
                await asyncio.wait(self._calls)

    async def _opened(self) -> HigherSelf:
        """Return what is open, opened by the first who asks; after a failure the next one tries."""
        async with self._opening:
            if self._hs is None:
                opening = HigherSelf.open(self._settings, workflows=False)
                self._hs = await self._stack.enter_async_context(opening)
            return self._hs


class SharedLoop:
    """Uses a `HigherSelf` that somebody else opened, in the loop that runs now, and will close."""

    def __init__(self, hs: HigherSelf) -> None:
        self._hs = hs
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            raise RuntimeError(
                "a HigherSelf belongs to the event loop it was opened in: hand it over there, or "
                "leave it out to have one opened"
            ) from None

    def run(self, use: Use[T]) -> T:
        """Wait for ``use`` and return what it returned; from any thread but the loop's own."""
        if _running_loop() is self._loop:
            raise RuntimeError(
                "this would block the event loop that has to do the work: await the asynchronous "
                "method, whose name begins with `a`"
            )
        return asyncio.run_coroutine_threadsafe(use(self._hs), self._loop).result()

    async def arun(self, use: Use[T]) -> T:
        """Await ``use``, here or in the loop of the `HigherSelf`."""
        if _running_loop() is self._loop:
            return await use(self._hs)
        return await asyncio.wrap_future(
            asyncio.run_coroutine_threadsafe(use(self._hs), self._loop)
        )

    def leave(self) -> None:
        """Nothing is ours to close."""

    close = leave


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
