"""Results of skills that all processes share, and what is counted of runs, in PostgreSQL.

Times are the database's: its clock decides when a result or a claim is over.
"""

from collections.abc import Sequence
from datetime import timedelta

from higherself.agents.skills.model import Skill
from higherself.agents.skills.ports import Claim, Kept, Tally
from higherself.db.entities import remember_entity
from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.ids import new_id
from higherself.kernel.tasks import raise_if_cancelled

QUERIES = read_queries("higherself.agents.skills")

LEASE = timedelta(seconds=3)
"""How long whoever died while making a result keeps others from making it."""

AT_ONCE = 1000
"""Results that one statement deletes."""

WITHIN_DAYS = 7
"""How many days back runs are told, today included."""


class PostgresSkillResults:
    """`SharedResults` and `SkillRecords`; each method but `prune` is one transaction."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        lease: timedelta = LEASE,
        at_once: int = AT_ONCE,
    ) -> None:
        self._database, self._clock, self.lease = database, clock, lease
        self._at_once = at_once

    async def find(self, entity: str, key: bytes) -> bytes | None:
        """Return the result under ``key`` unless its time is over."""
        async with self._database.reading(entity=entity) as tx:
            row = await tx.maybe(QUERIES["find_result"], {"entity": entity, "key": key})
        return None if row is None else row["result"].encode()

    async def claim(self, skill: Skill, entity: str, key: bytes) -> Claim | bytes | None:
        """Return the right to make the result, or the result if there is one; see `SharedResults`.

        Raises
            Rejected: ``entity`` cannot be the name of a business.
        """
        now = self._clock.now()
        claim = Claim(entity, key, new_id(now))
        place = {"entity": entity, "key": key, "holder": claim.holder}
        async with self._database.transaction(entity=entity) as tx:
            await remember_entity(tx, entity, now)
            leads = await tx.run(
                QUERIES["claim_result"], {**place, "skill": skill.name, "lease": self.lease}
            )
            # A statement of its own: it sees what the one who led before has stored meanwhile.
            row = await tx.maybe(QUERIES["find_result"], place)
            if row is not None:
                if leads:
                    await tx.run(QUERIES["drop_claim"], place)
                result: str = row["result"]
                return result.encode()
        return claim if leads else None

    async def renew(self, claim: Claim) -> bool:
        """Hold the claim for another lease; False if it is no longer ours."""
        async with self._database.transaction(entity=claim.entity) as tx:
            held = await tx.run(QUERIES["renew_claim"], {**_place(claim), "lease": self.lease})
        return held == 1

    async def finish(self, claim: Claim, skill: Skill, text: bytes, lifetime: timedelta) -> bool:
        """Store the result and give the claim back; False if it was no longer ours."""
        result = {"skill": skill.name, "version": skill.version, "result": text.decode()}
        async with self._database.transaction(entity=claim.entity) as tx:
            if not await tx.run(QUERIES["drop_claim"], _place(claim)):
                return False
            await tx.run(QUERIES["keep_result"], {**_place(claim), **result, "lifetime": lifetime})
        return True

    async def give_up(self, claim: Claim) -> None:
        """Give the claim back without a result."""
        async with self._database.transaction(entity=claim.entity) as tx:
            await tx.run(QUERIES["drop_claim"], _place(claim))

    async def clear(self, skill: str | None = None, *, entity: str | None = None) -> int:
        """Forget the results of a skill (or all), of a business (or all), in all processes.

        What they have in memory is gone a few seconds later.
        """
        chosen = {"skill": skill, "entity": entity}
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["clear_claims"], chosen)
            cleared = await tx.run(QUERIES["clear_results"], chosen)
            await tx.run(QUERIES["order_clearing"], chosen)
        return cleared

    async def clearings(self, since: int) -> Sequence[tuple[int, str | None, str | None]]:
        """Return the orders to forget results after number ``since``: number, skill, business."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["clearings_since"], {"since": since})
        return [(row["clearing_id"], row["skill"], row["entity"]) for row in rows]

    async def kept(self, skill: str | None = None, *, entity: str | None = None) -> list[Kept]:
        """Return what is kept, by skill, version and business."""
        async with self._database.reading(entity=entity) as tx:
            rows = await tx.many(QUERIES["kept_results"], {"skill": skill, "entity": entity})
        return [Kept(**row) for row in rows]

    async def count(self, tallies: Sequence[Tally]) -> None:
        """Add to what was counted today."""
        # In one order, so that two processes never wait for each other.
        in_order = sorted(tallies, key=lambda each: (each.skill, each.version))
        async with self._database.transaction() as tx:
            for each in in_order:
                await tx.run(
                    QUERIES["count_runs"],
                    {
                        "skill": each.skill,
                        "version": each.version,
                        "runs": each.runs,
                        "hits": each.hits,
                        "failures": each.failures,
                        "seconds": each.seconds,
                    },
                )

    async def counted(self, skill: str | None = None) -> list[Tally]:
        """Return what was counted in the last days (`WITHIN_DAYS`), by version."""
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["counted_runs"], {"skill": skill, "days": WITHIN_DAYS})
        return [Tally(**row) for row in rows]

    async def prune(self) -> int:
        """Delete results whose time is over, and what was counted long ago."""
        async with self._database.transaction() as tx:
            await tx.run(QUERIES["drop_lapsed_claims"])
            await tx.run(QUERIES["drop_old_clearings"])
            await tx.run(QUERIES["drop_old_tallies"])
        pruned = 0
        while True:
            async with self._database.transaction() as tx:
                deleted = await tx.run(QUERIES["drop_expired_results"], {"most": self._at_once})
            pruned += deleted
            if deleted < self._at_once:
                return pruned
            raise_if_cancelled()


def _place(claim: Claim) -> dict[str, object]:
    return {"entity": claim.entity, "key": claim.key, "holder": claim.holder}
