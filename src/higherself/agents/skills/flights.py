"""The same work asked for by many at once is done by one of them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class _LeaderLeft:
    """In place of a result: whoever did the work was cancelled."""


class Flights(Generic[T]):
    """Work under way in this process, by key."""

    def __init__(self) -> None:
        self._flying: dict[bytes, asyncio.Future[T | _LeaderLeft]] = {}

    def __len__(self) -> int:
        return len(self._flying)

    async def once(self, key: bytes, work: Callable[[], Awaitable[T]]) -> tuple[T, bool]:
        """Return what ``work`` returns, and whether it was done for this caller.

        Whoever comes meanwhile waits for the first, and gets its result, or its error. If the first
        is cancelled, the next one does the work.

        Raises
            Exception: whatever ``work`` raises.
        """
        while (flying := self._flying.get(key)) is not None:
            # Shielded: a caller that is cancelled must not cancel what others wait for.
            result = await asyncio.shield(flying)
            if not isinstance(result, _LeaderLeft):
                return result, False
        return await self._lead(key, work), True

    async def _lead(self, key: bytes, work: Callable[[], Awaitable[T]]) -> T:
        flight: asyncio.Future[T | _LeaderLeft] = asyncio.get_running_loop().create_future()
        self._flying[key] = flight
        try:
            result = await work()
        except Exception as error:
            flight.set_exception(error)
            flight.exception()  # nobody may wait for it
            raise
        else:
            flight.set_result(result)
            return result
        finally:
            del self._flying[key]
            if not flight.done():
                flight.set_result(_LeaderLeft())
