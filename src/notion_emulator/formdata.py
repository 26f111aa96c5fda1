"""Multipart form data: the fields of a body, with files as bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NAME = re.compile(r'[; ]name="?([^";\r\n]*)"?', re.IGNORECASE)
_FILENAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"', re.IGNORECASE)
_TYPE = re.compile(r"^content-type:\s*(\S[^\r\n]*)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Field:
    """One field: a value, or a file with a name and a type."""

    data: bytes
    filename: str | None = None
    content_type: str | None = None


def fields(raw: bytes) -> dict[str, Field]:
    r"""Return the fields by name; the boundary is the first line.

    >>> fields(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--')["a"].data
    b'1'
    """
    boundary, _, rest = raw.partition(b"\r\n")
    found: dict[str, Field] = {}
    for part in (b"\r\n" + rest).split(b"\r\n" + boundary):
        head, gap, data = part.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        shown = head.decode("utf-8", "replace")
        name = _NAME.search(shown)
        if gap and name:
            filename, kind = _FILENAME.search(shown), _TYPE.search(shown)
            found[name[1]] = Field(data, filename[1] if filename else None, kind[1] if kind else None)  # fmt: skip
    return found
