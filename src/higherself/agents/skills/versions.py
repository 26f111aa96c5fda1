"""Versions of skills and their order. Pure."""

import re

_VERSION = re.compile(
    r"(?P<numbers>[0-9]{1,9}(\.[0-9]{1,9}){0,4})(-(?P<before>[0-9A-Za-z]+(\.[0-9A-Za-z]+)*))?"
)

Order = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...], str]


def order_of(version: str) -> Order:
    """Return what versions are sorted by: 2 before 10, 1.0-rc1 before 1.0.

    Raises
        ValueError: it is no version.

    >>> sorted(["10", "2", "1.10", "1.9", "2-rc1"], key=order_of)
    ['1.9', '1.10', '2-rc1', '2', '10']
    """
    found = _VERSION.fullmatch(version)
    if found is None:
        raise ValueError(
            f"{version!r} is no version; write numbers with points, for example 2, 1.4 or 2.0-rc1"
        )
    numbers = tuple(map(int, found["numbers"].split(".")))
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers = numbers[:-1]
    parts = found["before"].split(".") if found["before"] else ()
    before = tuple((not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)
    return numbers, not before, before, version


def name_and_version(text: str) -> tuple[str, str | None]:
    """Return the two sides of ``name@version``; without ``@``, no version.

    >>> name_and_version("crm.enrich@2"), name_and_version("crm.enrich")
    (('crm.enrich', '2'), ('crm.enrich', None))
    """
    name, at, version = text.partition("@")
    return name, version if at else None
