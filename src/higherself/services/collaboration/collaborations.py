"""Collaborations, run durably: the reducers decide, messages carry it out.

An answer or a timer is a message on the topic `collaboration`. Its handler applies the reducer, and
stores the new state with everything that goes out because of it in the transaction that ends the
message. So it can die anywhere and nothing is lost; what comes twice, or too late, changes nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID

from higherself.agents.coordination.commands import (
    Ask,
    CancelTask,
    CancelTimer,
    Command,
    End,
    Escalate,
    Reject,
    SetTimer,
)
from higherself.agents.coordination.events import (
    Cancelled,
    Event,
    PersonAnswered,
    Started,
    TimerDue,
    Unreachable,
)
from higherself.agents.coordination.model import Plan, Target
from higherself.agents.coordination.postgres import (
    Answer,
    Beginning,
    PostgresCollaborations,
    message_of,
)
from higherself.agents.coordination.proposals import PostgresProposals
from higherself.agents.coordination.reading import plan_of
from higherself.agents.coordination.records import Activity, Collaboration, Listed, Stored
from higherself.agents.coordination.reducing import reduce
from higherself.agents.coordination.state import ENDED, NEW, State
from higherself.agents.coordination.tuning import tuned
from higherself.db.entities import Entities
from higherself.db.pool import BRIEF, Database, Row, Transaction
from higherself.db.queryfile import read_queries
from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Rejected
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonObject, JsonValue, check_json
from higherself.messaging.envelope import Attribute, Envelope
from higherself.messaging.model import DONE, Message, Outcome, RetryPolicy
from higherself.messaging.outbox import PostgresOutbox
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.protocol import (
    REQUEST,
    AddressBook,
    Budget,
    Identity,
    NoAddressBook,
    UnknownRecipient,
    budget_of,
)
from higherself.services.collaboration.errors import (
    CollaborationBusy,
    CollaborationNotFound,
    NotEntitledToAnswer,
    NothingAsked,
)
from higherself.services.collaboration.speech import (
    SELF,
    TIMER,
    Frame,
    cost_of,
    event_of,
    frame_of,
    rejection_of,
    request_of,
    timer_id,
    timer_message,
)
from higherself.workflow.engine.model import COLLABORATIONS, SIGNALS
from higherself.workflow.engine.outgoing import CANCEL_COLLABORATION, ENDED_ELSEWHERE

QUERIES = read_queries("higherself.services.collaboration")

_AGENT = Identity("agent", "x").source[:-1]

TRIES = 20
"""How often a change is made anew because another process made one meanwhile."""
SHORT, LONG = timedelta(milliseconds=2), timedelta(milliseconds=200)

POLICY = RetryPolicy(
    max_attempts=50,
    base=timedelta(milliseconds=100),
    max_lapses=1_000,  # it is soon done, and whoever died over it did so for another reason
    timeout=timedelta(minutes=1),
)


Opened = Callable[[], AbstractAsyncContextManager[Transaction]]


class _MovedOn(Exception):
    """Another process has changed it meanwhile."""


@dataclass(slots=True)
class _Change:
    """A state, and what goes out with it."""

    state: State
    asks: dict[str, tuple[Ask, str, Mapping[str, Attribute]]] = field(default_factory=dict)
    timers: dict[str, datetime] = field(default_factory=dict)
    dropped: dict[str, datetime] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    question: Escalate | None = None
    end: End | None = None


class Collaborations:
    """Starts collaborations, moves them on, and shows them. Safe for concurrent use."""

    def __init__(
        self,
        database: Database,
        outbox: PostgresOutbox,
        clock: Clock,
        *,
        book: AddressBook | None = None,
    ) -> None:
        self._database, self._outbox, self._clock = database, outbox, clock
        self._book: AddressBook = book or NoAddressBook()
        self._entities = Entities(database, clock)
        self.store = PostgresCollaborations(database)
        self.proposals = PostgresProposals(database, clock)

    def knows(self, book: AddressBook) -> None:
        """Have roles and capabilities looked up in ``book`` from now on."""
        self._book = book

    # --- From Python.

    async def start(
        self,
        plan: Plan | Mapping[str, Any],
        input: JsonObject | None = None,
        *,
        entity: str = "default",
        key: str | None = None,
        cause: Envelope | None = None,
        activity: Activity | None = None,
        correlation: str | None = None,
    ) -> UUID:
        """Begin a collaboration, and return its identifier; it goes on in the workers.

        With a ``key`` it begins once for a business. ``cause``: the message because of which, whose
        conversation and budget it is a part of; ``correlation`` names the conversation if there is no
        such message. What was approved for plans of this name is applied.

        Raises
            PlanRejected: the plan cannot be carried out as it is; nothing was asked.
        """
        wanted = _wanted(plan, input)
        _check_key(key)
        if key is not None and (known := await self.store.by_key(entity, key)) is not None:
            return known
        wanted = tuned(wanted, await self.proposals.in_force(entity, wanted.name))
        await self._entities.remember(entity)
        now = await self.store.now()
        id = new_id(now)
        frame = Frame(
            id=id,
            entity=entity,
            plan=wanted,
            correlation_id=cause.correlation_id if cause else correlation or str(id),
            hop_count=cause.hop_count if cause else 0,
            budget=budget_of(cause) if cause else Budget(),
            cause=cause,
        )
        audience = await self._audience(entity, wanted)
        change = await self._decided(frame, NEW, Started(audience), now)
        beginning = Beginning(
            id=id,
            entity=entity,
            plan=wanted,
            key=key,
            correlation_id=frame.correlation_id,
            hop_count=frame.hop_count,
            budget_micro_usd=frame.budget.micro_usd,
            budget_tokens=frame.budget.tokens,
            activity=activity,
            now=now,
        )
        if not await self._begun(frame, beginning, change):
            known = await self.store.by_key(entity, key) if key is not None else None
            if known is None:
                raise CollaborationBusy(id)
            return known
        telemetry.count("coordination.collaboration.started", pattern=wanted.pattern)
        if change.end is not None:
            _measure_end(wanted, change.end, 0.0, len(change.state.tasks))
        return id

    async def _begun(self, frame: Frame, beginning: Beginning, change: _Change) -> bool:
        """Store a collaboration with its first messages; return whether its key was free."""
        activity = beginning.activity
        async with self._database.transaction(entity=frame.entity, settings=BRIEF) as tx:
            if activity is not None and not await _still_wanted(tx, activity):
                raise NothingAsked(frame.id, "is not wanted any more")
            question = _question(change)
            if not await self.store.begin(tx, beginning, change.state, question, change.end):
                return False
            await self._send(tx, frame, change)
            if change.end is not None and activity is not None:
                await self._tell_engine(tx, frame, activity, change.end, 0.0)
        return True

    async def get(self, id: UUID) -> Collaboration:
        """Return a collaboration, with everything that was asked in it.

        Raises
            CollaborationNotFound: there is none of this identifier.
        """
        found = await self.store.show(id)
        if found is None:
            raise CollaborationNotFound(id)
        return found

    async def latest(self, **wanted: Any) -> list[Listed]:
        """Return the latest collaborations; see `PostgresCollaborations.latest`."""
        return await self.store.latest(**wanted)

    async def wait(
        self,
        id: UUID,
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109  it is what callers look for
    ) -> Collaboration:
        """Return a collaboration once it has ended.

        Raises
            CollaborationNotFound: there is none of this identifier.
            TimeoutError: it goes on all the same.
        """
        pause = timedelta(milliseconds=10)
        async with asyncio.timeout(None if timeout is None else timeout.total_seconds()):
            while not (found := await self.get(id)).ended:
                await self._clock.sleep(pause)
                pause = min(pause * 1.5, timedelta(seconds=1))
        return found

    async def cancel(self, id: UUID, *, reason: str = "cancelled") -> Collaboration:
        """End a collaboration once what was done is undone; one that has ended stays as it is.

        Raises
            CollaborationNotFound: there is none of this identifier.
        """
        await self._happens(id, Cancelled(reason))
        return await self.get(id)

    async def answer(
        self,
        id: UUID,
        *,
        by: str,
        roles: Sequence[str],
        outcome: Literal["approved", "rejected"] = "approved",
        data: JsonObject | None = None,
    ) -> Collaboration:
        """Decide as a person what no agent could.

        Raises
            CollaborationNotFound, NothingAsked: there is none, or no person is asked in it.
            NotEntitledToAnswer: none of ``roles`` is asked.
        """
        question = (await self.get(id)).question
        if question is None:
            raise NothingAsked(id, "asks nobody anything")
        asked = [str(each) for each in _listed(question.get("roles"))]
        if not set(asked) & set(roles):
            raise NotEntitledToAnswer(id, asked)
        check_json(data or {}, "data")
        if not await self._happens(id, PersonAnswered(outcome, by, data or {})):
            raise NothingAsked(id, "asks nobody any more")
        return await self.get(id)

    # --- Messages.

    def subscription(self, *, concurrency: int = 32) -> Subscription:
        """Return what a consumer has to subscribe to."""
        return Subscription(
            topic=COLLABORATIONS, handler=self.handle, concurrency=concurrency, policy=POLICY
        )

    async def handle(self, delivery: Delivery) -> Outcome | None:
        """Apply an answer, a timer or a cancellation."""
        envelope = delivery.envelope
        if envelope.type == CANCEL_COLLABORATION and envelope.source.startswith("workflow/"):
            for id, _ in await self.store.of_activity(_text(envelope.data, "key")):
                await self._happens(id, Cancelled("its workflow wants it no more"))
            return DONE
        if envelope.type == TIMER and envelope.source == SELF:
            timer, due_at = _text(envelope.data, "timer"), _text(envelope.data, "due_at")
            found = UUID(envelope.subject or "")
            event: _Make = lambda state: (  # noqa: E731
                TimerDue(timer) if _is_due(state, timer, due_at) else None
            )
            return await self._handled(delivery, found, event, 0)
        found_asked = await self._asked(envelope)
        if found_asked is None:
            telemetry.count("coordination.answer.ignored")
            return DONE
        asked, agent = found_asked
        answer = event_of(asked["task"], asked["kind"], agent, envelope)
        return await self._handled(
            delivery, asked["collaboration_id"], lambda state: answer, cost_of(envelope)
        )

    async def _asked(self, envelope: Envelope) -> tuple[Row, str] | None:
        """Return what a message answers, and who does.

        It is looked for by the request's identifier, which the bus has every answer carry: so it
        makes no difference through how many hands the request went, nor who stood in for whom.
        """
        named = envelope.extensions.get(REQUEST, envelope.causation_id)
        try:
            request = UUID(str(named))
        except ValueError:
            return None
        asked = await self.store.asked_by(request)
        if asked is None:
            return None
        speaks = envelope.source.startswith(_AGENT)
        by = envelope.source.removeprefix(_AGENT) if speaks else asked["agent"]
        handed_on = str(request) != envelope.causation_id
        return (asked, by) if handed_on or (speaks and by == asked["agent"]) else None

    async def _handled(
        self, delivery: Delivery, id: UUID, make: "_Make", cost: int
    ) -> Outcome | None:
        changed = await self._applied(id, make, delivery.once, cost=cost, cause=delivery.envelope)
        return None if changed else DONE

    async def _happens(self, id: UUID, event: Event) -> bool:
        stored = await self.store.find(id)
        if stored is None:
            raise CollaborationNotFound(id)
        opened: Opened = lambda: self._database.transaction(entity=stored.entity, settings=BRIEF)  # noqa: E731
        return await self._applied(id, lambda state: event, opened)

    async def _applied(
        self,
        id: UUID,
        make: "_Make",
        opened: Opened,
        *,
        cost: int = 0,
        cause: Envelope | None = None,
    ) -> bool:
        """Apply an event in a transaction that is ``opened`` for it; return whether it counted."""
        for attempt in range(1, TRIES + 1):
            stored = await self.store.find(id)
            if stored is None or stored.state.status in ENDED:
                return False
            event = make(stored.state)
            if event is None:
                return False
            frame = frame_of(stored, cost, cause)
            change = await self._decided(frame, stored.state, event, stored.now)
            if change.state is stored.state:
                return False
            try:
                async with opened() as tx:
                    seconds, answered = await self._stored(tx, frame, stored, change, event, cost)
            except _MovedOn:
                await self._clock.sleep(exponential(attempt, base=SHORT, ceiling=LONG))
                continue
            _measure(frame.plan, stored.state, change, answered, seconds)
            return True
        raise CollaborationBusy(id)

    # --- Deciding.

    async def _audience(self, entity: str, plan: Plan) -> dict[str, tuple[str, ...]]:
        """Return who is there for the steps of a pattern that asks everybody."""
        if plan.pattern not in ("publish", "delegate"):
            return {}
        return {
            step.id: tuple(
                await self._book.present(
                    step.agent.entity or entity,
                    role=step.agent.role,
                    capability=step.agent.capability,
                )
            )
            for step in plan.steps
            if step.agent.name is None
        }

    async def _decided(self, frame: Frame, before: State, event: Event, now: datetime) -> _Change:
        """Return what ``event`` leads to. Whom nobody finds counts as not there."""
        state, commands = reduce(frame.plan, before, event, now)
        change = _Change(state)
        left = deque(commands)
        while left:
            command = left.popleft()
            if isinstance(command, Ask):
                try:
                    agent, why = await self._find(frame.entity, command.to)
                except UnknownRecipient as unknown:
                    away = Unreachable(command.task, str(unknown))
                    change.state, more = reduce(frame.plan, change.state, away, now)
                    left.extend(more)
                    continue
                change.asks[command.task] = command, agent, why
            else:
                _collect(change, before, command)
        return change

    async def _find(self, entity: str, to: Target) -> tuple[str, Mapping[str, Attribute]]:
        if to.name is not None:
            found = await self._book.find(to.entity or entity, name=to.name)
        elif to.role is not None:
            found = await self._book.find(to.entity or entity, role=to.role)
        else:
            found = await self._book.find(to.entity or entity, capability=to.capability)
        return found.agent, found.why

    # --- Storing.

    async def _stored(
        self,
        tx: Transaction,
        frame: Frame,
        stored: Stored,
        change: _Change,
        event: Event,
        cost: int,
    ) -> tuple[float, list[Row]]:
        question = _question(change) or (
            stored_question(change.state, stored) if change.state.asks_people else None
        )
        seconds = await self.store.change(
            tx, stored.id, stored.sequence, change.state, question, change.end
        )
        if seconds is None:
            raise _MovedOn
        named = getattr(event, "task", None)
        answers = [
            Answer(task, after.status, after.reason, cost if task == named else 0)
            for task, after in change.state.tasks.items()
            if (was := stored.state.tasks.get(task)) is not None
            and was.status == "asked" != after.status
        ]
        answered = await self.store.note_answered(tx, stored.id, answers)
        gone = [message_of(row) for row in answered if row["task"] in change.cancelled]
        gone += [timer_id(stored.id, frame.entity, *timer) for timer in change.dropped.items()]
        if gone:
            await self._outbox.cancel(tx, *gone, reason="nobody waits for it any more")
        await self._send(tx, frame, change)
        if change.end is not None and stored.activity is not None:
            await self._tell_engine(tx, frame, stored.activity, change.end, seconds)
        return seconds, answered

    async def _send(self, tx: Transaction, frame: Frame, change: _Change) -> None:
        messages, asked = [], []
        for ask, agent, why in change.asks.values():
            message = request_of(frame, ask, agent, why)
            messages.append(message)
            asked.append(
                {
                    "task": ask.task,
                    "step": ask.step,
                    "kind": ask.kind,
                    "attempt": ask.attempt,
                    "wanted": str(ask.to),
                    "agent": agent,
                    "message_id": str(message.id),
                }
            )
        messages += [rejection_of(frame, each) for each in change.rejects]
        for timer, due_at in change.timers.items():
            messages.append(timer_message(frame, timer, due_at))
        await self.store.note_asked(tx, frame.id, frame.entity, asked)
        if messages:
            await self._outbox.publish(tx, *messages)

    async def _tell_engine(
        self, tx: Transaction, frame: Frame, activity: Activity, end: End, seconds: float
    ) -> None:
        """Have the instance know, in the transaction in which it ends."""
        agent = end.outcome.get("agent") if isinstance(end.outcome, Mapping) else None
        data: dict[str, JsonValue] = {
            "key": activity.key,
            "attempt": activity.attempt,
            "status": end.status,
            "result": end.outcome if end.status == "completed" else None,
            "reason": end.reason,
            "type": end.type,
            "agent": agent if isinstance(agent, str) else None,
            "milliseconds": round(seconds * 1000, 3),
        }
        told = Message(
            topic=SIGNALS,
            type=ENDED_ELSEWHERE,
            source=SELF,
            subject=str(activity.instance),
            entity=frame.entity,
            data=data,
            idempotency_key=f"collaboration/{frame.id}/ended",
            correlation_id=frame.correlation_id,
            hop_count=frame.hop_count,
        )
        await self._outbox.publish(tx, told)


_Make = Callable[[State], Event | None]


# --- Changes.


def _collect(change: _Change, before: State, command: Command) -> None:
    """Add a command to a change; what is asked and taken back in one change, nobody hears of."""
    match command:
        case SetTimer(timer, due_at):
            change.timers[timer] = due_at
        case CancelTimer(timer):
            if change.timers.pop(timer, None) is None and timer in before.timers:
                change.dropped[timer] = before.timers[timer]
        case CancelTask(task):
            if change.asks.pop(task, None) is None:
                change.cancelled.append(task)
        case Reject():
            change.rejects.append(command)
        case Escalate():
            change.question = command
        case End():
            change.end = command
        case Ask():
            raise AssertionError("asking is no matter of this")


def _wanted(plan: Plan | Mapping[str, Any], given: JsonObject | None) -> Plan:
    wanted = plan if isinstance(plan, Plan) else plan_of(plan)
    if not given:
        return wanted
    check_json(given, "input")
    return replace(wanted, input={**wanted.input, **given})


def _check_key(key: str | None) -> None:
    if key is not None and not 0 < len(key) <= 500:
        raise Rejected(f"key: {key[:30]!r} is not 1 to 500 characters")


def _question(change: _Change) -> JsonObject | None:
    asked = change.question
    if asked is None or not change.state.asks_people:
        return None
    return {
        "roles": list(asked.roles),
        "question": asked.question,
        "data": asked.data,
        "expires_at": asked.expires_at.isoformat(),
    }


def stored_question(state: State, stored: Stored) -> JsonObject | None:
    """Return what a person is asked already."""
    people = stored.plan.people
    if people is None or not state.asks_people:
        return None
    return {"roles": list(people.roles), "question": people.question, "data": {}}


async def _still_wanted(tx: Transaction, activity: Activity) -> bool:
    named = {
        "instance_id": activity.instance,
        "key": activity.key,
        "attempt": activity.attempt,
    }
    return await tx.maybe(QUERIES["still_wanted"], named) is not None


def _is_due(state: State, timer: str, due_at: str) -> bool:
    set_for = state.timers.get(timer)
    return set_for is not None and set_for == datetime.fromisoformat(due_at)


def _text(data: JsonValue, key: str) -> str:
    return str(data.get(key, "")) if isinstance(data, Mapping) else ""


def _listed(value: JsonValue) -> Sequence[JsonValue]:
    return value if isinstance(value, list | tuple) else ()


# --- Measuring.


def _measure(
    plan: Plan, before: State, change: _Change, answered: Sequence[Row], seconds: float
) -> None:
    for row in answered:
        telemetry.duration(
            "coordination.task.answered", row["seconds"], pattern=plan.pattern, status=row["status"]
        )
    retried = sum(ask.attempt > 1 for ask, _, _ in change.asks.values())
    if retried:
        telemetry.count("coordination.task.retried", retried, pattern=plan.pattern)
    if change.end is not None:
        _measure_end(plan, change.end, seconds, len(change.state.tasks))


def _measure_end(plan: Plan, end: End, seconds: float, asked: int) -> None:
    telemetry.duration(
        "coordination.collaboration.ended", seconds, pattern=plan.pattern, status=end.status
    )
    telemetry.count("coordination.task.asked", asked, pattern=plan.pattern)
