"""The bus: who has a view of it can send, ask, publish and be told, whatever road a message takes.

A view says who speaks, for which business, and in answer to what; everything else is the same for
all. Views are cheap: each handler gets its own.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pydantic_core import from_json, to_json

from higherself.db.pool import Transaction
from higherself.kernel.errors import Rejected, Unavailable
from higherself.kernel.ids import checked_entity, new_id
from higherself.kernel.jsonvalue import JsonValue, check_json
from higherself.kernel.tasks import in_background
from higherself.messaging.consumer import GRACE, LEASE, Consumer
from higherself.messaging.envelope import Attribute, Envelope, MessageId, check_extensions
from higherself.messaging.errors import MessageMalformed, MessageTooLarge, TooManyHops
from higherself.messaging.exchange import Exchange
from higherself.messaging.model import (
    LONGEST_NAME,
    MOST_HOPS,
    Message,
    Prepared,
    Priority,
    RetryPolicy,
    When,
    check_name,
)
from higherself.messaging.outbox import LARGEST
from higherself.messaging.patterns import EVENTS, copy_of, group_topic
from higherself.messaging.protocol import (
    MICRO_USD,
    PERFORMATIVE,
    REPLIES,
    REPLY_TO,
    REQUEST,
    SPENT_MICRO_USD,
    SPENT_TOKENS,
    TO,
    TOKENS,
    TRACE,
    UNLIMITED,
    Budget,
    Identity,
    Performative,
    Purse,
    address,
    inbox,
    trace_of,
)
from higherself.messaging.roads import NobodyHears
from higherself.messaging.serving import Answer, Served, serve
from higherself.messaging.subscribing import Told
from higherself.messaging.walking import Health, NoRoad

OURS = frozenset(
    (TO, REPLY_TO, REQUEST, PERFORMATIVE, MICRO_USD, TOKENS, SPENT_MICRO_USD, SPENT_TOKENS)
)
"""Extensions that only the bus sets."""

LARGEST_INTEGER = 2**31 - 1
"""Of CloudEvents; larger numbers go as text."""


class RequestRefused(Rejected):
    """Whoever was asked will not do it; asking the same again does not help."""

    def __init__(self, by: str, reason: str) -> None:
        super().__init__(f"{by} refuses: {reason}")
        self.by, self.reason = by, reason


class RequestFailed(Unavailable):
    """Whoever was asked could not do it."""

    def __init__(self, by: str, reason: str) -> None:
        super().__init__(f"{by} could not do it: {reason}")
        self.by, self.reason = by, reason


@dataclass(frozen=True, slots=True)
class Receipt:
    """A message that was taken. ``agent``: who it went to, if that was found out by routing.

    ``is_new``: by this call, not by an earlier one with its idempotency key.
    """

    id: MessageId
    road: str
    is_new: bool = True
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, and the road it came by."""

    envelope: Envelope
    road: str

    @property
    def data(self) -> JsonValue:
        """What was answered."""
        return self.envelope.data


