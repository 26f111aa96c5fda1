"""The commands on workflows, from the outside: one database and one worker for all of them.

Nothing is emptied between the tests: each works with instances of its own.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from tests.cli.conftest import Higherself, Ran
from tests.conftest import migrated_database

from higherself.db.embedded import EmbeddedPostgres

pytestmark = pytest.mark.postgres

PROGRAM = [sys.executable, "-c", "from higherself.cli.main import main; main()"]
NOBODY = "0198c0de-0000-7000-8000-000000000000"

SKILLS = """
import asyncio
from higherself import SkillCall, skill
from higherself.errors import Rejected

@skill
def double(number: int) -> int:
    return 2 * number

@skill
async def recorded(call: SkillCall) -> dict:
    return {"key": call.key, "attempt": call.attempt}

@skill
def refusing():
    raise Rejected("this guest is banned")

@skill
def raising(call: SkillCall):
    raise RuntimeError(f"the till is on fire ({call.attempt})")

@skill
async def hanging():
    await asyncio.Event().wait()

@skill
def babbling():
    return object()

@skill
def leaving():
    raise SystemExit(3)

@skill
def mending(fixed: bool) -> str:
    if not fixed:
        raise Rejected("still broken")
    return "mended"
"""

ORDER = """
workflow: order
version: 1
description: One order
context: {score: 1}
initial: begin
states:
  begin:
    activity: {skill: double, input: {number: "{{ context.score }}"}, save: doubled, timeout: 5s}
    transitions: [{to: wait}]
  wait:
    on:
      order.paid: [{to: ask, when: "event.amount > 3", set: {amount: event.amount}}]
      order.dropped: {to: dropped}
    after: {1h: {to: dropped}}
  ask:
    approval:
      roles: [owner]
      timeout: 2d
      approved: {to: done}
      rejected: {to: dropped}
      expired: {to: dropped}
  done: {final: true}
  dropped: {final: true}
"""

WAITING = """
workflow: {name}
version: {version}
initial: wait
states:
  wait:
    on: {{go: {{to: done}}}}
    after: {{{wait}: {{to: done}}}}
  done: {{final: true}}
"""

TROUBLE = """
workflow: trouble_{skill}
version: 1
initial: work
context: {{fixed: false}}
states:
  work:
    activity: {{skill: {skill}, timeout: 200ms, retry: {{attempts: 2, backoff: 10ms}}, input: {input}}}
    transitions: [{{to: done}}]
  done: {{final: true}}
