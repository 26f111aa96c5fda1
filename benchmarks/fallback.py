"""What a tier that is down costs a question: nothing is sent, and the next tier answers.

The real local model, and Voyage's real SDK against a local server that fails.
"""

import asyncio
import time
from collections.abc import Sequence

from measure import Line, at_most, finish, p50, parser, say, throwaway_server
from own import ours

from higherself import HigherSelf
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import NewDocument
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.providers.local import LocalEmbeddings
from higherself.knowledge.providers.voyage import voyage_embeddings
from higherself.knowledge.search_postgres import PostgresSearch
from higherself.knowledge.tiers import Tier
from higherself.testing.embeddings import EmbeddingServer, embedding_server

QUESTIONS = ["a cup of tea", "when does the train leave", "who plays the gong", "deposit refunded"]
ROUNDS = 50


def hub_with(hs: HigherSelf, tiers: Sequence[Tier]) -> KnowledgeHub:
    """Return a hub on the program's database with these tiers."""
    return KnowledgeHub(
        store=PostgresDocuments(hs.database, SYSTEM_CLOCK),
        index=PostgresSearch(hs.database),
        catalogue=PostgresCatalogue(hs.database),
        clock=SYSTEM_CLOCK,
        tiers=tiers,
    )


async def main() -> None:
    """Measure what the options ask for."""
    chosen = parser(__doc__).parse_args()
    with throwaway_server() as server, embedding_server() as vendors:
        async with ours(server) as hs:
            lines = await measure(hs, vendors)
    finish(lines, chosen.json)


async def measure(hs: HigherSelf, vendors: EmbeddingServer) -> list[Line]:
    """Ask with the local tier alone, and with one before it whose circuit is open, in turns."""
    model = LocalEmbeddings()
    local = Tier("local", model, on_machine=True)
    voyage = Tier(
        "voyage",
        voyage_embeddings(
            "key",
            base_url=vendors.voyage_url,
            model="voyage-4",
            dimensions=1024,
            clock=SYSTEM_CLOCK,
        ),
    )
    alone, both = hub_with(hs, [local]), hub_with(hs, [voyage, local])
    say("taking in 500 documents with both tiers")
    await both.add(
        NewDocument(external_id=str(n), text=f"{QUESTIONS[n % 4]}: note {n}.") for n in range(500)
    )
    vendors.voyage.failing = "unauthorized"
    await both.search(QUESTIONS[0])
    sent = len(vendors.voyage.requests)
    spent: dict[str, list[float]] = {"alone": [], "both": []}
    unmarked = 0
    for _ in range(ROUNDS):
        for question in QUESTIONS:
            for name, hub in (("alone", alone), ("both", both)):
                began = time.perf_counter()
                answer = await hub.search(question)
                spent[name].append((time.perf_counter() - began) * 1000)
                unmarked += answer.degraded is not (name == "both")
    await voyage.close()
    model.close()
    added = p50(spent["both"]) - p50(spent["alone"])
    asked = len(vendors.voyage.requests) - sent
    return [
        Line("open circuit: requests that left", asked, **at_most(asked, 0)),
        Line("open circuit: answers not marked", unmarked, **at_most(unmarked, 0)),
        Line("open circuit: added to a question, p50", added, "ms", "local tier alone",
             p50(spent["alone"]), **at_most(added, 5, "ms")),
    ]  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main())
