"""The demo as a process of its own, on a few documents: it ends by itself, or when it is told to."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from higherself.business import sample
from higherself.db import embedded

QUESTION = {
    "question": "How many legs has the kiln god?",
    "entity": "the_7_space",
    "source": "kiln.md",
    "answer": "It has three legs.",
}

COMMAND = """
import sys
from pathlib import Path
from higherself.business import sample
from higherself.cli.main import main
sample.FOLDER = Path(sys.argv.pop(1))
main()
"""


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every account can enter, with samples and with a home that is kept."""
    place = Path(tempfile.mkdtemp(prefix="higherself-demo-"))
    place.chmod(0o755)
    for entity in sample.ENTITIES:
        (place / "sample" / entity).mkdir(parents=True)
    (place / "sample" / "the_7_space" / "kiln.md").write_text("# Kiln god\nIt has three legs.\n")
    (place / "sample" / "questions").mkdir()
    (place / "sample" / "questions" / "all.json").write_text(json.dumps([QUESTION]))
    shutil.copy(sample.FOLDER / "records.json", place / "sample")
    yield place
    embedded.stop(place / "home" / "demo")
    shutil.rmtree(place)


@contextmanager
def started(place: Path, *options: str) -> "Iterator[subprocess.Popen[str]]":
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    given = {"HIGHERSELF_HOME": str(place / "home"), "HIGHERSELF_PORT": port}
    given["NOTION_TASKS_DB"] = "0" * 32  # of a real workspace: not to be looked for
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(place / "sample"), "demo", *options],
        env=os.environ | given,
        cwd=place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as demo:
        try:
            yield demo
        finally:
            demo.kill()


def seen(url: str) -> str:
    at = urlsplit(url)
    connection = HTTPConnection(at.hostname or "", at.port, timeout=20)
    try:
        connection.request("GET", at.path)
        answer = connection.getresponse()
        assert answer.status == 200
        return answer.read().decode()
    finally:
        connection.close()


def test_it_walks_through_notion_and_ends_by_itself(place: Path) -> None:
    with started(place, "--json") as demo:
        out, err = demo.communicate(timeout=120)
    assert demo.returncode == 0, err
    found: dict[str, Any] = json.loads(out)
    assert found["ok"], found
    notion = found["notion"]
    assert notion["databases"] == 16
    assert notion["records"] == {"contacts_profiles": 4, "products_services": 3, "tasks": 3}
    assert notion["records_pushed"] == 10 + 3, "the rows, and those of their three businesses"
    assert notion["pages_synced"] == 7 + 3, "what the team wrote, and the products"
    assert notion["found"]
    decision = notion["decision"]
    assert (decision["before"], decision["after"]) == ("concept", "artist_selection")
    assert notion["requests"] < 350
    assert "48 of 48 steps" in err
    story = found["story"]
    assert [each["name"] for each in story["flows"]] == ["lead", "support", "content"]
    assert story["passed"], [step for flow in story["flows"] for step in flow["steps"]]
    steps = [step["name"] for step in story["flows"][2]["steps"]]
    assert "Robin Ash changes it in Notion, and sets it to Done" in steps
    pictures = (Path(found["report"]).parent / "story.html").read_text(encoding="utf-8")
    assert pictures.count("<svg") > 6
    page = Path(found["report"]).read_text(encoding="utf-8")
    assert "Shall we show Corner Store Saints?" in page
    assert "/__emu/ui" not in page, "there is nobody who would answer there"
    assert embedded.stop(place / "home" / "demo") is False
    with pytest.raises(ConnectionRefusedError):
        seen(notion["viewer"])


def test_the_next_time_all_is_new_and_the_workspace_stays_beside_the_dashboard_until_ctrl_c(
    place: Path,
) -> None:
    with started(place, "--serve") as demo:
        assert demo.stderr is not None
        assert demo.stdout is not None
        err = []
        for line in demo.stderr:
            err.append(line)
            if "dashboard:" in line:
                break
        else:
            raise AssertionError(err)
        out = []
        for line in demo.stdout:
            out.append(line)
            if "your own documents" in line:
                break
        told = "".join(out)
        assert "16 databases made; rows of the businesses brought there: 4 contacts" in told
        assert "10 pages read" in told, "as if it were the first time"
        assert "Robin Ash chose Approve there: concept -> artist_selection" in told
        workspace, waits = [word for word in told.split() if "/__emu/ui" in word]
        assert "Contacts &amp; Profiles" in seen(workspace)
        assert "Shall we show Slow Paper?" in seen(waits)
        assert "HigherSelf" in seen(err[-1].split()[1])
        with started(place) as other:
            told, said = other.communicate(timeout=60)
        assert other.returncode == 0, said
        assert "another demo in this home shows it" in said
        assert "Notion" not in told
        with started(place, "--serve") as third:
            _, said = third.communicate(timeout=60)
        assert third.returncode != 0
        assert "another demo runs in this home" in said
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=60)
    assert demo.returncode == 0
    with pytest.raises(ConnectionRefusedError):
        seen(workspace)
