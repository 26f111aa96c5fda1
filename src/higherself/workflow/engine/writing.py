"""Storing steps: one statement for all that come together, each whole or not at all."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from higherself.db.errors import translated
from higherself.db.pool import Database, Transaction
from higherself.db.queryfile import Slots, read_queries
from higherself.kernel import telemetry
from higherself.kernel.errors import HigherSelfError, Unavailable
from higherself.kernel.tasks import in_background, raise_if_cancelled
from higherself.messaging.statements import QUERIES as MESSAGES
from higherself.messaging.statements import alone, encoded
from higherself.workflow.engine.model import Write
from higherself.workflow.engine.outgoing import StoredAs, stored_as, topics_of

QUERIES = read_queries("higherself.workflow.engine")
INLINE = read_queries("higherself.messaging", "inline.sql")

AT_ONCE = 64
"""Steps that one statement stores at most. They become durable with one commit."""

LAST_WORDS = 2
"""Seconds that it may take to wake others when this ends."""

NOTHING = QUERIES["nothing"]

_Waiting = tuple[Write, asyncio.Future[bool]]


class Writer:
    """Stores steps. What comes while some are being stored goes together with the next.

    Whoever has something to do because of them is woken once they are durable.
    """

    def __init__(self, database: Database, *, at_once: int = AT_ONCE) -> None:
        self._database, self._at_once = database, at_once
        self._waiting: deque[_Waiting] = deque()
        self._some = asyncio.Event()
        self._to_wake: set[str] = set()

    async def store(self, write: Write) -> bool:
        """Return whether ``write`` was stored; if not, the instance or the lease has moved on.

        Raises
            DatabaseUnavailable: it is not known whether it was stored.
        """
        stored: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((write, stored))
        self._some.set()
        return await stored

    async def run(self) -> None:
        """Store what comes, for ever; through one connection, for as long as that works.

        Whoever has been told that a step is stored may end his program at once: who is to do
        something because of it is woken all the same.
        """
        try:
            await self._store_for_ever()
        finally:
            if self._to_wake:
                with suppress(HigherSelfError, TimeoutError):
                    async with asyncio.timeout(LAST_WORDS), alone(self._database) as tx:
                        await self._wake(tx)

    async def _store_for_ever(self) -> None:
        keeps = not self._database.inspection.transaction_pooler
        while True:
            raise_if_cancelled()
            await self._some.wait()
            try:
                async with alone(self._database) as tx:
                    await self._store(tx, self._take())
                    while keeps:
                        raise_if_cancelled()
                        await self._some.wait()
                        await self._store(tx, self._take())
            except HigherSelfError as error:
                telemetry.warning("workflow.steps.not_stored", reason=str(error))
                while self._waiting:
                    _tell(self._waiting.popleft()[1], error)

    def _take(self) -> list[_Waiting]:
        """Take what goes into one statement: of an instance, one step."""
        taken: list[_Waiting] = []
        instances = set()
        left: list[_Waiting] = []
        while self._waiting and len(taken) < self._at_once:
            write, stored = self._waiting.popleft()
            if stored.done():  # whoever asked was cancelled
                continue
            if write.snapshot.instance in instances:
                left.append((write, stored))
            else:
                instances.add(write.snapshot.instance)
                taken.append((write, stored))
        self._waiting.extendleft(reversed(left))
        if not self._waiting:
            self._some.clear()
        return taken

    async def _store(self, tx: Transaction, batch: Sequence[_Waiting]) -> None:
        if not batch:
            return
        try:
            accepted = await self._written(tx, [write for write, _ in batch])
        except Exception as error:
            known = translated(error)
            lost = isinstance(known, Unavailable)
            if len(batch) > 1 and not lost:
                await self._store_one_by_one(tx, batch)
                return
            for _, stored in batch:
                _tell(stored, known)
            if lost:
                raise
            return
        for n, (_, stored) in enumerate(batch):
            if not stored.done():
                stored.set_result(n in accepted)
        self._to_wake.update(*(topics_of(batch[n][0]) for n in accepted))
        if self._to_wake:
            await self._wake(tx)

    async def _wake(self, tx: Transaction) -> None:
        told = sorted(self._to_wake)
        await tx.many(MESSAGES["wake_consumers"], {"topics": told})
        self._to_wake.difference_update(told)

    async def _store_one_by_one(self, tx: Transaction, batch: Sequence[_Waiting]) -> None:
        """Store steps one of which cannot be stored: the others shall not suffer."""
        left = deque(batch)
        try:
            while left:
                await self._store(tx, [left[0]])
                left.popleft()
        finally:
            if left:  # the connection is lost: they are told with all others, or stored by another
                self._waiting.extendleft(reversed(left))
                self._some.set()

    async def _written(self, tx: Transaction, writes: Sequence[Write]) -> set[int]:
        rows = stored_as(writes)
        parts = _parts(rows)
        given = {"steps": encoded(rows.steps), "history": encoded(rows.history)}
        for name, part in (
            ("rewritten", rows.rewritten),
            ("withdrawn", rows.withdrawn),
            ("added", rows.added),
        ):
            if part:
                given[name] = encoded(part)
        stored = await tx.tuples(QUERIES["store_steps"], given, parts)
        telemetry.count("workflow.step.stored", len(stored))
        return {n for (n,) in stored}


def _tell(stored: asyncio.Future[bool], error: Exception) -> None:
    if not stored.done():
        stored.set_exception(error)


def _parts(rows: StoredAs) -> Slots:
    """Return what the statement is made of, for ``rows``."""
    begins = any(row["before"] == 0 for row in rows.steps)
    ends = any(row["ends"] for row in rows.steps)
    return {
        "hold_messages": INLINE["hold_messages"],
        "create_instances": QUERIES["create_instances" if begins else "create_nothing"],
        "rewrite_messages": INLINE["rewrite_messages"] if rows.rewritten else NOTHING,
        "end_messages": INLINE["end_messages"] if ends else NOTHING,
        "withdraw_messages": INLINE["withdraw_messages"] if rows.withdrawn else NOTHING,
        "add_messages": INLINE["add_messages"] if rows.added else NOTHING,
    }


@asynccontextmanager
async def open_writer(
    database: Database, *, at_once: int = AT_ONCE, side_by_side: int = 1
) -> AsyncIterator[Writer]:
    """Yield what stores steps, through so many connections ``side_by_side``."""
    writer = Writer(database, at_once=at_once)
    async with AsyncExitStack() as stack:
        for _ in range(side_by_side):
            await stack.enter_async_context(in_background(writer.run()))
        yield writer
