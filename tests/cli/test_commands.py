"""Every command: its help, what it prints, and the one JSON document of ``--json``."""

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import psycopg
import pytest
from tests.cli.conftest import Higherself

from higherself.cli.main import higherself as program
from higherself.db.migrate import migrations
from higherself.knowledge.providers.local import SPACE
from higherself.testing.embeddings import embedding_server

NEWEST = migrations()[-1].number


def commands(group: click.Group, *path: str) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, *path, name)


EVERY = [(), *commands(program)]
PROMISED = """
    serve worker demo doctor completion
    db migrate/db status/db rollback/db url/db stop/db setup-supabase
    messages list/messages show/messages dead/messages requeue/messages discard/messages topics
    knowledge add/knowledge search/knowledge show/knowledge delete/knowledge stats
    knowledge verify/knowledge export/knowledge import/knowledge forget/knowledge shred
    knowledge spaces/knowledge reembed/knowledge providers
    workflow list/workflow show/workflow lint/workflow diagram/workflow start/workflow send
    workflow instances/workflow instance/workflow history/workflow pause/workflow resume
    workflow cancel/workflow retry/workflow migrate/workflow approve/workflow simulate
"""


def test_every_promised_command_is_there() -> None:
    lines = PROMISED.strip().splitlines()
    promised: set[tuple[str, ...]] = {(name,) for name in lines[0].split()}
    promised |= {tuple(name.split()) for line in lines[1:] for name in line.strip().split("/")}
    assert promised <= set(EVERY)


@pytest.mark.parametrize("path", EVERY, ids=" ".join)
def test_help_says_what_it_does_with_an_example(command: Higherself, path: tuple[str, ...]) -> None:
    ran = command(*path, "--help")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"Usage: {' '.join(('higherself', *path))} ")
    is_group = "Commands:" in ran.out
    assert is_group or re.search(r"^ *Example: .*higherself " + " ".join(path), ran.out, re.M)
    assert command(*path, "-h").out == ran.out


@pytest.mark.parametrize("path", [path for path in EVERY if path], ids=" ".join)
def test_an_unknown_option_is_wrong_usage(command: Higherself, path: tuple[str, ...]) -> None:
    ran = command(*path, "--no-such-option")
    assert (ran.code, ran.out) == (2, "")
    assert "--no-such-option" in ran.err
    assert "--help" in ran.err


def test_the_version(command: Higherself) -> None:
    ran = command("--version")
    assert re.fullmatch(r"higherself, version \d+\.\d+\.\d+\S*\n", ran.out)


# The knowledge commands


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "hours.md").write_text("# Opening hours\n\nWe open at nine.\n\n## Sundays\n\nAt ten.")
    (folder / "late.txt").write_text("Guests who come late lose their turn.")
    (folder / "faq.jsonl").write_text(
        '{"id": "parking", "title": "Parking", "text": "Parking is free.", "tags": ["car"], '
        '"metadata": {"floor": "two"}, "date": "2026-03-01"}\n'
    )
    return folder


@pytest.fixture
def filled(higherself: Higherself, docs: Path) -> Higherself:
    ran = higherself("knowledge", "add", docs, "--entity", "the_7_space", "--tag", "public")
    assert ran.code == 0
    return higherself


@pytest.mark.postgres
def test_add(higherself: Higherself, docs: Path) -> None:
    ran = higherself("knowledge", "add", docs, "--json")
    assert ran.code == 0
    report = ran.json
    assert (
        report.items()
        >= {
            "documents": 3,
            "created": 3,
            "updated": 0,
            "unchanged": 0,
            "deleted": 0,
            "failed": [],
        }.items()
    )
    assert report["chunks"] == report["embedded"] + report["reused"] >= 3
    assert report["seconds"] > 0

    again = higherself("knowledge", "add", docs, "--json").json
    assert (again["unchanged"], again["created"], again["embedded"]) == (3, 0, 0)

    (docs / "late.txt").write_text("Guests who come late may wait.")
    changed = higherself("knowledge", "add", docs, "--json").json
    assert (changed["unchanged"], changed["updated"], changed["embedded"]) == (2, 1, 1)

    spoken = higherself("knowledge", "add", docs)
    assert spoken.out.startswith("3 documents: 0 created, 0 updated, 3 unchanged, 0 deleted")


