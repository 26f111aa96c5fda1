"""Leads and requests for help from what happens to their ends: engine, agents, hub and records are real."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from tests.services.network import until as sooner_or_later

from higherself import HigherSelf, SkillCall
from higherself.app.settings import Settings
from higherself.flows.mail import Mailbox, mail_server
from higherself.kernel.errors import NotFound
from higherself.kernel.tasks import in_background
from higherself.knowledge.model import NewDocument
from higherself.services.human_task import Deciding
from higherself.services.outcomes import Outcome
from higherself.services.triggers import Happening

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

BUSINESS = "the_7_space"
PATIENCE = 30.0
ENDED = ("completed", "failed", "cancelled")
BATH = (
    "The community sound bath is on the first Sunday of the month at five. "
    "Seats are thirty dollars, and mats and blankets are there. "
    "A sound bath lasts seventy minutes, and shoes stay at the door."
)


@pytest.fixture
async def mail() -> AsyncIterator[Mailbox]:
    async with mail_server() as mail:
        yield mail


@pytest.fixture
async def hs(database_url: str, mail: Mailbox) -> AsyncIterator[HigherSelf]:
    """The program at work, with what the gallery knows about sound baths."""
    settings: dict[str, Any] = {
        "DATABASE_URL": database_url,
        "HIGHERSELF_EMBEDDING_TIERS": ("local",),
        "HIGHERSELF_DELIVERY": "testing",
        "SMTP_URL": mail.url,
    }
    bath = NewDocument(
        external_id="bath", title="Community sound bath", text=BATH, entity=BUSINESS, source="docs"
    )
    async with HigherSelf.open(Settings.model_validate(settings)) as hs:
        await hs.knowledge.add([bath])
        await hs.hosted.install()
        runtime = hs.agents.worker()
        async with (
            in_background(hs.hosted.worker().run()),
            in_background(runtime.run()),
            in_background(hs.happenings.work()),
        ):
            await asyncio.wait_for(runtime.is_ready.wait(), PATIENCE)
            yield hs


async def told(hs: HigherSelf, type: str, id: str, /, **data: Any) -> Outcome:
    happening = Happening(
        type=type, entity=BUSINESS, data=data, id=id, at=datetime.now(UTC), source="typeform",
        correlation=f"c-{id}",
    )  # fmt: skip
    return await hs.happenings.happened(happening)


def instance(outcome: Outcome, workflow: str) -> UUID:
    (found,) = [each.instance for each in outcome.started if each.workflow == workflow]
    return found


async def until(hs: HigherSelf, instance: UUID, *states: str) -> Any:
    """Wait until an instance is in one of the states; return what it knows."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = await hs.workflows.get(instance)
        snapshot = found.snapshot
        assert snapshot.failure is None, snapshot.failure
        if snapshot.state in states and found.instance.status in (*ENDED, "waiting"):
            return snapshot.context
        assert time.monotonic() < deadline, f"{snapshot.state}, not {states}: {snapshot}"
        await asyncio.sleep(0.02)


async def ways(hs: HigherSelf, instance: UUID) -> list[str | None]:
    return [each.target for each in await hs.workflows.history(instance) if each.target]


