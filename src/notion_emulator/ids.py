"""Identifiers: what is accepted as one, and a repeatable source of new ones."""

from __future__ import annotations

import hashlib
import re
import string
from urllib.parse import quote, unquote
from uuid import UUID

_HEX = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PROPERTY_LETTERS = string.ascii_letters + "<>[]{}|~^_:;?@=`\\"


def dashed(text: object) -> str | None:
    """Return the dashed lower-case form, or None for what is no UUID of a known version.

    >>> dashed("393abc1eedcd80f3813be205934558c6")
    '393abc1e-edcd-80f3-813b-e205934558c6'
    >>> dashed("12345678-1234-1234-1234-123456789abc") is None
    True
    """
    if not isinstance(text, str) or not _HEX.fullmatch(text):
        return None
    uuid = UUID(text)
    if uuid.int != 0 and (text.replace("-", "")[12] not in "12345678" or uuid.variant != _RFC):
        return None
    return str(uuid)


_RFC = UUID("00000000-0000-4000-8000-000000000000").variant


def same_property(left: str, right: str) -> bool:
    """Tell whether two property ids are the same, url-encoded or not."""
    return unquote(left) == unquote(right)


class IdSource:
    """New ids that depend only on the seed and on how many were taken."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self.taken = 0

    def digest(self) -> bytes:
        """Return the next 32 bytes."""
        self.taken += 1
        return hashlib.sha256(f"{self.seed}:{self.taken}".encode()).digest()

    def uuid(self) -> str:
        """Return a version 4 UUID."""
        return str(UUID(bytes=self.digest()[:16], version=4))

    def object_id(self) -> str:
        """Return an id as objects made by a connection have: version 8, third group ``81..``."""
        raw = bytearray(self.digest()[:16])
        raw[:6] = bytes.fromhex("38c9ce7b60a4")
        raw[6] = 0x81
        raw[8] = (raw[8] & 0x3F) | 0x80
        return str(UUID(bytes=bytes(raw)))

    def property_id(self) -> str:
        """Return a short url-encoded id."""
        letters = "".join(_PROPERTY_LETTERS[b % len(_PROPERTY_LETTERS)] for b in self.digest()[:4])
        return quote(letters, safe="~_")

    def secret(self) -> str:
        """Return 43 letters and digits."""
        letters = string.ascii_letters + string.digits
        return "".join(letters[b % 62] for b in self.digest() + self.digest())[:43]
