"""Bad input and broken surroundings, through the command line.

Each gets an error that names the problem and what to do, or a failure of its own in the report;
never a traceback, and nothing else is lost.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.cli.conftest import Higherself, Ran

from higherself.db import inspection
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrations
from higherself.db.server import preparation
from higherself.kernel.errors import Rejected
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.model import NewDocument
from higherself.testing.postgres import drop_database, in_database

pytestmark = pytest.mark.postgres

MB = 1024 * 1024
MAIN = "from higherself.cli.main import main; main()"


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A folder with one good document."""
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "good.md").write_text("# Opening hours\n\nWe open at nine on weekdays.")
    return folder


def assert_told(ran: Ran, code: int, *words: str) -> None:
    """The command failed with ``code`` and one error on standard error that says ``words``."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    for word in words:
        assert word in ran.err


def assert_sound(higherself: Higherself, documents: int) -> None:
    """Just so many documents are stored, each of them whole, and the good one is found."""
    assert higherself("knowledge", "verify").code == 0
    assert higherself("knowledge", "stats", "--json").json["documents"] == documents
    hits = higherself("knowledge", "search", "when do you open", "--json").json["hits"]
    assert "We open at nine" in hits[0]["chunk"]["text"]


# Files


def empty(path: Path) -> None:
    path.write_bytes(b"")


def blank(path: Path) -> None:
    path.write_text(" \n\t\n\u00a0\n")


def binary(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 8)


def broken_utf8(path: Path) -> None:
    path.write_bytes("Café".encode("latin-1"))


def long_line(path: Path) -> None:
    with path.open("wb") as file:
        for _ in range(100):
            file.write(b"a" * MB)


def sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(100 * MB)


def locked_pdf(path: Path) -> None:
    pypdf = pytest.importorskip("pypdf")
    writer = pypdf.PdfWriter()
    writer.add_blank_page(width=72, height=72)
    writer.encrypt("secret", algorithm="RC4-128")
    writer.write(path)


def broken_pdf(path: Path) -> None:
    pytest.importorskip("pypdf")
    path.write_bytes(b"%PDF-1.7\nand then nothing of the kind")


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


def a_dangling_link(path: Path) -> None:
    path.symlink_to("nowhere.md")


BAD_FILES: dict[str, tuple[Callable[[Path], None], str]] = {
    "empty.md": (empty, "empty"),
    "blank.txt": (blank, "empty"),
    "empty.jsonl": (empty, "empty"),
    "binary.txt": (binary, "binary"),
    "binary.jsonl": (binary, "binary"),
    "binary.csv": (binary, "binary"),
    "latin.txt": (broken_utf8, "iconv"),
    "latin.html": (broken_utf8, "iconv"),
    "long.txt": (long_line, "104,857,600 bytes and the limit is"),
    "long.jsonl": (long_line, "104,857,600 bytes and the limit is"),
    "sparse.txt": (sparse, "the limit is"),
    "sparse.jsonl": (sparse, "binary"),
    "locked.pdf": (locked_pdf, "encrypted"),
    "broken.pdf": (broken_pdf, "not a PDF"),
    "pipe.md": (a_pipe, "not a regular file"),
}


def test_bad_files_fail_alone(higherself: Higherself, docs: Path) -> None:
    for name, (make, _) in BAD_FILES.items():
        make(docs / name)
    started = time.monotonic()
    ran = higherself("knowledge", "add", docs, "--json")
    assert time.monotonic() - started < 30
    assert ran.code == 0
    assert (ran.json["documents"], ran.json["created"]) == (len(BAD_FILES) + 1, 1)
    reasons = {Path(f["path"].split(":")[0]).name: f["reason"] for f in ran.json["failed"]}
    assert reasons.keys() == BAD_FILES.keys()
    for name, (_, reason) in BAD_FILES.items():
        assert reason in reasons[name]
    assert_sound(higherself, 1)


@pytest.mark.parametrize("name", ["empty.md", "latin.txt", "binary.jsonl", "sparse.txt"])
def test_a_bad_file_alone_is_a_failure_of_the_command(
    higherself: Higherself, docs: Path, name: str
) -> None:
    make, reason = BAD_FILES[name]
    make(docs / name)
    ran = higherself("knowledge", "add", docs / name)
    assert ran.code == 5
    assert f"failed: {docs / name}: " in ran.err
    assert reason in ran.err
    assert "1 failed" in ran.out
    ran = higherself("knowledge", "add", docs / name, "--json")
    assert (ran.code, ran.json["documents"], len(ran.json["failed"])) == (5, 1, 1)


def test_a_path_that_does_not_exist(higherself: Higherself, docs: Path) -> None:
    assert_told(higherself("knowledge", "add", docs, docs / "nope"), 3, "nope", "spelling")
    assert higherself("knowledge", "stats", "--json").json["documents"] == 0
    assert_told(higherself("knowledge", "add", docs / "good.md" / "below"), 3, "below")
    a_dangling_link(docs / "link.md")
    assert_told(higherself("knowledge", "add", docs / "link.md"), 3, "link.md")
    assert higherself("knowledge", "add", docs, "--json").json["created"] == 1


def test_an_empty_folder_is_no_error(higherself: Higherself, tmp_path: Path) -> None:
    ran = higherself("knowledge", "add", tmp_path / "current", "--json")
    assert (ran.code, ran.json["documents"]) == (0, 0)


def test_a_name_that_is_not_utf8_fails_alone(higherself: Higherself, docs: Path) -> None:
    with open(os.fsencode(docs) + b"/caf\xe9.md", "w") as file:
        file.write("text")
    ran = higherself("knowledge", "add", docs, "--json")
    assert (ran.code, ran.json["created"]) == (0, 1)
    assert "rename it" in ran.json["failed"][0]["reason"]
    assert "rename it" in higherself("knowledge", "add", docs).err


def test_bad_lines_of_json_fail_alone(higherself: Higherself, docs: Path) -> None:
    lines = [
        '{"id": "1", "title": "One"}',
        '{"id": "2", "text": "The second is fine."}',
        '{"id": "2", "text": "It has the same id."}',
        '{"id": "4", "text": 4}',
        '{"text": "no id"}',
        '["a", "list"]',
        "not json",
        '{"id": "8", "text": "a NUL: \\u0000"}',
        '{"id": "9", "text": "half a pair: \\ud800"}',
        '{"id": "10", "text": "bad tags", "tags": [[1]]}',
        '{"id": "11", "text": "bad date", "date": "yesterday"}',
        '{"id": "12", "text": "' + "x" * 100 + '", "metadata": [1]}',
        '{"id": "' + "i" * 2000 + '", "text": "a long name"}',
        "[" * 5000,
        '{"id": "15", "text": "The last is fine, too."}',
    ]
    path = docs / "lines.jsonl"
    path.write_text("\n".join(lines))
    ran = higherself("knowledge", "add", path, "--json")
    assert ran.code == 0
    report = ran.json
    assert (report["documents"], report["created"]) == (15, 2)
    reasons = {failed["path"]: failed["reason"] for failed in report["failed"]}
    assert len(reasons) == 13
    assert "`text` is missing" in reasons[f"{path}:1"]
    assert "the id '2' is already that of lines.jsonl:2" in reasons[f"{path}:3"]
    assert "`text` must be a text" in reasons[f"{path}:4"]
    assert "`id` is missing" in reasons[f"{path}:5"]
    assert "not JSON" in reasons[f"{path}:7"]
    assert "NUL" in reasons[f"{path}:8"]
    assert "surrogate" in reasons[f"{path}:9"]
    assert higherself("knowledge", "add", docs / "good.md").code == 0
    assert_sound(higherself, 3)


def test_the_same_id_in_two_files(higherself: Higherself, docs: Path) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (docs / name).write_text('{"id": "1", "text": "We open at nine, says ' + name + '."}')
    ran = higherself("knowledge", "add", docs, "--source", "faq", "--json")
    assert (ran.code, ran.json["created"]) == (0, 2)
    assert "duplicate id '1'" in ran.json["failed"][0]["reason"]
    assert_sound(higherself, 2)


def test_statements_and_scripts_are_only_text(higherself: Higherself, docs: Path) -> None:
    text = "'; DROP TABLE higherself.document; -- <script>alert('we open at nine')</script> %s {x}"
    (docs / "evil'; DROP TABLE chunk; --.md").write_text(text)
    ran = higherself("knowledge", "add", docs, "--tag", "'); DELETE FROM document; --", "--json")
    assert ran.json["created"] == 2
    for query in (text, "'; SELECT pg_sleep(60); --", '"<script>alert(" OR 1=1', "%(x)s {0} \\"):
        assert higherself("knowledge", "search", query, "--json").code == 0
    phrase = '"<script>alert(\'we open at nine"'
    found = higherself("knowledge", "search", phrase, "--json").json["hits"]
    assert found[0]["chunk"]["text"] == text
    assert_sound(higherself, 2)


def test_a_terminal_obeys_nothing_that_a_document_says(higherself: Higherself, docs: Path) -> None:
    (docs / "good.md").write_text("# Title \x1b]0;owned\x07\n\nWe open \x1b[2J at nine.\x9b31m")
    assert higherself("knowledge", "add", docs).code == 0
    name = str(docs / "good.md")
    for arguments in (["search", "open"], ["show", name], ["show"]):
        ran = higherself("knowledge", *arguments)
        assert ran.code == 0
        assert not {"\x1b", "\x07", "\x9b"} & set(ran.out + ran.err)
    assert "\\u001b[2J" in json.dumps(higherself("knowledge", "show", name, "--json").json)


# Queries and options


@pytest.fixture
def filled(higherself: Higherself, docs: Path) -> Higherself:
    assert higherself("knowledge", "add", docs).code == 0
    return higherself


@pytest.mark.parametrize("mode", ["hybrid", "lexical", "vector"])
def test_a_query_of_ten_thousand_words(filled: Higherself, mode: str) -> None:
    """Too long is said at once; the longest that is allowed is answered."""
    different = " ".join(str(number) for number in range(10_000))
    for query in ("open " * 10_000, '"open" 9 ' * 5_000, different):
        ran = filled("knowledge", "search", query, "--mode", mode)
        assert_told(ran, 5, "characters, and 20,000 are allowed")
        started = time.monotonic()
        ran = filled("knowledge", "search", query[:18_000], "--mode", mode, "--json")
        assert time.monotonic() - started < 20
        assert ran.code == 0, ran.err
        assert isinstance(ran.json["hits"], list)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["search", ""], 5, "the query is empty"),
        (["search", " \t\n"], 5, "the query is empty"),
        (["search", "x", "--limit", "0"], 5, "limit is 0; it must be from 1 to 1000"),
        (["search", "x", "--limit", "-5"], 5, "limit is -5"),
        (["search", "x", "--limit", "9" * 30], 5, "it must be from 1 to 1000"),
        (["search", "x", "--limit", "many"], 2, "not a valid integer"),
        (["search", "x", "--neighbours", "99"], 5, "neighbours is 99"),
        (["search", "x", "--entity", "Bad Slug!"], 5, "the_7_space"),
        (["search", "x", "--entity", ""], 5, "is not a slug"),
        (["search", "x", "--mode", "magic"], 2, "'hybrid', 'vector', 'lexical'"),
        (["search", "x", "--where", "no_equals"], 2, "is not KEY=VALUE"),
        (["search", "x", "--where", "=value"], 2, "is not KEY=VALUE"),
        (["search", "x", "--since", "yesterday"], 2, "%Y-%m-%d"),
        (["search", "caf\udce9"], 2, "not UTF-8"),
        (["search", "x", "--tag", "caf\udce9"], 2, "not UTF-8"),
        (["search"], 2, "Missing argument 'QUERY'"),
        (["show", "nothing"], 3, "no document 'nothing'"),
        (["show", "--limit", "0"], 5, "limit is 0"),
        (["show", "--after", "x"], 5, "no document identifier"),
        (["show", "caf\udce9"], 2, "not UTF-8"),
        (["delete", "nothing"], 3, "no document 'nothing'"),
        (["delete", "0198c0de-0000-7000-8000-000000000000"], 3, "no document"),
        (["delete"], 2, "Missing argument"),
        (["export", "--entity", "Bad Slug!"], 5, "is not a slug"),
        (["reembed", "--space", "nothing"], 5, "no embedding space 'nothing'; there are: local/"),
        (["nothing"], 2, "No such command"),
        (["add", ".", "--entity", "Bad Slug!"], 5, "the_7_space"),
        (["add", ".", "--entity", "x" * 64], 5, "up to 63"),
        (["add", ".", "--source", " "], 5, "source"),
        (["add", ".", "--source", "caf\udce9"], 2, "not UTF-8"),
        (["add"], 2, "Missing argument 'PATHS...'"),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
)
def test_a_bad_argument(
    higherself: Higherself, arguments: list[str], code: int, words: str
) -> None:
    assert_told(higherself("knowledge", *arguments, "--json"), code, words)


def test_a_bad_argument_stores_nothing(higherself: Higherself, docs: Path) -> None:
    for option, value in (("--entity", "Bad Slug!"), ("--source", "")):
        assert_told(higherself("knowledge", "add", docs, option, value), 5)
    assert higherself("knowledge", "stats", "--json").json["documents"] == 0


def test_what_is_not_there_is_not_found_and_no_error(filled: Higherself) -> None:
    for option in (["--entity", "unknown"], ["--source", "x"], ["--tag", "x"], ["--where", "a=b"]):
        ran = filled("knowledge", "search", "open", *option, "--json")
        assert (ran.code, ran.json["hits"]) == (0, [])
        assert filled("knowledge", "search", "open", *option).out == "nothing found\n"


def test_deleting_all_or_nothing(filled: Higherself, docs: Path) -> None:
    name = str(docs / "good.md")
    assert_told(filled("knowledge", "delete", name, "nothing"), 3, "nothing")
    assert filled("knowledge", "stats", "--json").json["documents"] == 1
    assert filled("knowledge", "delete", name, name, "--json").code == 0
    assert filled("knowledge", "stats", "--json").json["documents"] == 0


# What the hub itself should refuse. The command line cannot send it, the API and Python can.


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param({"query": "a NUL \0"}, id="a NUL in the query"),
        pytest.param({"query": "x", "sources": ("\0",)}, id="a NUL in a source"),
        pytest.param({"query": "x", "tags": ("\0",)}, id="a NUL in a tag"),
        pytest.param({"query": "x", "metadata": {"a": "\0"}}, id="a NUL in the metadata"),
        pytest.param({"query": "x", "metadata": {"a": float("nan")}}, id="a NaN in the metadata"),
        pytest.param(
            {"query": "half a pair \ud800"},
            id="half a surrogate pair in the query",
        ),
        pytest.param(
            {"query": "x", "tags": ("\ud800",)},
            id="half a surrogate pair in a tag",
        ),
    ],
)
async def test_the_hub_refuses_what_cannot_be_asked(
    hub: KnowledgeHub, request_: dict[str, Any]
) -> None:
    await hub.add([NewDocument(external_id="a", text="We open at nine.")])
    with pytest.raises(Rejected):
        await hub.search(**request_)


# The database


@pytest.fixture
def unmigrated(
    command: Higherself, monkeypatch: pytest.MonkeyPatch, empty_database: str
) -> Higherself:
    monkeypatch.setenv("DATABASE_URL", empty_database)
    return command


def timed(call: Higherself, *arguments: object) -> Ran:
    started = time.monotonic()
    ran = call(*arguments)
    assert time.monotonic() - started < 5, "it said so at once"
    return ran


@pytest.mark.parametrize(
    "arguments",
    [
        ["knowledge", "add", "."],
        ["knowledge", "search", "x", "--json"],
        ["knowledge", "stats", "--json"],
        ["db", "status"],
        ["db", "migrate", "--json"],
    ],
    ids=" ".join,
)
def test_a_database_that_is_down(
    command: Higherself, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:sEcReT@127.0.0.1:1/db")
    ran = timed(command, *arguments)
    assert_told(ran, 6, "does not answer", "DATABASE_URL", "higherself doctor")
    assert "sEcReT" not in ran.err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"netloc": "higherself:sEcReT@"}, "password authentication failed"),
        ({"netloc": "nobody:sEcReT@"}, "password authentication failed"),
        ({"path": "/no_such_database"}, "does not exist"),
    ],
    ids=["password", "user", "database"],
)
def test_who_is_not_let_in(
    higherself: Higherself,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, str],
    words: str,
) -> None:
    url = urlsplit(os.environ["DATABASE_URL"])._replace(**change).geturl()
    monkeypatch.setenv("DATABASE_URL", url)
    ran = timed(higherself, "knowledge", "search", "x")
    assert_told(ran, 2, words, "check user, password and database name in DATABASE_URL")
    assert "sEcReT" not in ran.err


def test_a_url_with_a_slip_is_not_quoted(
    command: Higherself, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:sEc@ReT@127.0.0.1/db")
    ran = command("knowledge", "stats")
    assert_told(ran, 2, "DATABASE_URL is wrong", "percent-encode", "for example")
    assert "ReT" not in ran.err


def test_a_read_only_database(
    filled: Higherself, docs: Path, server: EmbeddedPostgres, database_url: str
) -> None:
    (docs / "more.md").write_text("We close at five.")
    setting = f"ALTER DATABASE {urlsplit(database_url).path[1:]}"
    with preparation.connect(server.admin_url) as admin:
        admin.execute(f"{setting} SET default_transaction_read_only = on".encode())
        try:
            for arguments in (["add", docs], ["delete", docs / "good.md"]):
                ran = filled("knowledge", *arguments)
                assert_told(ran, 2, "read-only", "connect to the primary")
            found = filled("knowledge", "search", "when do you open", "--json")
            assert found.json["hits"], "reading goes on"
        finally:
            admin.execute(f"{setting} RESET default_transaction_read_only".encode())
    assert_sound(filled, 1)
    assert filled("knowledge", "add", docs, "--json").json["created"] == 1


def test_a_server_that_is_too_old(filled: Higherself, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MINIMUM_SERVER", 990000)
    for arguments in (["knowledge", "search", "x"], ["knowledge", "add", "."], ["db", "migrate"]):
        assert_told(filled(*arguments), 2, "15 or newer is needed", "upgrade it")


def test_a_pgvector_that_is_too_old(filled: Higherself, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "MINIMUM_VECTOR", (99, 0))
    assert_told(filled("knowledge", "search", "x"), 2, "ALTER EXTENSION vector UPDATE")


def test_a_server_without_pgvector(unmigrated: Higherself, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files of an extension belong to the server and all its databases, so none can be made
    to lack them here: what the catalogue says of it is changed on its way to us.
    """
    facts = inspection._facts

    async def without(connection: psycopg.AsyncConnection[dict[str, Any]]) -> dict[str, Any]:
        nothing = dict.fromkeys(("vector_installed", "vector_available", "vector_schema"))
        return await facts(connection) | nothing

    monkeypatch.setattr(inspection, "_facts", without)
    assert_told(unmigrated("db", "migrate"), 2, "has no pgvector", "apt-get install", "Supabase")
    assert unmigrated("db", "status", "--json").json["version"] == 0


