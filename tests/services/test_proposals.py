"""What figures suggest: stored, decided by people, and then gone by."""

from datetime import timedelta
from uuid import UUID

import pytest
from tests.services.network import Network
from tests.services.test_collaboration import CHAIN, ended, network

from higherself.agents.coordination.figures import figures_of
from higherself.agents.coordination.mermaid import sequence_diagram
from higherself.agents.coordination.optimising import Proposal
from higherself.agents.coordination.proposals import NotToBeDecided, ProposalNotFound
from higherself.app.pattern_pictures import figures_picture
from higherself.kernel.errors import Rejected
from higherself.workflow.view.png import png

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

__all__ = ["network"]


def hedging(seconds: float) -> Proposal:
    return Proposal(
        name="campaign", step="draft", kind="hedge", change={"seconds": seconds}, reason="slow",
        gain_seconds=1.5, gain_share=0.4, samples=200,
    )  # fmt: skip


async def hedges(network: Network) -> object:
    id = await network.collaborations.start(CHAIN)
    stored = await network.collaborations.store.find(id)
    assert stored is not None
    return stored.plan.by_id["draft"].hedge


async def test_only_what_is_approved_is_gone_by_until_it_is_reverted(network: Network) -> None:
    proposals = network.collaborations.proposals
    assert await hedges(network) is None
    first = await proposals.open("default", hedging(5))
    assert await proposals.open("default", hedging(6)) == first  # in the place of the open one
    assert await hedges(network) is None
    approved = await proposals.decide(first, "approved", by="ana")
    assert (approved.status, approved.decided_by) == ("approved", "ana")
    assert approved.decided_at is not None
    assert await hedges(network) == timedelta(seconds=6)
    with pytest.raises(NotToBeDecided, match="is approved, so it cannot be declined"):
        await proposals.decide(first, "declined", by="bo")

    second = await proposals.open("default", hedging(7))
    await proposals.decide(second, "approved", by="bo")
    assert await hedges(network) == timedelta(seconds=7)
    with pytest.raises(NotToBeDecided, match="is replaced"):
        await proposals.decide(first, "reverted", by="bo")
    with pytest.raises(NotToBeDecided):
        await proposals.decide(first, "approved", by="bo")
    assert await hedges(network) == timedelta(seconds=7)  # what was refused changed nothing
    await proposals.decide(second, "reverted", by="ana")
    assert await hedges(network) is None

    third = await proposals.open("default", hedging(8))
    await proposals.decide(third, "declined", by="ana")
    assert await hedges(network) is None
    rows = await network.bench.asked(
        "SELECT decision, decided_by FROM higherself.pattern_decision ORDER BY decision_id"
    )
    assert rows == [
        ("approved", "ana"), ("approved", "bo"), ("reverted", "ana"), ("declined", "ana")
    ]  # fmt: skip


async def test_a_decision_has_somebody_and_something(network: Network) -> None:
    with pytest.raises(ProposalNotFound):
        await network.collaborations.proposals.decide(UUID(int=1), "approved", by="ana")
    with pytest.raises(Rejected, match="say who decides"):
        await network.collaborations.proposals.decide(UUID(int=1), "approved", by=" ")


async def test_a_run_can_be_seen(network: Network) -> None:
    agents = {"elan": lambda said: "text", "liora": lambda said: "sent"}
    async with network.working(agents, engine=False):
        found = await ended(network, await network.collaborations.start(CHAIN))
    drawn = sequence_diagram(found)
    assert drawn.startswith("sequenceDiagram\n    participant collaboration as campaign\n")
    assert "    collaboration->>a0: draft\n    a0-->>collaboration: answered, " in drawn
    assert drawn.endswith("    Note over collaboration,a1: completed\n")

    since = found.started_at - timedelta(days=1)
    figures = figures_of(*await network.collaborations.store.runs(since=since))
    assert [(each.name, each.runs) for each in figures] == [("campaign", 1)]
    picture = figures_picture(figures)
    assert picture.count('class="hs-bar"') == 2
    assert png(picture)[:4] == b"\x89PNG"
    assert "No collaboration has ended yet." in figures_picture([])
