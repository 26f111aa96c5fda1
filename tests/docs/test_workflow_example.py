"""The example workflow does what the pages on workflows and skills say, by the commands they name."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "examples" / "workflows"
HOWTO = ROOT / "docs" / "howto"

pytestmark = pytest.mark.postgres

Higherself = Callable[..., str]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    return kept | {
        "HIGHERSELF_HOME": str(tmp_path / "home"),
        "HIGHERSELF_EXTENSIONS": str(EXAMPLE),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


@pytest.fixture
def higherself(environment: dict[str, str], tmp_path: Path) -> Iterator[Higherself]:
    """Runs a command beside a worker, and returns what it prints."""

    def call(*arguments: str) -> str:
        done = subprocess.run(
            ["higherself", *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    call("workflow", "list")  # makes the database, so that the worker does not
    with subprocess.Popen(
        ["higherself", "worker"],
        env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True,
    ) as worker:  # fmt: skip
        assert worker.stderr is not None
        assert any("worker with 2 skills" in line for line in worker.stderr)
        yield call
        worker.terminate()
        worker.stderr.read()
        assert worker.wait(timeout=60) == 0


def until(higherself: Higherself, instance: str, state: str, status: str) -> None:
    seen = {}
    for _ in range(40):
        seen = json.loads(higherself("workflow", "instance", instance, "--json"))
        if (seen["state"], seen["status"]) == (state, status):
            return
        time.sleep(0.2)
    raise AssertionError(seen)


def test_the_workflow_of_the_pages_goes_as_they_say(higherself: Higherself, tmp_path: Path) -> None:
    path = str(EXAMPLE / "workflows" / "guest_feedback.yaml")
    assert higherself("workflow", "lint", path) == f"{path}: clean\n"
    context = '{"guest": "Ana", "percent": 80}'
    start = ("workflow", "start", "guest_feedback", "--context", context, "--key", "visit-17")
    instance = higherself(*start).strip()
    assert higherself(*start).strip() == instance
    until(higherself, instance, "asked", "waiting")
    higherself("workflow", "send", instance, "feedback.given", "--data", '{"stars": 2}')
    higherself("workflow", "approve", instance, "--as", "maria", "--role", "owner")
    until(higherself, instance, "invited", "failed")
    failed = higherself("workflow", "instance", instance)
    assert "failed in invited: a voucher of 80 percent is not allowed; 50 is the most" in failed
    seen = json.loads(higherself("workflow", "instance", instance, "--json"))
    (tmp_path / "context.json").write_text(json.dumps({**seen["context"], "percent": 20}))
    higherself("workflow", "retry", instance, "--context", "@context.json")
    until(higherself, instance, "closed", "completed")
    lines = (tmp_path / "outbox.txt").read_text().splitlines()
    assert [line.partition(": ")[2] for line in lines] == [
        "How was your visit, Ana?",
        "Thank you, Ana. A voucher of 20 percent awaits you.",
    ]


def test_the_page_shows_the_definition_as_it_is() -> None:
    shown = re.findall(r"^```yaml\n(.*?)^```$", _page("write-a-workflow.md"), re.M | re.S)
    assert shown[-1] == (EXAMPLE / "workflows" / "guest_feedback.yaml").read_text("utf-8")


def _page(name: str) -> str:
    return (HOWTO / name).read_text("utf-8")
