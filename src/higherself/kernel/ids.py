"""Typed identifiers, and how new ones are made."""

import os
import re
import secrets
from datetime import datetime
from typing import NewType
from uuid import UUID

from higherself.kernel.errors import Rejected

DocumentId = NewType("DocumentId", UUID)
ChunkId = NewType("ChunkId", int)
SpaceId = NewType("SpaceId", int)
InstanceId = NewType("InstanceId", UUID)

_ENTITY = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def checked_entity(slug: str) -> str:
    """Return ``slug`` if it can name a business.

    Raises
        Rejected: it cannot.
    """
    if not _ENTITY.fullmatch(slug):
        raise Rejected(
            f"entity {slug!r} is not a slug: use up to 63 lower-case letters, digits, - and _, "
            "for example the_7_space"
        )
    return slug


def uuid7(milliseconds: int, random_bits: int) -> UUID:
    """Return the version 7 UUID of an instant (Unix milliseconds) and 74 random bits.

    Identifiers made later sort later, so an index on them grows at its end.

    Source: RFC 9562, section 5.7.

    >>> str(uuid7(0x017F22E279B0, (0xCC3 << 62) | 0x18C4DC0C0C07398F))
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'
    """
    head, tail = random_bits >> 62 & 0xFFF, random_bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | head << 64 | 0b10 << 62 | tail)


_DRAWN_AT_ONCE = 1024
_drawn: list[int] = []
"""Random numbers drawn ahead: each call of the system takes longer than all the rest."""
os.register_at_fork(after_in_child=_drawn.clear)


def new_id(at: datetime) -> UUID:
    """Return a fresh identifier for something that came to be ``at`` this instant."""
    return uuid7(int(at.timestamp() * 1000), _random_bits())


def _random_bits() -> int:
    while True:
        try:
            return _drawn.pop()
        except IndexError:
            data = secrets.token_bytes(10 * _DRAWN_AT_ONCE)
            _drawn.extend(int.from_bytes(data[at : at + 10]) >> 6 for at in range(0, len(data), 10))
