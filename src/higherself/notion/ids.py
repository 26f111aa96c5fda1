"""Notion's identifiers: 32 hexadecimal digits, written with dashes or without, or in an address."""

import re

from higherself.notion.errors import NotionRejected

_HEX = re.compile(r"(?<![0-9a-f])[0-9a-f]{8}(-?)[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{4}\1[0-9a-f]{12}(?![0-9a-f])", re.I)  # fmt: skip
_DASHES = (8, 12, 16, 20)


def notion_id(given: str) -> str:
    """Return the identifier that ``given`` is or has, with dashes.

    In an address it is the last of its path, or the block after ``#``.

    >>> notion_id("https://app.notion.com/p/Ana-0123456789abcdef0123456789abcdef?v=1")
    '01234567-89ab-cdef-0123-456789abcdef'

    Raises
        NotionRejected: there is none in it.
    """
    address, _, block = given.strip().partition("#")
    for part in (block, address.partition("?")[0]):
        if found := list(_HEX.finditer(part)):
            digits = found[-1][0].replace("-", "").lower()
            return "-".join(digits[a:b] for a, b in zip((0, *_DASHES), (*_DASHES, 32), strict=True))
    raise NotionRejected(
        f"{given[:100]!r} is no page: give its address, or the 32 digits at its end"
    )


def same_id(one: str | None, other: str | None) -> bool:
    """Return whether two identifiers are the same, with dashes or without."""
    if one is None or other is None:
        return False
    return one.replace("-", "").lower() == other.replace("-", "").lower()
