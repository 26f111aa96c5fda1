"""Sequence diagrams, parsed by the real mermaid whatever the texts."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from tests.workflow.view.conftest import real_mermaid
from tests.workflow.view.real_mermaid import RealMermaid

from higherself.agents.coordination.mermaid import sequence_diagram
from higherself.agents.coordination.records import Asked, Collaboration

__all__ = ["real_mermaid"]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
ODD = [
    "end",
    "a;b",
    "x-->>y: z",
    "# %% \n loop",
    "Ünï 漢字 😀",
    "</script>",
    '"quoted"',
    "",
    ":" * 99,
]


def asked(number: int, text: str, status: str) -> Asked:
    at = NOON + timedelta(seconds=number)
    return Asked(
        task=f"{text}/{number}", step=text, kind="bid" if number % 2 else "work", attempt=number,
        wanted=text, agent=text, status=status, error=text, cost_micro_usd=0, asked_at=at,
        answered_at=None if status == "asked" else at + timedelta(seconds=2),
    )  # fmt: skip


def test_whatever_is_said_it_is_a_diagram(real_mermaid: RealMermaid) -> None:
    statuses = ["answered", "failed", "late", "asked", "refused"]
    for text in ODD:
        found = Collaboration(
            id=UUID(int=1), entity="e", name=text, pattern="chain", key=None, status="failed",
            reason=text, question={"roles": [text], "question": text, "data": {}}, instance=None,
            started_at=NOON, updated_at=NOON, finished_at=None, outcome=None, failure="",
            cost_micro_usd=0,
            asked=tuple(asked(at, text, status) for at, status in enumerate(statuses)),
        )  # fmt: skip
        said = real_mermaid.parse(sequence_diagram(found))["messages"]
        assert len(said) == 5 + 4 + 1 + 1  # askings, answers, the person, the end
        flat = " ".join(text.split()) or "-"
        assert said[-1].startswith(f"failed: {flat}"[:40]) or not text
