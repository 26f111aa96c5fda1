"""States that collaborate: their outcome moves the instance on, whatever happens in between."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib.resources import files
from typing import Any

import pytest
from tests.services.network import Network, Say, network_on, until

from higherself.db.pool import Database
from higherself.workflow.definition import load_text
from higherself.workflow.machine import ActivityCompleted

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

TEAM = """
  team:
    collaborate:
      pattern: chain
      input: {brief: "{{ context.brief }}"}
      steps:
        - {capability: content, task: draft, compensate: {task: discard, input: {of: "{{ context.brief }}"}}}
        - {name: liora, task: send, input: {to: "{{ context.to }}"}}
      save: campaign
      timeout: 20s
      retry: {attempts: 2, backoff: 10ms}
    transitions: {to: done}
    on_error: {to: failed, set: {why: event.message, type: event.type}}
  done: {final: true}
  failed: {final: true}
"""
CONTEXT = {"brief": "yoga", "to": "all"}


@pytest.fixture
async def network(database_url: str, database: Database) -> AsyncIterator[Network]:
    async with network_on(database_url, database) as network:
        network.book.groups["content"] = ["elan"]
        yield network


GOOD: dict[str, Any] = {
    "elan": lambda said: {"text": f"about {said.data.get('brief')}"},
    "liora": lambda said: {"sent": said.data["previous"]["text"], "to": said.data["to"]},
}


async def test_its_outcome_is_the_events_result(network: Network) -> None:
    await network.bench.define(TEAM)
    instance = await network.bench.start(context=CONTEXT)
    async with network.working(GOOD):
        await network.bench.until(instance, status="completed", state="done")
    context = (await network.bench.engine.get(instance)).snapshot.context
    assert isinstance(context["campaign"], dict)
    assert context["campaign"]["result"] == {"sent": "about yoga", "to": "all"}
    (listed,) = await network.collaborations.latest()
    assert (listed.name, listed.instance) == ("under_test/team", instance)
    history = await network.bench.history(instance)
    assert [each.cause for each in history] == ["started", "activity"]
    assert history[-1].milliseconds is not None


async def test_nobody_holds_a_seat_for_it(network: Network) -> None:
    """One seat, two instances whose agents wait for each other."""
    await network.bench.define(TEAM)
    first = await network.bench.start(context=CONTEXT)
    second = await network.bench.start(context=CONTEXT)
    open_at_once: list[int] = []

    async with network.working({"elan": lambda said: open_at_once.append(1)}):  # says nothing
        await until(lambda: len(open_at_once) == 2)
        await until(lambda: seats_are_free(network))
        for instance in (first, second):
            assert (await network.bench.engine.get(instance)).instance.waits_for == "activity"


async def seats_are_free(network: Network) -> bool:
    rows = await network.bench.asked(
        "SELECT count(*) FROM higherself.message"
        " WHERE topic = 'workflow.activity' AND finished_at IS NULL"
    )
    return bool(rows == [(0,)])


async def test_a_failed_attempt_is_undone_and_tried_anew(network: Network) -> None:
    failures = ["boom"]

    def liora(said: Any) -> Any:
        return Say("failure", {"reason": failures.pop()}) if failures else "sent"

    await network.bench.define(TEAM)
    instance = await network.bench.start(context=CONTEXT)
    async with network.working({**GOOD, "liora": liora}):
        await network.bench.until(instance, status="completed", state="done")
    assert network.asked() == [
        "draft>elan", "send>liora", "discard>elan", "draft>elan", "send>liora"
    ]  # fmt: skip
    assert network.heard[2][1].data == {"of": "yoga", "result": {"text": "about yoga"}}
    statuses = {each.status for each in await network.collaborations.latest()}
    assert statuses == {"completed", "failed"}


async def test_what_fails_for_good_goes_the_way_of_errors(network: Network) -> None:
    agents = {**GOOD, "liora": lambda said: Say("refuse", "not mine")}
    await network.bench.define(TEAM)
    instance = await network.bench.start(context=CONTEXT)
    async with network.working(agents):
        await network.bench.until(instance, status="completed", state="failed")
    context = (await network.bench.engine.get(instance)).snapshot.context
    assert (context["why"], context["type"]) == ("send (liora): not mine", "Refused")


async def test_what_takes_too_long_is_a_timeout(network: Network) -> None:
    states = TEAM.replace("timeout: 20s", "timeout: 300ms").replace("attempts: 2", "attempts: 1")
    await network.bench.define(states)
    instance = await network.bench.start(context=CONTEXT)
    async with network.working({"elan": lambda said: None}):
        await network.bench.until(instance, status="completed", state="failed")
    assert (await network.bench.engine.get(instance)).snapshot.context["type"] == "Timeout"


async def test_cancelling_the_instance_cancels_the_collaboration(network: Network) -> None:
    await network.bench.define(TEAM)
    instance = await network.bench.start(context=CONTEXT)
    async with network.working({**GOOD, "liora": lambda said: None}):
        await until(lambda: "send>liora" in network.asked())
        await network.bench.engine.cancel(instance, reason="enough")
        (listed,) = await network.collaborations.latest()
        done = await network.collaborations.wait(listed.id, timeout=timedelta(seconds=10))
    assert done.status == "cancelled"
    assert network.asked()[-1] == "discard>elan"
    assert (await network.bench.engine.get(instance)).instance.status == "cancelled"


async def test_a_collaboration_that_nobody_wants_any_more_does_not_begin(network: Network) -> None:
    await network.bench.define(TEAM)
    instance = await network.bench.start(context=CONTEXT)
    stored = await network.bench.engine.get(instance)
    ((key, _),) = stored.snapshot.pending.items()
    await network.bench.engine.stepper.apply(
        stored.instance.instance, ActivityCompleted(key, {"result": "by hand"})
    )
    async with network.working(GOOD):
        await network.bench.until(instance, status="completed")
        await asyncio.sleep(0.2)
    assert await network.collaborations.latest() == []


async def test_while_paused_the_outcome_is_kept(network: Network) -> None:
    await network.bench.define(TEAM)
    instance = await network.bench.start(context=CONTEXT)

    async with network.working({**GOOD, "elan": lambda said: None}):
        await until(lambda: network.heard)
        await network.bench.engine.pause(instance)
        (listed,) = await network.collaborations.latest()
        await network.collaborations.cancel(listed.id, reason="by hand")
    async with network.working(GOOD):
        await asyncio.sleep(0.3)
        assert (await network.bench.engine.get(instance)).instance.status == "paused"
        await network.bench.engine.resume(instance)
        await network.bench.until(instance, status="completed", state="done")  # attempt 2


@pytest.mark.parametrize(
    ("workflow", "context", "events", "tasks", "saved"),
    [
        pytest.param(
            "client_retention",
            {},
            [("client_registered", {"client": {"email": "a@b.c"}})],
            ["welcome>nyra", "find_segment>zevi"],
            "onboarding",
            id="client_retention",
        ),
        pytest.param(
            "gallery_exhibit",
            {"title": "Light"},
            [
                ("approve", {}),
                ("artists_confirmed", {"artists": ["a"]}),
                ("planning_complete", {"opens_at": "", "closes_at": "", "submissions_until": ""}),
                ("submission_deadline_reached", {}),
                ("curation_complete", {"works": []}),
            ],
            ["write_wall_texts>elan", "prepare_campaign>liora"],
            "marketing",
            id="gallery_exhibit",
        ),
    ],
)
async def test_shipped_workflows_collaborate(
    network: Network,
    workflow: str,
    context: dict[str, Any],
    events: list[tuple[str, dict[str, Any]]],
    tasks: list[str],
    saved: str,
) -> None:
    text = files("higherself.business.workflows").joinpath(f"{workflow}.yaml").read_text("utf-8")
    engine = network.bench.engine
    await engine.add(load_text(text, file=f"{workflow}.yaml").definition)
    network.book.groups |= {
        "lead_capture": ["nyra"], "audience_analyst": ["zevi"],
        "content_choreographer": ["elan"], "marketing_strategist": ["liora"],
    }  # fmt: skip
    network.bench.skills.functions |= {"create_task": lambda call: {"id": 1}}
    agents = {name: lambda said: {"done": said.type} for name in ("nyra", "zevi", "elan", "liora")}
    instance = (await engine.start(workflow, context=context)).instance
    async with network.working(agents):
        for event, data in events:
            async with asyncio.timeout(15):
                while True:
                    try:
                        if event == "approve":
                            await engine.approve(instance, by="ana", roles=["curator"])
                        else:
                            await engine.send(instance, event, data)
                        break
                    except Exception:  # noqa: BLE001  it is not there yet
                        await asyncio.sleep(0.02)

        async def is_saved() -> bool:
            return saved in (await engine.get(instance)).snapshot.context

        await until(is_saved)
    assert network.asked() == tasks
    kept = (await engine.get(instance)).snapshot.context[saved]
    assert isinstance(kept, dict)
    assert kept["result"] == {"done": tasks[-1].partition(">")[0]}