@pytest.mark.postgres
def test_one_folder_given_as_two_paths_is_taken_once(higherself: Higherself, docs: Path) -> None:
    report = higherself("knowledge", "add", docs, docs / "late.txt", docs, "--json").json
    assert (report["documents"], report["created"]) == (3, 3)


@pytest.mark.postgres
@pytest.mark.parametrize("source", [[], ["--source", "shelf"]], ids=["by path", "by name"])
def test_prune_deletes_what_is_gone_and_nothing_else(
    higherself: Higherself, docs: Path, tmp_path: Path, source: list[str]
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "stays.md").write_text("It was added from elsewhere.")
    assert higherself("knowledge", "add", other).code == 0
    assert higherself("knowledge", "add", docs, *source).code == 0
    (docs / "late.txt").unlink()
    (docs / "faq.jsonl").write_text('{"id": "towels", "text": "Towels are free."}\n')

    kept = higherself("knowledge", "add", docs, *source, "--json").json
    assert (kept["deleted"], kept["created"]) == (0, 1)
    pruned = higherself("knowledge", "add", docs, *source, "--prune", "--json").json
    assert (pruned["deleted"], pruned["unchanged"]) == (2, 2)
    titles = {row["title"] for row in higherself("knowledge", "show", "--json").json["documents"]}
    assert titles == {"Opening hours", "towels", "Stays"}
    assert higherself("knowledge", "verify").code == 0


@pytest.mark.postgres
def test_prune_keeps_what_could_not_be_read(higherself: Higherself, docs: Path) -> None:
    assert higherself("knowledge", "add", docs).code == 0
    (docs / "faq.jsonl").write_text("broken\n")
    (docs / "late.txt").write_bytes(b"\0")
    ran = higherself("knowledge", "add", docs, "--prune", "--json")
    assert (ran.code, ran.json["deleted"], len(ran.json["failed"])) == (0, 0, 2)
    assert higherself("knowledge", "stats", "--json").json["documents"] == 3


@pytest.mark.postgres
def test_search(filled: Higherself) -> None:
    ran = filled("knowledge", "search", "when do you open", "--limit", "2", "--json")
    assert (ran.code, ran.err) == (0, "")
    answer = ran.json
    assert answer.keys() >= {
        *("query", "mode", "degraded", "reason", "spaces", "hits", "milliseconds")
    }
    assert (answer["query"], answer["mode"]) == ("when do you open", "hybrid")
    assert (answer["degraded"], answer["spaces"]) == (False, [SPACE.name])
    assert len(answer["hits"]) == 2
    hit = answer["hits"][0]
    assert (hit["rank"], hit["chunk"]["ordinal"]) == (1, 0)
    assert hit["document"].keys() >= {"id", "source", "external_id", "title", "uri"}
    assert hit["chunk"].keys() >= {"id", "ordinal", "heading", "text"}
    assert hit["why"].keys() >= {"lexical_rank", "vector_rank"}
    assert hit["document"]["title"] == "Opening hours"
    assert "We open at nine" in hit["chunk"]["text"]

    spoken = filled("knowledge", "search", "when do you open")
    assert " 1. Opening hours" in spoken.out
    assert re.search(r"\d+ passages in \d+ ms \(hybrid\)", spoken.err)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--tag", "car"], {"Parking"}),
        (["--tag", "car", "--tag", "public"], {"Parking"}),
        (["--where", "floor=two"], {"Parking"}),
        (["--since", "2026-03-01", "--until", "2026-03-02"], {"Parking"}),
        (["--mode", "lexical"], {"Parking"}),
        (["--entity", "another"], set()),
        (["--source", "another"], set()),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_narrowed_search(filled: Higherself, options: list[str], expected: set[str]) -> None:
    hits = filled("knowledge", "search", "parking", *options, "--json").json["hits"]
    assert {hit["document"]["title"] for hit in hits} == expected


@pytest.mark.postgres
def test_neighbours_and_reranking(filled: Higherself) -> None:
    ran = filled(
        *("knowledge", "search", "parking", "--neighbours", "1", "--rerank", "--json"),
    )
    assert ran.code == 0
    assert ran.json["hits"]
    assert (ran.json["degraded"], ran.json["reranker"]) == (True, None)
    assert "no reranker: HIGHERSELF_RERANKER is not set" in ran.json["reason"]
    assert "no reranker" in ran.err
    spoken = filled("knowledge", "search", "parking", "--rerank")
    assert "note: not reranked: there is no reranker" in spoken.err


