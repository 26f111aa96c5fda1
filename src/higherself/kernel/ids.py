"""Typed identifiers, and how new ones are made."""

import secrets
from datetime import datetime
from typing import NewType
from uuid import UUID

DocumentId = NewType("DocumentId", UUID)
ChunkId = NewType("ChunkId", int)
SpaceId = NewType("SpaceId", int)


def uuid7(milliseconds: int, random_bits: int) -> UUID:
    """Return the version 7 UUID of an instant (Unix milliseconds) and 74 random bits.

    Identifiers made later sort later, so an index on them grows at its end.

    Source: RFC 9562, section 5.7.

    >>> str(uuid7(0x017F22E279B0, (0xCC3 << 62) | 0x18C4DC0C0C07398F))
    '017f22e2-79b0-7cc3-98c4-dc0c0c07398f'
    """
    head, tail = random_bits >> 62 & 0xFFF, random_bits & (1 << 62) - 1
    return UUID(int=milliseconds << 80 | 0x7 << 76 | head << 64 | 0b10 << 62 | tail)


def new_id(at: datetime) -> UUID:
    """Return a fresh identifier for something that came to be ``at`` this instant."""
    return uuid7(int(at.timestamp() * 1000), secrets.randbits(74))