@pytest.fixture
def plain_database(server: EmbeddedPostgres) -> Iterator[str]:
    """A database of ours in which nobody has installed the extension."""
    name = f"test_{os.urandom(6).hex()}"
    with preparation.connect(server.admin_url) as admin:
        preparation.create_database(admin, name)
    yield in_database(server.url, name)
    drop_database(server.admin_url, name)


def test_pgvector_that_our_role_may_not_install(
    command: Higherself,
    monkeypatch: pytest.MonkeyPatch,
    plain_database: str,
    server: EmbeddedPostgres,
) -> None:
    name = urlsplit(plain_database).path[1:]
    with preparation.connect(server.admin_url) as admin:
        admin.execute(f"ALTER DATABASE {name} OWNER TO postgres".encode())
        admin.execute(f"GRANT CREATE ON DATABASE {name} TO higherself".encode())
    monkeypatch.setenv("DATABASE_URL", plain_database)
    ran = command("db", "migrate")
    if ran.code == 0:
        pytest.skip("this build of pgvector is trusted, so the owner of a database may install it")
    assert_told(ran, 2, "lacks a privilege", "db setup-supabase")
    status = command("db", "status", "--json").json
    (asking,) = [each.number for each in migrations() if each.name == "enable_vector_extension"]
    assert status["version"] == asking - 1, "the steps before it stand"
    assert command("db", "setup-supabase", "--json").code == 2


