import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.notion.conftest import Json, a_page, requests, text
from tests.notion.databases.declared import PRODUCT, SMALL

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import Misconfigured
from higherself.notion.databases.declaration import Declaration
from higherself.notion.databases.locating import AmbiguousDatabase, ParentMissing
from higherself.notion.databases.lookup import Databases
from higherself.notion.databases.setup import (
    DatabaseReport,
    SetUp,
    SetupReport,
    SetupRunning,
    SetupStep,
)
from higherself.notion.gateway.connection import NotionConnection
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres


@pytest.fixture
async def parent(notion: NotionConnection) -> str:
    return await a_page(notion, "HigherSelf")


def the_set_up(
    notion: NotionConnection,
    database: Database,
    *,
    declaration: Declaration = SMALL,
    adopt: Mapping[str, str] | None = None,
) -> SetUp:
    return SetUp(
        declaration,
        notion=notion.api,
        writes=notion.writes,
        databases=Databases(database, SYSTEM_CLOCK),
        adopt=adopt,
    )


@pytest.fixture
async def small(notion: NotionConnection, database: Database, parent: str) -> SetUp:
    """Two databases, set up."""
    set_up = the_set_up(notion, database)
    await set_up.run(parent)
    return set_up


def of(report: SetupReport, name: str) -> DatabaseReport:
    return next(each for each in report.databases if each.name == name)


def asked(emulator: Emulator, since: int = 0) -> Counter[tuple[str, str]]:
    """Return how often each kind of request came."""
    return Counter(
        (each["method"], each["path"].split("/v1/")[1].split("/")[0].split("?")[0])
        for each in requests(emulator)[since:]
    )


async def schema(set_up: SetUp, name: str) -> Json:
    source = set_up.databases.data_source(name)
    assert source is not None
    return (await set_up.notion.data_source(source.data_source_id))["properties"]  # type: ignore[no-any-return]


async def change(notion: NotionConnection, set_up: SetUp, name: str, properties: Json) -> None:
    """Change the schema as a person would."""
    source = set_up.databases.data_source(name)
    assert source is not None
    path = f"data_sources/{source.data_source_id}"
    await notion.gateway.request("PATCH", path, body={"properties": properties})


# --- From nothing.


async def test_the_sixteen_databases_in_as_few_requests_as_there_are_things_and_then_only_reads(
    notion: NotionConnection, database: Database, emulator: Emulator, parent: str
) -> None:
    set_up = the_set_up(notion, database, declaration=PRODUCT)
    steps: list[SetupStep] = []
    before = len(requests(emulator))
    report = await set_up.run(parent, progress=steps.append)
    assert [each.action for each in report.databases] == ["created"] * 16
    assert report.complete
    assert not report.drift
    views = sum(len(each.views) for each in PRODUCT.values())
    assert asked(emulator, before) == {
        ("GET", "blocks"): 1,
        ("POST", "databases"): 16,
        (
            "PATCH",
            "data_sources",
        ): 19,  # relations with formulas; 3 more for formulas over relations
        ("GET", "views"): 16,
        ("POST", "views"): views,
    }
    assert (steps[-1].done, steps[-1].total) == (48, 48)
    for name, declared in PRODUCT.items():
        there = await schema(set_up, name)
        assert {p: each["type"] for p, each in there.items()} == {
            p.name: p.type for p in declared.properties.values()
        }

    before = len(requests(emulator))
    again = await the_set_up(notion, database, declaration=PRODUCT).run(parent)
    assert {each.action for each in again.databases} == {"unchanged"}
    assert asked(emulator, before) == {("GET", "data_sources"): 16, ("GET", "views"): 16}


async def test_relations_are_two_way_and_options_and_formulas_are_there(small: SetUp) -> None:
    contacts, tasks = await schema(small, "contacts_profiles"), await schema(small, "tasks")
    assert [each["name"] for each in contacts["Status"]["select"]["options"]] == ["Lead", "Client"]
    pair = contacts["Tasks"]["relation"]["dual_property"]
    assert pair["synced_property_id"] == tasks["Contact"]["id"]
    assert contacts["Email"]["id"] in contacts["Shout"]["formula"]["expression"]


