"""Collaborations, run durably: the reducers decide, messages carry it out.

An answer or a timer is a message on the topic `collaboration`. Its handler applies the reducer, and
stores the new state with everything that goes out because of it in the transaction that ends the
message. So it can die anywhere and nothing is lost; what comes twice, or too late, changes nothing.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
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
    SetTimer,
)
from higherself.agents.coordination.events import (
    Answered,
    Bid,
    Cancelled,
    Event,
    Failed,
    HandedOff,
    PersonAnswered,
    Refused,
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
from higherself.agents.coordination.reading import PlanRejected, plan_of
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
from higherself.kernel.errors import Conflict, NotFound, Rejected, Unavailable
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonObject, JsonValue, check_json
from higherself.messaging.envelope import Attribute, Envelope, MessageId
from higherself.messaging.model import DONE, Message, Outcome, RetryPolicy, identifier_of_key
from higherself.messaging.outbox import PostgresOutbox
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.protocol import (
    AGENTS,
    MICRO_USD,
    PERFORMATIVE,
    REPLY_TO,
    REQUEST,
    SPENT_MICRO_USD,
    TO,
    TOKENS,
    TRACE,
    AddressBook,
    Budget,
    Identity,
    NoAddressBook,
    UnknownRecipient,
    budget_of,
    trace_of,
)
from higherself.workflow.definition import Collaboration as Collaboration_
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.definition.terms import agent_keys, step_terms, terms_of
from higherself.workflow.engine.activities import ActivityCall, ActivityRunner, Deferred, Ran
from higherself.workflow.engine.errors import CannotRun
from higherself.workflow.engine.model import COLLABORATIONS, SIGNALS
from higherself.workflow.engine.outgoing import CANCEL_COLLABORATION, ENDED_ELSEWHERE

QUERIES = read_queries("higherself.services", "collaboration.sql")

SELF = Identity("service", "collaboration").source
TIMER = "collaboration.timer"
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

_PERFORMATIVES = {"work": "request", "undo": "request", "bid": "cfp", "reaction": "inform"}

Opened = Callable[[], AbstractAsyncContextManager[Transaction]]


class CollaborationNotFound(NotFound):
    """No collaboration has this identifier."""

    def __init__(self, id: UUID) -> None:
        super().__init__(f"no collaboration {id}; list them with `higherself patterns list`")
        self.id = id


class CollaborationBusy(Unavailable):
    """So many want to change a collaboration at once that this one did not get its turn."""

    def __init__(self, id: UUID) -> None:
        super().__init__(f"collaboration {id} is being changed by many at once; try again")
        self.id = id


class NothingAsked(Conflict):
    """A person answered what nobody has asked."""

    def __init__(self, id: UUID, reason: str) -> None:
        super().__init__(f"collaboration {id} {reason}; see `higherself patterns show {id}`")
        self.id = id


class NotEntitledToAnswer(Rejected):
    """Somebody answered who has none of the roles that are asked."""

    def __init__(self, id: UUID, roles: Sequence[str]) -> None:
        super().__init__(f"collaboration {id} asks {' or '.join(roles)}; answer as one of them")
        self.id, self.roles = id, tuple(roles)


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
    question: Escalate | None = None
    end: End | None = None


@dataclass(frozen=True, slots=True)
class _Frame:
    """What all messages of a collaboration have in common."""

    id: UUID
    entity: str
    plan: Plan
    correlation_id: str
    hop_count: int
    budget: Budget
    cause: Envelope | None


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
    ) -> UUID:
        """Begin a collaboration, and return its identifier; it goes on in the workers.

        With a ``key`` it begins once for a business. ``cause``: the message because of which, whose
        conversation and budget it is a part of. What was approved for plans of this name is applied.

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
        frame = _Frame(
            id=id,
            entity=entity,
            plan=wanted,
            correlation_id=cause.correlation_id if cause else str(id),
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

    async def _begun(self, frame: _Frame, beginning: Beginning, change: _Change) -> bool:
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
            delivery, asked["collaboration_id"], lambda state: answer, _cost(envelope)
        )

    async def _asked(self, envelope: Envelope) -> tuple[Row, str] | None:
        """Return what a message answers, and who does: the one who was asked, or had it after."""
        speaker, by = envelope.source, envelope.source.removeprefix(_AGENT)
        try:
            cause = UUID(envelope.causation_id or "")
            request = UUID(str(envelope.extensions.get(REQUEST, cause)))
        except ValueError:
            return None
        if request != cause and speaker.startswith(_AGENT):  # handed on, as the bus itself says
            asked = await self.store.asked_by(request)
            return None if asked is None else (asked, by)
        asked = await self.store.asked_by(cause)
        if asked is not None:
            known = envelope.source == Identity("agent", asked["agent"]).source
            return (asked, asked["agent"]) if known else None
        for row in await self.store.handed(cause):
            owner = str(row["topic"]).removeprefix(AGENTS)
            if speaker != Identity("agent", owner).source:
                return None
            asked = await self.store.asked_by(row["message_id"])
            if asked is not None:
                return (asked, by) if owner == asked["agent"] else None
            speaker = row["source"]
        return None

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
            frame = _frame(stored, cost, cause)
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

    async def _decided(self, frame: _Frame, before: State, event: Event, now: datetime) -> _Change:
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
        frame: _Frame,
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
        gone += [_timer_id(stored.id, frame.entity, *timer) for timer in change.dropped.items()]
        if gone:
            await self._outbox.cancel(tx, *gone, reason="nobody waits for it any more")
        await self._send(tx, frame, change)
        if change.end is not None and stored.activity is not None:
            await self._tell_engine(tx, frame, stored.activity, change.end, seconds)
        return seconds, answered

    async def _send(self, tx: Transaction, frame: _Frame, change: _Change) -> None:
        messages, asked = [], []
        for ask, agent, why in change.asks.values():
            message = _request(frame, ask, agent, why)
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
        for timer, due_at in change.timers.items():
            messages.append(_timer(frame, timer, due_at))
        await self.store.note_asked(tx, frame.id, frame.entity, asked)
        if messages:
            await self._outbox.publish(tx, *messages)

    async def _tell_engine(
        self, tx: Transaction, frame: _Frame, activity: Activity, end: End, seconds: float
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


class CollaboratingRunner:
    """Runs activities: skills here and now, collaborations as messages that outlive the worker."""

    def __init__(self, skills: ActivityRunner, collaborations: Collaborations) -> None:
        self._skills, self._collaborations = skills, collaborations

    async def run(self, call: ActivityCall) -> Ran | Deferred:
        """Return what a skill comes to, or that agents have begun to collaborate.

        Raises
            PlanRejected: the definition has no such pattern, or not with these keys.
            CannotRun, Exception: see `SkillRunner.run`.
        """
        if call.pattern is None:
            return await self._skills.run(call)
        state = call.activity.removesuffix("/collaborate")
        plan = plan_of(plan_data(call), name=f"{call.workflow}/{state}")
        for id, attempt in await self._collaborations.store.of_activity(call.key):
            if attempt < call.attempt:
                await self._collaborations.cancel(id, reason="it is tried anew")
        try:
            await self._collaborations.start(
                plan,
                entity=call.entity,
                key=f"{call.key}/{call.attempt}",
                activity=Activity(call.instance, call.key, call.attempt),
            )
        except NothingAsked:
            return Deferred()  # the instance has gone on without it
        except CollaborationBusy as busy:
            raise CannotRun(str(busy)) from busy
        return Deferred()


def plan_data(call: ActivityCall) -> dict[str, Any]:
    """Return the plan of a collaboration that a workflow asks for, as data."""
    steps = []
    for task in call.tasks:
        agent = {
            key: getattr(task.agent, key)
            for key in ("name", "role", "capability", "entity")
            if getattr(task.agent, key) is not None
        }
        steps.append({**agent, "task": task.task, "input": task.input, **task.terms})
    data: dict[str, Any] = {
        "pattern": call.pattern,
        "steps": steps,
        "input": call.input,
        **call.terms,
    }
    if call.timeout is not None:
        data["timeout"] = call.timeout
    return data


def plan_problems(definition: WorkflowDefinition) -> Iterator[tuple[str, str]]:
    """Yield what of the collaborations of ``definition`` could not be carried out, and where."""
    for path, work in definition.activities.items():
        if isinstance(work, Collaboration_):
            steps = [
                {**agent_keys(step.agent), "task": step.task, **step_terms(step)}
                for step in work.steps
            ]
            try:
                plan_of({"pattern": work.pattern, "steps": steps, **terms_of(work)})
            except PlanRejected as rejected:
                where = f"states.{path.replace('/', '.')}.{rejected.path}"
                yield where, rejected.reason


# --- Events.


def event_of(task: str, kind: str, agent: str, envelope: Envelope) -> Event:
    """Return what an answer means for the one who asked for it."""
    said: Mapping[str, Any] = envelope.data if isinstance(envelope.data, Mapping) else {}
    match envelope.extensions.get(PERFORMATIVE, "response"):
        case "refuse":
            return Refused(task, _reason(envelope), agent)
        case "failure":
            return Failed(task, _reason(envelope), said.get("permanent") is not True, agent)
        case "propose":
            return _bid(task, agent, said)
        case _ if kind == "bid" and said.keys() & {"price", "seconds", "confidence"}:
            return _bid(task, agent, said)
        case _ if isinstance(said.get("hand_off"), Mapping):
            return _handed_off(task, agent, said["hand_off"])
        case _:
            return Answered(task, envelope.data, agent)


def _bid(task: str, agent: str, said: Mapping[str, Any]) -> Event:
    try:
        return Bid(
            task,
            agent,
            float(said.get("price") or 0),
            float(said.get("seconds") or 0),
            1.0 if said.get("confidence") is None else float(said["confidence"]),
        )
    except (TypeError, ValueError):
        return Refused(task, "its bid has no numbers for price, seconds and confidence", agent)


def _handed_off(task: str, agent: str, said: Mapping[str, Any]) -> Event:
    names = [said.get(each) for each in ("name", "role", "capability")]
    to = said.get("to")
    if isinstance(to, str):  # an address, such as role:community_curator
        kind, _, name = to.rpartition(":")
        names = [name if kind == each else None for each in ("agent", "role", "capability")]
        names[0] = names[0] or (name if not kind else None)
    given = [each if isinstance(each, str) and each else None for each in names]
    reason = said.get("reason")
    return HandedOff(
        task,
        Target(*given) if any(given) else None,
        reason if isinstance(reason, str) else "",
        said.get("data"),
        agent,
    )


def _reason(envelope: Envelope) -> str:
    said = envelope.data
    if isinstance(said, Mapping):
        said = said.get("reason") or said.get("error") or said.get("message")
    return str(said)[:2000].replace("\0", "?") if said else "it gave no reason"


def _cost(envelope: Envelope) -> int:
    said = envelope.extensions.get(SPENT_MICRO_USD)
    if isinstance(said, str) and said.isdecimal():
        said = int(said)
    return max(0, said) if isinstance(said, int) and not isinstance(said, bool) else 0


# --- Messages.


def _request(frame: _Frame, ask: Ask, agent: str, why: Mapping[str, Attribute]) -> Message:
    topic, name = AGENTS + agent, f"{frame.id}/{ask.task}"
    identifier = identifier_of_key(frame.entity, topic, name)
    said: dict[str, Attribute] = {
        **why,
        TO: f"agent:{agent}",
        REPLY_TO: COLLABORATIONS,
        PERFORMATIVE: _PERFORMATIVES[ask.kind],
        TRACE: trace_of(frame.correlation_id, identifier, frame.cause),
    }
    for key, left in ((MICRO_USD, frame.budget.micro_usd), (TOKENS, frame.budget.tokens)):
        if left is not None:
            said[key] = left if left < 2**31 else str(left)
    return Message(
        topic=topic,
        type=ask.type,
        source=SELF,
        data=ask.data,
        subject=str(frame.id),
        entity=frame.entity,
        expires=ask.deadline,
        correlation_id=frame.correlation_id,
        causation_id=str(frame.cause.id) if frame.cause else None,
        hop_count=frame.hop_count + 1,
        extensions=said,
        id=identifier,
    )


def _timer(frame: _Frame, timer: str, due_at: datetime) -> Message:
    return Message(
        topic=COLLABORATIONS,
        type=TIMER,
        source=SELF,
        data={"timer": timer, "due_at": due_at.isoformat()},
        subject=str(frame.id),
        entity=frame.entity,
        not_before=due_at,
        correlation_id=frame.correlation_id,
        hop_count=frame.hop_count,
        id=_timer_id(frame.id, frame.entity, timer, due_at),
    )


def _timer_id(id: UUID, entity: str, timer: str, due_at: datetime) -> MessageId:
    return identifier_of_key(entity, COLLABORATIONS, f"{id}/{timer}/{due_at.isoformat()}")


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


def _frame(stored: Stored, cost: int, cause: Envelope | None) -> _Frame:
    spent = stored.cost_micro_usd + cost
    return _Frame(
        id=stored.id,
        entity=stored.entity,
        plan=stored.plan,
        correlation_id=stored.correlation_id,
        hop_count=stored.hop_count,
        budget=Budget(stored.budget_micro_usd, stored.budget_tokens).less(spent),
        cause=cause,
    )


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
