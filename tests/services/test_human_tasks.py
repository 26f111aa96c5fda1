"""People decide and answer: each ticket once, heard by who waits, by API, by command and in Notion."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from higherself import HigherSelf
from higherself.app.settings import Settings
from higherself.kernel.errors import Rejected
from higherself.kernel.tasks import in_background, side_by_side
from higherself.services.consequences import RecordChange
from higherself.services.human_task import (
    Asking,
    Decided,
    Deciding,
    HumanTask,
    HumanTaskUnknown,
    NotEntitled,
)

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

ENTITY = "the_7_space"
WORKFLOW = """
workflow: spoken_word
version: 1
context: {text: "", roles: [], said: null}
initial: reviewing
states:
  reviewing:
    activity:
      skill: submit_review
      input: {title: A letter, text: "{{ context.text }}", roles: "{{ context.roles }}"}
      save: review
    on:
      content_reviewed: {to: asking, set: {said: event}}
  asking:
    activity:
      skill: escalate_to_person
      input: {reason: Is it well?, subject: A letter, severity: 3, contact: {email: ana@example.org}, history: [{who: client, text: hello}], attempts: [nobody knew]}
      save: ticket
    on:
      escalation_answered: {to: done, set: {answer: event}}
  done: {final: true}
"""


@pytest.fixture
async def hs(database_url: str, tmp_path: Path) -> AsyncIterator[HigherSelf]:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "spoken_word.yaml").write_text(WORKFLOW)
    settings = {
        "DATABASE_URL": database_url,
        "HIGHERSELF_HOME": str(tmp_path),
        "HIGHERSELF_EXTENSIONS": (str(tmp_path),),
    }
    async with HigherSelf.open(Settings.model_validate(settings)) as hs:
        yield hs


async def until(hs: HigherSelf, instance: UUID, state: str) -> dict[str, Any]:
    """Wait until an instance waits in a state, or has ended there; return what it knows."""
    async with asyncio.timeout(60):
        while True:
            found = await hs.workflows.get(instance)
            if found.snapshot.state == state and found.instance.status != "running":
                return dict(found.snapshot.context)
            await asyncio.sleep(0.02)


def asking(key: str = "k", **more: Any) -> Asking:
    given: dict[str, Any] = {"kind": "review", "title": "A letter", "text": "Hello", **more}
    return Asking(entity=ENTITY, key=key, **given)


async def marked(hs: HigherSelf, task: HumanTask, person: str | None = None, **values: Any) -> None:
    """Change the row of a ticket as a person does in Notion."""
    record, tasks = task.task_record, hs.records.of("tasks")
    assert record is not None
    before = await tasks.get(record)
    after = await tasks.save(ENTITY, values, record=record)
    change = RecordChange(
        database="tasks", record=record, entity=ENTITY,
        before={"status": before["status"]}, person=person,
        after={"status": after["status"], "task_id": None, "related_workflow_instance": []},
    )  # fmt: skip
    async with hs.database.transaction(entity=ENTITY) as tx:
        await hs.happenings.record_changed(tx, change)


async def noted(hs: HigherSelf, task: HumanTask, words: str) -> str:
    """Return the notes of the row of a ticket, with words below the line."""
    row = await hs.records.of("tasks").get(task.task_record or UUID(int=0))
    return f"{row['notes']}\n{words}"


async def decided(hs: HigherSelf, task: HumanTask) -> HumanTask:
    async with asyncio.timeout(60):
        while True:
            found = await hs.human_tasks.show(task.ticket)
            if found.status == "decided":
                return found
            await asyncio.sleep(0.02)


async def test_a_workflow_waits_for_people_and_hears_what_they_say(hs: HigherSelf) -> None:
    await hs.hosted.install()
    async with in_background(hs.hosted.worker().run()):
        context: dict[str, Any] = {"text": "Dear Ana", "roles": ["owner"]}
        started = await hs.workflows.start("spoken_word", context=context, entity=ENTITY)
        ticket = (await until(hs, started.instance, "reviewing"))["review"]["review"]
        (known,) = await hs.human_tasks.list("review", instance=started.instance)
        assert (known.ticket, known.asked.text) == (ticket, "Dear Ana")
        with pytest.raises(NotEntitled, match="for owner to decide; bo has the roles: clerk"):
            await hs.human_tasks.decide(
                ticket, Deciding(decision="approved", by="bo", roles=["clerk"])
            )
        said = Deciding(decision="approved", by="ann", roles=["owner"], answer="Dearest Ana")
        done, again = await asyncio.gather(*(hs.human_tasks.decide(ticket, said) for _ in "12"))
        assert done.decided_at == again.decided_at
        with pytest.raises(Decided, match=r"decided: approved, by ann"):
            await hs.human_tasks.decide(
                ticket, Deciding(decision="rejected", by="bo", roles=["owner"])
            )
        context = await until(hs, started.instance, "asking")
        assert context["said"]["text"] == "Dearest Ana"
        assert (context["said"]["by"], context["said"]["decision"]) == ("ann", "approved")
        asked = await hs.human_tasks.show(context["ticket"]["ticket"])
        row = await hs.records.of("tasks").get(asked.task_record or UUID(int=0))
        assert "client: hello" in row["description"]
        assert row["priority"] == "High"
        more = {"amount": 12.5}
        await hs.human_tasks.decide(asked.ticket, Deciding(decision="refund", by="ann", more=more))
        answer = (await until(hs, started.instance, "done"))["answer"]
        assert (answer["decision"], answer["amount"], answer["by"]) == ("refund", 12.5, "ann")
    row = await hs.records.of("tasks").get(known.task_record or UUID(int=0))
    assert row["status"] == "Done", "what is decided elsewhere is done among the tasks, too"


async def test_it_is_asked_once(hs: HigherSelf) -> None:
    found = await asyncio.gather(*(hs.human_tasks.ask(asking()) for _ in range(4)))
    assert len({each.ticket for each in found}) == 1
    rows = await hs.records.of("tasks").find(entity=ENTITY)
    assert [each["task_name"] for each in rows] == [f"Review {found[0].ticket}: A letter"]


async def test_a_decision_that_nobody_was_told_of_is_told_later(hs: HigherSelf) -> None:
    await hs.hosted.install()
    async with in_background(hs.hosted.worker().run()):
        started = await hs.workflows.start("spoken_word", context={"text": "x"}, entity=ENTITY)
        ticket = (await until(hs, started.instance, "reviewing"))["review"]["review"]
        async with hs.database.transaction() as tx:  # and the process was killed
            await tx.connection.execute(
                "UPDATE human_task SET status = 'decided', decision = 'approved', decided_by = "
                "'ann', decided_at = now() - interval '1 minute'"
            )
        assert await hs.human_tasks.go_on() == 1
        await until(hs, started.instance, "asking")
        assert await hs.human_tasks.go_on() == 0
        assert (await hs.human_tasks.show(ticket)).told == "heard"


async def test_who_says_it_in_other_words_is_too_late(hs: HigherSelf) -> None:
    task = await hs.human_tasks.ask(asking(kind="escalation"))
    said = Deciding(decision="answered", by="ann", answer="Yes.")
    first = await hs.human_tasks.decide(task.ticket, said)
    assert await hs.human_tasks.decide(task.ticket, said) == first, "the same again is no news"
    for other in (
        replace(said, answer="No."), replace(said, notes="or not"), replace(said, by="bo"),
        replace(said, decision="refund", more={"amount": 5}),
    ):  # fmt: skip
        with pytest.raises(Decided, match="decided: answered, by ann"):
            await hs.human_tasks.decide(task.ticket, other)
    assert (await hs.human_tasks.show(task.ticket)).answer == "Yes."


async def test_a_row_that_was_thrown_away_keeps_nobody_from_hearing(hs: HigherSelf) -> None:
    lost, other = [await hs.human_tasks.ask(asking(key)) for key in ("1", "2")]
    async with hs.database.transaction() as tx:
        await tx.connection.execute(
            "UPDATE human_task SET task_record = gen_random_uuid() WHERE ticket = %s",
            (lost.ticket,),
        )
    said = Deciding(decision="approved", by="ann")
    assert (await hs.human_tasks.decide(lost.ticket, said)).told_at is not None
    async with hs.database.transaction() as tx:  # and again, by what goes on later
        await tx.connection.execute(
            "UPDATE human_task SET status = 'decided', decision = 'approved', decided_by = 'ann', "
            "told_at = NULL, decided_at = now() - CASE ticket WHEN %s THEN interval '1 hour' "
            "ELSE interval '1 minute' END",
            (lost.ticket,),
        )
    assert await hs.human_tasks.go_on() == 2
    assert (await hs.human_tasks.show(other.ticket)).told_at is not None


async def test_people_decide_in_notion(hs: HigherSelf) -> None:
    """By the rows among the tasks: what they change in the text, and what they write as an answer."""
    async with in_background(side_by_side(hs.human_tasks.work())):
        plain = await hs.human_tasks.ask(asking("1"))
        edited = await hs.human_tasks.ask(asking("2"))
        stopped = await hs.human_tasks.ask(asking("3"))
        request = await hs.human_tasks.ask(asking("4", kind="escalation", severity=4))
        await marked(hs, plain, status="Done")
        await marked(hs, edited, status="Done", description="Hello, Ana")
        unfinished = await hs.human_tasks.ask(asking("5"))
        await marked(hs, unfinished, status="On Hold", notes=await noted(hs, unfinished, ""))
        await marked(hs, unfinished, status="To Do")
        await marked(hs, unfinished, status="On Hold", notes=await noted(hs, unfinished, "Warmer."))
        await marked(hs, stopped, status="Cancelled", notes=await noted(hs, stopped, "Too late."))
        await marked(hs, request, status="Done", notes=await noted(hs, request, "It is kept."))
        found = [await decided(hs, each) for each in (plain, edited, stopped, request, unfinished)]
    assert [(each.decision, each.answer, each.notes) for each in found] == [
        ("approved", None, ""),
        ("approved", "Hello, Ana", ""),
        ("rejected", None, "Too late."),
        ("answered", "It is kept.", ""),
        ("changes_requested", None, "Warmer."),
    ]
    assert found[0].decided_by == "somebody in Notion"


async def test_in_notion_too_only_who_may_decides(hs: HigherSelf) -> None:
    task = await hs.human_tasks.ask(asking(roles=("owner",)))
    async with in_background(hs.human_tasks.work()):
        await marked(hs, task, status="Done", person="u1")
        async with asyncio.timeout(60):
            while True:
                row = await hs.records.of("tasks").get(task.task_record or UUID(int=0))
                if row["status"] == "To Do":
                    break
                await asyncio.sleep(0.02)
    told, _, below = row["notes"].partition("below this line ---")
    assert "is for owner to decide" in told
    assert not below.strip(), "what is said back is no part of what the person wrote"
    assert (await hs.human_tasks.show(task.ticket)).status == "open"


async def test_what_cannot_be_is_named(hs: HigherSelf) -> None:
    for wrong, said in (({"title": " "}, "title:"), ({"text": ""}, "text:")):
        with pytest.raises(Rejected, match=said):
            await hs.human_tasks.ask(asking(**wrong))
    with pytest.raises(HumanTaskUnknown, match="no ticket REV-NONE"):
        await hs.human_tasks.show("REV-NONE")
    review = await hs.human_tasks.ask(asking("1"))
    request = await hs.human_tasks.ask(asking("2", kind="escalation"))
    for ticket, saying, said in (
        (review.ticket, Deciding(decision="maybe", by="ann"), "say approved, changes_requested"),
        (review.ticket, Deciding(decision="approved", by=" "), "by:"),
        (review.ticket, Deciding(decision="approved", by="ann", answer=" "), "reject it instead"),
        (request.ticket, Deciding(decision="answered", by="ann"), "answer:"),
    ):
        with pytest.raises(Rejected, match=said):
            await hs.human_tasks.decide(ticket, saying)
