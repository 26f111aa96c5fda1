"""Running coroutines side by side."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import Future
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def task_group() -> AsyncIterator[asyncio.TaskGroup]:
    """Like `asyncio.TaskGroup`, but the first error comes out as itself, not in a group.

    Callers can then catch our error families by name; the others were cancelled or came after.
    """
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except BaseExceptionGroup as errors:
        raise _first(errors) from None


def _first(errors: BaseExceptionGroup[BaseException]) -> BaseException:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


@asynccontextmanager
async def in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Run ``work`` while the block runs, and cancel it at the end. If it fails, so does the block."""
    async with task_group() as group:
        task = group.create_task(work)
        try:
            yield
        finally:
            task.cancel()


async def side_by_side(*works: Coroutine[Any, Any, None]) -> None:
    """Run ``works`` until all are done. Cancelling this cancels all at once, and waits for all."""
    async with task_group() as group:
        for work in works:
            group.create_task(work)


def raise_if_cancelled() -> None:
    """Raise `CancelledError` if this task was cancelled, and something on the way swallowed that.

    So does `asyncio.wait_for` of Python 3.11, on which the database driver waits, with what comes
    together with the answer (https://github.com/python/cpython/issues/86296). Whoever goes on for
    ever asks in every round.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def abandonable(function: Callable[[], T]) -> T:
    """Return what ``function`` returns, called in a thread that nobody has to wait for.

    For reading what may never come: whoever is cancelled goes on at once, and the program may end
    while the thread still waits. (The threads of `asyncio.to_thread` are waited for.)
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(called: Future[T]) -> None:
        if done.cancelled():
            return
        if (error := called.exception()) is not None:
            done.set_exception(error)
        else:
            done.set_result(called.result())

    def run() -> None:
        called: Future[T] = Future()
        try:
            called.set_result(function())
        except BaseException as error:  # noqa: BLE001  it goes to whoever waits
            called.set_exception(error)
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, called)

    threading.Thread(target=run, name=f"abandonable {function!r}", daemon=True).start()
    return await done
