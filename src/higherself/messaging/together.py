"""Storing what several callers send at the same time with one statement, and one commit.

A commit waits for the disk, and while it does, others want to send as well: all that has come until
then goes with the next. So the more callers there are, the less each of them costs.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from higherself.kernel.clock import Clock
from higherself.kernel.errors import Unavailable
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import ChannelClosed
from higherself.messaging.model import Prepared, Published

AT_ONCE, CHARACTERS_AT_ONCE = 500, 4_000_000
"""What one statement stores at most."""

NOW = timedelta(0)

Rows = Sequence[str]
Store = Callable[[Rows], Awaitable[set[MessageId]]]
"""Stores rows, durably when it returns, and returns the identifiers of those that are new."""


@dataclass(slots=True, eq=False)
class _Parcel:
    """What one caller sends: it is stored whole or not at all."""

    sent: Prepared
    stored: asyncio.Future[list[Published]]
    size: int


class Together:
    """Gathers what callers send, and stores it in the order in which they asked."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._waiting: deque[_Parcel] = deque()
        self._some = asyncio.Event()
        self._closed = False

    async def send(self, sent: Prepared) -> list[Published]:
        """Return what became of messages, which fit into one statement, when they are stored.

        Raises
            Unavailable: it is not known whether they are stored.
            WriteCollided, ...: what the statement fails with; nothing of them is stored.
        """
        if self._closed:
            raise ChannelClosed
        stored: asyncio.Future[list[Published]] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Parcel(sent, stored, sum(map(len, sent.rows))))
        self._some.set()
        return await stored

    async def run(self) -> None:
        """Store what comes, for ever."""
        taken: list[_Parcel] = []
        try:
            while True:
                raise_if_cancelled()
                await self._some.wait()
                taken = self._take()
                await self._store_whole(taken)
                await self._clock.sleep(NOW)  # whoever has heard of it may send again at once
        finally:
            self._closed = True
            for parcel in (*taken, *self._waiting):
                _fail(parcel, ChannelClosed())

    def _take(self) -> list[_Parcel]:
        taken: list[_Parcel] = []
        rows = size = 0
        while self._waiting:
            parcel = self._waiting[0]
            rows, size = rows + len(parcel.sent.rows), size + parcel.size
            if taken and (rows > AT_ONCE or size > CHARACTERS_AT_ONCE):
                return taken
            self._waiting.popleft()
            if not parcel.stored.done():  # else whoever asked was cancelled
                taken.append(parcel)
        self._some.clear()
        return taken

    async def _store_whole(self, parcels: Sequence[_Parcel]) -> None:
        if not parcels:
            return
        try:
            new = await self._store([row for parcel in parcels for row in parcel.sent.rows])
        except Exception as error:  # noqa: BLE001  it goes to whoever sent what failed
            if len(parcels) == 1 or isinstance(error, Unavailable):
                for parcel in parcels:
                    _fail(parcel, error)
                return
            for parcel in parcels:  # the others shall not suffer from what is wrong with one
                await self._store_whole([parcel])
            return
        for parcel in parcels:
            published = which_are_new(parcel.sent.ids, new)
            with suppress(asyncio.InvalidStateError):  # whoever asked was cancelled meanwhile
                parcel.stored.set_result(published)


def which_are_new(ids: Sequence[MessageId], new: set[MessageId]) -> list[Published]:
    """Return what to say of ``ids``; each counts as new once, so it is taken from ``new``."""
    published = []
    for identifier in ids:
        is_new = identifier in new
        published.append(Published(identifier, is_new))
        if is_new:
            new.discard(identifier)
    return published


def batches(rows: Rows) -> Iterator[Rows]:
    """Yield what goes into one statement each."""
    begin = size = 0
    for at, row in enumerate(rows):
        if at > begin and (at - begin >= AT_ONCE or size + len(row) > CHARACTERS_AT_ONCE):
            yield rows[begin:at]
            begin, size = at, 0
        size += len(row)
    if rows:
        yield rows[begin:]


def _fail(parcel: _Parcel, error: Exception) -> None:
    if not parcel.stored.done():
        parcel.stored.set_exception(error)
