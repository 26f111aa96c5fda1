"""Who embeds what: the live tiers with the spaces they fill, and which of them answers a question.

Every live tier keeps the spaces it has filled, whichever of them answers: so to turn from one to
the next takes no more than a question in another space. Vectors of different spaces never meet.
"""

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from higherself.kernel.clock import Clock
from higherself.kernel.ids import SpaceId
from higherself.knowledge.model import StoredSpace
from higherself.knowledge.ports import Catalogue, Coverage, DocumentStore
from higherself.knowledge.tiers import Tier

FRESH = timedelta(seconds=2)
"""How old what is known of the spaces may be: other processes change them, too."""

COUNTED = timedelta(seconds=15)
"""How old the coverage of a space may be while something waits: to count it reads every chunk."""

ENOUGH = 0.9
"""The share of the chunks a space must cover to answer; the rest is compared in another space."""

MakeTier = Callable[[str, str, int | None], Tier]
"""Makes a tier once more, for another model and dimensions; it may be off."""


def no_tier(name: str, model: str, dimensions: int | None) -> Tier:
    """Make nothing: for a hub whose tiers are all there is."""
    return Tier(name, None, reason="its model cannot be changed here")


@dataclass(frozen=True, slots=True)
class Member:
    """A live tier and one of the spaces it fills."""

    tier: Tier
    stored: StoredSpace


@dataclass(frozen=True, slots=True)
class Standing:
    """A member that may answer. ``coverage`` is that of its space, if something waits there.

    ``leaves_out`` says that some texts will never be in it: they are private, or refused.
    """

    member: Member
    coverage: Coverage | None
    leaves_out: bool

    @property
    def suffices(self) -> bool:
        """Whether its space covers enough to answer."""
        return self.coverage is None or self.coverage.share >= ENOUGH


class Roster:
    """Knows the members. Safe for concurrent use."""

    def __init__(
        self,
        store: DocumentStore,
        catalogue: Catalogue,
        clock: Clock,
        tiers: Sequence[Tier],
        make: MakeTier = no_tier,
    ) -> None:
        self._store = store
        self._catalogue = catalogue
        self._clock = clock
        self._tiers = [tier for tier in tiers if tier.live]
        self._off = [tier for tier in tiers if not tier.live]
        self._make = make
        self._siblings: dict[str, Tier] = {}
        self._members: list[Member] = []
        self._spaces: list[StoredSpace] = []
        self._left_out: tuple[bool, set[SpaceId]] = (False, set())
        self._read_at: float | None = None
        self._counted: dict[str, tuple[float, Coverage]] = {}
        self._counting: dict[str, asyncio.Lock] = {}
        self._reading = asyncio.Lock()

    @property
    def live(self) -> bool:
        """Whether there is any tier that can embed."""
        return bool(self._tiers)

    def why_off(self) -> str:
        """Return why the tiers that are off are, for a person."""
        return "; ".join(f"{tier.name}: {tier.reason}" for tier in self._off)

    async def writing(self) -> list[Member]:
        """Return the members whose spaces are kept filled, in the order of the tiers."""
        await self._read()
        return [member for member in self._members if member.stored.state != "retired"]

    async def answering(self) -> list[Member]:
        """Return one member of each tier: with its active space, or else with one being filled."""
        await self._read()
        chosen: dict[str | None, Member] = {}
        for member in self._members:
            name, state = member.stored.tier, member.stored.state
            if state == "active" or (state == "filling" and name not in chosen):
                chosen[name] = member
        return list(chosen.values())

    async def ready(self) -> list[Member]:
        """Return the members of the settings' own models that are filled, but do not answer yet."""
        return [
            member
            for member in await self.writing()
            if member.tier in self._tiers
            and member.stored.state == "filling"
            and not member.stored.waiting
        ]

    async def standing(self, member: Member) -> Standing:
        """Return how much of the chunks the space of ``member`` covers."""
        stored = member.stored
        private, refusing = self._left_out
        leaves_out = stored.space_id in refusing or (private and not stored.on_machine)
        if not stored.waiting:
            return Standing(member, None, leaves_out)
        return Standing(member, await self._coverage(stored), leaves_out)

    async def spaces(self) -> list[StoredSpace]:
        """Return every space there is; those of the live tiers are made if need be."""
        await self._read()
        return self._spaces

    async def named(self, name: str) -> StoredSpace | None:
        """Return the space of this name, if there is one."""
        found = next((space for space in await self.spaces() if space.name == name), None)
        if found is None:
            self.forget()
            found = next((space for space in await self.spaces() if space.name == name), None)
        return found

    def forget(self) -> None:
        """Look again next time: something has changed."""
        self._read_at = None
        self._counted.clear()

    async def close(self) -> None:
        """Release the tiers made for other spaces."""
        for tier in self._siblings.values():
            await tier.close()

    async def _coverage(self, space: StoredSpace) -> Coverage:
        """Return the coverage as it was last counted; whoever finds that old counts anew.

        One at a time: the others go by the old count meanwhile, or wait if there is none.
        """
        counting = self._counting.setdefault(space.name, asyncio.Lock())
        if (coverage := self._counted_lately(space)) is not None:
            return coverage
        if counting.locked() and space.name in self._counted:
            return self._counted[space.name][1]
        async with counting:
            if (coverage := self._counted_lately(space)) is None:
                coverage = await self._catalogue.coverage(space)
                self._counted[space.name] = self._clock.monotonic(), coverage
        return coverage

    def _counted_lately(self, space: StoredSpace) -> Coverage | None:
        counted_at, coverage = self._counted.get(space.name, (-math.inf, None))
        recent = self._clock.monotonic() - counted_at <= COUNTED.total_seconds()
        return coverage if recent else None

    async def _read(self) -> None:
        async with self._reading:
            now = self._clock.monotonic()
            if self._read_at is not None and now - self._read_at < FRESH.total_seconds():
                return
            spaces = await self._store.spaces()
            for tier in self._tiers:
                mine = [space for space in spaces if space.tier == tier.name]
                if all(space.name != tier.space.name for space in mine):
                    taken = any(space.state == "active" for space in mine)
                    await self._store.add_space(
                        tier.space,
                        tier=tier.name,
                        state="filling" if taken else "active",
                        on_machine=tier.on_machine,
                    )
                    spaces = await self._store.spaces()
            self._left_out = await self._store.left_out()
            self._spaces = spaces
            self._members = [
                Member(owner, space)
                for tier in self._tiers
                for space in spaces
                if space.tier == tier.name and (owner := self._owner(tier, space)) is not None
            ]
            self._read_at = now

    def _owner(self, tier: Tier, stored: StoredSpace) -> Tier | None:
        """Return the tier as it embeds into ``stored``: itself, or its sibling for that space."""
        if stored.name == tier.space.name:
            return tier
        if stored.state == "retired":
            return None
        if stored.name not in self._siblings:
            model, dimensions = stored.space.model, stored.space.dimensions
            self._siblings[stored.name] = self._make(tier.name, model, dimensions)
        sibling = self._siblings[stored.name]
        return sibling if sibling.live and sibling.space.name == stored.name else None