async def test_views_name_properties_by_id_and_show_what_they_are_for(small: SetUp) -> None:
    source = small.databases.data_source("contacts_profiles")
    assert source is not None
    [board] = [v for v, name in source.views.items() if name == "Board"]
    view = await small.notion.view(board)
    status = source.property_id("Status")
    assert view["configuration"]["group_by"]["property_id"] == status
    assert view["filter"] == {
        "or": [
            {"property": status, "select": {"equals": "Lead"}},
            {"property": status, "select": {"equals": "Client"}},
        ]
    }
    assert view["sorts"] == [{"property": "title", "direction": "descending"}]


async def test_without_a_page_nothing_can_be_made(
    notion: NotionConnection, database: Database
) -> None:
    with pytest.raises(ParentMissing, match="NOTION_PARENT_PAGE"):
        await the_set_up(notion, database).run(None)


async def test_one_set_up_at_a_time(small: SetUp, parent: str) -> None:
    async with small.databases.exclusively() as ours:
        assert ours
        with pytest.raises(SetupRunning):
            await small.run(parent)


async def test_comparing_alone_writes_nothing(
    notion: NotionConnection, database: Database, emulator: Emulator, parent: str
) -> None:
    before = len(requests(emulator))
    plan, report = await the_set_up(notion, database).plan(parent)
    assert [each.name for each in plan.creates] == ["contacts_profiles", "tasks"]
    assert of(report, "tasks").properties
    assert not report.complete
    assert {method for method, _ in asked(emulator, before)} == {"GET"}
    assert await Databases(database, SYSTEM_CLOCK).load() == {}


# --- What people change.


async def test_what_a_person_removed_comes_back_and_what_he_added_stays(
    notion: NotionConnection, small: SetUp, parent: str
) -> None:
    await change(notion, small, "contacts_profiles", {"Email": None, "Mood": {"rich_text": {}}})
    options = (await schema(small, "contacts_profiles"))["Status"]["select"]["options"]
    kept = [each for each in options if each["name"] != "Lead"]
    wanted = {"select": {"options": [*kept, {"name": "Friend"}]}}
    await change(notion, small, "contacts_profiles", {"Status": wanted})

    plan, report = await small.plan(parent)
    assert {(d.kind, d.property) for d in plan.drift} == {
        ("removed", "Email"),
        ("option_removed", "Status"),
    }
    assert of(report, "contacts_profiles").action == "extended"

    report = await small.run(parent)
    assert of(report, "contacts_profiles").properties == ("Email",)
    assert of(report, "contacts_profiles").options == {"Status": ("Lead",)}
    assert of(report, "tasks").action == "unchanged"
    there = await schema(small, "contacts_profiles")
    assert {"Email", "Mood"} <= there.keys()
    names = [each["name"] for each in there["Status"]["select"]["options"]]
    assert names == ["Client", "Friend", "Lead"]
    assert next(o for o in there["Status"]["select"]["options"] if o["name"] == "Client") in options
    assert (await small.run(parent)).complete


async def test_a_renamed_property_is_known_by_its_id_and_keeps_its_name(
    notion: NotionConnection, small: SetUp, emulator: Emulator, parent: str
) -> None:
    await change(notion, small, "contacts_profiles", {"Email": {"name": "E-mail address"}})
    before = len(requests(emulator))
    report = await small.run(parent)
    [drift] = report.drift
    assert (drift.kind, drift.property) == ("renamed", "Email")
    assert "'E-mail address'" in drift.detail
    assert report.complete
    assert {method for method, _ in asked(emulator, before)} == {"GET"}
    assert "E-mail address" in await schema(small, "contacts_profiles")


