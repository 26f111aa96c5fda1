"""What a consumer needs of the road that messages come on, and what it gives to handlers."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from higherself.db.pool import Transaction
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.model import Ahead, Claim, Claimed, Outcome, RetryPolicy
from higherself.messaging.settlement import End, Settlement


@dataclass(frozen=True, slots=True)
class Settled:
    """A message and what is to be stored of it. ``ended`` is called in the same transaction."""

    message: Claimed
    settlement: Settlement
    ended: "Ended | None" = None


class Once(Protocol):
    """Whatever makes the effects of handling a message count once."""

    def once(self, message: Claimed) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction for the effects of handling ``message``; see `MessageStore.once`."""
        ...


class MessageStore(Protocol):
    """A durable road: messages are claimed from it, and settled."""

    async def claim(
        self, free: Mapping[str, int], *, consumer: str, lease: timedelta, window: int = 0
    ) -> Claim:
        """Lease messages that are due, at most so many of each topic as are ``free``.

        Those that have expired come as well, to be settled and not handled. ``window``: look at
        so many at least, to get past those that cannot be leased.
        """
        ...

    async def look_ahead(
        self, topics: Sequence[str], *, since: datetime, consumer: str, lease: timedelta
    ) -> Ahead:
        """Return what is to come that was not due at ``since``, when a claim has found no more."""
        ...

    async def claim_lapsed(
        self, topics: Sequence[str], *, consumer: str, lease: timedelta, limit: int
    ) -> Claim:
        """Lease messages whose lease ran out: to be settled, not handled."""
        ...

    async def settle(
        self, settled: Sequence[Settled], *, wake: Sequence[str] = ()
    ) -> set[MessageId]:
        """Store settlements, and return the messages whose lease was still held.

        Of the others nothing is stored. ``wake``: topics whose other consumers should look.
        """
        ...

    async def answers(self, topic: str, known: Sequence[MessageId], limit: int) -> list[Claimed]:
        """Return messages of ``topic`` that have not ended, but for those that are ``known``.

        For a topic that one process reads alone: they are under no lease, and to be settled with
        the number that they have.
        """
        ...

    def once(self, message: Claimed) -> AbstractAsyncContextManager[Transaction]:
        """Open a transaction for the effects of handling ``message``, which it delivers with them.

        It sees the rows of the message's business.

        Raises
            HandledBefore: the effects are there already; the block was not entered.
            LeaseLost: at the end, somebody else has the message by now; nothing was stored.
        """
        ...

    def keeper(self) -> "AbstractAsyncContextManager[LeaseKeeper]":
        """Open what renews leases, for the event loop that calls it."""
        ...

    def listen(
        self,
        topics: Sequence[str],
        wake: Callable[[str], None],
        told: Callable[[Claimed], None] | None = None,
    ) -> "AbstractAsyncContextManager[Listener]":
        """Call ``wake`` with a topic, while the block runs, whenever it may have something.

        Or ``told`` with an answer that has come and is handed over at once: it has not ended by that.
        """
        ...


class LeaseKeeper(Protocol):
    """Extends leases."""

    async def renew(self, leases: Mapping[MessageId, int], lease: timedelta) -> set[MessageId]:
        """Extend leases that are still held to ``lease`` from now, and return their messages."""
        ...


class Listener(Protocol):
    """Knows how good its hints are."""

    @property
    def patience(self) -> timedelta:
        """How long to wait for a hint before looking anyway."""
        ...


class HandledBefore(Exception):
    """The effects of a message are there already, from an earlier delivery."""


class Delivery:
    """A message in a handler's hands."""

    __slots__ = ("_message", "_store", "settled")

    def __init__(self, message: Claimed, store: Once) -> None:
        self._message, self._store = message, store
        self.settled = False

    @property
    def message(self) -> Claimed:
        """The message with its lease: for a handler that ends it in a statement of its own."""
        return self._message

    @property
    def envelope(self) -> Envelope:
        """What was said."""
        return self._message.envelope

    @property
    def data(self) -> JsonValue:
        """The data of the envelope."""
        return self._message.envelope.data

    @property
    def attempt(self) -> int:
        """Which try this is, counted from 1."""
        return self._message.attempt

    @property
    def key(self) -> str:
        """What makes effects elsewhere count once: the same text on every attempt."""
        return str(self._message.id)

    @asynccontextmanager
    async def once(self) -> AsyncIterator[Transaction]:
        """Run the block in a transaction whose effects count once, and which ends the message.

        Do what takes long before it, not in it: while a transaction is open that has written, no
        table of the whole database can be tidied. What is published in it goes out with it.

        Raises
            LeaseLost: the message was taken from us meanwhile; nothing was stored.
        """
        async with self._store.once(self._message) as tx:
            yield tx
        self.settled = True


Handler = Callable[[Delivery], Awaitable[Outcome | None]]
"""Handles a message. To return nothing means done, to raise means failed; see `handling`."""

Ended = Callable[[Transaction, Claimed, End], Awaitable[None]]
"""Told, in the transaction that stores it, that a message ended otherwise than delivered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """Who handles the messages of a topic, so many at a time in one process."""

    topic: str
    handler: Handler
    concurrency: int = 16
    policy: RetryPolicy = field(default_factory=RetryPolicy)
    ended: Ended | None = None