@dataclass(frozen=True, slots=True, kw_only=True)
class Bus:
    """A view of the bus. Made by `bus_of`, then by `speaking_as`, `about`, `within`."""

    exchange: Exchange
    identity: Identity
    entity: str | None = None
    cause: Envelope | None = None
    purse: Purse = field(default_factory=lambda: Purse(UNLIMITED))
    _tx: Transaction | None = None

    def speaking_as(self, identity: Identity, *, entity: str | None = None) -> "Bus":
        """Return the bus as ``identity`` has it (for another business, if one is named)."""
        return replace(self, identity=identity, entity=entity or self.entity)

    def about(self, cause: Envelope) -> "Bus":
        """Return the bus for what ``cause`` brings about: its conversation, business and budget."""
        purse = self.exchange.purse_of(cause)
        return replace(self, cause=cause, entity=cause.entity or self.entity, purse=purse)

    def within(self, tx: Transaction) -> "Bus":
        """Return the bus for a transaction: what is sent is stored in it, and stays or vanishes with it.

        So it takes the road PostgreSQL, and nothing can be asked and awaited.
        """
        return replace(self, _tx=tx)

    def spend(self, *, micro_usd: int = 0, tokens: int = 0) -> None:
        """Take what something cost from the budget of everything that the cause brings about."""
        self.purse.spend(micro_usd=micro_usd, tokens=tokens)

    async def send(
        self,
        to: str,
        type_: str,
        data: JsonValue = None,
        *,
        entity: str | None = None,
        subject: str | None = None,
        partition_key: str | None = None,
        idempotency_key: str | None = None,
        priority: Priority = Priority.NORMAL,
        expires: When | None = None,
        not_before: When | None = None,
        reply_to: str | None = None,
        performative: Performative = "inform",
        budget: Budget | None = None,
        extensions: Mapping[str, Attribute] | None = None,
        request: str | None = None,
        durable: bool = True,
    ) -> Receipt:
        """Send a message to one: ``agent:nyra``, ``topic:mail.send``, ``capability:X``, ``role:X``.

        ``reply_to``: an address (agent or topic) for answers, which are answers to the message
        ``request`` if this one passes it on. ``budget``: what may be spent on this
        one, which is taken from what is left; unset, it may spend all that is left. Not ``durable``:
        whoever hears now gets it at once, and only if nobody does, it is kept.

        Raises
            MessageMalformed, MessageTooLarge, NotJson, TooManyHops, BudgetSpent: it cannot be sent.
            UnknownRecipient: nobody is there by that name, capability or role.
            TopicFull: the recipient is too far behind.
            Unavailable: no road took it, or it is not known whether one did; with the same
                idempotency key it may be sent again.
        """
        whose = self._whose(entity)
        topic, agent, extra = await self._resolved(to, whose)
        envelope = self._composed(
            type_,
            data,
            topic=topic,
            entity=whose,
            subject=subject,
            partition_key=partition_key,
            idempotency_key=idempotency_key,
            expires=expires,
            performative=performative,
            to=to,
            reply_to=None if reply_to is None else _reply_topic(reply_to),
            request=request,
            budget=budget,
            extensions={**extra, **(extensions or {})},
        )
        if not durable and self._tx is None and not_before is None:
            try:
                road = await self._tell(topic, envelope)
                return Receipt(envelope.id, road, agent=agent)
            except (NobodyHears, NoRoad):
                pass
        message = _message(topic, envelope, expires, idempotency_key, priority, not_before)
        return await self._kept(message, agent)

    async def request(
        self,
        to: str,
        type_: str,
        data: JsonValue = None,
        *,
        timeout: timedelta,  # noqa: ASYNC109  it goes along with the request, as its expiry
        entity: str | None = None,
        subject: str | None = None,
        partition_key: str | None = None,
        idempotency_key: str | None = None,
        priority: Priority = Priority.NORMAL,
        performative: Performative = "request",
        budget: Budget | None = None,
        extensions: Mapping[str, Attribute] | None = None,
        durable: bool = False,
    ) -> Reply:
        """Ask, and return the answer. The request expires when it is awaited no more.

        Not ``durable``: it goes to whoever hears now; if nobody does on any direct road, it is kept
        for whoever comes in time.

        Raises
            RequestTimedOut: there was no answer; it may be handled all the same.
            RequestRefused, RequestFailed: the answer says so.
            ...: see `send`.
        """
        if self._tx is not None:
            raise AssertionError("an answer cannot be awaited within a transaction")
        whose = self._whose(entity)
        topic, _, extra = await self._resolved(to, whose)
        envelope = self._composed(
            type_,
            data,
            topic=topic,
            entity=whose,
            subject=subject,
            partition_key=partition_key,
            idempotency_key=idempotency_key,
            expires=timeout,
            performative=performative,
            to=to,
            reply_to=None,
            budget=budget,
            extensions={**extra, **extensions} if extensions else extra,
        )
        if not durable:
            began = self.exchange.clock.monotonic()
            try:
                return _checked(*await self.exchange.request(topic, envelope, timeout))
            except (NobodyHears, NoRoad):
                timeout -= timedelta(seconds=self.exchange.clock.monotonic() - began)
        asking = replace(
            envelope, extensions={**envelope.extensions, REPLY_TO: self.exchange.answers_topic}
        )
        message = _message(topic, asking, timeout, idempotency_key, priority, None)
        return _checked(*await self.exchange.request_durably(message, to, timeout))

    async def publish(
        self,
        type_: str,
        data: JsonValue = None,
        *,
        entity: str | None = None,
        subject: str | None = None,
        partition_key: str | None = None,
        idempotency_key: str | None = None,
        priority: Priority = Priority.NORMAL,
        expires: When | None = None,
        not_before: When | None = None,
        extensions: Mapping[str, Attribute] | None = None,
        durable: bool = True,
    ) -> Receipt:
        """Tell all groups whose pattern fits ``type_`` that something has happened.

        Not ``durable``: groups of which somebody hears now are told at once; for the others it is kept.

        Raises
            ...: see `send`.
        """
        whose = self._whose(entity)
        envelope = self._composed(
            type_,
            data,
            topic=EVENTS,
            entity=whose,
            subject=subject,
            partition_key=partition_key,
            idempotency_key=idempotency_key,
            expires=expires,
            performative="inform",
            to=None,
            reply_to=None,
            budget=None,
            extensions=extensions or {},
        )
        if not durable and self._tx is None and not_before is None:
            return await self._told_directly(envelope, priority)
        message = _message(EVENTS, envelope, expires, idempotency_key, priority, not_before)
        return await self._kept(message, None)

    async def broadcast(
        self,
        type_: str,
        data: JsonValue = None,
        *,
        role: str | None = None,
        capability: str | None = None,
        **more: Any,
    ) -> tuple[Receipt, ...]:
        """Send one copy to every agent that is present (with a role, a capability); see `send`."""
        whose = self._whose(more.get("entity"))
        agents = await self.exchange.book.present(whose, role=role, capability=capability)
        key = more.pop("idempotency_key", None)
        receipts = []
        for agent in agents:
            own = None if key is None else f"{key} for {agent}"
            sent = await self.send(f"agent:{agent}", type_, data, idempotency_key=own, **more)
            receipts.append(replace(sent, agent=agent))
        return tuple(receipts)

    async def reply(
        self, to: Envelope, data: JsonValue, *, performative: Performative = "response"
    ) -> Receipt | None:
        """Answer a message; None if nobody waits for an answer. The same answer counts once.

        Raises
            ...: see `send`.
        """
        message = self._reply(to, data, performative)
        return None if message is None else await self._kept(message, None)

    async def prepared_reply(
        self, to: Envelope, data: JsonValue, *, performative: Performative = "response"
    ) -> Prepared | None:
        """Return the answer for a handler to end with, ``Done(sends=...)``; see `reply`."""
        message = self._reply(to, data, performative)
        return None if message is None else await self.exchange.outbox.prepared(message)

    def answer_to(
        self, to: Envelope, data: JsonValue, *, performative: Performative = "response"
    ) -> Envelope:
        """Return the envelope that answers ``to``, for a road that hands answers back itself."""
        identifier = MessageId(new_id(self.exchange.clock.now()))
        return self._answer(to, identifier, data, performative, None)

    def serving(
        self,
        to: str,
        handler: Answer,
        *,
        concurrency: int = 16,
        policy: RetryPolicy | None = None,
    ) -> Served:
        """Return a subscription to what is sent to ``agent:NAME`` or ``topic:NAME``.

        Run it with `consuming`, or in a `Consumer`. What ``handler`` returns answers a request. What it raises is tried again by ``policy``; when
        that ends, who asked gets a failure; `Rejected` is a refusal at once. Each runs with a view
        about its message: ``bus.about(delivery.envelope)``.
        """
        where = address(to)
        if where.topic is None:
            raise MessageMalformed(TO, f"{to!r} cannot be served; name an agent or a topic")
        return serve(self, where.topic, handler, concurrency, policy or RetryPolicy())

    async def subscribe(
        self,
        pattern: str,
        handler: Answer,
        *,
        group: str,
        entity: str | None = None,
        concurrency: int = 16,
        policy: RetryPolicy | None = None,
        described: str = "",
    ) -> Served:
        """Have ``group`` told of events (of one business) from now on, and return what handles them.

        ``lead.*`` means one word, ``booking.>`` all the rest. It lasts until `unsubscribe`, whether
        somebody works for the group or not; of all who do, in any process, one gets each event.
        Subscribe a group to several patterns and run one of what is returned.
        """
        if entity is not None:
            await self.exchange.entities.remember(entity)
        await self.exchange.subscriptions.add(
            pattern, group=group, entity=entity, described=described
        )
        return serve(self, group_topic(group), handler, concurrency, policy or RetryPolicy())

    async def unsubscribe(self, group: str, pattern: str | None = None) -> int:
        """Tell ``group`` no more (of one pattern); return how many patterns it had."""
        return await self.exchange.subscriptions.drop(group, pattern)

    async def subscriptions(self) -> list[Told]:
        """Return all groups and what they are told of."""
        return await self.exchange.subscriptions.all()

    async def health(self) -> list[Health]:
        """Ask every road how it is."""
        return await self.exchange.health()

    @asynccontextmanager
    async def consuming(
        self,
        *served: Served,
        direct: bool = True,
        lease: timedelta = LEASE,
        grace: timedelta = GRACE,
    ) -> AsyncIterator[Consumer]:
        """Handle messages while the block runs; with ``direct``, also what comes without the table."""
        consumer = Consumer(
            self.exchange.store, *served, clock=self.exchange.clock, lease=lease, grace=grace
        )
        async with AsyncExitStack() as stack:
            if direct:
                for each in served:
                    await stack.enter_async_context(self.hearing(each))
            await stack.enter_async_context(in_background(consumer.run()))
            yield consumer

    @asynccontextmanager
    async def hearing(self, served: Served) -> AsyncIterator[None]:
        """Handle what comes directly while the block runs, on every direct road."""
        async with AsyncExitStack() as stack:
            for road in self.exchange.direct.roads:
                hearing = road.hear(
                    served.topic, served.heard, group=served.topic, patience=served.policy.timeout
                )
                await stack.enter_async_context(hearing)
            yield

    def _whose(self, entity: str | None) -> str | None:
        if entity is None or entity == self.entity:
            return self.entity
        if self.cause is not None and self.cause.entity is not None:
            raise MessageMalformed(
                "entity",
                f"the conversation is about {self.cause.entity!r}, and nothing of it may go to "
                f"{entity!r}",
            )
        return checked_entity(entity)

    async def _resolved(
        self, to: str, entity: str | None
    ) -> tuple[str, str | None, Mapping[str, Attribute]]:
        where = address(to)
        if where.kind == "topic":
            return where.name, None, {}
        name = where.name
        find = self.exchange.book.find
        match where.kind:
            case "agent":
                found = await find(entity, name=name)
            case "role":
                found = await find(entity, role=name)
            case _:
                found = await find(entity, capability=name)
        return inbox(found.agent), found.agent, found.why

    def _composed(
        self,
        type_: str,
        data: JsonValue,
        *,
        topic: str,
        entity: str | None,
        expires: When | None,
        performative: Performative,
        to: str | None,
        reply_to: str | None,
        budget: Budget | None,
        extensions: Mapping[str, Attribute],
        subject: str | None = None,
        partition_key: str | None = None,
        idempotency_key: str | None = None,
        request: str | None = None,
    ) -> Envelope:
        """Return the envelope, checked, with all that the view knows."""
        identifier = self.exchange.identifier(entity, topic, idempotency_key)
        own: dict[str, Attribute] = {PERFORMATIVE: performative}
        if to is not None:
            own[TO] = to
        if reply_to is not None:
            own[REPLY_TO] = reply_to
        if request is not None:
            own[REQUEST] = request
        self._add_budget(own, type_, budget)
        if self.cause is not None:
            _add_costs(own, self.purse)
        if extensions:
            if taken := OURS.intersection(extensions):
                raise MessageMalformed(f"extension {min(taken)!r}", "the bus sets it itself")
            own |= check_extensions(extensions)
        for name, value in (("subject", subject), ("partition_key", partition_key)):
            if value is not None:
                check_name(name, value)
        return self._envelope(
            self.cause, identifier, type_, data, own, entity, expires, subject, partition_key
        )

    def _reply(self, to: Envelope, data: JsonValue, performative: Performative) -> Message | None:
        topic = to.extensions.get(REPLY_TO)
        if not isinstance(topic, str):
            return None
        key = f"{performative} to {to.id} from {self.identity.name}"
        waits = to.expires_at if topic.startswith(REPLIES) else None
        identifier = self.exchange.identifier(to.entity, topic, key)
        envelope = self._answer(to, identifier, data, performative, waits)
        return _message(topic, envelope, waits, key, Priority.NORMAL, None)

    def _answer(
        self,
        to: Envelope,
        identifier: MessageId,
        data: JsonValue,
        performative: Performative,
        expires: When | None,
    ) -> Envelope:
        """Return an answer. It may always be given, whatever is left of the budget."""
        own: dict[str, Attribute] = {PERFORMATIVE: performative}
        for name in (MICRO_USD, TOKENS, REQUEST):
            if (left := to.extensions.get(name)) is not None:
                own[name] = left
        _add_costs(own, self.exchange.purse_of(to))
        type_ = _answered(to.type, performative)
        return self._envelope(to, identifier, type_, data, own, to.entity, expires)

    def _envelope(
        self,
        cause: Envelope | None,
        identifier: MessageId,
        type_: str,
        data: JsonValue,
        own: dict[str, Attribute],
        entity: str | None,
        expires: When | None,
        subject: str | None = None,
        partition_key: str | None = None,
    ) -> Envelope:
        check_name("type", type_)
        now = self.exchange.clock.now()
        text = str(identifier)
        if cause is None:
            correlation, causation, hops = text, None, 0
        else:
            correlation, causation = cause.correlation_id, str(cause.id)
            hops = cause.hop_count + 1
            if hops > MOST_HOPS:
                raise TooManyHops(type_, hops, MOST_HOPS)
        if TRACE not in own:
            own[TRACE] = trace_of(correlation, identifier, cause)
        return Envelope(
            id=identifier,
            source=self.identity.source,
            type=type_,
            time=now,
            correlation_id=correlation,
            data=copied(type_, data),
            subject=subject,
            entity=entity,
            partition_key=partition_key,
            causation_id=causation,
            expires_at=now + expires if isinstance(expires, timedelta) else expires,
            hop_count=hops,
            extensions=own,
        )

    def _add_budget(self, own: dict[str, Attribute], type_: str, budget: Budget | None) -> None:
        """Have what may be spent go along, and take it away here if it is a portion of its own."""
        purse = self.purse
        if purse.left is UNLIMITED:
            left = budget or UNLIMITED
        else:
            purse.require(type_)
            left = purse.left if budget is None else budget.within(purse.left)
            if budget is not None:
                purse.set_aside(budget)
        if left.micro_usd is not None:
            own[MICRO_USD] = _integer(left.micro_usd)
        if left.tokens is not None:
            own[TOKENS] = _integer(left.tokens)

    async def _tell(self, topic: str, envelope: Envelope) -> str:
        _, road = await self.exchange.direct.walk(
            f"a message {envelope.type!r}", lambda road: road.tell(topic, envelope)
        )
        return road

    async def _told_directly(self, envelope: Envelope, priority: Priority) -> Receipt:
        """Tell each group, and keep its copy if nobody of it hears now."""
        road = "memory"
        groups = await self.exchange.subscriptions.groups_for(envelope.type, envelope.entity)
        for group in groups:
            topic = group_topic(group)
            copy = replace(envelope, id=copy_of(envelope.id, group), causation_id=str(envelope.id))
            try:
                road = await self._tell(topic, copy)
            except (NobodyHears, NoRoad):
                message = _message(topic, copy, copy.expires_at, None, priority, None)
                road = (await self._kept(message, None)).road
        return Receipt(envelope.id, road)

    async def _kept(self, message: Message, agent: str | None) -> Receipt:
        if self._tx is not None:
            if message.entity is not None:
                await self.exchange.entities.remember(message.entity)
            (published,) = await self.exchange.outbox.publish(self._tx, message)
            return Receipt(published.id, "postgres", published.is_new, agent)
        (published,), road = await self.exchange.send(message)
        return Receipt(published.id, road, published.is_new, agent)