async def test_a_retyped_property_stays_and_its_field_is_paused(
    notion: NotionConnection, small: SetUp, parent: str
) -> None:
    await change(notion, small, "contacts_profiles", {"Email": {"rich_text": {}}})
    report = await small.run(parent)
    [drift] = report.drift
    assert (drift.kind, drift.property) == ("retyped", "Email")
    assert not report.complete
    source = small.databases.data_source("contacts_profiles")
    assert source is not None
    assert source.drift == (drift,)
    assert source.property_id("Email") is None
    assert source.property_id("Full Name") == "title"
    assert (await schema(small, "contacts_profiles"))["Email"]["type"] == "rich_text"


async def test_a_removed_view_is_made_again(
    notion: NotionConnection, small: SetUp, parent: str
) -> None:
    source = small.databases.data_source("tasks")
    assert source is not None
    [calendar] = [v for v, name in source.views.items() if name == "Calendar"]
    await notion.gateway.request("DELETE", f"views/{calendar}")
    plan, _ = await small.plan(parent)
    assert [(d.kind, d.property) for d in plan.drift] == [("view_removed", "Calendar")]
    assert of(await small.run(parent), "tasks").views == ("Calendar",)
    assert of(await small.run(parent), "tasks").action == "unchanged"


async def test_a_database_in_the_trash_is_not_made_a_second_time_unless_asked_for(
    notion: NotionConnection, small: SetUp, emulator: Emulator, parent: str
) -> None:
    source = small.databases.data_source("tasks")
    assert source is not None
    path = f"databases/{source.database_id}"
    await notion.gateway.request("PATCH", path, body={"in_trash": True})
    report = await small.run(parent)
    assert of(report, "tasks").action == "missing"
    assert [(d.kind, d.database) for d in report.drift] == [("missing", "tasks")]
    assert "trash" in report.drift[0].detail
    assert "--anew tasks" in report.drift[0].detail
    assert asked(emulator)["POST", "databases"] == 2
    known = small.databases.data_source("tasks")
    assert known is not None
    assert known.state == "missing"

    report = await small.run(parent, anew=["tasks"])
    assert of(report, "tasks").action == "created"
    made = small.databases.data_source("tasks")
    assert made is not None
    assert made.database_id != source.database_id
    assert made.state == "ok"


async def test_a_restored_database_is_in_order_again(
    notion: NotionConnection, small: SetUp, parent: str
) -> None:
    source = small.databases.data_source("tasks")
    assert source is not None
    for in_trash in (True, False):
        path = f"databases/{source.database_id}"
        await notion.gateway.request("PATCH", path, body={"in_trash": in_trash})
        await small.run(parent)
    known = small.databases.data_source("tasks")
    assert known is not None
    assert known.state == "ok"
    assert known.reason is None


# --- Databases that were there before.


async def a_contact_database(notion: NotionConnection, parent: str, title: str) -> str:
    properties = {
        "Name": {"title": {}},
        "email": {"email": {}},
        "Status": {"status": {"options": [{"name": "Lead"}]}},
        "full_name": {"rich_text": {}},
    }
    body = {
        "parent": {"type": "page_id", "page_id": parent},
        "title": text(title),
        "initial_data_source": {"properties": properties},
    }
    made = await notion.gateway.request("POST", "databases", body=body)
    return str(made["id"])


@pytest.mark.parametrize("how", ["by its title", "by the setting", "by its data source"])
async def test_a_database_that_is_there_is_adopted_and_extended(
    notion: NotionConnection, database: Database, parent: str, how: str
) -> None:
    title = "Contacts & Profiles" if how == "by its title" else "People"
    there = await a_contact_database(notion, parent, title)
    adopt = {}
    if how == "by the setting":
        adopt = {"contacts_profiles": f"https://www.notion.so/{there.replace('-', '')}?v=1"}
    if how == "by its data source":
        adopt = {"contacts_profiles": (await notion.api.database(there))["data_sources"][0]["id"]}
    set_up = the_set_up(notion, database, adopt=adopt)
    report = await set_up.run(parent)
    assert of(report, "contacts_profiles").action == "adopted"
    source = set_up.databases.data_source("contacts_profiles")
    assert source is not None
    assert source.adopted
    assert source.database_id == there
    assert source.mapping["Full Name"].name == "Name"  # a page has one title
    assert source.mapping["Email"].name == "email"
    assert source.mapping["Status"].type == "status"  # holds the same values as a select
    properties = await schema(set_up, "contacts_profiles")
    assert "email" in properties
    assert "Email" not in properties
    assert properties["email"]["id"] in properties["Shout"]["formula"]["expression"]
    assert (await set_up.run(parent)).complete