@pytest.mark.postgres
def test_reranking_with_a_reranker(filled: Higherself, monkeypatch: pytest.MonkeyPatch) -> None:
    with embedding_server() as vendors:
        monkeypatch.setenv("HIGHERSELF_RERANKER", "voyage")
        monkeypatch.setenv("VOYAGE_API_KEY", "pa-key")
        monkeypatch.setenv("VOYAGE_BASE_URL", vendors.voyage_url)
        ran = filled("knowledge", "search", "parking", "--rerank", "--json")
        spoken = filled("knowledge", "search", "parking", "--rerank")
    assert (ran.json["degraded"], ran.json["reranker"]) == (False, "voyage-rerank")
    scores = [hit["why"]["rerank_score"] for hit in ran.json["hits"]]
    assert scores == sorted(scores, reverse=True)
    assert ran.err == ""
    assert f"reranked: {scores[0]:.4g}" in spoken.out


@pytest.mark.postgres
def test_show_and_delete(filled: Higherself, docs: Path) -> None:
    listed = filled("knowledge", "show", "--entity", "the_7_space", "--json").json["documents"]
    assert len(listed) == 3
    assert filled("knowledge", "show", "--limit", "1", "--json").json["documents"] == listed[:1]
    after = filled("knowledge", "show", "--after", listed[0]["document_id"], "--json").json
    assert after["documents"] == listed[1:]

    name = str(docs / "hours.md")
    shown = filled("knowledge", "show", name, "--json").json
    assert (shown["title"], shown["entity"]) == ("Opening hours", "the_7_space")
    assert "".join(chunk["text"] for chunk in shown["chunks"]).startswith("# Opening hours")
    assert "We open at nine." in filled("knowledge", "show", name).out
    assert filled("knowledge", "show").out.count("\n") == 4

    deleted = filled("knowledge", "delete", name, "--json").json["deleted"]
    assert deleted == [shown["document_id"]]
    assert filled("knowledge", "show", deleted[0]).code == 3
    assert filled("knowledge", "delete", "parking").out == "1 deleted\n"
    assert filled("knowledge", "verify").code == 0


@pytest.mark.postgres
def test_stats_spaces_and_providers(filled: Higherself) -> None:
    stats = filled("knowledge", "stats", "--json").json
    assert stats["documents"] == sum(row["documents"] for row in stats["sources"]) == 3
    (space,) = filled("knowledge", "spaces", "--json").json["spaces"]
    assert space == space | {
        "name": SPACE.name,
        "provider": "local",
        "model": SPACE.model,
        "dimensions": SPACE.dimensions,
        "chunks": stats["chunks"],
        "coverage": 1.0,
        "active": True,
        "state": "active",
        "waiting": 0,
    }
    assert stats["spaces"] == [space]
    (provider,) = filled("knowledge", "providers", "--json").json["providers"]
    assert (provider["tier"], provider["state"], provider["space"]) == (
        "local",
        "ready",
        SPACE.name,
    )
    for command in ("stats", "spaces", "providers"):
        assert filled("knowledge", command).out


@pytest.mark.postgres
def test_verify_finds_and_mends(filled: Higherself, database_url: str) -> None:
    sound = filled("knowledge", "verify", "--json")
    assert (sound.code, sound.json["ok"]) == (0, True)
    assert {"name", "wrong", "mended", "detail"} <= sound.json["findings"][0].keys()
    with psycopg.connect(database_url) as connection:
        connection.execute("SET higherself.entity = '*'")
        row = connection.execute("SELECT space_id FROM higherself.embedding_space").fetchone()
        assert row is not None
        connection.execute(f"DELETE FROM higherself.embedding_{row[0]}".encode())
        connection.execute("DELETE FROM higherself.lexical_posting")

    broken = filled("knowledge", "verify", "--json")
    assert (broken.code, broken.json["ok"]) == (1, False)
    assert filled("knowledge", "spaces", "--json").json["spaces"][0]["coverage"] == 0
    refilled = filled("knowledge", "reembed", "--space", SPACE.name, "--json").json
    (lacking,) = [
        finding["wrong"]
        for finding in broken.json["findings"]
        if finding["name"] == f"vectors of {SPACE.name}"
    ]
    assert (refilled["space"], refilled["embedded"]) == (SPACE.name, lacking)
    assert filled("knowledge", "verify", "--repair", "--json").json["ok"]
    assert filled("knowledge", "verify").code == 0
    assert filled("knowledge", "search", "parking", "--json").json["hits"]


