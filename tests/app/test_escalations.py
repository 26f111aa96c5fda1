"""What needs a person stands in one place, whoever asks; and whoever asks hears the answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from higherself import HigherSelf
from higherself.agents.errors import EscalationUnknown
from higherself.app.settings import Settings
from higherself.kernel.errors import Conflict
from higherself.kernel.tasks import in_background
from higherself.services.human_task import Asking, Deciding

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

ENTITY = "the_7_space"
AGENT = """
from higherself import AgentContext, Task, agent


@agent(name="asker", accepts=["refund"])
async def asker(task: Task, context: AgentContext) -> str:
    return await context.escalate("A refund of 800 USD", severity=1, attempts=["looked it up"])
"""


@asynccontextmanager
async def at_work(url: str, folder: Path) -> AsyncIterator[HigherSelf]:
    (folder / "asker.py").write_text(AGENT)
    settings = {
        "DATABASE_URL": url, "HIGHERSELF_HOME": str(folder), "HIGHERSELF_EXTENSIONS": (str(folder),),
    }  # fmt: skip
    async with HigherSelf.open(Settings.model_validate(settings)) as hs:
        worker = hs.agents.worker("asker")
        async with in_background(worker.run()):
            await worker.is_ready.wait()
            yield hs


async def test_agents_and_workflows_ask_in_one_place(database_url: str, tmp_path: Path) -> None:
    async with at_work(database_url, tmp_path) as hs:
        reply = await hs.agents.ask("refund", {"order": 7}, to="agent:asker", entity=ENTITY)
        of_agent = str(reply.data)
        contact = {"email": "ana@example.org"}
        asked = await hs.human_tasks.ask(
            Asking(kind="escalation", entity=ENTITY, key="1", title="A question", text="why",
                   details={"contact": contact}, severity=4)
        )  # fmt: skip
        review = await hs.human_tasks.ask(
            Asking(kind="review", entity=ENTITY, key="2", title="A text", text="Hello")
        )
        found = await hs.escalations.list()
        assert {each["ticket"] for each in found} == {of_agent, asked.ticket}
        assert {each["status"] for each in found} == {"open"}
        shown = await hs.escalations.show(of_agent.lower())
        assert shown["details"]["attempts"] == ["looked it up"]
        assert (shown["history"][0]["what"], shown["history"][0]["data"]) == (
            "refund",
            {"order": 7},
        )
        assert "escalation.opened" in {each["what"] for each in shown["history"]}
        shown = await hs.escalations.show(asked.ticket)
        assert shown["details"]["contact"] == contact
        for ticket in (of_agent, asked.ticket):
            taken = await hs.escalations.take(ticket, "ann")
            assert (taken["assignee"], taken["status"]) == ("ann", "in_progress")
        said = Deciding(decision="answered", by="ann", answer="Half of it.")
        for ticket in (of_agent, asked.ticket):
            done = await hs.escalations.answer(ticket, said)
            assert (done["answer"], done["by"], done["status"]) == ("Half of it.", "ann", "decided")
            other = Deciding(decision="closed", by="bo")
            with pytest.raises(Conflict):
                await hs.escalations.answer(ticket, other)
        assert await hs.escalations.list() == []
        assert len(await hs.escalations.list(every=True, entity=ENTITY)) == 2
        for unknown in (review.ticket, "ESC-NONE"):
            with pytest.raises(EscalationUnknown):
                await hs.escalations.show(unknown)