async def test_a_property_of_another_type_is_left_alone_and_told(
    notion: NotionConnection, database: Database, parent: str
) -> None:
    body = {
        "parent": {"type": "page_id", "page_id": parent},
        "title": text("Tasks"),
        "initial_data_source": {
            "properties": {"Task Name": {"title": {}}, "Due Date": {"rich_text": {}}}
        },
    }
    await notion.gateway.request("POST", "databases", body=body)
    set_up = the_set_up(notion, database)
    report = await set_up.run(parent)
    [drift] = report.drift
    assert (drift.kind, drift.property) == ("retyped", "Due Date")
    assert (await schema(set_up, "tasks"))["Due Date"]["type"] == "rich_text"


async def test_two_databases_of_one_title_are_a_question(
    notion: NotionConnection, database: Database, parent: str
) -> None:
    both = [await a_contact_database(notion, parent, "Contacts & Profiles") for _ in range(2)]
    with pytest.raises(AmbiguousDatabase, match="NOTION_CONTACTS_PROFILES_DB") as told:
        await the_set_up(notion, database).run(parent)
    assert all(each in str(told.value) for each in both)


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ("0123456789abcdef0123456789abcde", "32 hexadecimal digits"),
        ("?" * 32, "32 hexadecimal digits"),
        ("01234567-89ab-4def-8123-456789abcdef", "not shared"),
    ],
)
async def test_a_wrong_setting_is_named(
    notion: NotionConnection, database: Database, parent: str, given: str, what: str
) -> None:
    set_up = the_set_up(notion, database, adopt={"tasks": given})
    with pytest.raises(Misconfigured, match=what) as told:
        await set_up.run(parent)
    assert "NOTION_TASKS_DB" in str(told.value)


async def test_a_setting_that_names_another_than_the_one_in_use_is_refused(
    notion: NotionConnection, database: Database, small: SetUp, parent: str
) -> None:
    there = await a_contact_database(notion, parent, "People")
    other = the_set_up(notion, database, adopt={"contacts_profiles": there})
    with pytest.raises(Misconfigured, match="--anew contacts_profiles"):
        await other.run(parent)
    report = await other.run(parent, anew=["contacts_profiles"])
    assert of(report, "contacts_profiles").action == "adopted"
    assert of(report, "contacts_profiles").database_id == there


# --- Killed on the way.


@pytest.mark.parametrize("writes", [1, 3, 5])
async def test_after_kill_9_it_goes_on_and_nothing_is_there_twice(
    notion: NotionConnection,
    database: Database,
    database_url: str,
    emulator: Emulator,
    parent: str,
    writes: int,
) -> None:
    process = subprocess.run(  # noqa: ASYNC221  the emulator has a thread of its own
        [sys.executable, "-m", "tests.notion.databases.setup_process", emulator.base_url, emulator.token, database_url, parent, str(writes)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "src"},
        timeout=60,
        check=False,
    )  # fmt: skip
    assert process.returncode == -signal.SIGKILL
    set_up = the_set_up(notion, database)
    report = await set_up.run(parent)
    assert report.complete
    assert {each.action for each in report.databases} <= {"created", "extended", "adopted", "unchanged"}  # fmt: skip
    titles = Counter(
        [block["child_database"]["title"] async for block in notion.api.children(parent)]
    )
    assert titles == {"Contacts & Profiles": 1, "Tasks": 1}
    for name, declared in SMALL.items():
        assert set(await schema(set_up, name)) == set(declared.properties)
        source = set_up.databases.data_source(name)
        assert source is not None
        views = [
            (await notion.api.view(each["id"]))["name"]
            async for each in notion.api.views(database=source.database_id)
        ]
        assert sorted(views) == sorted(["Default view", *(v.name for v in declared.views)])
    assert (await set_up.run(parent)).complete
