"""The commands on agents, with a worker's agents inside the same process."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from higherself.business.roster import load_roster
from higherself.cli.main import run

pytestmark = pytest.mark.postgres

AGENTS = '''
from higherself import AgentContext, Task, agent


@agent(name="desk", accepts=["question.*"], capabilities=["answers"], role="guest_service")
async def desk(task: Task, context: AgentContext) -> dict:
    """Answers guests."""
    return {"said": task["question"], "for": task.entity}


@agent(name="asker", accepts=["refund"])
async def asker(task: Task, context: AgentContext) -> str:
    return await context.escalate("A refund of 800 USD", severity=2)
'''

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Command:
    (tmp_path / "agents.py").write_text(AGENTS)
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("HIGHERSELF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(tmp_path))
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_TIERS", "local")

    def call(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = run(["agents", *arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def with_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the process of each command run the agents, too."""
    from contextlib import asynccontextmanager

    from higherself.cli import agents, workflow_sources
    from higherself.kernel.tasks import in_background

    @asynccontextmanager
    async def opened() -> Any:
        async with workflow_sources.opened() as hs:
            worker = hs.agents.worker()
            async with in_background(worker.run()):
                await worker.is_ready.wait()
                yield hs

    monkeypatch.setattr(agents, "opened", opened)


def test_installed_agents_are_listed_before_any_worker_ran_them(command: Command) -> None:
    code, out, _ = command("list", "--json")
    assert code == 0
    told = json.loads(out)["agents"]
    names = [each["card"]["name"] for each in told]
    assert names == sorted({*load_roster().declared, "asker", "desk"})
    assert {each["state"] for each in told} == {"no worker runs it"}
    code, out, _ = command("show", "desk", "--json")
    assert json.loads(out)["card"]["accepts"] == ["question.*"]
    code, _, err = command("show", "dsk")
    assert code == 3
    assert "there is no agent 'dsk'; did you mean 'desk'?" in err


def test_work_is_sent_and_answered(command: Command, with_workers: None) -> None:
    asked = ("send", "question.asked", "--data", '{"question": "Dogs?"}', "--entity", "gallery")
    code, out, err = command(*asked, "--wait", "10")
    assert (code, json.loads(out)) == (0, {"said": "Dogs?", "for": "gallery"}), err
    code, out, _ = command(*asked, "--wait", "10", "--to", "capability:answers", "--json")
    assert json.loads(out)["from"] == "urn:higherself:agent:desk"
    code, out, _ = command("routings", "--entity", "gallery", "--json")
    ways = [(each["wanted"], each["way"]) for each in json.loads(out)["routings"]]
    assert ways == [("capability:answers", "required"), ("type:question.asked", "accepts")]
    code, out, err = command("send", "question.asked", "--key", "q1", "--to", "agent:desk")
    again = command("send", "question.asked", "--key", "q1", "--to", "agent:desk")
    assert again[1] == out
    assert "it was there already, with this key" in again[2]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("send", "x", "--data", "[1]"), 5, "--data is no JSON object"),
        (("send", "x", "--to", "desk"), 5, "is no address; write agent:NAME"),
        (("send", "x", "--to", "agent:desc"), 3, "did you mean 'desk'?"),
        (("send", "x", "--to", "capability:flying"), 3, "no agent with capability flying"),
        (("send", "x", "--key", "k", "--wait", "1"), 5, "do not go together"),
        (("answer", "ESC-AAAAAAAA"), 5, "give either an ANSWER or --data"),
        (("answer", "ESC-AAAAAAAA", "yes"), 3, "there is no escalation 'ESC-AAAAAAAA'"),
        (("escalations", "--take", "mira"), 5, "--take needs a ticket"),
    ],
)
def test_what_cannot_be_done_is_said(
    command: Command, arguments: tuple[str, ...], code: int, said: str
) -> None:
    got, out, err = command(*arguments)
    assert (got, out) == (code, "")
    assert said in err


def test_a_refusal_is_told(command: Command, with_workers: None) -> None:
    code, _, err = command("send", "other", "--to", "agent:desk", "--wait", "10")
    assert code == 5
    assert "does not accept 'other'; it accepts question.*" in err


def test_a_ticket_is_taken_and_answered(command: Command, with_workers: None) -> None:
    _, out, _ = command("send", "refund", "--wait", "10")
    ticket = json.loads(out)
    _, out, _ = command("escalations", "--status", "open")
    assert ticket in out
    assert "A refund of 800 USD" in out
    _, out, _ = command("escalations", ticket.lower(), "--take", "mira", "--json")
    assert json.loads(out)["status"] == "in_progress"
    code, out, _ = command("answer", ticket, "Half of it.", "--as", "mira", "--json")
    told = json.loads(out)
    assert (code, told["status"], told["answer"], told["answered_to"]) == (
        0, "resolved", "Half of it.", "asker",
    )  # fmt: skip
    code, _, err = command("answer", ticket, "No.")
    assert code == 4
    assert "is resolved" in err


def test_a_worker_keeps_up_what_agents_leave(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where there is no server that would."""
    from higherself.app.agents import Agents
    from higherself.cli import worker

    told: list[str] = []
    done = asyncio.Event()
    upkeep = Agents.upkeep

    async def noted(self: Agents) -> None:
        told.append("upkeep")
        done.set()
        await upkeep(self)

    async def until_then(stop: asyncio.Event, parent: int | None) -> None:
        async with asyncio.timeout(10):
            await done.wait()

    monkeypatch.setattr(Agents, "upkeep", noted)
    monkeypatch.setattr(worker, "_told", until_then)
    assert run(["worker"]) == 0
    assert told == ["upkeep"]
