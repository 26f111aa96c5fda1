"""The names of embedding tiers in settings: ours, those of installed packages, and no others.

Rerankers are no tiers, but have limits as tiers have.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import EntryPoint

from higherself.kernel.packages import brought

BUILT_IN_TIERS = ("voyage", "openai", "local")

RERANKERS = {"voyage": "voyage-rerank", "openai": "openai-rerank"}
"""What rerankers are called where tiers are told apart, by the value of HIGHERSELF_RERANKER."""

PROVIDERS = "higherself.providers"
"""The group of entry points with which packages bring tiers of their own."""

_NUMBER = re.compile(r"0*[1-9]\d{0,14}")


@dataclass(frozen=True, slots=True)
class PerTier:
    """A number for each embedding tier: for those named, and for the others, if there is one."""

    named: Mapping[str, int]
    others: int | None = None

    @classmethod
    def read(cls, given: object, *, also: Collection[str] = ()) -> "PerTier":
        """Return what ``given`` says; it may name those ``also``, which are no tiers.

        Raises
            ValueError: it is neither a number nor a list of them; the text says what is wrong.

        >>> PerTier.read("4, openai=2").of("openai"), PerTier.read("4, openai=2").of("voyage")
        (2, 4)
        """
        if isinstance(given, PerTier):
            return given
        named: dict[str, int] = {}
        others = None
        for part in str(given).split(","):
            name, equals, number = (each.strip() for each in part.rpartition("="))
            if not _NUMBER.fullmatch(number):
                raise ValueError(f"{part.strip()!r} is neither a number from 1 on nor TIER=NUMBER")
            if equals:
                named[name] = int(number)
            else:
                others = int(number)
        _check(named, also)
        return cls(named, others)

    def of(self, tier: str) -> int | None:
        """Return the number of ``tier``, or None if it has none."""
        return self.named.get(tier, self.others)

    def __str__(self) -> str:
        others = [] if self.others is None else [str(self.others)]
        return ",".join([*others, *(f"{name}={number}" for name, number in self.named.items())])


def installed_tiers() -> dict[str, EntryPoint]:
    """Return what installed packages bring, by the name of the tier."""
    return {found.name: found for found in brought(PROVIDERS)}


def tier_order(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return ``names`` unchanged if each is that of a tier, and there once.

    Raises
        ValueError: naming the first that is not.
    """
    _check(names)
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"it names {', '.join(twice)} twice")
    return names


def _check(names: Iterable[str], also: Collection[str] = ()) -> None:
    others = [name for name in names if name not in (*BUILT_IN_TIERS, *also)]
    if not others:  # to look into every installed package takes milliseconds
        return
    known = sorted({*BUILT_IN_TIERS, *also, *installed_tiers()})
    for name in others:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise ValueError(
                f"there is no embedding tier {name!r}{hint} (there are: {', '.join(known)})"
            )
