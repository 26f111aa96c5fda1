"""Results that are made once: kept in memory or shared by all processes, by what the skill says."""

import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

from higherself.agents.skills.flights import Flights
from higherself.agents.skills.memory import MemoryResults
from higherself.agents.skills.model import Cache, Skill
from higherself.agents.skills.ports import Claim, SharedResults
from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.tasks import in_background, raise_if_cancelled

LOOK_AGAIN, LOOK_AT_LEAST = timedelta(milliseconds=10), timedelta(milliseconds=250)
"""How soon, and how often at least, it is looked whether another process has made the result."""

Work = Callable[[], Awaitable[JsonValue]]


class CachedResults:
    """Makes results, each once however many ask, and keeps them. Errors are not kept.

    If the shared ones cannot be reached, a result is made without them.
    """

    def __init__(
        self, clock: Clock, *, memory: MemoryResults, shared: SharedResults | None = None
    ) -> None:
        self._clock, self.memory, self._shared = clock, memory, shared
        self._flights: Flights[tuple[bytes, bool]] = Flights()
        self._clearings = 0

    def at_hand(self, skill: Skill, key: bytes) -> bytes | None:
        """Return the result if it is in memory."""
        return self.memory.get(key)

    async def made(
        self, skill: Skill, cache: Cache, entity: str, key: bytes, work: Work
    ) -> tuple[bytes, bool]:
        """Return the result as JSON text, and whether ``work`` was done here and now for it.

        Raises
            Exception: whatever ``work`` raises.
        """
        shared = self._shared if cache.where == "postgres" else None

        async def make() -> tuple[bytes, bool]:
            if shared is None:
                return await self._in_memory(skill, cache, entity, key, work), True
            return await self._in_common(shared, skill, cache, entity, key, work)

        (text, worked), mine = await self._flights.once(key, make)
        return text, worked and mine

    def clear(self, skill: str | None = None, *, entity: str | None = None) -> int:
        """Forget results in memory; what is being made now is not kept either."""
        self._clearings += 1
        return self.memory.clear(skill, entity=entity)

    async def _in_memory(
        self, skill: Skill, cache: Cache, entity: str, key: bytes, work: Work
    ) -> bytes:
        before = self._clearings
        text = _text(await work())
        if self._clearings == before:
            self.memory.put(key, skill, entity, text, cache.lifetime)
        return text

    async def _in_common(
        self,
        shared: SharedResults,
        skill: Skill,
        cache: Cache,
        entity: str,
        key: bytes,
        work: Work,
    ) -> tuple[bytes, bool]:
        try:
            found = await shared.find(entity, key) or await self._claimed(
                shared, skill, entity, key
            )
        except HigherSelfError as error:
            _warn(skill, error)
            return _text(await work()), True
        if isinstance(found, bytes):
            return found, False
        try:
            async with in_background(self._held(shared, skill, found)):
                text = _text(await work())
        except BaseException:
            with suppress(HigherSelfError):  # else its lease ends soon
                await shared.give_up(found)
            raise
        try:
            await shared.finish(found, skill, text, cache.lifetime)
        except HigherSelfError as error:
            _warn(skill, error)
        return text, True

    async def _claimed(
        self, shared: SharedResults, skill: Skill, entity: str, key: bytes
    ) -> Claim | bytes:
        """Return the right to make the result, or the one that somebody else has made meanwhile."""
        looked = 0
        while (found := await shared.claim(skill, entity, key)) is None:
            looked += 1
            await self._clock.sleep(
                exponential(looked, base=LOOK_AGAIN, ceiling=LOOK_AT_LEAST, factor=1.5)
            )
            raise_if_cancelled()
        return found

    async def _held(self, shared: SharedResults, skill: Skill, claim: Claim) -> None:
        """Renew a claim for ever, or until it is lost: then another makes the result, too."""
        while True:
            await self._clock.sleep(shared.lease / 3)
            raise_if_cancelled()
            try:
                if not await shared.renew(claim):
                    return
            except HigherSelfError as error:
                _warn(skill, error)


def _text(result: JsonValue) -> bytes:
    return json.dumps(result, ensure_ascii=False, separators=(",", ":")).encode()


def _warn(skill: Skill, error: HigherSelfError) -> None:
    telemetry.warning("skills.cache.unreachable", skill=skill.name, reason=str(error))
