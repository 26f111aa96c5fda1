"""Tasks over both bindings, by the SDK's own client: the mandatory behaviour, and ours beyond it."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import anyio
import pytest
from a2a.client import Client
from a2a.types.a2a_pb2 import (
    CancelTaskRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTasksRequest,
    Part,
    SendMessageRequest,
    StreamResponse,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from google.protobuf.json_format import MessageToDict
from tests.a2a import seen
from tests.a2a.conftest import BINDINGS, a_message, peer

from higherself.testing.http import Site

both = pytest.mark.parametrize("binding", BINDINGS)
COMPLETED = TaskState.TASK_STATE_COMPLETED
OPEN = (TaskState.TASK_STATE_SUBMITTED, TaskState.TASK_STATE_WORKING)


async def sent(client: Client, request: SendMessageRequest) -> Task:
    """Send a message, and return the task that comes back at the end."""
    (*_, last) = [event async for event in client.send_message(request)]
    return last.task


def result(task: Task) -> Any:
    (artifact,) = task.artifacts
    (part,) = artifact.parts
    return part.text if part.WhichOneof("content") == "text" else MessageToDict(part)["data"]


async def until(holds: Callable[[], bool]) -> None:
    with anyio.fail_after(10):
        while not holds():  # noqa: ASYNC110  the other thread has no event of ours
            await anyio.sleep(0.01)


# Messages become tasks


@both
async def test_a_message_becomes_a_task_that_is_awaited(site: Site, binding: str) -> None:
    async with peer(site, binding) as client:
        task = await sent(client, a_message("Ana", skill="skill:greet"))
        again = await client.get_task(GetTaskRequest(id=task.id))
    assert task.id
    assert task.context_id
    assert task.status.state == COMPLETED
    assert result(task) == "Hello Ana"
    assert again == task
    assert [each.parts[0].text for each in task.history] == ["Ana"]


@both
async def test_data_is_the_input_of_a_skill(site: Site, binding: str) -> None:
    async with peer(site, binding) as client:
        task = await sent(client, a_message(data={"numbers": [1, 2, 3]}, skill="skill:add"))
    assert result(task) == 6


@both
async def test_an_agent_with_the_capability_does_the_work(site: Site, binding: str) -> None:
    request = a_message(
        "for Ana",
        {"room": "blue"},
        skill="capability:booking",
        type="booking.asked",
        context_id="visit-7",
    )
    async with peer(site, binding) as client:
        task = await sent(client, request)
    assert task.context_id == "visit-7"
    assert result(task) == {"booked": "blue", "for": "for Ana", "subject": "visit-7"}


async def test_without_a_skill_it_goes_where_its_type_goes(site: Site) -> None:
    async with peer(site) as client:
        task = await sent(client, a_message(data={"room": "red"}, type="booking.asked"))
    assert result(task)["booked"] == "red"


async def test_a_refusal_is_a_rejected_task(site: Site) -> None:
    async with peer(site) as client:
        refused = await sent(
            client, a_message(data={"room": "none"}, skill="agent:booker", type="booking.asked")
        )
        wrong = await sent(client, a_message(data={"numbers": "x"}, skill="skill:add"))
    assert refused.status.state == TaskState.TASK_STATE_REJECTED
    assert "no such room" in refused.status.message.parts[0].text
    assert wrong.status.state == TaskState.TASK_STATE_REJECTED
    assert "numbers" in wrong.status.message.parts[0].text


@both
async def test_who_does_not_wait_gets_the_task_at_once(site: Site, binding: str) -> None:
    async with peer(site, binding) as client:
        task = await sent(client, a_message(skill="skill:wait_for_it", data={}, now=True))
        assert task.status.state in OPEN
        seen.RELEASED.set()
        with anyio.fail_after(10):
            while (await client.get_task(GetTaskRequest(id=task.id))).status.state != COMPLETED:  # noqa: ASYNC110
                await anyio.sleep(0.02)


# The same message twice


@both
async def test_the_same_message_is_one_task_and_one_run(site: Site, binding: str) -> None:
    request = a_message("Ben", skill="skill:greet")
    found: list[Task] = []

    async def send() -> None:
        async with peer(site, binding) as client:
            found.append(await sent(client, request))

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(send)
    assert len({task.id for task in found}) == 1
    assert {result(task) for task in found} == {"Hello Ben"}
    assert seen.RUNS == ["Ben"]


async def test_an_identifier_is_for_one_message(site: Site) -> None:
    identifier = uuid4().hex
    async with peer(site) as client:
        await sent(client, a_message("Ana", skill="skill:greet", message_id=identifier))
        with pytest.raises(InvalidParamsError, match="messageId"):
            await sent(client, a_message("Ben", skill="skill:greet", message_id=identifier))


# Streams


def kinds(events: list[StreamResponse]) -> list[str]:
    told = []
    for event in events:
        match event.WhichOneof("payload"):
            case "task":
                told.append("task")
            case "artifact_update":
                told.append("artifact")
            case _:
                told.append(TaskState.Name(event.status_update.status.state)[11:].lower())
    return told


@both
async def test_a_stream_begins_with_the_task_and_ends_with_it(site: Site, binding: str) -> None:
    async with peer(site, binding, streaming=True) as client:
        with anyio.fail_after(20):
            request = a_message("Ana", skill="skill:greet")
            events = [event async for event in client.send_message(request)]
    assert kinds(events) == ["task", "working", "artifact", "completed"]


@both
async def test_all_who_follow_hear_the_same_and_one_who_leaves_disturbs_nobody(
    site: Site, binding: str
) -> None:
    heard: list[list[StreamResponse]] = []
    async with peer(site, binding) as client:
        task = await sent(client, a_message(skill="skill:wait_for_it", data={}, now=True))
        await until(seen.STARTED.is_set)
        subscribed: list[int] = []

        async def follow(leaves: bool = False) -> None:
            async with peer(site, binding, streaming=True) as other:
                events = []
                async for event in other.subscribe(SubscribeToTaskRequest(id=task.id)):
                    events.append(event)
                    subscribed.append(1)
                    if leaves:
                        return
                heard.append(events)

        with anyio.fail_after(20):
            async with anyio.create_task_group() as group:
                for leaves in (False, True, False):
                    group.start_soon(follow, leaves)
                await until(lambda: len(subscribed) >= 3)
                seen.RELEASED.set()
    first, second = heard
    assert first[0].task.id == task.id
    assert kinds(first)[-2:] == ["artifact", "completed"]
    assert first == second


@both
async def test_a_task_that_has_ended_cannot_be_followed(site: Site, binding: str) -> None:
    async with peer(site, binding, streaming=True) as client:
        async with peer(site, binding) as waiting:
            task = await sent(waiting, a_message("Ana", skill="skill:greet"))
        with pytest.raises(UnsupportedOperationError):
            [e async for e in client.subscribe(SubscribeToTaskRequest(id=task.id))]
        with pytest.raises(TaskNotFoundError):
            [e async for e in client.subscribe(SubscribeToTaskRequest(id=str(uuid4())))]


# Cancelling


@both
async def test_a_task_is_cancelled_once(site: Site, binding: str) -> None:
    async with peer(site, binding) as client:
        task = await sent(client, a_message(skill="skill:wait_for_it", data={}, now=True))
        await until(seen.STARTED.is_set)
        cancelled = await client.cancel_task(CancelTaskRequest(id=task.id))
        assert cancelled.status.state == TaskState.TASK_STATE_CANCELED
        await until(seen.CANCELLED.is_set)
        with pytest.raises(TaskNotCancelableError):
            await client.cancel_task(CancelTaskRequest(id=task.id))
        with pytest.raises(TaskNotFoundError):
            await client.cancel_task(CancelTaskRequest(id="nothing"))
        kept = await client.get_task(GetTaskRequest(id=task.id))
    assert kept.status.state == TaskState.TASK_STATE_CANCELED


# Lists


@both
async def test_tasks_are_listed_newest_first_a_page_at_a_time(site: Site, binding: str) -> None:
    context = uuid4().hex
    async with peer(site, binding) as client:
        made = [
            (await sent(client, a_message(name, skill="skill:greet", context_id=context))).id
            for name in ("Ana", "Ben", "Cleo")
        ]
        first = await client.list_tasks(ListTasksRequest(context_id=context, page_size=2))
        last = await client.list_tasks(
            ListTasksRequest(context_id=context, page_size=2, page_token=first.next_page_token)
        )
        whole = await client.list_tasks(
            ListTasksRequest(context_id=context, include_artifacts=True, status=COMPLETED)
        )
        none = await client.list_tasks(
            ListTasksRequest(context_id=context, status=TaskState.TASK_STATE_FAILED)
        )
        with pytest.raises(A2AError):
            await client.list_tasks(ListTasksRequest(page_token="nonsense"))
    assert [task.id for task in (*first.tasks, *last.tasks)] == made[::-1]
    assert (first.total_size, first.page_size, last.next_page_token) == (3, 2, "")
    assert not first.tasks[0].artifacts
    assert result(whole.tasks[0]) == "Hello Cleo"
    assert list(none.tasks) == []


# What is refused


@both
async def test_what_makes_no_sense_is_refused_with_the_field(site: Site, binding: str) -> None:
    file = a_message(skill="skill:greet")
    file.message.parts.append(Part(raw=b"x", media_type="application/x-unsupported"))
    async with peer(site, binding) as client:
        with pytest.raises(ContentTypeNotSupportedError, match=r"parts\[0\]"):
            await sent(client, file)
        for request, field in (
            (a_message("x", skill="skill:nothing"), "metadata.skill"),
            (a_message("x", skill="skill:change"), "metadata.skill"),
            (a_message("x", skill="nonsense"), "metadata.skill"),
            (a_message("x", skill="agent:nobody"), "nobody"),
            (a_message("x", skill="skill:greet", context_id="\n"), "contextId"),
            (a_message("x", skill="skill:greet", message_id="x" * 201), "messageId"),
            (a_message("5", skill="skill:add"), "numbers"),
        ):
            with pytest.raises(InvalidParamsError, match=field):
                await sent(client, request)


@both
async def test_a_message_to_a_task_that_has_ended_is_refused(site: Site, binding: str) -> None:
    async with peer(site, binding) as client:
        task = await sent(client, a_message("Ana", skill="skill:greet"))
        with pytest.raises(UnsupportedOperationError):
            await sent(client, a_message("more", task_id=task.id))
        with pytest.raises(InvalidParamsError, match="contextId"):
            await sent(client, a_message("more", task_id=task.id, context_id="other"))
        with pytest.raises(TaskNotFoundError):
            await sent(client, a_message("more", task_id=str(uuid4())))
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id="nonexistent"))


@both
async def test_what_the_card_does_not_promise_is_refused(site: Site, binding: str) -> None:
    async with peer(site, binding) as client:
        transport: Any = vars(client)["_transport"]  # the client itself looks at the card first
        config = TaskPushNotificationConfig(task_id="t", id="c", url="https://example.org")
        with pytest.raises(PushNotificationNotSupportedError):
            await transport.create_task_push_notification_config(config)
        listed = ListTaskPushNotificationConfigsRequest(task_id="t")
        with pytest.raises(PushNotificationNotSupportedError):
            await transport.list_task_push_notification_configs(listed)


# Businesses


async def test_a_tenant_is_a_business_and_sees_its_own(site: Site) -> None:
    request = a_message("Ana", skill="skill:greet")
    request.tenant = "nowhere"
    async with peer(site) as client:
        with pytest.raises(InvalidParamsError, match="nowhere"):
            await sent(client, request)
        answer = site.ask(
            "POST",
            "/api/v1/knowledge/documents",
            {"external_id": "a", "text": "Deposits.", "entity": "gallery"},
        )
        assert answer.status == 201
        request.tenant = "gallery"
        task = await sent(client, request)
        assert task.status.state == COMPLETED
        with pytest.raises(TaskNotFoundError):
            await client.get_task(GetTaskRequest(id=task.id))
        kept = await client.get_task(GetTaskRequest(id=task.id, tenant="gallery"))
    assert kept == task