async def test_a_lead_is_nurtured_with_what_the_hub_knows_until_they_book(
    hs: HigherSelf, mail: Mailbox
) -> None:
    contact = {"email": "Ana@example.org", "first_name": "Ana", "last_name": "Ito"}
    lead: Mapping[str, Any] = {"contact": contact, "lead": {"interests": ["sound bath"]}}
    unready = await told(
        hs, "new_lead", "form/0", **{**lead, "contact": {"email": "b@example.org"}}
    )
    assert [each.workflow for each in unready.started] == ["lead_capture"]
    (left,) = [each for each in unready.left if each.workflow == "lead_nurturing"]
    assert "booking_link: it has to be set" in left.reason

    link = "https://the7space.example/visit"
    await hs.setups.set_up(
        BUSINESS, "lead_nurturing",
        {"booking_link": link, "follow_up_days": [0], "qualified_score": 90}, by="ada",
    )  # fmt: skip
    outcome = await told(hs, "new_lead", "form/1", **lead)
    nurturing = instance(outcome, "lead_nurturing")
    context = await until(hs, nurturing, "last_wait")
    assert context["settings"]["booking_link"] == link
    assert context["interest"] == "sound bath"
    assert context["correlation"] == "c-form/1"
    assert [each.subject for each in mail.to("ana@example.org")] == [
        "Welcome, Ana: sound bath", "More about sound bath"
    ]  # fmt: skip
    welcome = mail.to("ana@example.org")[0]
    assert "thirty dollars" in welcome.text
    assert link in welcome.text
    assert welcome.message["X-Correlation-ID"] == "c-form/1"
    assert "thirty dollars" in context["knowledge"]["passages"][0]["text"]
    assert (await ways(hs, nurturing)).count("reminding") == 1

    again = await told(hs, "new_lead", "form/2", **lead)
    assert (again.status, again.started) == ("duplicate", ())
    await until(hs, instance(outcome, "lead_capture"), "processed")
    booked = await told(hs, "booking_created", "b/1", contact=contact, booking={"id": "b1"})
    assert nurturing in [each.instance for each in booked.sent]
    context = await until(hs, nurturing, "won")
    assert (context["repeats"], context["booking"]) == (1, {"id": "b1"})

    row = await hs.contacts.find(BUSINESS, email="ana@example.org")
    assert row is not None
    assert (row["full_name"], row["status"]) == ("Ana Ito", "Active Client")
    assert "Booked" in row["notes"]
    tasks = await hs.records.of("tasks").find({}, entity=BUSINESS, limit=50)
    assert any("Ana" in str(each["task_name"]) for each in tasks)

    row = await hs.contacts.save(BUSINESS, {**contact, "status": "Do Not Contact"}, replace=["status"])  # fmt: skip
    unwanted = await hs.workflows.start(
        "lead_nurturing", context={"email": "ana@example.org"}, entity=BUSINESS
    )
    await until(hs, unwanted.instance, "unsubscribed")
    assert "welcoming" not in await ways(hs, unwanted.instance)
    assert len(mail.to("ana@example.org")) == 2


async def test_a_follow_up_that_elan_drafts_goes_out_as_a_person_leaves_it(
    hs: HigherSelf, mail: Mailbox
) -> None:
    settings: dict[str, Any] = {
        "booking_link": "https://t7s.example", "follow_up_days": [0], "personal": True,
        "qualified_score": 100, "hot_score": 100,
    }  # fmt: skip
    await hs.setups.set_up(BUSINESS, "lead_nurturing", settings, by="ada")
    contact = {"email": "di@example.org", "first_name": "Di"}
    lead = {"interests": ["sound bath"]}
    outcome = await told(hs, "new_lead", "form/7", contact=contact, lead=lead)
    nurturing = instance(outcome, "lead_nurturing")
    await until(hs, nurturing, "drafting")
    (review,) = await sooner_or_later(
        lambda: hs.human_tasks.list("review", entity=BUSINESS), patience=PATIENCE
    )
    assert review.asked.instance is not None
    await until(hs, review.asked.instance, "approving")
    assert "sound bath" in review.asked.text.lower()
    said = Deciding(decision="approved", by="ada", answer="Come and lie down on Sunday.")
    await hs.human_tasks.decide(review.ticket, said)
    await until(hs, nurturing, "last_wait")
    letter = mail.to("di@example.org")[-1]
    assert "Come and lie down on Sunday." in letter.text
    assert letter.message["X-Correlation-ID"] == "c-form/7"