"""


@dataclass(frozen=True)
class World:
    """A database with a worker."""

    url: str
    extensions: Path
    worker: "subprocess.Popen[str]"

    @property
    def environment(self) -> dict[str, str]:
        given = {"DATABASE_URL": self.url, "HIGHERSELF_EXTENSIONS": str(self.extensions)}
        return os.environ | given | {"HIGHERSELF_EMBEDDING_TIERS": "local"}


@pytest.fixture(scope="module")
def world(server: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("extensions")
    workflows = folder / "workflows"
    workflows.mkdir()
    (folder / "skills.py").write_text(SKILLS)
    (workflows / "order.yaml").write_text(ORDER)
    for name in ("refusing", "raising", "hanging", "babbling", "leaving", "raisin"):
        (workflows / f"{name}.yaml").write_text(TROUBLE.format(skill=name, input="{}"))
    mending = TROUBLE.format(skill="mending", input='{fixed: "{{ context.fixed }}"}')
    (workflows / "mending.yaml").write_text(mending)
    with migrated_database(server) as url:
        started = World(url, folder, None)  # type: ignore[arg-type]
        worker = subprocess.Popen(
            [*PROGRAM, "worker"], env=started.environment, stderr=subprocess.PIPE, text=True
        )
        assert worker.stderr is not None
        assert "worker with 8 skills" in worker.stderr.readline()
        try:
            yield World(url, folder, worker)
        finally:
            worker.kill()
            worker.wait()
            worker.stderr.close()


Workflow = Callable[..., Ran]


@pytest.fixture
def workflow(world: World, command: Higherself, monkeypatch: pytest.MonkeyPatch) -> Workflow:
    """Runs ``higherself workflow ...``."""
    monkeypatch.setenv("DATABASE_URL", world.url)
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(world.extensions))

    def call(*arguments: object) -> Ran:
        return command("workflow", *arguments)

    return call


def started(workflow: Workflow, name: str = "order", *options: object) -> str:
    ran = workflow("start", name, *options)
    assert ran.code == 0, ran.err
    return str(UUID(ran.out.strip()))


def until(workflow: Workflow, instance: str, **facts: Any) -> dict[str, Any]:
    """Wait until the instance is so, and return all that is said of it."""
    deadline = time.monotonic() + 20
    while True:
        seen: dict[str, Any] = workflow("instance", instance, "--json").json
        if facts.items() <= seen.items():
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(0.02)


def asking(workflow: Workflow) -> str:
    """Return an instance that waits for an approval."""
    instance = started(workflow)
    until(workflow, instance, state="wait")
    assert workflow("send", instance, "order.paid", "--data", '{"amount": 5}').code == 0
    return instance


# Definitions


def test_list(workflow: Workflow) -> None:
    listed = {each["name"]: each for each in workflow("list", "--json").json["workflows"]}
    assert {"order", "booking", "lead_nurturing"} <= set(listed)
    assert listed["order"]["versions"] == [1]
    assert listed["order"]["description"] == "One order"
    lines = workflow("list").out.splitlines()
    assert lines[0].split("\t") == ["workflow", "versions", "unfinished", "description"]
    assert any(line.startswith("order\t1\t") for line in lines)


def test_list_counts_what_goes_on(workflow: Workflow) -> None:
    def count() -> int:
        listed = workflow("list", "--json").json["workflows"]
        return int(next(each["unfinished"] for each in listed if each["name"] == "order"))

    before = count()
    instance = started(workflow)
    assert count() == before + 1
    workflow("cancel", instance)
    assert count() == before


def test_show(workflow: Workflow) -> None:
    assert workflow("show", "order").out.strip() == ORDER.strip()
    shown = workflow("show", "order", "--json").json
    assert shown["definition"]["states"]["wait"]["after"]
    assert (shown["name"], shown["version"], shown["versions"]) == ("order", 1, [1])
    assert shown["events"] == ["order.dropped", "order.paid"]


def test_add(workflow: Workflow, tmp_path: Path) -> None:
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    one.write_text(WAITING.format(name="added", version=1, wait="1h"))
    other.write_text(WAITING.format(name="added", version=2, wait="1h"))
    ran = workflow("add", one, other, "--json")
    assert ran.json == {
        "added": [
            {"name": "added", "version": 1, "file": str(one)},
            {"name": "added", "version": 2, "file": str(other)},
        ]
    }
    assert workflow("add", one).out == "added version 1\n"
    assert workflow("show", "added", "--json").json["versions"] == [2, 1]
    assert workflow("start", "added", "--version", 1, "--json").json["version"] == 1
    assert workflow("start", "added", "--json").json["version"] == 2


def test_a_definition_changes_until_it_is_used(workflow: Workflow, tmp_path: Path) -> None:
    path = tmp_path / "changing.yaml"
    for wait in ("1h", "2h"):
        path.write_text(WAITING.format(name="changing", version=1, wait=wait))
        assert workflow("add", path).code == 0
    started(workflow, "changing")
    path.write_text(WAITING.format(name="changing", version=1, wait="3h"))
    ran = workflow("add", path)
    assert ran.code == 4
    assert "changing version 1 is already there" in ran.err
    assert "version: 2" in ran.err


def test_a_file_that_changed_in_place_is_told_with_every_command(
    workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs" / "workflows" / "edited.yaml"
    path.parent.mkdir(parents=True)
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(tmp_path / "theirs"))
    path.write_text(WAITING.format(name="edited", version=1, wait="1h"))
    instance = started(workflow, "edited")
    path.write_text(WAITING.format(name="edited", version=1, wait="2h"))
    ran = workflow("instance", instance)
    assert ran.code == 0
    assert f"{path}: workflow edited version 1 is already there" in ran.err


def test_two_files_of_one_name_and_version_are_told(
    workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "theirs" / "workflows"
    folder.mkdir(parents=True)
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(folder.parent))
    for name, wait in (("a", "1h"), ("b", "2h")):
        text = WAITING.format(name="twin", version=1, wait=wait)
        (folder / f"{name}.yaml").write_text(text)
    for _ in range(2):
        ran = workflow("show", "twin")
        assert "1h" in ran.out
        assert f"b.yaml: twin version 1 is defined in {folder / 'a.yaml'} already" in ran.err


def test_a_broken_file_does_not_keep_the_others_from_working(
    workflow: Workflow, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "theirs" / "workflows" / "broken.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("workflow: broken\nversion: one\n")
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(path.parents[1]))
    ran = workflow("start", "order", "--json")
    assert ran.code == 0
    assert f"{path}:2:10: version:" in ran.err


# Lint


def test_lint(workflow: Workflow, world: World) -> None:
    path = world.extensions / "workflows" / "order.yaml"
    assert workflow("lint", path).out == f"{path}: clean\n"
    assert workflow("lint", path, "--json").json == {
        "ok": True, "files": [{"file": str(path), "ok": True, "findings": []}],
    }  # fmt: skip


BROKEN = """workflow: broken
version: 1
initial: wait
states:
  wait:
    after: {1h: {to: dnoe}}
    timout: 3s
  done: {final: true}
