import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest
from tests.notion.conftest import emulator, requests, text  # noqa: F401
from tests.services.notion.lab import Lab, a_lab

from higherself.db.entities import remember_entity
from higherself.db.pool import Database
from higherself.notion.databases.fields import DoesNotFit
from higherself.services.notion.pushing import Pushed
from higherself.services.notion.records import NothingToDecide, RecordMissing
from notion_emulator.server import Emulator

pytestmark = pytest.mark.postgres

NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


@pytest.fixture
async def lab(emulator: Emulator, database: Database) -> AsyncIterator[Lab]:  # noqa: F811
    async with a_lab(emulator, database) as lab:
        yield lab


async def a_contact(lab: Lab, **values: object) -> tuple[UUID, str]:
    """Return a row whose page is there, with the page."""
    contacts = lab.records.of("contacts_profiles")
    row = await contacts.save("gallery", {"full_name": "Ana", "email": "ana@example.org", **values})
    await lab.settle()
    return row["record_id"], await lab.page_of("contacts_profiles", row["record_id"])


# --- From rows to pages.


async def test_a_row_becomes_a_page_with_all_its_fields(lab: Lab) -> None:
    contacts, tasks = lab.records.of("contacts_profiles"), lab.records.of("tasks")
    row = await contacts.save(
        "gallery",
        {
            "full_name": "Ana Ferreira",
            "email": "ana@example.org",
            "phone": "+351 1",
            "status": "Qualified Lead",
            "tags": ["VIP", "New"],
            "date_added": NOON,
            "notes": "long " * 1000,
        },
    )
    task = await tasks.save("gallery", {"task_name": "Call Ana", "estimated_time": 1.5})
    follow_up = await tasks.save(
        "gallery", {"Task Name": "Then", "Dependencies": task["record_id"]}
    )
    await lab.settle()
    shown = await lab.shown(await lab.page_of("contacts_profiles", row["record_id"]))
    assert shown["Full Name"] == "Ana Ferreira"
    assert (shown["Email"], shown["Phone"], shown["Status"]) == ("ana@example.org", "+351 1", "Qualified Lead")  # fmt: skip
    assert shown["Tags"] == ["New", "VIP"]
    assert shown["Date Added"] == "2026-11-23T12:00:00.000+00:00"
    assert shown["Notes"] == "long " * 1000
    assert shown["Contact ID"] == row["contact_id"]
    assert row["contact_id"].startswith("CTCT-")
    assert shown["Supabase ID"] == str(row["record_id"])
    assert shown["Last Synced"]
    business = await lab.shown(shown["Business Entity"][0])
    assert (business["Name"], business["Slug"]) == ("Gallery", "gallery")
    then = await lab.shown(await lab.page_of("tasks", follow_up["record_id"]))
    assert then["Dependencies"] == [await lab.page_of("tasks", task["record_id"])]
    assert (await lab.shown(then["Dependencies"][0]))["Estimated Time"] == 1.5


async def test_one_changed_field_is_sent_alone(lab: Lab) -> None:
    record, page = await a_contact(lab)
    before = len(requests(lab.emulator))
    await lab.records.of("contacts_profiles").save("gallery", {"city": "Porto"}, record=record)
    assert (await lab.push()).updated == 1
    [write] = lab.writes(before)
    source = lab.source("contacts_profiles")
    assert set(json.loads(write["body"])["properties"]) == {
        source.property_id(n) for n in ("City", "Supabase ID", "Last Synced")
    }
    assert (await lab.shown(page))["City"] == "Porto"


async def test_whoever_changes_a_table_by_sql_need_not_know_of_notion(
    lab: Lab, database: Database
) -> None:
    record, page = await a_contact(lab)
    async with database.transaction() as tx:
        await tx.script("UPDATE contacts_profiles SET company = 'Casa', tags = '{VIP}'")
    await lab.settle()
    shown = await lab.shown(page)
    assert (shown["Company"], shown["Tags"]) == ("Casa", ["VIP"])
    assert (await lab.records.of("contacts_profiles").get(record))["updated_at"] is not None


async def test_saving_under_a_key_twice_is_one_row(lab: Lab) -> None:
    tasks = lab.records.of("tasks")
    first = await tasks.save("gallery", {"task_name": "Once"}, key="job 1")
    second = await tasks.save("gallery", {"status": "Done"}, key="job 1")
    assert first["record_id"] == second["record_id"]
    assert (second["task_name"], second["status"]) == ("Once", "Done")
    other = await tasks.save("studio", {"task_name": "Once"}, key="job 1")
    assert other["record_id"] != first["record_id"]


