"""The agents of the roster at work: on the bus, with the hub, the records and the real engine.

No language model is set, so templates do the work: that is how it is installed.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from higherself import HigherSelf
from higherself.app.settings import Settings
from higherself.business.roster import load_roster
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import in_background
from higherself.knowledge.model import NewDocument
from higherself.workflow.definition import load_text

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

ENTITY = "the_7_space"
PATIENCE = timedelta(seconds=30)

BATH = (
    "The community sound bath is on the first Sunday of the month at five. "
    "Seats are thirty dollars, and mats and blankets are there. "
    "A sound bath lasts seventy minutes, and shoes stay at the door."
)
WORKFLOW = """
workflow: roster_story
version: 1
context: {topic: ""}
initial: drafting
states:
  drafting:
    collaborate:
      pattern: chain
      steps:
        - {role: content_choreographer, task: content_draft, input: {topic: "{{ context.topic }}", content_type: blog_post}}
        - {role: content_choreographer, task: content_review}
      save: drafted
      timeout: 2m
    transitions:
      - {to: noting, set: {passed: context.drafted.result.passed, text: context.drafted.result.text}}
    on_error: {to: lost, set: {reason: event.message}}
  noting:
    agent: {role: content_choreographer}
    activity: {skill: trace_of_call, save: trace}
    transitions: {to: done}
  done: {final: true}
  lost: {final: true}
"""
TRACE = """
from higherself import SkillCall, skill

@skill
def trace_of_call(call: SkillCall) -> dict:
    return {"correlation": call.correlation, "agent": call.agent}
