"""A setting that names several things: NAME=VALUE with semicolons between, or one value alone."""

import re
from collections.abc import Mapping

_NAME = re.compile(r"[a-z0-9][a-z0-9_]*(?:\.[a-z0-9][a-z0-9_]*)?")


def read_named(given: object, *, alone: str) -> Mapping[str, str]:
    """Return values by their names; one without a name is called ``alone``.

    Raises
        ValueError: a name is missing, or there twice.

    >>> read_named("https://a.example/x?y=1; crm = https://b.example", alone="team")
    {'team': 'https://a.example/x?y=1', 'crm': 'https://b.example'}
    """
    if isinstance(given, Mapping):
        return given
    found: dict[str, str] = {}
    for part in str(given).split(";"):
        text = part.strip()
        if not text:
            continue
        name, equals, value = (each.strip() for each in text.partition("="))
        if not equals or not _NAME.fullmatch(name):
            name, value = alone, text
        if name in found:
            raise ValueError(f"{name!r} is there twice; write NAME=VALUE with semicolons between")
        if not value:
            raise ValueError(f"{name!r} has no value")
        found[name] = value
    return found
