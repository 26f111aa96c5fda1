"""The commands on following Notion, as they are installed."""

import json
from collections.abc import Iterator

import httpx
import pytest
from click.testing import CliRunner

from higherself.cli.main import higherself
from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings


@pytest.fixture
def emulator(monkeypatch: pytest.MonkeyPatch, database_url: str) -> Iterator[Emulator]:
    app = create_app(seed_name="demo", settings=Settings(rate_mode="off", index_lag_s=0.0))
    with Emulator(app) as emulator:
        monkeypatch.setenv("DATABASE_URL", database_url)
        monkeypatch.setenv("NOTION_TOKEN", emulator.token)
        monkeypatch.setenv("NOTION_BASE_URL", emulator.base_url)
        monkeypatch.setenv("NOTION_PLAN", "enterprise")
        monkeypatch.setenv("NOTION_ENTITY", "house")
        yield emulator


def run(*arguments: str) -> dict[str, object]:
    result = CliRunner().invoke(higherself, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: dict[str, object] = json.loads(result.stdout)
    return found


def test_plan_sync_search_status_and_resume(emulator: Emulator) -> None:
    plan = run("notion", "sync", "--dry-run")
    assert plan["pages"]["created"] == 10  # type: ignore[index]
    assert plan["planned"]["requests"] >= 10  # type: ignore[index]
    done = run("notion", "sync")
    assert done["pages"] == {"created": 10, "updated": 0, "unchanged": 0, "deleted": 0, "failed": 0}
    assert done["requests"] <= 10 + 5  # type: ignore[operator]
    again = run("notion", "sync")
    assert again["requests"] == 2 + 2
    full = run("notion", "sync", "--full")
    assert full["pages"] == {"created": 0, "updated": 0, "unchanged": 10, "deleted": 0, "failed": 0}
    found = run("knowledge", "search", "who insures the loans", "--entity", "house")
    assert found["hits"][0]["document"]["title"] == "Gallery Lumen"  # type: ignore[index]
    pages = [n.id for n in emulator.app.store.nodes.values() if n.kind == "page"]
    for page in pages[:8]:
        httpx.post(
            f"{emulator.base_url}/__emu/human/update_page",
            json={"id": page, "body": {"in_trash": True}},
        ).raise_for_status()
    held = run("notion", "sync")
    assert (held["pages"]["deleted"], held["held"] > 5) == (0, True)  # type: ignore[index,operator]
    status = run("notion", "status")
    assert any("deleting" in each["what"] for each in status["paused"])  # type: ignore[attr-defined]
    assert {s["title"] for s in status["sources"]} == {"Artworks", "Appointments"}  # type: ignore[attr-defined]
    assert run("notion", "resume", "--deletes") == {"released": held["held"]}
    gone = run("notion", "sync")
    assert gone["pages"]["deleted"] == held["held"]  # type: ignore[index]
    assert run("notion", "conflicts") == {"conflicts": []}


def test_without_a_token_the_commands_say_which_setting_is_missing(
    monkeypatch: pytest.MonkeyPatch, database_url: str
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    from higherself.kernel.errors import Misconfigured

    with pytest.raises(Misconfigured, match="NOTION_TOKEN"):
        CliRunner().invoke(higherself, ["notion", "sync"], catch_exceptions=False)
