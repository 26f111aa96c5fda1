"""A hub with three tiers: Voyage and OpenAI through their real SDKs from a local server, and the
real local model. What must always hold of its store."""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from higherself.db.pool import Database, Transaction
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import NewDocument
from higherself.knowledge.ports import EmbeddingProvider
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.knowledge.providers.openai import openai_embeddings
from higherself.knowledge.providers.retrying import Patience
from higherself.knowledge.providers.voyage import voyage_embeddings
from higherself.knowledge.search_postgres import PostgresSearch
from higherself.knowledge.tiers import Tier
from higherself.testing.clock import ManualClock
from higherself.testing.embeddings import EmbeddingServer, meaning

VOYAGE, OPENAI = "voyage-4/256", "openai/text-embedding-3-small/256@127.0.0.1"
FAMILY = {VOYAGE: "voyage-4", OPENAI: "3-small"}

QUICK = Patience(
    total=timedelta(seconds=2),
    one_try=timedelta(milliseconds=250),
    tries=2,
    base=timedelta(milliseconds=1),
    ceiling=timedelta(milliseconds=1),
)


@dataclass
class InUse:
    """A hub, what its remote tiers talk to, and the clock that all of them read."""

    hub: KnowledgeHub
    tiers: dict[str, Tier]
    server: EmbeddingServer
    clock: ManualClock
    database: Database

    @property
    def local_space(self) -> str:
        return self.tiers["local"].space.name

    async def pass_time(self, wait: timedelta = timedelta(hours=1)) -> None:
        """Let every pause end."""
        self.clock.move(wait)

    async def vectors(self) -> dict[str, dict[str, Any]]:
        """Return by space the text of every chunk that has a vector there, with it."""
        found: dict[str, dict[str, Any]] = {}
        async with self.database.transaction() as tx:
            spaces = await asked(tx, "SELECT space_id, name FROM embedding_space")
            for number, name in spaces:
                rows = await asked(
                    tx,
                    f"SELECT text, embedding::text FROM embedding_{number} "
                    "JOIN chunk USING (content_hash, entity)",
                )
                found[name] = {
                    text: np.array(vector.strip("[]").split(","), np.float32)
                    for text, vector in rows
                }
        return found

    async def check(self, texts: Collection[str]) -> None:
        """Check that exactly ``texts`` are stored, and that no vector is in a wrong space."""
        async with self.database.transaction() as tx:
            rows = await asked(tx, "SELECT text FROM chunk")
        assert sorted(text for (text,) in rows) == sorted(texts)
        for space, vectors in (await self.vectors()).items():
            assert vectors.keys() <= set(texts)
            for text, vector in vectors.items():
                if space in FAMILY:
                    expected = meaning(text, FAMILY[space], 256)
                else:
                    (expected,) = await self.tiers["local"].embed([text])
                assert vector @ expected > 0.99, f"a vector in {space} was not made for it"


@asynccontextmanager
async def in_use(
    database: Database,
    server: EmbeddingServer,
    local_model: LocalEmbeddings,
    names: Collection[str] = ("voyage", "openai", "local"),
    first: Sequence[Tier] = (),
    **more: Any,
) -> AsyncIterator[InUse]:
    clock = ManualClock()
    patient: dict[str, Any] = {
        "clock": clock, "question": QUICK, "documents": QUICK, "draw": lambda: 1.0
    }  # fmt: skip
    providers: dict[str, EmbeddingProvider] = {
        "voyage": voyage_embeddings(
            "key", base_url=server.voyage_url, model="voyage-4", dimensions=256, **patient
        ),
        "openai": openai_embeddings(
            "key",
            base_url=server.openai_url,
            model="text-embedding-3-small",
            dimensions=256,
            **patient,
        ),
        "local": local_model,
    }
    tiers = {
        name: Tier(name, providers[name], on_machine=name == "local", clock=clock) for name in names
    }
    hub = KnowledgeHub(
        store=PostgresDocuments(database, clock),
        index=PostgresSearch(database),
        catalogue=PostgresCatalogue(database),
        clock=clock,
        tiers=[*first, *tiers.values()],
        **more,
    )
    try:
        yield InUse(hub, tiers, server, clock, database)
    finally:
        await hub.close()
        for name, tier in tiers.items():
            if name != "local":
                await tier.close()


async def asked(tx: Transaction, statement: str) -> list[Any]:
    return await (await tx.connection.execute(statement.encode())).fetchall()


def document(name: str, text: str, **more: Any) -> NewDocument:
    return NewDocument(external_id=name, text=text, **more)
