"""What sending needs of the world: carriers, and what people have asked for."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

from higherself.outbound.model import Channel, Delivery, Parcel
from higherself.outbound.policy import Wish

HandOver = Callable[[], Awaitable[None]]
"""Called just before the moment from which it may arrive: what breaks after it has an unknown end."""


class Carrier(Protocol):
    """Takes parcels of one channel to where they go."""

    def places(self, parcel: Parcel) -> Sequence[str]:
        """Return where it would go: addresses, numbers or a host.

        Raises
            NotSetUp, OutOfReach: it cannot go anywhere as this installation is set up.
            ParcelRejected: there is no such place.
        """
        ...

    async def carry(self, delivery: Delivery, hand_over: HandOver) -> str:
        """Take it there once, and return what they said.

        Raises
            NotCarried: it certainly did not arrive.
            Refused: they do not take it.
            OutcomeUnknown: it may have arrived.
            NotSetUp, OutOfReach: it cannot go anywhere.
        """
        ...


Carriers = Mapping[Channel, Carrier]


class People(Protocol):
    """Knows what people have asked for."""

    async def wishes(self, entity: str, addresses: Sequence[str]) -> Mapping[str, Wish]:
        """Return what those of ``addresses`` have asked for who have."""
        ...