@pytest.mark.postgres
def test_export(filled: Higherself, docs: Path) -> None:
    lines = [json.loads(line) for line in filled("knowledge", "export").out.splitlines()]
    assert len(lines) == 3
    by_title = {line["title"]: line for line in lines}
    assert by_title["Opening hours"]["text"] == (docs / "hours.md").read_text()
    assert by_title["Parking"]["metadata"] == {"floor": "two"}
    assert by_title["Parking"].keys() >= {"id", "title", "text", "tags", "uri", "date"}
    assert filled("knowledge", "export", "--json").json == {"documents": lines}
    assert filled("knowledge", "export", "--entity", "another", "--json").json == {"documents": []}
    assert filled("knowledge", "export", "--entity", "another").out == ""


@pytest.mark.postgres
def test_what_was_exported_comes_back_as_it_was(filled: Higherself, tmp_path: Path) -> None:
    before = filled("knowledge", "export", "--entity", "the_7_space").out
    backup = tmp_path / "backup.jsonl"
    backup.write_text(before)
    listed = filled("knowledge", "show", "--json").json["documents"]
    assert filled("knowledge", "delete", *[row["document_id"] for row in listed]).code == 0
    assert filled("knowledge", "import", backup, "--json").json["created"] == 3
    after = filled("knowledge", "export", "--entity", "the_7_space").out
    assert sorted(after.splitlines()) == sorted(before.splitlines())
    assert filled("knowledge", "import", backup, "--json").json["unchanged"] == 3
    assert filled("knowledge", "verify").code == 0


# The database commands


@pytest.fixture
def unmigrated(
    command: Higherself, monkeypatch: pytest.MonkeyPatch, empty_database: str
) -> Higherself:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    return command


@pytest.mark.postgres
def test_migrate_status_and_rollback(unmigrated: Higherself, docs: Path) -> None:
    names = [str(migration) for migration in migrations()]
    assert unmigrated("db", "status", "--json").json == {"version": 0, "pending": names}

    dry = unmigrated("db", "migrate", "--dry-run", "--json").json
    assert (dry["version"], dry["dry_run"], len(dry["steps"])) == (0, True, len(names))
    assert "CREATE TABLE document" in unmigrated("db", "migrate", "--dry-run").out

    done = unmigrated("db", "migrate", "--json").json
    assert (done["version"], done["pending"]) == (NEWEST, [])
    assert done["steps"] == [f"up {name}" for name in names]
    assert unmigrated("db", "migrate").out == f"version {NEWEST}; nothing to do\n"
    assert unmigrated("db", "status").out == f"version {NEWEST}; pending: nothing\n"

    assert unmigrated("knowledge", "add", docs).code == 0
    back = unmigrated("db", "rollback", "--to", "1", "--yes", "--json").json
    assert back["version"] == 1
    assert back["steps"] == [f"down {name}" for name in reversed(names[1:])]
    assert unmigrated("knowledge", "stats").code == 2
    assert unmigrated("db", "migrate").code == 0
    assert unmigrated("knowledge", "stats", "--json").json["documents"] == 0
    assert unmigrated("knowledge", "add", docs, "--json").json["created"] == 3


@pytest.mark.postgres
def test_rolling_back_asks_first(unmigrated: Higherself) -> None:
    assert unmigrated("db", "migrate").code == 0
    ran = unmigrated("db", "rollback", "--to", "0")
    assert (ran.code, ran.out) == (2, "")
    assert "--yes" in ran.err
    dry = unmigrated("db", "rollback", "--to", "0", "--dry-run")
    assert "DROP TABLE" in dry.out
    assert unmigrated("db", "status", "--json").json["version"] == NEWEST


@pytest.mark.postgres
def test_url(higherself: Higherself, database_url: str) -> None:
    assert higherself("db", "url", "--json").json == {"url": database_url}
    assert higherself("db", "url").out == f"{database_url}\n"


