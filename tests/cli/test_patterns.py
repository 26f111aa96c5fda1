"""Looking at collaborations and deciding about them, from the outside."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest
from tests.cli.conftest import Higherself
from tests.services.network import network_on, until
from tests.services.test_collaboration import CHAIN

from higherself.agents.coordination.optimising import Proposal
from higherself.db.pool import open_database

pytestmark = pytest.mark.postgres

HEDGE = Proposal(
    name="campaign", step="draft", kind="hedge", change={"seconds": 2.0}, reason="1 in 20 is slow",
    gain_seconds=0.5, gain_share=0.25, samples=200,
)  # fmt: skip
ASKED = {
    "pattern": "escalation", "name": "refund", "steps": [{"name": "sage", "task": "refund"}],
    "people": {"roles": ["owner"], "question": "Refund?"},
}  # fmt: skip


@pytest.fixture
def filled(database_url: str) -> dict[str, UUID]:
    """A collaboration that has ended, one in which a person is asked, and an open proposal."""
    return asyncio.run(_filled(database_url))


async def _filled(url: str) -> dict[str, UUID]:
    async with open_database(url, connections=3) as database, network_on(url, database) as network:
        network.book.groups["content"] = ["elan"]
        agents = {"elan": lambda said: "text", "liora": lambda said: "sent"}
        done = await network.collaborations.start(CHAIN)
        asked = await network.collaborations.start(ASKED)
        async with network.working({**agents, "sage": lambda said: _refuse()}, engine=False):
            await until(lambda: network.collaborations.latest(waiting=True))
            await network.collaborations.wait(done)
        proposal = await network.collaborations.proposals.open("default", HEDGE)
    return {"done": done, "asked": asked, "proposal": proposal}


def _refuse() -> object:
    from tests.services.network import Say

    return Say("refuse", "too much")


def test_the_report_and_its_picture(
    higherself: Higherself, filled: dict[str, UUID], tmp_path: Path
) -> None:
    svg, png = tmp_path / "p.svg", tmp_path / "p.png"
    found = higherself("patterns", "report", "--json", "--svg", str(svg), "--png", str(png)).json
    (campaign,) = found["patterns"]
    assert (campaign["name"], campaign["runs"], campaign["fan_out"]) == ("campaign", 1, 2)
    assert [step["step"] for step in campaign["steps"]] == ["draft", "send"]
    assert svg.read_text().startswith("<svg")
    assert png.read_bytes()[:4] == b"\x89PNG"


def test_a_collaboration_is_a_diagram(higherself: Higherself, filled: dict[str, UUID]) -> None:
    shown = higherself("patterns", "show", str(filled["done"]))
    assert shown.out.startswith("sequenceDiagram\n")
    everything = higherself("patterns", "show", str(filled["done"]), "--json").json
    assert everything["outcome"]["result"] == "sent"
    assert higherself("patterns", "show", str(UUID(int=7))).code == 3


def test_a_person_answers(higherself: Higherself, filled: dict[str, UUID]) -> None:
    (waiting,) = higherself("patterns", "list", "--waiting", "--json").json["collaborations"]
    assert waiting["id"] == str(filled["asked"])
    answer = ("patterns", "answer", waiting["id"], "--as", "ana")
    assert higherself(*answer, "--role", "staff").code == 5
    done = higherself(*answer, "--role", "owner", "--data", '{"refund": 50}', "--json").json
    assert (done["status"], done["outcome"]["result"]) == ("completed", {"refund": 50})
    assert higherself(*answer, "--role", "owner").code == 4
    assert higherself("patterns", "cancel", waiting["id"], "--json").json["status"] == "completed"


def test_a_proposal_is_approved_and_reverted(
    higherself: Higherself, filled: dict[str, UUID]
) -> None:
    found = higherself("patterns", "propose", "--json").json
    assert [each["id"] for each in found["proposals"]] == [str(filled["proposal"])]
    assert found["runs"] == 1  # too few to propose anything more
    named = str(filled["proposal"])
    approved = higherself("patterns", "approve", named, "--as", "ana", "--json").json
    assert (approved["status"], approved["decided_by"]) == ("approved", "ana")
    assert higherself("patterns", "decline", named).code == 4
    assert "reverted by bo" in higherself("patterns", "revert", named, "--as", "bo").out
