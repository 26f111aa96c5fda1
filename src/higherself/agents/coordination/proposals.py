"""What figures suggest to change about plans, and what people decided about it: stored."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, cast
from uuid import UUID

from higherself.agents.coordination.optimising import Proposal
from higherself.agents.coordination.postgres import QUERIES
from higherself.agents.coordination.tuning import Change, ChangeKind
from higherself.db.pool import Database
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, NotFound, Rejected
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonObject
from higherself.messaging.statements import encoded

Decision = Literal["approved", "declined", "reverted"]
_FROM: dict[Decision, str] = {"approved": "open", "declined": "open", "reverted": "approved"}


class ProposalNotFound(NotFound):
    """No proposal has this identifier."""

    def __init__(self, id: UUID) -> None:
        super().__init__(f"no proposal {id}; make some with `higherself patterns propose`")
        self.id = id


class NotToBeDecided(Conflict):
    """A proposal stands otherwise than the decision needs."""

    def __init__(self, id: UUID, status: str, decision: str) -> None:
        super().__init__(f"proposal {id} is {status}, so it cannot be {decision}")
        self.id, self.status = id, status


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredProposal:
    """A proposal, and who decided last about it."""

    id: UUID
    entity: str
    name: str
    step: str
    kind: str
    change: JsonObject
    reason: str
    gain_seconds: float
    gain_share: float
    samples: int
    status: str
    created_at: datetime
    decided_by: str | None
    decided_at: datetime | None


class PostgresProposals:
    """Keeps proposals; those that are approved and not reverted are in force."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def open(self, entity: str, proposal: Proposal) -> UUID:
        """Store a proposal, in the place of an open one about the same."""
        row = {
            "proposal_id": new_id(self._clock.now()),
            "entity": entity,
            "name": proposal.name,
            "step": proposal.step,
            "kind": proposal.kind,
            "change": encoded(proposal.change),
            "reason": proposal.reason,
            "gain_seconds": proposal.gain_seconds,
            "gain_share": proposal.gain_share,
            "samples": proposal.samples,
        }
        async with self._database.transaction(entity=entity) as tx:
            (stored,) = await tx.many(QUERIES["open_proposal"], row)
        id: UUID = stored["proposal_id"]
        return id

    async def listed(
        self,
        *,
        entity: str | None = None,
        name: str | None = None,
        status: str | None = None,
        id: UUID | None = None,
    ) -> list[StoredProposal]:
        """Return proposals, the latest first."""
        wanted = {"entity": entity, "name": name, "status": status, "proposal_id": id}
        async with self._database.reading() as tx:
            rows = await tx.many(QUERIES["list_proposals"], wanted)
        return [_proposal(row) for row in rows]

    async def in_force(self, entity: str, name: str) -> list[Change]:
        """Return the changes that are approved for plans of ``name``."""
        found = await self.listed(entity=entity, name=name, status="approved")
        return [Change(cast("ChangeKind", each.kind), each.step, each.change) for each in found]

    async def decide(self, id: UUID, decision: Decision, *, by: str) -> StoredProposal:
        """Approve, decline or revert a proposal; it is noted who did, and when.

        Raises
            ProposalNotFound: there is none of this identifier.
            NotToBeDecided: it is decided already, or was never in force.
            Rejected: nobody is named.
        """
        if not by.strip():
            raise Rejected("by: say who decides")
        async with self._database.transaction() as tx:
            if decision == "approved":
                await tx.run(QUERIES["replace_approved"], {"proposal_id": id})
            named = {"proposal_id": id, "status": decision, "before": _FROM[decision]}
            row = await tx.maybe(QUERIES["decide_proposal"], named)
            if row is not None:
                noted = {"decision": decision, "decided_by": by, **row}
                await tx.run(QUERIES["note_decision"], noted)
        found = await self.listed(id=id)
        if not found:
            raise ProposalNotFound(id)
        if row is None:
            raise NotToBeDecided(id, found[0].status, decision)
        return found[0]


def _proposal(row: dict[str, Any]) -> StoredProposal:
    named = {key: value for key, value in row.items() if key != "proposal_id"}
    return StoredProposal(id=row["proposal_id"], **named)