def bus_of(exchange: Exchange, identity: Identity, *, entity: str | None = None) -> Bus:
    """Return a view of the bus that nothing has caused yet."""
    return Bus(exchange=exchange, identity=identity, entity=entity)


def copied(type_: str, data: JsonValue) -> JsonValue:
    """Return ``data`` as who gets them has them: nobody's but his.

    Raises
        NotJson, MessageTooLarge: they cannot be sent.
    """
    if data is None:
        return None
    try:
        check_json(data, "data")
    except RecursionError:
        raise MessageMalformed("data", "they are nested too deeply") from None
    text = to_json(data)
    if len(text) > LARGEST:
        raise MessageTooLarge(type_, len(text), LARGEST)
    kept: JsonValue = from_json(text)
    return kept


def _message(
    topic: str,
    envelope: Envelope,
    expires: When | None,
    idempotency_key: str | None,
    priority: Priority,
    not_before: When | None,
) -> Message:
    return Message(
        topic=topic,
        type=envelope.type,
        source=envelope.source,
        data=envelope.data,
        subject=envelope.subject,
        entity=envelope.entity,
        partition_key=envelope.partition_key,
        idempotency_key=idempotency_key,
        priority=priority,
        not_before=not_before,
        expires=expires,
        time=envelope.time,
        correlation_id=envelope.correlation_id,
        causation_id=envelope.causation_id,
        hop_count=envelope.hop_count,
        extensions=envelope.extensions,
        id=envelope.id,
    )