def test_a_half_migrated_database(
    unmigrated: Higherself, monkeypatch: pytest.MonkeyPatch, docs: Path
) -> None:
    for to in (0, 1):
        assert unmigrated("db", "rollback", "--to", to, "--yes").code == 0
        for arguments in (["add", docs], ["search", "x", "--json"], ["stats", "--json"]):
            ran = unmigrated("knowledge", *arguments)
            assert_told(ran, 2, f"version {to}", "higherself db migrate")
    assert unmigrated("db", "migrate", "--json").json["version"] == migrations()[-1].number
    assert unmigrated("knowledge", "add", docs).code == 0
    assert_sound(unmigrated, 1)


def test_a_database_of_a_changed_release(unmigrated: Higherself, empty_database: str) -> None:
    assert unmigrated("db", "migrate").code == 0
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "UPDATE higherself.schema_migration SET checksum = '\\x00' WHERE number = 1"
        )
    for arguments in (["knowledge", "stats"], ["db", "migrate"], ["db", "status"]):
        assert_told(unmigrated(*arguments), 2, "01_core", "another form", "restore a backup")


def test_tables_that_somebody_has_dropped(unmigrated: Higherself, empty_database: str) -> None:
    assert unmigrated("db", "migrate").code == 0
    with psycopg.connect(empty_database) as connection:
        connection.execute("DROP TABLE higherself.chunk CASCADE")
    assert_told(unmigrated("knowledge", "search", "x"), 2, "does not fit this version")


def test_a_home_that_is_a_file(command: Higherself, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Path(os.environ["HIGHERSELF_HOME"])
    home.write_text("not a folder")
    assert_told(command("knowledge", "stats"), 2, str(home))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("HIGHERSELF_PORT", "abc"), ("NOTION_PLAN", "golden"), ("HIGHERSELF_EMBEDDING_TIERS", "x")],
)
def test_a_wrong_setting_is_named(
    command: Higherself, monkeypatch: pytest.MonkeyPatch, setting: str, value: str
) -> None:
    monkeypatch.setenv(setting, value)
    assert_told(command("knowledge", "stats"), 2, f"{setting} is wrong", "for example")


# The output


def test_a_reader_that_leaves_early_is_no_error(filled: Higherself) -> None:
    done = subprocess.run(
        f"{sys.executable} -c '{MAIN}' knowledge export | true; exit ${{PIPESTATUS[0]}}",
        shell=True,
        executable="/bin/bash",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_that_cannot_be_written(filled: Higherself) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", MAIN, "knowledge", "stats", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 6
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
