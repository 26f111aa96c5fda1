"""Which road messages take first, as it is written in a setting."""

from dataclasses import dataclass

DURABLE, EPHEMERAL = ("postgres", "nats"), ("memory", "nats", "postgres")


@dataclass(frozen=True, slots=True)
class RoadOrder:
    """The roads of each kind of message, the preferred one first; one that is left out is not used.

    ``durable``: for what has to last. ``ephemeral``: for what is for whoever hears now; it ends
    with ``postgres``, which keeps what nobody hears.

    >>> RoadOrder.read("durable=nats,postgres")
    RoadOrder(durable=('nats', 'postgres'), ephemeral=('memory', 'nats', 'postgres'))
    """

    durable: tuple[str, ...] = DURABLE
    ephemeral: tuple[str, ...] = EPHEMERAL

    @classmethod
    def read(cls, given: object) -> "RoadOrder":
        """Return what ``durable=A,B;ephemeral=C,D`` means; a kind that is not named is as always.

        Raises
            ValueError: it means nothing, saying what is wrong.
        """
        if isinstance(given, RoadOrder):
            return given
        found: dict[str, tuple[str, ...]] = {}
        for part in filter(None, map(str.strip, str(given).split(";"))):
            kind, equals, names = part.partition("=")
            kind = kind.strip()
            if not equals or kind not in ("durable", "ephemeral"):
                raise ValueError(f"{part!r} is neither durable=ROADS nor ephemeral=ROADS")
            if kind in found:
                raise ValueError(f"{kind} is there twice")
            found[kind] = _checked(kind, tuple(each.strip() for each in names.split(",")))
        return cls(**found)

    def __str__(self) -> str:
        """Return it as it is written in settings.

        >>> str(RoadOrder())
        'durable=postgres,nats;ephemeral=memory,nats,postgres'
        """
        return f"durable={','.join(self.durable)};ephemeral={','.join(self.ephemeral)}"


def _checked(kind: str, names: tuple[str, ...]) -> tuple[str, ...]:
    known = DURABLE if kind == "durable" else EPHEMERAL
    if unknown := [each for each in names if each not in known]:
        raise ValueError(f"{kind}: {unknown[0]!r} is none of {', '.join(known)}")
    if len(set(names)) < len(names):
        raise ValueError(f"{kind}: a road is there twice")
    if "postgres" not in names:
        raise ValueError(f"{kind}: postgres is missing, where messages are kept")
    if kind == "ephemeral" and names[-1] != "postgres":
        raise ValueError("ephemeral: postgres comes last, for it keeps what nobody hears")
    return names
