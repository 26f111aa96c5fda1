"""The skills that keep contacts, tasks, notes and rows, on the real records."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from higherself import HigherSelf, SkillCall
from higherself.app.settings import Settings
from higherself.kernel.errors import HigherSelfError, NotFound, Rejected

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

BUSINESS = "the_7_space"


@pytest.fixture
async def hs(database_url: str) -> AsyncIterator[HigherSelf]:
    settings = {
        "DATABASE_URL": database_url,
        "HIGHERSELF_EMBEDDING_TIERS": ("local",),
        "SMTP_URL": "smtp://127.0.0.1:9",  # the sandbox holds everything
    }
    async with HigherSelf.open(Settings.model_validate(settings)) as hs:
        yield hs


async def run(
    hs: HigherSelf, name: str, key: str = "k", entity: str = BUSINESS, /, **given: Any
) -> Any:
    call = SkillCall(key=f"{name}/{key}", entity=entity, operator=True, correlation="c")
    return await hs.skills.run(name, given, call)


async def test_a_person_is_one_row_that_learns_and_never_forgets(hs: HigherSelf) -> None:
    ana = {"email": "Ana@Example.org", "first_name": "Ana", "phone": "(917) 555-0142"}
    first = await run(hs, "save_contact", contact=ana)
    assert (first["email"], first["full_name"]) == ("ana@example.org", "Ana")
    again = await run(
        hs, "save_contact", "2", tags=["VIP"],
        contact={"email": "ana@example.org ", "name": "Somebody", "company": "Tea Co", "tags": ["New"]},
    )  # fmt: skip
    assert again["record_id"] == first["record_id"]
    assert (again["full_name"], again["company"], again["tags"]) == (
        "Ana",
        "Tea Co",
        ["New", "VIP"],
    )
    named = await run(
        hs, "save_contact", "3", contact={"email": ana["email"], "name": "Ana Ito"}, replace=["full_name"]
    )  # fmt: skip
    assert (named["full_name"], named["first_name"]) == ("Ana Ito", "Ana")
    by_phone = await run(hs, "find_contact", phone="917-555-0142")
    assert by_phone["contact"]["record_id"] == first["record_id"]
    household = await run(hs, "save_contact", "4", contact={**ana, "email": "bo@example.org"})
    assert household["record_id"] != first["record_id"], "one line may serve a household"
    assert not (await run(hs, "find_contact", "k", "am_consulting", email="ana@example.org"))[
        "found"
    ]
    with pytest.raises(Rejected, match="contact: give `email`"):
        await run(hs, "save_contact", "5", contact={"name": "Nobody"})


async def test_who_is_not_to_be_contacted_stays_so_and_is_no_lead(hs: HigherSelf) -> None:
    contact = {"email": "ana@example.org"}
    await run(hs, "save_contact", contact=contact, status="Do Not Contact")
    kept = await run(hs, "save_contact", "2", contact=contact, status="Qualified Lead")
    assert (kept["status"], kept["may_be_contacted"]) == ("Do Not Contact", False)
    with pytest.raises(HigherSelfError, match="asked not to be contacted"):
        await run(hs, "enrich_contact", email="ana@example.org", contactable=True)
    profile = await run(hs, "enrich_contact", "2", email="ana@example.org")
    assert not profile["may_be_contacted"]


async def test_who_wants_no_marketing_still_gets_what_is_about_them(hs: HigherSelf) -> None:
    await run(hs, "end_marketing", email=" Ana@Example.org")
    letter = {"to": "ana@example.org", "subject": "Hi", "body": "Well?"}
    news = await run(hs, "send_email", **letter, purpose="marketing")
    assert (news["status"], "unsubscribed" in news["reason"]) == ("dropped", True)
    assert (await run(hs, "send_email", "2", **letter))["status"] == "held"
    with pytest.raises(Rejected, match="email: 'nobody' is no address"):
        await run(hs, "end_marketing", "3", email="nobody")


async def test_a_contact_is_scored_by_what_they_said(hs: HigherSelf) -> None:
    lead = {
        "lead": {"interests": "Art, wellness", "budget": "$60,000"},
        "answers": {"employees": "250"},
    }
    found = await run(
        hs, "enrich_contact", "k", "am_consulting", email="ana@brightwater.example", lead=lead,
        source="referral",
    )  # fmt: skip
    assert found["score"] >= 50
    assert {each["because"] for each in found["reasons"]} >= {"to begin with"}
    assert (found["interest"], found["domain"]) == ("Art, wellness", "brightwater.example")
    assert (await run(hs, "enrich_contact", email="x@gmail.com"))["domain"] is None


async def test_a_task_is_made_once_changed_and_noted(hs: HigherSelf) -> None:
    vip = {"full_name": "Ana Ito", "email": "ana@example.org", "tags": ["VIP"]}
    given = {"template": "lead_followup", "contact": vip, "description": {"score": 80}}
    task = await run(hs, "create_task", **given)
    assert (await run(hs, "create_task", **given))["record_id"] == task["record_id"]
    assert "Ana Ito" in task["name"]
    assert task["priority"] in ("High", "Urgent"), "a VIP's is more urgent"
    row = (await hs.records.of("tasks").find({}, entity=BUSINESS, limit=5))[0]
    assert "score: 80" in row["description"]
    late = await run(
        hs, "update_task", task=task["task_id"], due="2026-01-02T12:00:00Z", note="Late"
    )
    assert (late["overdue"], late["status"]) == (True, "To Do")
    done = await run(hs, "update_task", "2", task=task["record_id"], status="Done")
    assert (done["status"], done["overdue"]) == ("Done", False)
    for _ in range(2):
        await run(hs, "note_history", task=task["task_id"], text="Called them.")
    row = (await hs.records.of("tasks").find({}, entity=BUSINESS, limit=5))[0]
    assert row["notes"].count("Called them.") == 1
    with pytest.raises(NotFound, match="did you mean 'lead_followup'"):
        await run(hs, "create_task", "3", template="lead_folowup")
    with pytest.raises(Rejected, match="task_name"):
        await run(hs, "create_task", "4")
    with pytest.raises(NotFound, match="TASK-none"):
        await run(hs, "update_task", "5", task="TASK-none", status="Done")


async def test_rows_are_kept_under_a_key_and_notes_once(hs: HigherSelf) -> None:
    bowl = {"name": "Tea bowl", "price": 80, "type": "Art Piece"}
    first = await run(hs, "save_record", database="products_services", values=bowl, key="bowl")
    again = await run(
        hs, "save_record", "2", database="products_services", values={"price": 90}, key="bowl"
    )
    assert (again["record_id"], again["values"]["price"]) == (first["record_id"], 90)
    same = [
        await run(hs, "save_record", "3", database="products_services", values=bowl)
        for _ in range(2)
    ]
    assert same[0]["record_id"] == same[1]["record_id"] != first["record_id"]
    await run(hs, "save_contact", contact={"email": "ana@example.org"})
    for _ in range(2):
        await run(hs, "note_history", contact={"email": "ana@example.org"}, text="Came by.")
    found = await hs.contacts.find(BUSINESS, email="ana@example.org")
    assert found is not None
    assert found["notes"].count("Came by.") == 1
    assert found["last_interaction"] is not None
    with pytest.raises(NotFound, match="save_contact first"):
        await run(hs, "note_history", "2", email="no@example.org", text="Came by.")
    with pytest.raises(HigherSelfError, match="prise"):
        await run(hs, "save_record", "4", database="products_services", values={"prise": 1})


async def test_segments_are_defined_refreshed_and_leave_out_who_is_not_to_be_contacted(
    hs: HigherSelf,
) -> None:
    for name, status in {"a": "Active Client", "b": "Active Client", "c": "Do Not Contact"}.items():
        await run(hs, "save_contact", name, contact={"email": f"{name}@example.org"}, status=status)
    clients = {"all": [{"field": "status", "operator": "equals", "value": "Active Client"}]}
    made = await run(hs, "save_segment", name="Clients", criteria=clients)
    assert (made["member_count"], made["joined"]) == (2, 2)
    await run(hs, "save_contact", "d", contact={"email": "a@example.org"}, status="Former Client")
    (fresh,) = (await run(hs, "refresh_segments"))["segments"]
    assert (fresh["member_count"], fresh["left"]) == (1, 1)
    assert (await run(hs, "match_segments", email="b@example.org"))["segments"] == ["Clients"]
    assert (await run(hs, "list_segments", "k", "am_consulting"))["count"] == 0
    with pytest.raises(Rejected, match="operator"):
        await run(
            hs,
            "save_segment",
            "2",
            name="Bad",
            criteria={"all": [{"field": "x", "operator": "~", "value": 1}]},
        )


async def test_an_announcement_counts_once(hs: HigherSelf) -> None:
    await hs.hosted.install()
    await hs.happenings.subscription()
    contact = {"email": "ana@example.org", "name": "Ana"}
    first = await run(hs, "announce", type="new_lead", data={"contact": contact})
    assert [each["workflow"] for each in first["started"]] == ["lead_capture"]
    assert await run(hs, "announce", type="new_lead", data={"contact": contact}) == first
    assert len((await hs.workflows.page()).instances) == 1