async def test_requests_for_help_are_answered_from_the_hub_or_by_people(
    hs: HigherSelf, mail: Mailbox
) -> None:
    await hs.setups.set_up(BUSINESS, "customer_support", {"refund_limit": 100}, by="ada")
    contact = {"email": "bo@example.org", "first_name": "Bo"}

    async def asked(id: str, text: str, **more: Any) -> UUID:
        request = {"id": id, "subject": "A question", "text": text, **more}
        outcome = await told(hs, "support_requested", id, contact=contact, request=request)
        return instance(outcome, "customer_support")

    known = await asked("s1", "When is the community sound bath?")
    context = await until(hs, known, "answered")
    assert "first Sunday" in context["answer"]
    titles = [each["title"] for each in context["answered"]["result"]["citations"]]
    assert titles == ["Community sound bath"]
    thanks = {"request": {"text": "Wonderful, thank you!"}, "contact": contact}
    await told(hs, "support_replied", "s1/reply", **thanks)
    await until(hs, known, "surveyed")
    await told(hs, "feedback_received", "s1/survey", support="s1", rating=5, id="f1")
    context = await until(hs, known, "closed")
    assert context["rating"] == 5
    row = await hs.contacts.find(BUSINESS, email="bo@example.org")
    assert row is not None
    assert "Support, A question: closed." in row["notes"]

    answer, survey = mail.to("bo@example.org")
    assert "first Sunday" in answer.text
    assert "[1] Community sound bath" in answer.text
    assert survey.subject == "How satisfied are you with us?"

    unknown = await asked("s2", "Who founded the observatory on Mauna Kea?")
    context = await until(hs, unknown, "with_person")
    task = await hs.human_tasks.show(context["ticket"]["ticket"])
    assert [each["text"] for each in task.asked.details["history"]] == [context["text"]]
    said = Deciding(decision="answered", by="ada", answer="We do not know.")
    await hs.human_tasks.decide(task.ticket, said)
    await until(hs, unknown, "answered")
    assert "We do not know." in mail.to("bo@example.org")[-1].text

    costly = await asked("s3", "I want a refund of my course.", refund_amount=250)
    await until(hs, costly, "deciding_refund")
    with pytest.raises(Exception, match="owner"):
        await hs.workflows.approve(costly, by="bo", roles=["support"])
    await hs.workflows.approve(costly, by="ada", roles=["owner"], comment="Agreed.")
    context = await until(hs, costly, "answered")
    assert context["amount"] == 250
    tasks = await hs.records.of("tasks").find({}, entity=BUSINESS, limit=50)
    names = " ".join(str(each["task_name"]) for each in tasks)
    assert "Decide about a refund" in names
    assert "Pay back" in names


async def test_an_order_and_a_task_follow_what_the_shop_and_people_do(hs: HigherSelf) -> None:
    contact = {"email": "cy@example.org", "first_name": "Cy"}
    order = {"id": "77", "number": "1077", "status": "pending", "items": [{"name": "Heron"}]}
    early = await told(hs, "payment_received", "pay/77", order={"id": "77"}, contact=contact)
    assert early.status == "open", "the order is not here yet"
    outcome = await told(hs, "order_created", "order/77", order=order, contact=contact)
    sale = instance(outcome, "art_sale")
    await until(hs, sale, "awaiting_payment")
    await told(hs, "payment_received", "pay/77", order={"id": "77"}, contact=contact)
    await until(hs, sale, "fulfilling")
    tasks = await hs.records.of("tasks").find({}, entity=BUSINESS, limit=50)
    assert sum("1077" in each["task_name"] for each in tasks) == 2
    cancelled = {"id": "77", "status": "cancelled"}
    await told(hs, "order_changed", "order/77/c", order=cancelled, contact=contact)
    await until(hs, sale, "cancelled")

    needed = await told(hs, "task_needed", "t1", task_name="Call Cy", contact=contact)
    followed = instance(needed, "task_management")
    context = await until(hs, followed, "open")
    call = SkillCall(key="by-hand", entity=BUSINESS, operator=True)
    given = {"task": context["row"]["task_id"], "status": "Done"}
    await hs.skills.run("update_task", given, call)
    await until(hs, followed, "done")
    elsewhere = SkillCall(key="by-hand", entity="am_consulting", operator=True)
    with pytest.raises(NotFound):
        await hs.skills.run("update_task", given, elsewhere)
