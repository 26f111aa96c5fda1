"""Whose a delivery is: decided by what the operator and the businesses have set, never by the sender. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from higherself.inbound.model import Announcement
from higherself.inbound.sources import source_named
from higherself.kernel.errors import HigherSelfError, Rejected
from higherself.kernel.ids import checked_entity

EVERYTHING = "*"
_BETWEEN = re.compile(r"[,;\n]")


class BusinessUnknown(Rejected):
    """Nothing says whose a delivery is; the text says what to set."""

    def __init__(self, source: str, places: tuple[str, ...]) -> None:
        told = f" ({', '.join(places[:3])})" if places else ""
        example = f"{source}:{places[0]}" if places else source
        super().__init__(
            f"nothing says which business this delivery of {source}{told} belongs to; set "
            f"HIGHERSELF_WEBHOOK_BUSINESSES to {example}=BUSINESS, say, then "
            "`higherself webhooks replay`"
        )


@dataclass(frozen=True, slots=True)
class Businesses:
    """Which business what belongs to: ``typeform:form:lT4Z3j``, ``acuity``, or ``*`` for the rest."""

    by_place: Mapping[str, str]

    @classmethod
    def read(cls, text: object) -> "Businesses":
        """Return what a setting says: PLACE=BUSINESS, with commas between.

        >>> Businesses.read("typeform:form:x=gallery, *=the_7_space").by_place["typeform:form:x"]
        'gallery'

        Raises
            ValueError: it cannot be read; the text says where.
        """
        if isinstance(text, Businesses):
            return text
        by_place: dict[str, str] = {}
        for entry in _BETWEEN.split(str(text or "")):
            if not entry.strip():
                continue
            place, equals, entity = (part.strip() for part in entry.rpartition("="))
            if not equals or not place:
                raise ValueError(f"{entry.strip()!r} is not PLACE=BUSINESS")
            source, colon, rest = place.partition(":")
            try:
                name = EVERYTHING if source == EVERYTHING else source_named(source).name
                by_place[f"{name}{colon}{rest}"] = checked_entity(entity)
            except HigherSelfError as error:
                raise ValueError(f"{entry.strip()!r}: {error}") from None
        return cls(by_place)

    def __str__(self) -> str:
        return ",".join(f"{place}={entity}" for place, entity in self.by_place.items())

    def of(
        self, source: str, announcement: Announcement, claimed: Mapping[str, str] | None = None
    ) -> str:
        """Return whose an announcement is. ``claimed`` are places that businesses claim themselves.

        Raises
            BusinessUnknown: nothing says so.
        """
        for place in announcement.places:
            if found := self.by_place.get(f"{source}:{place}"):
                return found
        for place in announcement.places:
            if found := (claimed or {}).get(f"{source}:{place}"):
                return found
        if announcement.entity is not None:
            return announcement.entity
        for place in (source, EVERYTHING):
            if found := self.by_place.get(place):
                return found
        raise BusinessUnknown(source, announcement.places)
