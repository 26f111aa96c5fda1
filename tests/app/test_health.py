"""Doctor on a healthy installation, and with each thing broken."""

import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest

from higherself.app.health import examine
from higherself.app.settings import Settings
from higherself.db import inspection
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate, migrations
from higherself.db.server import preparation
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.knowledge.providers import local
from higherself.testing.embeddings import embedding_server
from higherself.testing.postgres import shared_server

Examined = dict[str, Check]

pytestmark = pytest.mark.postgres


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An empty folder, a home of its own, and the local model alone."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HIGHERSELF_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_TIERS", "local")


@pytest.fixture
def healthy(monkeypatch: pytest.MonkeyPatch, worker_database: str) -> str:
    monkeypatch.setenv("DATABASE_URL", worker_database)
    return worker_database


async def examined() -> Examined:
    checks = await examine()
    names = [check.name for check in checks]
    assert len(set(names)) == len(names), "each thing is told once"
    assert all(check.fix for check in checks if not check.ok), "each with its fix"
    return {check.name: check for check in checks}


def wrong(checks: Examined) -> list[str]:
    return [check.name for check in checks.values() if not check.ok]


async def test_everything_is_well(healthy: str, tmp_path: Path) -> None:
    checks = await examined()
    assert wrong(checks) == []
    assert checks["database"].detail.startswith("PostgreSQL 1")
    assert "(DATABASE_URL), role higherself" in checks["database"].detail
    assert checks["schema"].detail == f"version {migrations()[-1].number}"
    assert checks["embedding tier local"].detail == f"ready: {local.SPACE.name}"
    assert str(tmp_path / "home") in checks["disk"].detail
    assert {f"setting {name}" for name in Settings.names().values()} <= set(checks)
    password = urlsplit(healthy).password
    assert password is not None
    assert password not in repr(checks)


async def test_a_broken_extension_is_told_with_its_line(
    healthy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await examined())["extensions"].detail.startswith("0 skills, ")
    folder = tmp_path / "extensions"
    folder.mkdir()
    (folder / "crm.py").write_text("import no_such_module_here\n")
    monkeypatch.setenv("HIGHERSELF_EXTENSIONS", str(folder))
    checks = await examined()
    assert wrong(checks) == ["extensions"]
    assert "crm.py cannot be imported: line 1: ModuleNotFoundError" in checks["extensions"].detail


async def test_the_embedded_server_is_started_and_told(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = server._layout.home
    monkeypatch.setenv("HIGHERSELF_HOME", str(home))
    with shared_server():
        checks = await examined()
    assert wrong(checks) == []
    assert "(embedded)" in checks["database"].detail
    assert checks["connection"].detail == "direct: LISTEN works"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("HIGHERSELF_PORT", "http"), ("DATABASE_URL", "mysql://h/db"), ("NOTION_PLAN", "golden")],
)
async def test_a_wrong_setting(monkeypatch: pytest.MonkeyPatch, setting: str, value: str) -> None:
    monkeypatch.setenv(setting, value)
    checks = await examined()
    assert wrong(checks) == ["settings"]
    assert f"{setting} is wrong" in checks["settings"].detail


async def test_a_secret_is_never_shown(monkeypatch: pytest.MonkeyPatch, healthy: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-a-very-secret-key-0123")
    checks = await examined()
    assert "secret-key" not in repr(checks)
    assert checks["setting OPENAI_API_KEY"].detail == "****0123 (environment)"


class Usage(NamedTuple):
    total: int
    used: int
    free: int


async def test_a_disk_that_is_almost_full(monkeypatch: pytest.MonkeyPatch, healthy: str) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(10**9, 10**9 - 1, 1))
    checks = await examined()
    assert wrong(checks) == ["disk"]
    assert "free some space" in checks["disk"].fix


async def test_nobody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:sEcReT@127.0.0.1:1/db")
    checks = await examined()
    assert wrong(checks) == ["database"]
    assert "does not answer" in checks["database"].detail
    assert "DATABASE_URL" in checks["database"].fix
    assert checks["embedding tier local"].ok, "the rest is checked nevertheless"
    assert "sEcReT" not in repr(checks)


async def test_a_wrong_password(monkeypatch: pytest.MonkeyPatch, healthy: str) -> None:
    url = urlsplit(healthy)._replace(netloc="higherself:sEcReT@").geturl()
    monkeypatch.setenv("DATABASE_URL", url)
    checks = await examined()
    assert wrong(checks) == ["database"]
    assert "password authentication failed" in checks["database"].detail
    assert "check user, password" in checks["database"].fix


async def test_a_home_that_cannot_be_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HIGHERSELF_HOME", str(tmp_path / "file" / "home"))
    checks = await examined()
    assert wrong(checks) == ["database"]
    assert str(tmp_path / "file") in checks["database"].detail + checks["database"].fix


@pytest.mark.parametrize("to", [0, 1])
async def test_a_schema_that_is_behind(
    monkeypatch: pytest.MonkeyPatch, empty_database: str, to: int
) -> None:
    await migrate(empty_database, clock=SYSTEM_CLOCK, to=to)
    monkeypatch.setenv("DATABASE_URL", empty_database)
    checks = await examined()
    assert wrong(checks) == ["schema"]
    pending = ", ".join(str(each) for each in migrations()[to:])
    assert f"version {to}; pending: {pending}" in checks["schema"].detail
    assert "higherself db migrate" in checks["schema"].fix