"""


def test_a_definition_that_is_broken_is_told_with_line_and_column(
    workflow: Workflow, tmp_path: Path
) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(BROKEN)
    ran = workflow("lint", path, "--json")
    assert ran.code == 5
    findings = ran.json["files"][0]["findings"]
    assert {"dnoe", "timout"} <= set(
        re.findall(r"\w+", " ".join(each["what"] for each in findings))
    )
    assert {each["line"] for each in findings} == {6, 7}
    assert all(each.keys() >= {"severity", "rule", "path", "column", "text"} for each in findings)
    for name in ("lint", "add"):
        said = workflow(name, path)
        assert said.code == 5
        assert f"{path}:7:5: " in said.out + said.err
        assert "did you mean 'done'?" in said.out + said.err
    assert workflow("diagram", path).code == 5


def test_lint_tells_what_looks_wrong(workflow: Workflow, tmp_path: Path) -> None:
    path = tmp_path / "endless.yaml"
    path.write_text(BROKEN.replace("dnoe", "wait").replace("    timout: 3s\n", ""))
    ran = workflow("lint", path, "--json")
    assert (ran.code, ran.json["ok"]) == (0, True)  # it can be run all the same
    findings = ran.json["files"][0]["findings"]
    assert {each["rule"] for each in findings} == {"never-ends", "unreachable"}
    assert {(each["severity"], each["line"]) for each in findings} == {
        ("warning", 5), ("warning", 7),
    }  # fmt: skip
    assert (
        f"{path}:7:3: states.done: warning: no transition leads here" in workflow("lint", path).out
    )


@pytest.mark.parametrize("name", ["lint", "add", "diagram", "simulate"])
def test_a_file_that_is_not_there(workflow: Workflow, tmp_path: Path, name: str) -> None:
    ran = workflow(name, tmp_path / "none.yaml")
    assert (ran.code, ran.out) == (3, "")
    assert "none.yaml" in ran.err


@pytest.mark.parametrize("name", ["lint", "add"])
def test_what_is_no_text(workflow: Workflow, tmp_path: Path, name: str) -> None:
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe")
    assert workflow(name, tmp_path / "bytes.yaml").code == 5
    assert workflow(name, tmp_path).code == 5


# Starting


def test_start(workflow: Workflow) -> None:
    ran = workflow("start", "order", "--context", '{"score": 21}', "--entity", "gallery", "--json")
    assert ran.code == 0
    assert ran.json.keys() >= {"instance", "workflow", "version", "state", "status", "entity"}
    assert (ran.json["workflow"], ran.json["version"]) == ("order", 1)
    assert (ran.json["state"], ran.json["entity"]) == ("begin", "gallery")
    seen = until(workflow, ran.json["instance"], state="wait")
    assert seen["context"] == {"score": 21, "doubled": 42}


def test_start_for_people(workflow: Workflow) -> None:
    ran = workflow("start", "order")
    UUID(ran.out.strip())  # alone on standard output, for scripts
    assert "order version 1: running in begin\nruns double\n" in ran.err


def test_the_same_key_starts_once(workflow: Workflow) -> None:
    first, second = (started(workflow, "order", "--key", "order-17") for _ in range(2))
    assert first == second
    elsewhere = started(workflow, "order", "--key", "order-17", "--entity", "gallery")
    assert elsewhere != first


def test_the_context_may_come_from_a_file(workflow: Workflow, tmp_path: Path) -> None:
    (tmp_path / "context.json").write_text('{"score": 4}')
    instance = started(workflow, "order", "--context", f"@{tmp_path / 'context.json'}")
    assert until(workflow, instance, state="wait")["context"]["doubled"] == 8


def nested(levels: int) -> str:
    return '{"a": ' + "[" * levels + "]" * levels + "}"


@pytest.mark.parametrize(
    ("context", "said"),
    [
        ("score: 3", r"--context is no JSON \(Expecting .*write it like"),
        ("[1]", "--context is no JSON object"),
        ("3", "--context is no JSON object"),
        ("@none.json", "there is no file none.json"),
        ('{"a": NaN}', "a cannot be stored as JSON: nan"),
        ('{"a": "\\u0000"}', "NUL"),
        ('{"a": "\\ud800"}', "half of a surrogate pair"),
        (json.dumps({"a": "x" * 300_000}), r"takes no 300,\d+ bytes to start with"),
        (nested(100_000), "nested too deeply"),
    ],
    ids=["no json", "list", "number", "no file", "nan", "nul", "surrogate", "large", "deep"],
)
def test_a_context_that_will_not_do(workflow: Workflow, context: str, said: str) -> None:
    before = workflow("instances", "--json").json["total"]
    ran = workflow("start", "order", "--context", context)
    assert (ran.code, ran.out) == (3 if "file" in said else 5, "")
    assert re.search(said, ran.err)
    assert workflow("instances", "--json").json["total"] == before


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["oder"], 3, "there is no workflow oder; did you mean 'order'?"),
        (["order", "--version", "9"], 3, "no workflow order version 9; `higherself workflow show"),
        (["order", "--version", "0"], 2, "--version"),
        (["order", "--version", str(2**40)], 2, "--version"),
        (["order", "--key", ""], 5, "key: '' is not 1 to 500 characters"),
        (["order", "--entity", "The Gallery"], 5, "entity 'The Gallery' is not a slug"),
        (["order", "--entity", ""], 5, "entity '' is not a slug"),
        ([], 2, "Missing argument 'NAME'"),
    ],
)
def test_a_start_that_will_not_do(
    workflow: Workflow, arguments: list[str], code: int, said: str
) -> None:
    ran = workflow("start", *arguments)
    assert (ran.code, ran.out) == (code, "")
    assert said in ran.err


# Events


def test_send(workflow: Workflow) -> None:
    instance = started(workflow)
    until(workflow, instance, state="wait")
    ran = workflow("send", instance, "order.paid", "--data", '{"amount": 5}', "--json")
    assert ran.code == 0
    assert ran.json.keys() >= {"instance", "status", "state", "context", "sequence", "reason"}
    assert (ran.json["state"], ran.json["status"]) == ("ask", "waiting")
    assert ran.json["context"]["amount"] == 5


def test_the_same_id_counts_once(workflow: Workflow) -> None:
    instance = started(workflow)
    until(workflow, instance, state="wait")
    again = ["send", instance, "order.paid", "--data", '{"amount": 5}', "--id", "pay-17", "--json"]
    first, second = (workflow(*again) for _ in range(2))
    assert first.json["sequence"] == second.json["sequence"]
    workflow("approve", instance, "--as", "owner")
    third = workflow(*again)  # it has ended since; that event has counted all the same
    assert (third.code, third.json["status"]) == (0, "completed")


def test_an_unknown_event_is_refused_with_the_nearest(workflow: Workflow) -> None:
    instance = started(workflow)
    seen = until(workflow, instance, state="wait")
    ran = workflow("send", instance, "order.payed")
    assert ran.code == 5
    assert "did you mean 'order.paid'?" in ran.err
    assert workflow("instance", instance, "--json").json == seen


def test_an_event_whose_guard_is_false_says_why(workflow: Workflow) -> None:
    instance = started(workflow)
    until(workflow, instance, state="wait")
    ran = workflow("send", instance, "order.paid", "--data", '{"amount": 2}', "--json")
    assert (ran.code, ran.json["state"]) == (0, "wait")
    assert "event.amount = 2" in ran.json["reason"]


def test_an_event_that_lacks_what_the_guard_reads_is_refused(workflow: Workflow) -> None:
    instance = started(workflow)
    until(workflow, instance, state="wait")
    ran = workflow("send", instance, "order.paid")
    assert ran.code == 5
    assert "amount" in ran.err
    assert workflow("instance", instance, "--json").json["state"] == "wait"


def test_an_event_for_what_has_ended_is_a_conflict(workflow: Workflow) -> None:
    instance = started(workflow)
    until(workflow, instance, state="wait")
    workflow("send", instance, "order.dropped")
    ran = workflow("send", instance, "order.paid", "--data", '{"amount": 5}')
    assert (ran.code, ran.out) == (4, "")
    assert f"instance {instance} is completed and takes nothing more" in ran.err


@pytest.mark.parametrize("data", ["x", "[]", nested(100_000)])
def test_data_that_will_not_do(workflow: Workflow, data: str) -> None:
    ran = workflow("send", NOBODY, "order.paid", "--data", data)
    assert (ran.code, ran.out) == (5, "")
    assert "--data is n" in ran.err


@pytest.mark.parametrize(
    "arguments",
    [
        ["send", NOBODY, "order.paid"],
        ["instance", NOBODY],
        ["instance", NOBODY, "--at", "1"],
        ["history", NOBODY],
        ["pause", NOBODY],
        ["resume", NOBODY],
        ["cancel", NOBODY],
        ["retry", NOBODY],
        ["migrate", NOBODY, "--to", "2"],
        ["approve", NOBODY, "--as", "owner"],
        ["diagram", NOBODY],
        ["gantt", NOBODY],
    ],
    ids=" ".join,
)
def test_an_unknown_instance_is_not_found(workflow: Workflow, arguments: list[str]) -> None:
    ran = workflow(*arguments)
    assert (ran.code, ran.out) == (3, "")
    assert f"there is no instance {NOBODY}" in ran.err
    bad = workflow(arguments[0], "0198", *arguments[2:])
    assert bad.code == (3 if arguments[0] == "diagram" else 2)  # which takes names, too


@pytest.mark.parametrize("name", ["show", "diagram", "simulate"])
def test_an_unknown_workflow_is_told_with_the_nearest(workflow: Workflow, name: str) -> None:
    ran = workflow(name, "oder")
    assert (ran.code, ran.out) == (3, "")
    assert "there is no workflow oder; did you mean 'order'?" in ran.err


# Looking


def test_instances(workflow: Workflow) -> None:
    mine = [started(workflow, "order", "--entity", "looking") for _ in range(3)]
    for each in mine:
        until(workflow, each, state="wait")
    listed = workflow("instances", "--entity", "looking", "--json").json
    assert [each["instance"] for each in listed["instances"]] == mine[::-1]
    assert (listed["total"], listed["next"]) == (3, None)
    assert "waits for event order.paid" in listed["instances"][0]["reason"]
    workflow("cancel", mine[0])
    assert found(workflow, "--entity", "looking", "--status", "waiting") == mine[:0:-1]
    assert found(workflow, "--entity", "looking", "--status", "cancelled") == mine[:1]
    assert found(workflow, "--entity", "looking", "--workflow", "booking") == []
    assert found(workflow, "--entity", "looking", "--state", "wait", "--workflow", "order")
    first = workflow("instances", "--entity", "looking", "--limit", 2, "--json").json
    assert (first["total"], first["next"]) == (3, mine[1])
    assert found(workflow, "--entity", "looking", "--before", first["next"]) == mine[:1]


def found(workflow: Workflow, *options: object) -> list[str]:
    listed = workflow("instances", *options, "--json").json["instances"]
    return [each["instance"] for each in listed]


def test_instances_for_people(workflow: Workflow) -> None:
    for _ in range(2):
        started(workflow, "order", "--entity", "people")
    ran = workflow("instances", "--entity", "people", "--limit", 1)
    head, line = ran.out.splitlines()
    assert head.split("\t") == ["instance", "workflow", "state", "status", "since", "reason"]
    assert line.split("\t")[1] == "order 1"
    assert re.search(r"more: --before [0-9a-f-]{36}\n", ran.err)
    assert workflow("instances", "--status", "stuck").code == 2


def test_instance(workflow: Workflow) -> None:
    instance = asking(workflow)
    seen = workflow("instance", instance, "--json").json
    assert (seen["status"], seen["state"], seen["waits_for"]) == ("waiting", "ask", "approval")
    assert seen["context"] == {"score": 1, "doubled": 2, "amount": 5}
    assert "waits for the approval of owner" in seen["reason"]
    assert 0 < seen["progress"] < 1
    assert [each["kind"] for each in seen["pending"]] == ["approval"]


def test_instance_for_people(workflow: Workflow) -> None:
    instance = asking(workflow)
    lines = workflow("instance", instance).out.splitlines()
    told = dict(re.split(r":\s+", line, maxsplit=1) for line in lines if re.match(r"\w+: ", line))
    assert told["instance"] == instance
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", told["started_at"])
    assert re.fullmatch(r"\d+%", told["progress"])
    assert told["context"] == '{"score": 1, "doubled": 2, "amount": 5}'
    assert "finished_at" not in told


def test_an_instance_as_it_was(workflow: Workflow) -> None:
    instance = asking(workflow)
    before = workflow("instance", instance, "--at", 2, "--json").json
    assert (before["sequence"], before["state"], before["status"]) == (2, "wait", "waiting")
    assert before["context"] == {"score": 1, "doubled": 2}
    assert workflow("instance", instance, "--at", 1, "--json").json["context"] == {"score": 1}
    assert "state:    wait\n" in workflow("instance", instance, "--at", 2).out
    assert workflow("instance", instance, "--at", 99).code == 3


def test_history(workflow: Workflow) -> None:
    instance = asking(workflow)
    entries = workflow("history", instance, "--json").json
    promised = [
        "sequence",
        "at",
        "from",
        "to",
        "cause",
        "event",
        "agent",
        "attempt",
        "error",
        "milliseconds",
    ]
    assert all(each.keys() >= set(promised) for each in entries)
    assert [(each["from"], each["to"], each["cause"], each["event"]) for each in entries] == [
        (None, "begin", "started", None),
        ("begin", "wait", "activity", "begin/activity"),
        ("wait", "ask", "event", "order.paid"),
    ]
    assert [each["sequence"] for each in entries] == [1, 2, 3]
    assert entries[1]["attempt"] == 1
    assert entries[1]["milliseconds"] >= 0
    assert workflow("history", instance, "--after", 2, "--json").json == entries[2:]
    lines = workflow("history", instance).out.splitlines()
    assert lines[0].startswith("#\tat\tfrom\tto\tcause\tevent\tattempt\tms\twhat")
    assert len(lines) == 4


# Steering


def test_pause_and_resume(workflow: Workflow) -> None:
    instance = started(workflow)
    until(workflow, instance, state="wait")
    assert workflow("pause", instance, "--as", "maria", "--json").json["status"] == "paused"
    assert workflow("send", instance, "order.dropped").code == 0  # kept until it goes on
    assert workflow("instance", instance, "--json").json["status"] == "paused"
    ran = workflow("resume", instance)
    assert ran.out.strip() == instance
    until(workflow, instance, state="dropped", status="completed")
    entries = workflow("history", instance, "--json").json
    assert "maria" in json.dumps(entries)


def test_cancel(workflow: Workflow) -> None:
    instance = started(workflow)
    ran = workflow("cancel", instance, "--reason", "booked elsewhere", "--json")
    assert ran.json["status"] == "cancelled"
    assert "booked elsewhere" in ran.json["reason"]
    for name in ("cancel", "pause", "resume", "retry"):
        ran = workflow(name, instance)
        assert (ran.code, ran.out) == (4, ""), name


def test_retry_with_an_edited_context(workflow: Workflow) -> None:
    instance = started(workflow, "trouble_mending")
    seen = until(workflow, instance, status="failed")
    assert "still broken" in seen["reason"]
    assert seen["failure"]["message"] == "still broken"
    assert workflow("retry", instance, "--context", '{"fixed": 1').code == 5
    assert workflow("retry", instance, "--context", '{"fixed": true}').code == 0
    until(workflow, instance, status="completed", state="done")


def test_retry_from_another_state(workflow: Workflow) -> None:
    instance = started(workflow, "trouble_mending")
    until(workflow, instance, status="failed")
    ran = workflow("retry", instance, "--state", "dnoe")
    assert ran.code in (4, 5)
    assert "did you mean 'done'?" in ran.err
    assert workflow("retry", instance, "--state", "done", "--json").json["status"] == "completed"


def test_what_has_not_failed_cannot_be_retried(workflow: Workflow) -> None:
    instance = started(workflow)
    until(workflow, instance, state="wait")
    assert workflow("retry", instance).code == 4


def test_migrate(workflow: Workflow, tmp_path: Path) -> None:
    old, new, unfit = (tmp_path / f"{name}.yaml" for name in ("old", "new", "unfit"))
    old.write_text(WAITING.format(name="moving", version=1, wait="1h"))
    text = old.read_text()
    new.write_text(text.replace("version: 1", "version: 2").replace("go:", "gone:"))
    unfit.write_text(text.replace("version: 1", "version: 3").replace("wait", "halt"))
    workflow("add", old)
    instance = started(workflow, "moving")
    workflow("add", new, unfit)
    assert workflow("migrate", instance, "--to", 9).code == 3
    refused = workflow("migrate", instance, "--to", 3)
    assert refused.code == 4
    assert "wait" in refused.err
    assert workflow("migrate", instance, "--to", 2, "--json").json["version"] == 2
    for drawn in ("diagram", "gantt"):
        assert workflow(drawn, instance).code == 0
    assert workflow("migrate", instance).code == 2


def test_approve(workflow: Workflow) -> None:
    instance = asking(workflow)
    ran = workflow("approve", instance, "--as", "maria", "--role", "owner", "--comment", "fine")
    assert ran.code == 0
    until(workflow, instance, status="completed", state="done")
    assert "maria" in json.dumps(workflow("history", instance, "--json").json)


def test_reject(workflow: Workflow) -> None:
    instance = asking(workflow)
    assert workflow("approve", instance, "--as", "owner", "--reject", "--json").code == 0
    until(workflow, instance, state="dropped")


def test_who_has_not_the_role_may_not_approve(workflow: Workflow) -> None:
    instance = asking(workflow)
    ran = workflow("approve", instance, "--as", "maria", "--role", "guest")
    assert (ran.code, ran.out) == (5, "")
    assert "this approval is for owner" in ran.err
    assert workflow("instance", instance, "--json").json["state"] == "ask"
    assert workflow("approve", instance).code == 2  # somebody has to


def test_two_approvals_at_once_count_once(workflow: Workflow, world: World) -> None:
    instance = asking(workflow)
    both = [
        subprocess.Popen(
            [*PROGRAM, "workflow", "approve", instance, "--as", "owner", *more],
            env=world.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for more in ([], ["--reject"])
    ]  # fmt: skip
    said = [process.communicate(timeout=60)[1] for process in both]
    assert sorted(process.returncode for process in both) == [0, 4], said
    assert "it was given already" in "".join(said) or "takes nothing more" in "".join(said)
    decided = [
        each for each in workflow("history", instance, "--json").json if each["cause"] == "approval"
    ]
    assert len(decided) == 1


# Activities that do not work


@pytest.mark.parametrize(
    ("skill", "said"),
    [
        ("refusing", "this guest is banned"),
        ("raising", r"the till is on fire \(2\)"),
        ("hanging", "200 ?ms|timed out|0.2"),
        ("babbling", "no JSON: .*object"),
        ("leaving", r"SystemExit\(3\)"),
    ],
)
def test_an_activity_that_does_not_work_ends_in_a_clear_state(
    workflow: Workflow, world: World, skill: str, said: str
) -> None:
    instance = started(workflow, f"trouble_{skill}")
    seen = until(workflow, instance, status="failed", state="work")
    assert re.search(said, seen["reason"]), seen["reason"]
    attempts = [each for each in workflow("history", instance, "--json").json if each["error"]]
    assert len(attempts) == (1 if skill in ("refusing", "babbling") else 2)
    assert world.worker.poll() is None


def test_a_skill_that_is_not_installed_is_waited_for(workflow: Workflow) -> None:
    instance = started(workflow, "trouble_raisin")
    deadline = time.monotonic() + 20
    while "did you mean 'raising'?" not in (
        reason := workflow("instance", instance, "--json").json["reason"]
    ):
        assert time.monotonic() < deadline, reason
    assert "no worker that looked has it" in reason
    assert workflow("cancel", instance).code == 0


# Pictures


@pytest.fixture
def finished(workflow: Workflow) -> str:
    instance = asking(workflow)
    workflow("approve", instance, "--as", "owner")
    return instance


def test_diagram(workflow: Workflow, world: World, finished: str, tmp_path: Path) -> None:
    path = world.extensions / "workflows" / "order.yaml"
    for what in ("order", path, finished):
        assert workflow("diagram", what).out.startswith("flowchart TB\n")
        assert workflow("diagram", what, "--format", "svg", "--dark").out.startswith("<svg")
    assert workflow("diagram", "order", "--direction", "LR").out.startswith("flowchart LR\n")
    assert "event.amount" not in workflow("diagram", "order", "--no-guards").out
    assert workflow("diagram", "order", "--heat").code == 0
    document = workflow("diagram", "order", "--json").json
    assert (document["format"], document["diagram"][:9]) == ("mermaid", "flowchart")
    picture = tmp_path / "order.png"
    ran = workflow("diagram", finished, "--format", "png", "-o", picture, "--json")
    assert ran.json == {"format": "png", "file": str(picture)}
    assert picture.read_bytes()[:4] == b"\x89PNG"
    inside = workflow("diagram", "order", "--format", "png", "--json").json
    assert (inside["encoding"], inside["diagram"][:5]) == ("base64", "iVBOR")


def test_a_picture_that_cannot_be_written(workflow: Workflow, tmp_path: Path) -> None:
    ran = workflow("diagram", "order", "-o", tmp_path / "none" / "order.mmd")
    assert (ran.code, ran.out) == (2, "")
    assert "order.mmd cannot be written: No such file" in ran.err


def test_gantt(workflow: Workflow, finished: str, tmp_path: Path) -> None:
    assert workflow("gantt", finished).out.startswith("<svg")
    assert workflow("gantt", finished, "--format", "mermaid").out.startswith("gantt\n")
    ran = workflow("gantt", finished, "--format", "png", "-o", tmp_path / "run.png")
    assert (ran.code, ran.out) == (0, "")
    assert (tmp_path / "run.png").read_bytes()[:4] == b"\x89PNG"
    assert workflow("gantt", asking(workflow)).code == 0


def test_simulate(workflow: Workflow, world: World, finished: str, tmp_path: Path) -> None:
    path = world.extensions / "workflows" / "order.yaml"
    report = workflow("simulate", "order", "--runs", 200, "--json").json
    assert (report["workflow"], report["runs"]) == ("order version 1", 200)
    assert report.keys() >= {"expected_seconds", "ends", "stuck", "bottleneck", "states"}
    assert workflow("simulate", path, "--runs", 200, "--json").json == report
    assert workflow("simulate", "order", "--runs", 200, "--seed", 2, "--json").json != report
    ran = workflow("simulate", "order", "--learn", "--runs", 50, "-o", tmp_path / "o.svg")
    assert re.search(r"learnt from \d+ instance", ran.err)
    assert re.search(r"^bottleneck: ", ran.out, re.M)
    assert "state\tvisits\t" in ran.out
    assert (tmp_path / "o.svg").read_text().startswith("<svg")
    assert workflow("simulate", "order", "--runs", 0).code == 2


# The worker


def test_a_worker_that_is_told_to_stop_finishes_and_says_so(world: World) -> None:
    with subprocess.Popen(
        [*PROGRAM, "worker", "--concurrency", "2"],
        env=world.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as worker:  # fmt: skip
        assert worker.stderr is not None
        assert "worker with 8 skills" in worker.stderr.readline()
        worker.send_signal(signal.SIGTERM)
        out, err = worker.communicate(timeout=60)
    assert (worker.returncode, out) == (0, "")
    assert err.splitlines()[-1] == "worker stopped"


def test_a_worker_with_a_broken_extension_does_not_start(
    workflow: Workflow, command: Higherself, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "crm.py").write_text("\nimport no_such_module_here\n")
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(tmp_path))
    for ran in (command("worker"), workflow("list")):
        assert (ran.code, ran.out) == (2, "")
        assert "crm.py cannot be imported: line 2: ModuleNotFoundError" in ran.err
    assert command("knowledge", "stats").code == 0, "who does not need it is not kept by it"
    assert command("worker", "--concurrency", 0).code == 2