async def test_our_own_writes_come_back_as_nothing(lab: Lab) -> None:
    contacts = lab.records.of("contacts_profiles")
    for number in range(12):
        await contacts.save("gallery", {"full_name": f"Ana {number}"}, key=str(number))
    await lab.settle()
    for number in range(12):
        await contacts.save("gallery", {"city": "Porto"}, key=str(number))
    await lab.push()
    before = len(requests(lab.emulator))
    seen, pushed = await lab.follow(), await lab.push()
    assert (seen.created, seen.updated, seen.deleted, seen.unchanged) == (0, 0, 0, 13)
    assert pushed.handled == 0
    assert lab.writes(before) == []


# --- From pages to rows.


async def test_a_page_becomes_a_row_and_is_told_which(lab: Lab) -> None:
    business = await lab.a_row("business_entities", "The 7 Space")
    page = await lab.a_row(
        "contacts_profiles",
        "Bo Lind",
        Email={"email": "bo@example.org"},
        **{"Business Entity": {"relation": [{"id": business}]}},
        **{"Date Added": {"date": {"start": "2026-11-20"}}},
    )
    before = len(requests(lab.emulator))
    await lab.settle()
    [row] = await lab.records.of("contacts_profiles").find({"email": "bo@example.org"})
    assert (row["full_name"], row["entity"]) == ("Bo Lind", "the_7_space")
    assert row["date_added"] == datetime(2026, 11, 20, tzinfo=UTC)
    [space] = await lab.records.of("business_entities").find(text="7 Space")
    assert row["business_entity"] == [space["record_id"]]
    shown = await lab.shown(page)
    assert (shown["Supabase ID"], shown["Contact ID"]) == (str(row["record_id"]), row["contact_id"])
    assert shown["Date Added"] == "2026-11-20"  # as it was written
    assert len(lab.writes(before)) == 2, "one for each page"


async def test_an_edit_arrives_and_is_answered_once(lab: Lab) -> None:
    record, page = await a_contact(lab)
    await lab.edit(page, City={"rich_text": text("Lisboa")}, Tags={"multi_select": [{"name": "VIP"}]})  # fmt: skip
    before = len(requests(lab.emulator))
    assert (await lab.follow()).updated == 1
    row = await lab.records.of("contacts_profiles").get(record)
    assert (row["city"], row["tags"]) == ("Lisboa", ["VIP"])
    await lab.settle()
    [write] = lab.writes(before)
    source = lab.source("contacts_profiles")
    assert set(json.loads(write["body"])["properties"]) == {
        source.property_id("Supabase ID"),
        source.property_id("Last Synced"),
    }


async def test_what_the_server_alone_says_is_put_back(lab: Lab) -> None:
    record, page = await a_contact(lab)
    row = await lab.records.of("contacts_profiles").get(record)
    await lab.edit(page, **{"Contact ID": {"rich_text": text("mine")}})
    await lab.settle()
    assert (await lab.shown(page))["Contact ID"] == row["contact_id"]
    [kept] = await lab.records.conflicts("contacts_profiles")
    assert (kept["column"], kept["there"], kept["winner"]) == ("contact_id", "mine", "server")


async def test_a_copied_page_is_a_row_of_its_own(lab: Lab) -> None:
    record, page = await a_contact(lab)
    properties = (await lab.notion.api.page(page))["properties"]
    mark = "".join(each["plain_text"] for each in properties["Supabase ID"]["rich_text"])
    copy = await lab.a_row("contacts_profiles", "Ana", **{"Supabase ID": {"rich_text": text(mark)}})
    await lab.settle()
    rows = await lab.records.of("contacts_profiles").find({"full_name": "Ana"})
    assert len(rows) == 2
    assert len({row["contact_id"] for row in rows}) == 2
    assert (await lab.shown(copy))["Supabase ID"] != str(record)


async def test_a_relation_waits_until_its_other_end_is_known(lab: Lab) -> None:
    task = await lab.a_row("tasks", "Second")
    first = await lab.a_row("tasks", "First", Dependencies={"relation": [{"id": task}]})
    by_id = {each.page_id: each for each in await lab.sightings("tasks")}
    await lab.watcher.see([by_id[first]])
    [row] = await lab.records.of("tasks").find({"task_name": "First"})
    assert row["dependencies"] == []
    await lab.watcher.see([by_id[task]])
    [row] = await lab.records.of("tasks").find({"task_name": "First"})
    [second] = await lab.records.of("tasks").find({"task_name": "Second"})
    assert row["dependencies"] == [second["record_id"]]
    await lab.settle()
    assert (await lab.shown(first))["Dependencies"] == [task]


