"""What is remembered of embedding tiers, in PostgreSQL."""

from datetime import date
from typing import Any

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.kernel.breaker import Circuit
from higherself.knowledge.standing import Standing, Usage

QUERIES = read_queries("higherself.knowledge", "ledger.sql")


class PostgresLedger:
    """Keeps how tiers stand in ``embedding_provider``, and what they used in ``embedding_usage``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, tier: str, day: date) -> Standing | None:
        """Return how ``tier`` stands, with its usage of ``day``; None if nothing is known."""
        async with self._database.reading() as tx:
            row = await tx.one(QUERIES["read_standing"], {"tier": tier, "day": day})
        return _standing(row) if row["changed_at"] or row["requests"] else None

    async def record(self, tier: str, day: date, change: Standing) -> Standing:
        """Add the usage of ``change`` to that of ``day``, and return how the tier stands now.

        Circuit and last error are kept if they are newer than what is there, or of another
        configuration.
        """
        key = {"tier": tier, "day": day}
        async with self._database.transaction() as tx:
            if change.circuit.changed_at is not None:
                await tx.run(QUERIES["keep_circuit"], {**key, **_kept(change)})
            await tx.run(QUERIES["add_usage"], {**key, **_used(change)})
            return _standing(await tx.one(QUERIES["read_standing"], key))


def _kept(change: Standing) -> dict[str, Any]:
    circuit = change.circuit
    return {
        "configuration": change.configuration,
        "failures": circuit.failures,
        "openings": circuit.openings,
        "open_until": circuit.open_until,
        "changed_at": circuit.changed_at,
        "last_error": change.last_error,
        "last_error_at": change.last_error_at,
    }


def _used(change: Standing) -> dict[str, Any]:
    usage = change.usage
    return {
        "requests": usage.requests,
        "failed_requests": usage.failures,
        "texts": usage.texts,
        "tokens": usage.tokens,
        "latency": change.latency,
    }


def _standing(row: Row) -> Standing:
    circuit = Circuit()
    if row["changed_at"] is not None:
        circuit = Circuit(
            failures=row["failures"],
            openings=row["openings"],
            open_until=row["open_until"],
            changed_at=row["changed_at"],
        )
    return Standing(
        configuration=row["configuration"] or b"",
        circuit=circuit,
        last_error=row["last_error"],
        last_error_at=row["last_error_at"],
        usage=Usage(
            requests=row["requests"],
            failures=row["failed_requests"],
            texts=row["texts"],
            tokens=row["tokens"],
        ),
        latency=row["latency"],
    )
