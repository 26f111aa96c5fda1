"""`higherself notion setup` on the emulator, as an operator runs it."""

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from tests.cli.conftest import Higherself

from notion_emulator.app import create_app
from notion_emulator.server import Emulator
from notion_emulator.settings import Settings

pytestmark = pytest.mark.postgres


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    app = create_app(seed_name="empty", settings=Settings(rate_mode="off", index_lag_s=0.0))
    with Emulator(app) as emulator:
        yield emulator


def ask(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    headers = {"Authorization": f"Bearer {emulator.token}", "Notion-Version": "2026-03-11"}
    return httpx.request(method, f"{emulator.base_url}/v1/{path}", headers=headers, json=body).json()  # fmt: skip


@pytest.fixture
def parent(emulator: Emulator) -> str:
    title = {"title": [{"type": "text", "text": {"content": "HigherSelf"}}]}
    body = {"parent": {"workspace": True}, "properties": {"title": title}}
    return str(ask(emulator, "POST", "pages", body)["id"])


@pytest.fixture
def notion(
    higherself: Higherself, emulator: Emulator, monkeypatch: pytest.MonkeyPatch
) -> Higherself:
    """Runs ``higherself notion ...`` with a connection to the emulator."""
    monkeypatch.setenv("NOTION_TOKEN", emulator.token)
    monkeypatch.setenv("NOTION_BASE_URL", emulator.base_url)
    monkeypatch.setenv("NOTION_PLAN", "business")
    return lambda *arguments: higherself("notion", *arguments)


def test_one_command_makes_the_databases_and_the_next_finds_them_in_order(
    notion: Higherself, emulator: Emulator, parent: str
) -> None:
    ran = notion("setup", "--parent", parent, "--check")
    assert (ran.code, ran.out.count("created")) == (1, 16)
    assert ask(emulator, "GET", f"blocks/{parent}/children")["results"] == []

    ran = notion("setup", "--parent", parent)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert lines[0] == "database\tis\tadded\tid"
    assert lines[5].startswith("Contacts & Profiles\tcreated\t25 properties, 7 views\t")
    assert "48 of 48" in ran.err
    assert "everything is as declared" in ran.err

    ran = notion("setup", "--check", "--json")
    assert ran.code == 0
    assert ran.json["complete"]
    assert {each["action"] for each in ran.json["databases"]} == {"unchanged"}


def test_what_differs_is_told_with_what_to_do(
    notion: Higherself, emulator: Emulator, parent: str
) -> None:
    report = notion("setup", "--parent", parent, "--json").json
    tasks = next(each for each in report["databases"] if each["name"] == "tasks")
    source = ask(emulator, "GET", f"databases/{tasks['database_id']}")["data_sources"][0]["id"]
    change = {"properties": {"Source": {"name": "Where from"}, "Notes": {"number": {}}}}
    ask(emulator, "PATCH", f"data_sources/{source}", change)
    ran = notion("setup", "--check")
    assert ran.code == 1
    assert "tasks.Source (renamed): it is called 'Where from' now" in ran.err
    assert "tasks.Notes (retyped): it is of type number, declared is rich_text" in ran.err
    assert notion("setup").code == 0
    status = notion("status", "--json").json
    [paused] = [each for each in status["paused"] if "Notes" in each["what"]]
    assert paused["what"].startswith("tasks.Notes: it is of type number")
    assert paused["do"]


def test_a_database_that_is_there_is_adopted_by_its_variable(
    notion: Higherself, emulator: Emulator, parent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = [{"type": "text", "text": {"content": "To do"}}]
    body = {"parent": {"type": "page_id", "page_id": parent}, "title": title, "initial_data_source": {"properties": {"Name": {"title": {}}}}}  # fmt: skip
    there = ask(emulator, "POST", "databases", body)["id"]
    monkeypatch.setenv("NOTION_TASKS_DB", there)
    report = notion("setup", "--parent", parent, "--json").json
    tasks = next(each for each in report["databases"] if each["name"] == "tasks")
    assert (tasks["action"], tasks["database_id"]) == ("adopted", there)


@pytest.mark.parametrize(
    ("variable", "value", "code", "what"),
    [
        ("NOTION_TOKEN", "", 2, "NOTION_TOKEN is not set"),
        ("NOTION_TOKEN", "ntn_wrong", 2, "token"),
        ("NOTION_PARENT_PAGE", "", 2, "NOTION_PARENT_PAGE"),
        ("NOTION_PARENT_PAGE", "01234567-89ab-4def-8123-456789abcdef", 3, "shared"),
        ("NOTION_TASKS_DB", "1234?", 2, "NOTION_TASKS_DB"),
    ],
)
def test_what_is_missing_is_named(
    notion: Higherself,
    parent: str,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    code: int,
    what: str,
) -> None:
    monkeypatch.setenv("NOTION_PARENT_PAGE", parent)
    monkeypatch.setenv(variable, value)
    ran = notion("setup", "--check")
    assert (ran.code, ran.out) == (code, "")
    assert what in ran.err


def test_rows_go_both_ways_by_commands_alone(
    notion: Higherself, emulator: Emulator, parent: str, database_url: str
) -> None:
    report = notion("setup", "--parent", parent, "--json").json
    contacts = next(e for e in report["databases"] if e["name"] == "contacts_profiles")
    source = ask(emulator, "GET", f"databases/{contacts['database_id']}")["data_sources"][0]["id"]
    title = {"title": [{"type": "text", "text": {"content": "Ana Ferreira"}}]}
    body = {"parent": {"type": "data_source_id", "data_source_id": source}, "properties": {"Full Name": title}}  # fmt: skip
    page = ask(emulator, "POST", "pages", body)["id"]
    assert notion("sync").code == 0
    shown = ask(emulator, "GET", f"pages/{page}")["properties"]
    [mark] = shown["Supabase ID"]["rich_text"]
    [identifier] = shown["Contact ID"]["rich_text"]
    assert len(mark["plain_text"]) == 36
    assert identifier["plain_text"].startswith("CTCT-")

    # The same field is changed on both sides.
    ask(emulator, "PATCH", f"pages/{page}", {"properties": {"Email": {"email": "a@there.org"}}})
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SET higherself.entity = '*'")
        connection.execute("UPDATE higherself.contacts_profiles SET email = 'a@here.org'")
    assert notion("sync").code == 0
    [asked] = notion("decisions", "--json").json["decisions"]
    assert (asked["column"], asked["here"], asked["there"]) == (
        "email",
        "a@here.org",
        "a@there.org",
    )
    assert any("changed on both sides" in e["what"] for e in notion("status", "--json").json["paused"])  # fmt: skip
    ran = notion("decide", "contacts_profiles", asked["record_id"], "email", "--take", "server")
    assert ran.code == 0
    assert ask(emulator, "GET", f"pages/{page}")["properties"]["Email"]["email"] == "a@here.org"
    assert notion("decisions", "--json").json["decisions"] == []


def test_an_unknown_database_is_named_with_the_nearest(notion: Higherself, parent: str) -> None:
    ran = notion("setup", "--parent", parent, "--anew", "task")
    assert ran.code == 3
    assert "did you mean 'tasks'" in ran.err