"""
ELAN = "agent: elan\nskills: ['*']\n"


@asynccontextmanager
async def at_work(database_url: str, folder: Path) -> AsyncIterator[HigherSelf]:
    (folder / "agents").mkdir(exist_ok=True)
    (folder / "trace.py").write_text(TRACE)
    (folder / "agents" / "elan.yaml").write_text(ELAN)
    settings = Settings.model_validate(
        {
            "DATABASE_URL": database_url,
            "HIGHERSELF_EMBEDDING_TIERS": ("local",),
            "HIGHERSELF_EXTENSIONS": (str(folder),),
        }
    )
    async with HigherSelf.open(settings) as hs:
        await hs.knowledge.add(
            [
                NewDocument(
                    external_id="bath",
                    title="Community sound bath",
                    text=BATH,
                    entity=ENTITY,
                    source="docs",
                )
            ]
        )
        async with in_background(hs.hosted.worker().run()):
            runtime = hs.agents.worker()
            async with in_background(runtime.run()):
                await asyncio.wait_for(runtime.is_ready.wait(), 20)
                yield hs


async def test_a_workflow_has_agents_write_and_what_they_wrote_is_found_again(
    database_url: str, tmp_path: Path
) -> None:
    async with at_work(database_url, tmp_path) as hs:
        await hs.workflows.add(load_text(WORKFLOW, file="story.yaml").definition)
        started = await hs.workflows.start(
            "roster_story",
            context={"topic": "sound bath", "correlation": "lead-4711"},
            entity=ENTITY,
        )
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while True:
                found = await hs.workflows.get(started.instance)
                if found.instance.status not in ("active", "running"):
                    break
                await asyncio.sleep(0.05)
        context: Any = found.snapshot.context
        assert found.snapshot.state == "done", context
        assert "thirty dollars" in context["text"]
        assert context["trace"] == {"correlation": "lead-4711", "agent": "elan"}

        (kept,) = await hs.collaborations.latest()
        collaboration = await hs.collaborations.get(kept.id)
        assert [each.agent for each in collaboration.asked] == ["elan", "elan"]

        again = await hs.knowledge.search("sound bath draft", entity=ENTITY, sources=["agent:elan"])
        assert again.hits
        document = again.hits[0].document
        assert document.trust == "generated"
        told: Any = document.metadata
        assert told["conversation"] == "lead-4711"
        assert told["cited"], "what was used is kept with it"


async def test_the_tasks_of_the_network_are_answered_with_what_they_promise(
    database_url: str, tmp_path: Path
) -> None:
    async with at_work(database_url, tmp_path) as hs:

        async def asked(type_: str, data: dict[str, Any]) -> dict[str, Any]:
            reply = await hs.agents.ask(type_, data, entity=ENTITY, timeout=PATIENCE)
            assert isinstance(reply.data, dict), (type_, reply.data)
            return reply.data

        answered = await asked("knowledge_request", {"query": "When is the community sound bath?"})
        assert answered["confident"]
        assert "first Sunday" in answered["answer"]
        assert [each["title"] for each in answered["citations"]] == ["Community sound bath"]

        unsure = await asked(
            "community_question", {"question": "May I bring my parrot to Jupiter?"}
        )
        assert unsure["confident"] is False
        assert unsure["ticket"].startswith("ESC-")

        ideas = await asked("content_idea", {"topic": "sound bath"})
        assert ideas["ideas"]
        assert ideas["topic"]

        audience = await asked("audience_analysis", {})
        assert audience["analysis"]["contacts"] == 0 or audience["analysis"]

        post = await asked("marketing_content", {"topic": "sound bath"})
        assert post["text"]
        assert post["document"]


async def test_a_lead_goes_through_a_sequence_and_its_first_step_is_done_once(
    database_url: str, tmp_path: Path
) -> None:
    async with at_work(database_url, tmp_path) as hs:
        lead = {"email": "ana@example.org", "first_name": "Ana", "topic": "sound bath"}
        one = await hs.agents.run("lead_capture", lead, entity=ENTITY, timeout=PATIENCE)
        assert (one["status"], one["business_entity"]) == ("processed", ENTITY), one
        results: Any = one["agent_results"]
        assert set(results) == {"nyra", "ruvo", "liora"}
        info: Any = one["workflow_info"]
        assert (info["status"], info["current_step"], info["total_steps"]) == ("completed", 3, 3)
        (kept,) = await hs.collaborations.latest()
        asked = (await hs.collaborations.get(kept.id)).asked
        tasks = [each.step for each in asked]
        assert len(tasks) == 3, "Nyra had done the first step already"

        whole = await hs.agents.run(
            "lead_capture", {**lead, "email": "bo@example.org"}, pattern="lead_to_booking",
            entity=ENTITY, timeout=PATIENCE,
        )  # fmt: skip
        info = whole["workflow_info"]
        assert (info["status"], info["current_step"]) == ("completed", 4), whole
        contacts = await hs.records.of("contacts_profiles").find(entity=ENTITY)
        assert len(contacts) == 2


async def test_what_is_for_nobody_is_told_to_operations_once(
    database_url: str, tmp_path: Path
) -> None:
    async with at_work(database_url, tmp_path) as hs:
        told = await hs.agents.run("zebra_painted", {}, entity=ENTITY, timeout=PATIENCE)
        assert told["status"] == "error"
        assert "no agent was found for zebra_painted" in str(told["message"])
        async with asyncio.timeout(PATIENCE.total_seconds()):
            while True:
                tasks = await hs.records.of("tasks").find(entity=ENTITY)
                if tasks:
                    break
                await asyncio.sleep(0.05)
        (task,) = tasks
        assert task["task_name"] == "unroutable: zebra_painted"
        assert task["priority"] == "High"


EVERYTHING: dict[str, Any] = {
    "email": "ana@example.org", "first_name": "Ana", "phone": "+19175550142", "topic": "sound bath",
    "title": "Sound bath", "content_type": "blog_post", "text": "The sound bath was lovely, thank you.",
    "question": "When is the community sound bath?", "query": "sound bath", "stage": "draft",
    "platforms": ["wordpress"], "platform": "wordpress", "campaign": "spring", "name": "regulars",
    "criteria": {"field": "status", "operator": "exists"}, "status": "Done", "task_name": "Call Ana",
    "booking": {"id": "B1", "service": "sound bath", "status": "canceled", "date": "2026-04-05"},
    "order": {"id": "O1", "status": "refunded"}, "payment": {"amount": 30, "currency": "USD"},
    "retreat": "autumn", "activity_type": "post", "milestone": "a year", "counts": {"sent": 10, "opened": 4},
    "new_state": "Error", "instance": "WFI-1", "error_type": "unroutable", "capability": "task_creation",
    "task": "create_task", "data": {"task_name": "From afar"}, "subject": "Your baths", "metrics": None,
    "budget": 60_000,
}  # fmt: skip


async def test_every_type_of_every_agent_is_answered(database_url: str, tmp_path: Path) -> None:
    async with at_work(database_url, tmp_path) as hs:
        made = await hs.agents.ask(
            "create_task", {"task_name": "First"}, entity=ENTITY, timeout=PATIENCE
        )
        task: Any = made.data
        given = {**EVERYTHING, "task_id": task["task"]["record_id"]}
        refused = {}
        for name, agent in load_roster().declared.items():
            for type_ in agent.programs:
                if type_ == "workflow.>" or type_.startswith("request_agent_"):
                    continue
                try:
                    reply = await hs.agents.ask(
                        type_, _fitting(type_, given), to=f"agent:{name}", entity=ENTITY,
                        timeout=PATIENCE,
                    )  # fmt: skip
                except HigherSelfError as error:
                    refused[f"{name} {type_}"] = str(error)
                else:
                    assert isinstance(reply.data, dict), (name, type_)
        assert not refused


def _fitting(type_: str, given: dict[str, Any]) -> dict[str, Any]:
    """Return what is given to a type: `task` and `data` mean something else to some."""
    if type_ == "capability_request":
        return given
    left = {"task"} if type_.startswith(("task", "update_task")) else {"task", "data"}
    return {name: value for name, value in given.items() if name not in left}