async def test_more_related_pages_than_a_page_object_has(lab: Lab) -> None:
    pages = [await lab.a_row("tasks", f"Part {n}") for n in range(30)]
    await lab.a_row("tasks", "Whole", Subtasks={"relation": [{"id": each} for each in pages]})
    await lab.settle()
    [row] = await lab.records.of("tasks").find({"task_name": "Whole"})
    assert len(row["subtasks"]) == 30


# --- Both at once.


async def both_change(lab: Lab, here: dict[str, object], **there: object) -> tuple[UUID, str]:
    """Change a contact on both sides before either knows of the other."""
    record, page = await a_contact(lab)
    await lab.edit(page, **there)
    await lab.records.of("contacts_profiles").save("gallery", here, record=record)
    return record, page


@pytest.mark.parametrize("first", ["follow", "push"])
async def test_different_fields_are_no_conflict(lab: Lab, first: str) -> None:
    record, page = await both_change(lab, {"city": "Porto"}, Company={"rich_text": text("Casa")})
    await getattr(lab, first)()
    await lab.settle()
    shown, row = await lab.shown(page), await lab.records.of("contacts_profiles").get(record)
    assert (shown["City"], shown["Company"]) == ("Porto", "Casa")
    assert (row["city"], row["company"]) == ("Porto", "Casa")
    assert await lab.records.conflicts() == []


@pytest.mark.parametrize("first", ["follow", "push"])
@pytest.mark.parametrize(
    ("column", "name", "winner"),
    [("notes", "Notes", "notion"), ("external_ids", "External IDs", "server"), ("city", "City", "notion")],
    ids=["notion wins", "the server wins", "in the same minute, Notion wins"],
)  # fmt: skip
async def test_of_one_field_the_policy_decides_and_the_loser_is_kept(
    lab: Lab, first: str, column: str, name: str, winner: str
) -> None:
    record, page = await both_change(lab, {column: "ours"}, **{name: {"rich_text": text("theirs")}})
    await getattr(lab, first)()
    await lab.settle()
    expected = "theirs" if winner == "notion" else "ours"
    assert (await lab.shown(page))[name] == expected
    assert (await lab.records.of("contacts_profiles").get(record))[column] == expected
    [kept] = await lab.records.conflicts()
    assert (kept["here"], kept["there"], kept["winner"], kept["open"]) == ("ours", "theirs", winner, False)  # fmt: skip


@pytest.mark.parametrize("first", ["follow", "push"])
@pytest.mark.parametrize("take", ["notion", "server"])
async def test_a_person_decides_and_until_then_both_stay(lab: Lab, first: str, take: str) -> None:
    record, page = await both_change(lab, {"email": "a@here.org"}, Email={"email": "a@there.org"})
    await getattr(lab, first)()
    await lab.settle()
    contacts = lab.records.of("contacts_profiles")
    assert (await lab.shown(page))["Email"] == "a@there.org"
    assert (await contacts.get(record))["email"] == "a@here.org"
    [asked] = await lab.records.conflicts()
    assert asked["open"]
    assert asked["winner"] is None
    await lab.records.resolve("contacts_profiles", record, "email", take=take)
    await lab.settle()
    expected = "a@there.org" if take == "notion" else "a@here.org"
    assert (await lab.shown(page))["Email"] == expected
    assert (await contacts.get(record))["email"] == expected
    with pytest.raises(NothingToDecide):
        await lab.records.resolve("contacts_profiles", record, "email", take=take)


async def test_a_question_answers_itself_when_both_say_the_same(lab: Lab) -> None:
    record, _ = await both_change(lab, {"email": "a@here.org"}, Email={"email": "a@there.org"})
    await lab.settle()
    contacts = lab.records.of("contacts_profiles")
    await contacts.save("gallery", {"email": "a@there.org"}, record=record)
    await lab.settle()
    assert [each["open"] for each in await lab.records.conflicts()] == [False]


# --- Deleting.