async def test_a_schema_of_another_release(
    monkeypatch: pytest.MonkeyPatch, empty_database: str
) -> None:
    await migrate(empty_database, clock=SYSTEM_CLOCK)
    with preparation.connect(empty_database) as connection:
        connection.execute(b"UPDATE higherself.schema_migration SET checksum = ''")
    monkeypatch.setenv("DATABASE_URL", empty_database)
    checks = await examined()
    assert wrong(checks) == ["schema"]
    assert "another form" in checks["schema"].detail


async def test_a_read_only_database(server: EmbeddedPostgres, healthy: str) -> None:
    setting = f"ALTER DATABASE {urlsplit(healthy).path[1:]}"
    with preparation.connect(server.admin_url) as admin:
        admin.execute(f"{setting} SET default_transaction_read_only = on".encode())
        try:
            checks = await examined()
        finally:
            admin.execute(f"{setting} RESET default_transaction_read_only".encode())
    assert wrong(checks) == ["writes"]


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("MINIMUM_SERVER", 990000, "unset DATABASE_URL"),
        ("MINIMUM_VECTOR", (99, 0), "ALTER EXTENSION vector UPDATE"),
    ],
)
async def test_what_is_too_old(
    monkeypatch: pytest.MonkeyPatch, healthy: str, name: str, value: Any, fix: str
) -> None:
    monkeypatch.setattr(inspection, name, value)
    checks = await examined()
    (old,) = wrong(checks)
    assert old == ("database" if name == "MINIMUM_SERVER" else "pgvector")
    assert fix in checks[old].fix


async def test_a_role_that_row_security_does_not_bind_is_told(
    monkeypatch: pytest.MonkeyPatch, server: EmbeddedPostgres, healthy: str
) -> None:
    name = urlsplit(healthy).path
    monkeypatch.setenv("DATABASE_URL", urlsplit(server.admin_url)._replace(path=name).geturl())
    checks = await examined()
    assert wrong(checks) == []
    assert "does not bind role postgres" in checks["row-level security"].detail
    assert "without SUPERUSER" in checks["row-level security"].fix


async def test_a_tier_without_its_key_is_off_and_no_fault(
    monkeypatch: pytest.MonkeyPatch, healthy: str
) -> None:
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_TIERS", "voyage,openai,local")
    checks = await examined()
    assert wrong(checks) == []
    assert checks["embedding tier voyage"].detail == "off: VOYAGE_API_KEY is not set"


async def test_a_remote_tier_is_asked_and_what_comes_of_it_is_kept(
    monkeypatch: pytest.MonkeyPatch, healthy: str, database_url: str
) -> None:
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_TIERS", "voyage")
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-a-very-secret-key")
    monkeypatch.setenv("HIGHERSELF_EMBEDDING_DAILY_TOKENS", "1000")
    with embedding_server() as vendors:
        monkeypatch.setenv("VOYAGE_BASE_URL", vendors.voyage_url)
        vendors.voyage.failing = "unauthorized"
        checks = await examined()
        assert wrong(checks) == ["embedding tier voyage"]
        told = checks["embedding tier voyage"]
        assert (told.detail, told.fix) == (
            "voyage refuses the key (HTTP 401)",
            "check VOYAGE_API_KEY",
        )
        vendors.voyage.recover()
        checks = await examined()
        assert wrong(checks) == []
        assert len(vendors.voyage.requests) == 2, "asked again, though it is to be left alone"
    assert "secret-key" not in repr(checks)
    assert re.fullmatch(
        r"ready: voyage-4/1024, model voyage-4, \d+ ms, 4 of 1,000 tokens today; "
        r"last error .* UTC: voyage refuses the key \(HTTP 401\); check VOYAGE_API_KEY",
        checks["embedding tier voyage"].detail,
    )


async def test_the_reranker_is_asked_too(
    monkeypatch: pytest.MonkeyPatch, healthy: str, database_url: str
) -> None:
    assert (await examined())["reranker"].detail == "off: HIGHERSELF_RERANKER is not set"
    monkeypatch.setenv("HIGHERSELF_RERANKER", "voyage")
    told = (await examined())["reranker"]
    assert (told.ok, told.detail) == (False, "off: VOYAGE_API_KEY is not set"), "it was asked for"
    monkeypatch.setenv("VOYAGE_API_KEY", "pa-a-very-secret-key")
    with embedding_server() as vendors:
        monkeypatch.setenv("VOYAGE_BASE_URL", vendors.voyage_url)
        checks = await examined()
        assert wrong(checks) == []
        assert re.fullmatch(
            r"ready: voyage-rerank, model rerank-2.5, \d+ ms, 8 tokens today",
            checks["reranker"].detail,
        )
        vendors.voyage.failing = "unauthorized"
        told = (await examined())["reranker"]
    assert (told.ok, told.detail) == (False, "voyage-rerank refuses the key (HTTP 401)")
    assert told.fix == "check VOYAGE_API_KEY"


async def test_a_model_whose_files_are_missing(
    monkeypatch: pytest.MonkeyPatch, healthy: str
) -> None:
    gone = local.DataFile("no_such_package", "model.onnx", local.WEIGHTS.sha256)
    monkeypatch.setattr(local, "WEIGHTS", gone)
    checks = await examined()
    assert wrong(checks) == ["embedding tier local"]
    assert "no_such_package" in repr(checks["embedding tier local"])
