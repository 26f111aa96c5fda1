"""What businesses spend on language models, in PostgreSQL: one ledger for all processes."""

from collections.abc import Sequence
from datetime import date, timedelta

from higherself.agents.llm.ports import Reservation, Spending
from higherself.agents.llm.usage import Allowance, Usage
from higherself.db.entities import remember_entity
from higherself.db.pool import Database
from higherself.db.queryfile import read_queries
from higherself.kernel.clock import Clock
from higherself.kernel.ids import new_id

QUERIES = read_queries("higherself.agents.llm", "ledger.sql")

KEPT = timedelta(days=7)
"""How long what was never settled is kept, for those who look into it."""


class PostgresSpendingLedger:
    """A `SpendingLedger`; each method is one transaction."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def reserve(
        self, entity: str, day: date, model: str, need: Usage, limit: Allowance
    ) -> Reservation | Allowance:
        """Set ``need`` aside, or return what is left of ``limit`` today if that is not enough.

        Raises
            Rejected: this cannot be the name of a business.
        """
        key = {"entity": entity, "day": day}
        made = Reservation(
            id=new_id(self._clock.now()), entity=entity, day=day, model=model, need=need
        )
        async with self._database.transaction(entity=entity) as tx:
            await remember_entity(tx, entity, self._clock.now())
            await tx.run(QUERIES["lock_day"], key)
            spent = await tx.one(QUERIES["spent_on_day"], key)
            left = limit.left(Usage(input_tokens=spent["tokens"], micro_usd=spent["micro_usd"]))
            if left.lacks(need):
                return left
            aside = {"tokens": need.tokens, "micro_usd": need.micro_usd}
            await tx.run(
                QUERIES["set_aside"], {**key, **aside, "model": model, "reservation": made.id}
            )
            return made

    async def settle(self, reservation: Reservation, used: Usage, *, failed: bool) -> None:
        """Count what a request really used. What is settled or forgotten already stays as it is."""
        day, entity = reservation.day, reservation.entity
        counted = {
            "requests": used.requests,
            "failures": int(failed),
            "input_tokens": used.input_tokens,
            "output_tokens": used.output_tokens,
            "cached_tokens": used.cached_tokens,
            "written_tokens": used.written_tokens,
            "micro_usd": used.micro_usd,
        }
        key = {"entity": entity, "day": day, "model": reservation.model}
        async with self._database.transaction(entity=entity) as tx:
            if await tx.run(QUERIES["release"], {"reservation": reservation.id}):
                await tx.run(QUERIES["count_usage"], {**key, **counted})
                await tx.run(QUERIES["drop_old_days"], {"entity": entity, "day": day - KEPT})

    async def spent(self, day: date, *, entity: str | None = None) -> Sequence[Spending]:
        """Return what was spent on ``day``, by business and model."""
        async with self._database.reading(entity=entity) as tx:
            rows = await tx.many(QUERIES["spending"], {"day": day, "entity": entity})
        return [
            Spending(
                entity=row["entity"],
                day=day,
                model=row["model"],
                usage=Usage(
                    requests=row["requests"],
                    input_tokens=row["input_tokens"],
                    output_tokens=row["output_tokens"],
                    cached_tokens=row["cached_tokens"],
                    written_tokens=row["written_tokens"],
                    micro_usd=row["micro_usd"],
                ),
                failures=row["failures"],
                reserved=Allowance(
                    tokens=row["reserved_tokens"], micro_usd=row["reserved_micro_usd"]
                ),
            )
            for row in rows
        ]