@lru_cache(maxsize=4096)
def _answered(type_: str, performative: Performative) -> str:
    """Return the type of an answer to what was of ``type_``."""
    return f"{type_}.{performative}" if len(type_) < LONGEST_NAME - 20 else performative


def _reply_topic(to: str) -> str:
    where = address(to)
    if where.topic is None:
        raise MessageMalformed(REPLY_TO, f"{to!r} is neither an agent nor a topic")
    return where.topic


def _checked(answer: Envelope, road: str) -> Reply:
    """Return the answer, unless it says that there is none."""
    performative = answer.extensions.get(PERFORMATIVE)
    if performative in ("failure", "refuse"):
        told = answer.data.get("reason") if isinstance(answer.data, Mapping) else answer.data
        reason, by = str(told or "no reason was given"), answer.source
        raise RequestRefused(by, reason) if performative == "refuse" else RequestFailed(by, reason)
    return Reply(answer, road)


def _add_costs(own: dict[str, Attribute], purse: Purse) -> None:
    if purse.micro_usd:
        own[SPENT_MICRO_USD] = _integer(purse.micro_usd)
    if purse.tokens:
        own[SPENT_TOKENS] = _integer(purse.tokens)


def _integer(amount: int) -> Attribute:
    return amount if amount <= LARGEST_INTEGER else str(amount)


__all__ = [
    "Bus",
    "Receipt",
    "Reply",
    "RequestFailed",
    "RequestRefused",
    "bus_of",
    "copied",
]
