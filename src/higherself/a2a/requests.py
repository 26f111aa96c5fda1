"""The requests of the protocol, each answered from the store; the work is done by messages."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from a2a.server.context import ServerCallContext
from a2a.server.events.event_queue import Event
from a2a.server.request_handlers.request_handler import RequestHandler, validate_request_params
from a2a.types.a2a_pb2 import (
    AgentCard,
    CancelTaskRequest,
    DeleteTaskPushNotificationConfigRequest,
    GetExtendedAgentCardRequest,
    GetTaskPushNotificationConfigRequest,
    GetTaskRequest,
    ListTaskPushNotificationConfigsRequest,
    ListTaskPushNotificationConfigsResponse,
    ListTasksRequest,
    ListTasksResponse,
    Message,
    SendMessageRequest,
    SubscribeToTaskRequest,
    Task,
    TaskPushNotificationConfig,
    TaskState,
)
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import (
    A2AError,
    InternalError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
    TaskNotCancelableError,
    TaskNotFoundError,
    UnsupportedOperationError,
)
from a2a.utils.task import (
    ListTasksCursor,
    apply_history_length,
    decode_list_tasks_cursor,
    encode_list_tasks_cursor,
    validate_history_length,
    validate_page_size,
)

from higherself.a2a.asking import Ask, ask_of
from higherself.a2a.model import STATES, Kept, digest_of, written
from higherself.a2a.store import Tasks, Wanted
from higherself.a2a.work import ANSWERS, Work
from higherself.agents.runtime import DESK
from higherself.app.open_skills import OpenSkills
from higherself.db.pool import Database
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Unavailable
from higherself.kernel.ids import checked_entity, new_id
from higherself.messaging.bus import Bus

PATIENCE = timedelta(minutes=10)
"""How long one request waits for a task to end; then it is told how far it is."""

ANSWERED_WITHIN = timedelta(days=1)
"""A message that nobody has handled by then is not handled any more, and its task fails."""

DEFAULT = "default"
_LONGEST = 200
_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)


class Requests(RequestHandler):
    """Answers for all businesses: a tenant of the protocol is a business, none is ``default``.

    ``agents`` returns all that are known.
    """

    def __init__(
        self,
        tasks: Tasks,
        database: Database,
        bus: Bus,
        skills: OpenSkills,
        work: Work,
        ending: asyncio.Event,
        clock: Clock,
        *,
        agents: Callable[[], Awaitable[Sequence[Any]]],
    ) -> None:
        self._agents = agents
        self._tasks, self._database, self._bus = tasks, database, bus
        self._skills, self._work, self._ending, self._clock = skills, work, ending, clock

    @validate_request_params
    async def on_message_send(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> Task | Message:
        """Take a message, and return its task: when it has ended, or at once if that is wanted."""
        with _translated():
            kept = await self._taken(params, context)
            if not params.configuration.return_immediately:
                kept = await self._ended(kept)
            return apply_history_length(kept.task(), params.configuration)

    @validate_request_params
    async def on_message_send_stream(
        self, params: SendMessageRequest, context: ServerCallContext
    ) -> AsyncIterator[Event]:
        """Take a message, and tell of its task as it goes on."""
        with _translated():
            kept = await self._taken(params, context)
            async for event in self._told(kept):
                yield event

    @validate_request_params
    async def on_subscribe_to_task(
        self, params: SubscribeToTaskRequest, context: ServerCallContext
    ) -> AsyncIterator[Event]:
        """Tell of a task that has not ended, from now on."""
        with _translated():
            kept = await self._found(params.id, context)
            if not kept.is_open:
                raise UnsupportedOperationError(f"task {kept.id} has ended: it is {kept.state}")
            async for event in self._told(kept):
                yield event

    @validate_request_params
    async def on_get_task(self, params: GetTaskRequest, context: ServerCallContext) -> Task | None:
        """Return a task."""
        with _translated():
            validate_history_length(params)
            return apply_history_length((await self._found(params.id, context)).task(), params)

    @validate_request_params
    async def on_list_tasks(
        self, params: ListTasksRequest, context: ServerCallContext
    ) -> ListTasksResponse:
        """Return a page of tasks, the one that moved last first."""
        with _translated():
            validate_history_length(params)
            size = DEFAULT_LIST_TASKS_PAGE_SIZE
            if params.HasField("page_size"):
                validate_page_size(params.page_size)
                size = params.page_size
            wanted = self._wanted(params, await self._business(context, params.tenant), size)
            if wanted is None:
                return ListTasksResponse(page_size=size)
            kept, count = await self._tasks.page(wanted)
            more = kept[size - 1] if len(kept) > size else None
            tasks = [apply_history_length(each.task(), params) for each in kept[:size]]
            for task in tasks:
                if not params.include_artifacts:
                    task.ClearField("artifacts")
            token = "" if more is None else encode_list_tasks_cursor(_cursor(more))
            return ListTasksResponse(
                tasks=tasks, total_size=count, page_size=size, next_page_token=token
            )

    @validate_request_params
    async def on_cancel_task(
        self, params: CancelTaskRequest, context: ServerCallContext
    ) -> Task | None:
        """End a task: what has not begun is not done, and what comes of the rest is not told."""
        with _translated():
            kept = await self._found(params.id, context)
            if not await self._tasks.moved(kept.entity, kept.id, "canceled"):
                raise TaskNotCancelableError(f"task {kept.id} has ended: it is {kept.state}")
            self._work.cancel(kept.id)
            return (await self._found(params.id, context)).task()

    async def _taken(self, params: SendMessageRequest, context: ServerCallContext) -> Kept:
        """Store the task of a message with the message of ours that does its work."""
        validate_history_length(params.configuration)
        if params.configuration.HasField("task_push_notification_config"):
            raise PushNotificationNotSupportedError
        message = params.message
        entity = await self._business(context, params.tenant)
        if message.task_id:
            await self._refuse_more(message, context)
        conversation = message.context_id or str(new_id(self._clock.now()))
        for name, value in (("messageId", message.message_id), ("contextId", conversation)):
            if not (value.isprintable() and 0 < len(value) <= _LONGEST):
                raise InvalidParamsError(
                    f"message.{name}: it must have 1 to {_LONGEST} printable characters"
                )
        ask = ask_of(message, self._skills.skills)
        if ask.to == f"topic:{DESK}" and not await self._agents():
            raise InvalidParamsError(
                "message.metadata.skill: there are no agents here, so say which skill of the agent "
                "card is wanted"
            )
        plain = written(message)
        digest = digest_of(plain)
        await self._tasks.remember(entity)
        async with self._database.transaction() as tx:
            made = await self._tasks.create(tx, entity, conversation, plain, digest)
            if made is not None:
                await self._send(self._bus.within(tx), made, ask, entity, conversation, tx)
        kept = await self._tasks.of_message(entity, message.message_id)
        if kept is None:
            raise InternalError("the task is gone again; send the message once more")
        if kept.digest != digest:
            raise InvalidParamsError(
                f"message.messageId: {message.message_id!r} was another message's before; give "
                "every message an identifier of its own"
            )
        return kept

    async def _send(
        self, bus: Bus, task: UUID, ask: Ask, entity: str, conversation: str, tx: Any
    ) -> None:
        receipt = await bus.send(
            ask.to,
            ask.type,
            ask.data,
            entity=entity,
            subject=conversation,
            partition_key=str(task),
            idempotency_key=f"a2a {task}",
            performative="request",
            reply_to=f"topic:{ANSWERS}",
            expires=ANSWERED_WITHIN,
        )
        await self._tasks.note_request(tx, task, receipt.id)

    async def _refuse_more(self, message: Message, context: ServerCallContext) -> None:
        kept = await self._found(message.task_id, context)
        if message.context_id and message.context_id != kept.context:
            raise InvalidParamsError(
                f"message.contextId: task {kept.id} belongs to {kept.context!r}"
            )
        ended = f"has ended: it is {kept.state}" if not kept.is_open else "is being worked on"
        raise UnsupportedOperationError(
            f"task {kept.id} {ended}; go on with a message that has its contextId and no taskId"
        )

    async def _ended(self, kept: Kept) -> Kept:
        try:
            async with asyncio.timeout(PATIENCE.total_seconds()):
                async for latest in self._tasks.follow(kept, self._ending):
                    kept = latest
        except TimeoutError:
            pass
        return kept

    async def _told(self, kept: Kept) -> AsyncIterator[Event]:
        yield kept.task()
        async for latest in self._tasks.follow(kept, self._ending):
            if latest is not kept:
                for update in latest.updates_since(kept):
                    yield update
                kept = latest

    async def _found(self, task: str, context: ServerCallContext) -> Kept:
        try:
            identifier = UUID(task)
        except ValueError:
            raise TaskNotFoundError(f"there is no task {task[:60]!r}") from None
        kept = await self._tasks.get(await self._business(context), identifier)
        if kept is None:
            raise TaskNotFoundError(f"there is no task {task[:60]!r}")
        return kept

    async def _business(self, context: ServerCallContext, tenant: str = "") -> str:
        named = context.tenant or tenant
        if not named or named == DEFAULT:
            return DEFAULT
        if not await self._tasks.knows(checked_entity(named)):
            raise InvalidParamsError(f"tenant: there is no business {named!r} here")
        return named

    def _wanted(self, params: ListTasksRequest, entity: str, size: int) -> Wanted | None:
        """Return what is to be listed; None if that cannot be anything."""
        state = next((name for name, each in STATES.items() if each == params.status), None)
        if params.status != TaskState.TASK_STATE_UNSPECIFIED and state is None:
            return None
        since = None
        if params.HasField("status_timestamp_after"):
            since = params.status_timestamp_after.ToDatetime(tzinfo=UTC)
        before = None
        if params.page_token:
            cursor = decode_list_tasks_cursor(params.page_token)
            if cursor is None:
                raise InvalidParamsError("pageToken: it is none that was given out here")
            before = _place(cursor)
        return Wanted(
            entity=entity,
            context=params.context_id or None,
            state=state,
            since=since,
            before=before,
            limit=size + 1,
        )

    async def on_create_task_push_notification_config(
        self, params: TaskPushNotificationConfig, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Refuse: follow a task by its stream, or look at it."""
        raise PushNotificationNotSupportedError

    async def on_get_task_push_notification_config(
        self, params: GetTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> TaskPushNotificationConfig:
        """Refuse."""
        raise PushNotificationNotSupportedError

    async def on_list_task_push_notification_configs(
        self, params: ListTaskPushNotificationConfigsRequest, context: ServerCallContext
    ) -> ListTaskPushNotificationConfigsResponse:
        """Refuse."""
        raise PushNotificationNotSupportedError

    async def on_delete_task_push_notification_config(
        self, params: DeleteTaskPushNotificationConfigRequest, context: ServerCallContext
    ) -> None:
        """Refuse."""
        raise PushNotificationNotSupportedError

    async def on_get_extended_agent_card(
        self, params: GetExtendedAgentCardRequest, context: ServerCallContext
    ) -> AgentCard:
        """Refuse: there is one card, for everybody."""
        raise UnsupportedOperationError("there is no extended card; the public one has everything")


@contextmanager
def _translated() -> Iterator[None]:
    """Tell our errors in the protocol's own."""
    try:
        yield
    except (A2AError, asyncio.CancelledError, GeneratorExit):
        raise
    except Unavailable as error:
        raise InternalError(f"{error}; the same message may be sent again") from error
    except HigherSelfError as error:
        raise InvalidParamsError(str(error)) from error
    except Exception as error:
        telemetry.warning("a2a.request.failed", error=repr(error)[:1000])
        raise InternalError("this is a mistake in the server; its log has the details") from error


def _cursor(kept: Kept) -> ListTasksCursor:
    return ListTasksCursor(
        (kept.updated_at - _BEGIN) // timedelta(microseconds=1) * 1000, str(kept.id)
    )


def _place(cursor: ListTasksCursor) -> tuple[datetime, UUID]:
    try:
        at = _BEGIN + timedelta(microseconds=(cursor.timestamp_ns or 0) // 1000)
        return at, UUID(cursor.task_id)
    except (ValueError, OverflowError):
        raise InvalidParamsError("pageToken: it is none that was given out here") from None