async def test_a_trashed_page_and_its_row_go_and_come_back_together(lab: Lab) -> None:
    record, page = await a_contact(lab)
    await lab.edit(page, in_trash=True)
    assert (await lab.follow()).deleted == 1
    contacts = lab.records.of("contacts_profiles")
    with pytest.raises(RecordMissing):
        await contacts.get(record)
    await lab.settle()
    await lab.edit(page, in_trash=False)
    assert (await lab.follow()).updated == 1
    assert (await contacts.get(record))["full_name"] == "Ana"


async def test_a_deleted_row_takes_its_page_to_the_trash_and_back(lab: Lab) -> None:
    record, page = await a_contact(lab)
    contacts = lab.records.of("contacts_profiles")
    await contacts.delete("gallery", record)
    assert (await lab.push()).trashed == 1
    assert (await lab.notion.api.page(page))["in_trash"]
    await lab.settle()
    await contacts.save("gallery", {"city": "Porto"}, record=record)
    await lab.settle()
    assert not (await lab.notion.api.page(page))["in_trash"]
    assert (await lab.shown(page))["City"] == "Porto"


async def test_the_brake_holds_when_many_rows_vanish(lab: Lab, database: Database) -> None:
    tasks = lab.records.of("tasks")
    for number in range(12):
        await tasks.save("gallery", {"task_name": f"T{number}"})
    await lab.settle()
    async with database.transaction() as tx:
        await tx.script("DELETE FROM tasks")
    pushed = await lab.push()
    assert (pushed.held, pushed.trashed) == (12, 0)
    assert lab.source("tasks").state == "held"
    assert "12 of 12 pages" in (lab.source("tasks").reason or "")
    await lab.pusher.wake_held("tasks")
    assert (await lab.push(release=["tasks"])).trashed == 12
    assert lab.source("tasks").state == "ok"


# --- What people do to the schema.


async def schema_change(lab: Lab, name: str, properties: dict[str, object]) -> None:
    path = f"data_sources/{lab.source(name).data_source_id}"
    await lab.notion.gateway.request("PATCH", path, body={"properties": properties})


async def test_a_renamed_property_goes_on(lab: Lab) -> None:
    record, page = await a_contact(lab)
    await schema_change(lab, "contacts_profiles", {"City": {"name": "Town"}})
    await lab.edit(page, Town={"rich_text": text("Braga")})
    await lab.settle()
    assert (await lab.records.of("contacts_profiles").get(record))["city"] == "Braga"
    await lab.records.of("contacts_profiles").save("gallery", {"city": "Faro"}, record=record)
    await lab.settle()
    assert (await lab.shown(page))["Town"] == "Faro"


@pytest.mark.parametrize("how", ["retyped", "removed"])
async def test_a_field_whose_property_is_gone_pauses_and_the_others_go_on(
    lab: Lab, how: str
) -> None:
    record, page = await a_contact(lab, city="Porto", company="Casa")
    changed: dict[str, object] = {"City": {"number": {}} if how == "retyped" else None}
    await schema_change(lab, "contacts_profiles", changed)
    await lab.edit(page, Company={"rich_text": text("Nova")})
    await lab.settle()
    contacts = lab.records.of("contacts_profiles")
    row = await contacts.get(record)
    assert (row["city"], row["company"]) == ("Porto", "Nova"), "what is here stays here"
    [drift] = lab.source("contacts_profiles").drift
    assert (drift.kind, drift.property) == (how, "City")
    await contacts.save("gallery", {"city": "Faro", "job_title": "Owner"}, record=record)
    await lab.settle()
    assert (await lab.shown(page))["Job Title"] == "Owner"
    [waiting] = (await lab.records.standing())["waiting"]
    assert waiting["waiting"] == 1
    assert "City" in waiting["error"]

    # A person changes it back, or set-up does: what is here goes there.
    if how == "retyped":
        await schema_change(lab, "contacts_profiles", {"City": {"rich_text": {}}})
    await lab.set_up.run(lab.parent)
    await lab.settle()
    assert (await lab.shown(page))["City"] == "Faro"
    assert (await contacts.get(record))["city"] == "Faro"
    assert (await lab.records.standing())["waiting"] == []


