"""Agents meet the knowledge hub: what they search, cite and remember, each within its business."""

from collections.abc import Sequence
from dataclasses import replace

from higherself.agents.model import Citation
from higherself.agents.ports import Made, Passages
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Rejected
from higherself.kernel.ids import DocumentId, checked_entity
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import Hit, NewDocument
from higherself.knowledge.quotations import quotations, quoted

SOURCE = "agent:"
"""Before an agent's name, the source of the documents that it makes."""

SPREAD, MOST = 4, 100
"""How many times as many passages are looked at as are wanted, and how many at most."""


class HubKnowledge:
    """Searches the hub for agents, and takes in what they make."""

    def __init__(self, hub: KnowledgeHub, clock: Clock) -> None:
        self._hub, self._clock = hub, clock

    async def search(
        self,
        query: str,
        *,
        entity: str,
        limit: int = 5,
        sources: Sequence[str] = (),
        tags: Sequence[str] = (),
        first: int = 1,
    ) -> Passages:
        """Return the passages of ``entity`` that answer ``query``, best first, numbered from ``first``.

        Raises
            QueryRejected: a part of the request makes no sense.
        """
        chosen = bool(sources or tags)
        answer = await self._hub.search(
            query,
            limit=limit if chosen else min(limit * SPREAD, MOST),
            entity=checked_entity(entity),
            sources=sources,
            tags=tags,
        )
        found = answer.hits if chosen else others_first(answer.hits, limit)
        hits = [replace(hit, rank=number) for number, hit in enumerate(found, start=first)]
        return Passages(
            query=query,
            citations=tuple(_citation(hit) for hit in hits),
            text=quoted(quotations(hits)).text,
            degraded=answer.degraded,
            reason=answer.reason,
        )

    async def remember(self, made: Made) -> DocumentId:
        """Store what an agent made, embedded, and return the document. The same name replaces it.

        Raises
            Rejected: it cannot be taken in; the text says why.
        """
        source = f"{SOURCE}{made.agent}"
        document = NewDocument(
            external_id=made.name,
            text=made.text,
            entity=checked_entity(made.entity),
            source=source,
            title=made.title,
            tags=made.tags,
            metadata=made.provenance,
            at=self._clock.now(),
            local_only=made.local_only,
            trust="generated",
        )
        report = await self._hub.add([document])
        if report.failed:
            raise Rejected(f"what {made.agent} made cannot be kept: {report.failed[0].reason}")
        found = await self._hub.find(made.entity, source, made.name)
        if found is None:
            raise Rejected(f"what {made.agent} made was deleted while it was being kept")
        return found


def others_first(hits: Sequence[Hit], limit: int) -> list[Hit]:
    """Return ``limit`` of ``hits``, in their order, of which agents made a third at most.

    What agents write repeats what they have read. If that counted as much, they would soon read
    nothing but themselves. Only where there is too little else does more of it come.
    """
    made = [hit for hit in hits if hit.document.trust == "generated"]
    others = [hit for hit in hits if hit.document.trust != "generated"]
    few = made[: max(limit // 3, limit - len(others))]
    kept = {id(hit) for hit in [*few, *others[: limit - len(few)]]}
    return [hit for hit in hits if id(hit) in kept]


def _citation(hit: Hit) -> Citation:
    return Citation(
        number=hit.rank,
        document=hit.document.id,
        chunk=hit.chunk.id,
        source=hit.document.source,
        name=hit.document.external_id,
        title=hit.document.title,
        quote=hit.chunk.text,
        trust=hit.document.trust,
        local_only=hit.document.local_only,
    )
