"""The ways a message can take: what a road has to be able to do, and how it says that it cannot.

A durable road brings messages to the table where they are handled; a direct one brings an envelope
to a handler that hears now. Whoever sends sets the identifier, and it is the same on every road, so
what comes twice counts once. A road that is cut off raises `Unavailable` (not `Rejected`, which is
about the message, and would be the same on all roads).
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from typing import Protocol, runtime_checkable

from higherself.kernel.errors import Unavailable
from higherself.messaging.envelope import Envelope
from higherself.messaging.model import Message, Published

Hearer = Callable[[Envelope], Awaitable[Envelope | None]]
"""Handles an envelope that came directly. What it returns is the answer, if one is awaited."""


class Road(Protocol):
    """A durable way: the message survives once `send` has returned."""

    @property
    def name(self) -> str:
        """What people call it: postgres, nats, spool."""
        ...

    async def send(self, *messages: Message) -> list[Published]:
        """Take messages, all with an ``id`` and a ``time``; return them in the order given.

        ``expires`` and ``not_before`` may be durations, which count from now.

        Raises
            Unavailable: it is not known whether they were taken; the same may go by another road.
        """
        ...


@runtime_checkable
class Detour(Protocol):
    """A durable way that keeps messages for a while before they are in the table."""

    async def pending(self) -> int:
        """Return how many it keeps now: while there are some, what has an order goes after them."""
        ...


@runtime_checkable
class Checkable(Protocol):
    """A road that can say how it is."""

    async def check(self) -> str:
        """Return what a person wants to know of it.

        Raises
            Unavailable: it does not answer.
        """
        ...


class DirectRoad(Protocol):
    """A fleeting way: to whoever hears at this moment."""

    @property
    def name(self) -> str:
        """What people call it: memory, nats."""
        ...

    async def request(
        self,
        topic: str,
        envelope: Envelope,
        *,
        timeout: timedelta,  # noqa: ASYNC109  a road knows how to wait
    ) -> Envelope:
        """Return the answer of one hearer of ``topic``.

        Raises
            NobodyHears: at once, if that is known. Nothing was handled.
            RequestTimedOut: it may be handled, or have been.
            Unavailable: the road is cut off.
        """
        ...

    async def tell(self, topic: str, envelope: Envelope) -> None:
        """Give ``envelope`` to one hearer in each group of ``topic``, and wait for nothing.

        Raises
            NobodyHears, Unavailable: see `request`.
        """
        ...

    def hear(
        self, topic: str, handler: Hearer, *, group: str, patience: timedelta
    ) -> AbstractAsyncContextManager[None]:
        """Give what comes on ``topic`` to ``handler`` while the block runs.

        Of those with the same ``group``, in whatever process, one gets it. A handler that takes
        longer than ``patience`` is stopped.
        """
        ...


class NobodyHears(Unavailable):
    """Nobody hears a topic at this moment, on this road."""

    def __init__(self, topic: str, road: str) -> None:
        super().__init__(
            f"nobody hears {topic!r} on the road {road} at this moment; start a worker that does "
            "(`higherself worker`), or send it durably, so that it waits"
        )
        self.topic, self.road = topic, road


class RequestTimedOut(Unavailable):
    """There was no answer in time. What was asked may have been done all the same."""

    def __init__(self, type_: str, to: str, timeout: timedelta) -> None:
        super().__init__(
            f"{to} did not answer a request {type_!r} within {timeout.total_seconds():g} s; it may "
            "have been handled: ask again with the same idempotency key, or a longer timeout"
        )
        self.type, self.to, self.timeout = type_, to, timeout