async def test_an_option_that_was_removed_is_not_made_behind_a_persons_back(lab: Lab) -> None:
    record, page = await a_contact(lab)
    source = lab.source("contacts_profiles")
    there = await lab.notion.api.data_source(source.data_source_id)
    kept = [o for o in there["properties"]["Status"]["select"]["options"] if o["name"] != "Inactive"]  # fmt: skip
    await schema_change(lab, "contacts_profiles", {"Status": {"select": {"options": kept}}})
    contacts = lab.records.of("contacts_profiles")
    await contacts.save("gallery", {"status": "Inactive", "city": "Faro"}, record=record)
    await lab.push()
    shown = await lab.shown(page)
    assert (shown["Status"], shown["City"]) == (None, "Faro")
    [waiting] = (await lab.records.standing())["waiting"]
    assert "'Inactive'" in waiting["error"]
    assert "notion setup" in waiting["error"]
    await lab.set_up.run(lab.parent)
    await lab.pusher.wake()
    await lab.settle()
    assert (await lab.shown(page))["Status"] == "Inactive"


async def test_a_database_without_declared_rows_is_not_watched(lab: Lab) -> None:
    assert not lab.watcher.watches(None)
    assert not lab.watcher.watches("01234567-89ab-4def-8123-456789abcdef")
    assert lab.watcher.watches(lab.source("tasks").data_source_id)


# --- What is refused.


@pytest.mark.parametrize(
    ("values", "what"),
    [
        ({"emial": "x"}, "did you mean 'email'"),
        ({"status": "Friend"}, "status.*no option"),
        ({"tags": ["VIP", 3]}, "tags"),
        ({"date_added": NOON.replace(tzinfo=None)}, "date_added.*zone"),
        ({"date_added": "tomorrow"}, "date_added"),
        ({"business_entity": "x"}, "business_entity"),
        ({"full_name": 3}, "full_name.*text"),
    ],
)
async def test_a_value_that_does_not_fit_is_named(
    lab: Lab, values: dict[str, object], what: str
) -> None:
    with pytest.raises(DoesNotFit, match=what):
        await lab.records.of("contacts_profiles").save("gallery", values)


async def test_rows_of_another_business_are_not_there(lab: Lab) -> None:
    record, _ = await a_contact(lab)
    contacts = lab.records.of("contacts_profiles")
    with pytest.raises(RecordMissing):
        await contacts.get(record, entity="studio")
    with pytest.raises(RecordMissing):
        await contacts.save("studio", {"city": "Faro"}, record=record)
    with pytest.raises(RecordMissing):
        await contacts.delete("studio", record)
    assert await contacts.find(entity="studio") == []
    assert len(await contacts.find({"tags": []}, entity="gallery")) == 1


# --- Many, and killed on the way.


async def test_many_own_writes_lead_to_nothing_more(lab: Lab, database: Database) -> None:
    async with database.transaction(entity="gallery") as tx:
        await remember_entity(tx, "gallery", NOON)
        await tx.script(
            "INSERT INTO tasks (entity, task_name, task_id) "
            "SELECT 'gallery', 'T' || n, 'TASK-' || n FROM generate_series(1, 60) AS n"
        )
    pushed = Pushed()
    while (some := await lab.push(limit=100)).handled:
        pushed.add(some)
    assert pushed.created == 60
    before = len(requests(lab.emulator))
    seen = await lab.follow()
    assert (seen.unchanged, seen.created, seen.updated, seen.requests) == (60, 0, 0, 0)
    assert (await lab.push()).handled == 0
    assert lab.writes(before) == []


@pytest.mark.parametrize("requests_before", [1, 2, 5])
async def test_after_kill_9_every_row_has_one_page(
    lab: Lab, database: Database, database_url: str, requests_before: int
) -> None:
    tasks = lab.records.of("tasks")
    for number in range(4):
        await tasks.save("gallery", {"task_name": f"T{number}"}, key=str(number))
    ended = subprocess.run(  # noqa: ASYNC221  the emulator has a thread of its own
        [sys.executable, "-m", "tests.services.notion.pushing_process", lab.emulator.base_url, lab.emulator.token, database_url, str(requests_before)],
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PYTHONPATH": "src"},
        timeout=60,
        check=False,
    )  # fmt: skip
    assert ended.returncode == -signal.SIGKILL
    await tasks.save("gallery", {"task_name": "T0, changed meanwhile"}, key="0")
    async with database.transaction() as tx:
        await tx.script("UPDATE notion_push SET due_at = now()")  # the dead process's lease is over
    await lab.settle()
    shown = [await lab.shown(each.page_id) for each in await lab.sightings("tasks")]
    assert sorted(each["Task Name"] for each in shown) == ["T0, changed meanwhile", "T1", "T2", "T3"]  # fmt: skip
    assert len(await tasks.find()) == 4