@pytest.mark.postgres
def test_setup_supabase(unmigrated: Higherself, empty_database: str) -> None:
    ran = unmigrated("db", "setup-supabase", "--json")
    assert (ran.code, ran.json["ok"]) == (2, False)
    assert [check["name"] for check in ran.json["checks"] if not check["ok"]] == ["schema"]
    ran = unmigrated("db", "setup-supabase", "--url", empty_database, "--migrate", "--json")
    assert (ran.code, ran.json["ok"]) == (0, True)
    assert all(check.keys() == {"name", "ok", "detail", "fix"} for check in ran.json["checks"])
    assert f"up {migrations()[0]}: done" in ran.err
    spoken = unmigrated("db", "setup-supabase")
    assert spoken.code == 0
    assert "forced row-level security" in spoken.out
    password = urlsplit(empty_database).password
    assert password is not None
    assert password not in ran.out + ran.err + spoken.out + spoken.err


def test_setup_supabase_of_nothing(command: Higherself) -> None:
    ran = command("db", "setup-supabase")
    assert (ran.code, ran.out) == (2, "")
    assert "set DATABASE_URL, or give --url" in ran.err
    ran = command(
        "db", "setup-supabase", "--url", "postgresql://me:sEcReT@127.0.0.1:1/db", "--json"
    )
    assert (ran.code, [check["name"] for check in ran.json["checks"]]) == (2, ["connection"])
    assert "sEcReT" not in ran.out + ran.err


@pytest.mark.postgres
def test_the_embedded_server(
    command: Higherself, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with tempfile.TemporaryDirectory(prefix="higherself-home-") as folder:
        Path(folder).chmod(0o755)
        home = Path(folder) / "home"
        monkeypatch.setenv("HIGHERSELF_HOME", str(home))
        ran = command("db", "url", "--json")
        assert ran.json["url"].startswith("postgresql://higherself:")
        assert "creating the database" in ran.err
        assert command("knowledge", "stats", "--json").json["documents"] == 0, "it migrates itself"
        assert command("db", "status", "--json").json == {"version": NEWEST, "pending": []}
        assert command("db", "stop").err == "it was not running\n", "the last one stops it"


# The others


@pytest.mark.postgres
def test_doctor(higherself: Higherself) -> None:
    ran = higherself("doctor", "--json")
    assert (ran.code, ran.json["ok"]) == (0, True)
    assert all(check.keys() == {"name", "ok", "detail", "fix"} for check in ran.json["checks"])
    spoken = higherself("doctor")
    assert spoken.code == 0
    assert spoken.out.count("\n") == len(ran.json["checks"])
    assert all(line.startswith("ok ") for line in spoken.out.splitlines())


def test_doctor_with_something_broken(command: Higherself, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:sEcReT@127.0.0.1:1/db")
    ran = command("doctor", "--json")
    assert (ran.code, ran.json["ok"]) == (2, False)
    spoken = command("doctor")
    assert spoken.code == 2
    assert re.search(r"^NO +database ", spoken.out, re.M)
    assert "sEcReT" not in ran.out + spoken.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(command: Higherself, tmp_path: Path, shell: str) -> None:
    ran = command("completion", shell)
    assert ran.code == 0
    assert "_HIGHERSELF_COMPLETE" in ran.out
    interpreter = shutil.which(shell)
    if interpreter is None:
        return
    script = tmp_path / "completion"
    script.write_text(ran.out)
    checked = subprocess.run([interpreter, "-n", script], capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_completion_completes(
    command: Higherself,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("COMP_WORDS", "higherself knowledge se")
    monkeypatch.setenv("COMP_CWORD", "2")
    monkeypatch.setenv("_HIGHERSELF_COMPLETE", "bash_complete")
    with pytest.raises(SystemExit):
        program.main([], prog_name="higherself")
    assert capsys.readouterr().out == "plain,search\n"


def test_one_document_and_nothing_else(command: Higherself) -> None:
    """Whatever has --json says so in its help in the same words."""
    with_json = [path for path in EVERY if "--json" in command(*path, "--help").out]
    without = {path for path in EVERY if path not in with_json}
    named = "knowledge messages workflow db skills agents patterns notion templates deliveries happenings reviews escalations flows webhooks"
    groups: set[Any] = {(), *((each,) for each in named.split())}
    documents = {
        ("messages", "schema"),
        ("messages", "asyncapi"),
        ("agents", "ask"),
    }  # they print nothing but JSON
    assert without - groups - documents == {
        ("serve",),
        ("mcp",),
        ("worker",),
        ("notion", "watch"),
        ("db", "stop"),
        ("completion",),
    }
