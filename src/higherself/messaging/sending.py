"""Sending, asking and publishing: what a view of the bus says goes out on some road."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Self

from higherself.db.pool import Transaction
from higherself.kernel.errors import Rejected, Unavailable
from higherself.kernel.ids import new_id
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.composing import How, View
from higherself.messaging.envelope import Attribute, Envelope, MessageId
from higherself.messaging.errors import MessageMalformed
from higherself.messaging.model import Message, Prepared, Priority, When
from higherself.messaging.patterns import EVENTS, copy_of, group_topic
from higherself.messaging.protocol import (
    PERFORMATIVE,
    REPLIES,
    REPLY_TO,
    Budget,
    Identity,
    Performative,
    address,
    inbox,
)
from higherself.messaging.roads import NobodyHears
from higherself.messaging.walking import NoRoad


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
class Sender(View):
    """A view of the bus that sends. What all of it shares is the exchange."""

    _tx: Transaction | None = None

    def speaking_as(self, identity: Identity, *, entity: str | None = None) -> Self:
        """Return the bus as ``identity`` has it (for another business, if one is named)."""
        return replace(self, identity=identity, entity=entity or self.entity)

    def about(self, cause: Envelope) -> Self:
        """Return the bus for what ``cause`` brings about: its conversation, business and budget."""
        purse = self.exchange.purse_of(cause)
        return replace(self, cause=cause, entity=cause.entity or self.entity, purse=purse)

    def within(self, tx: Transaction) -> Self:
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
        how = How(
            entity=whose,
            subject=subject,
            partition_key=partition_key,
            idempotency_key=idempotency_key,
            priority=priority,
            expires=expires,
            not_before=not_before,
            performative=performative,
            to=to,
            reply_to=None if reply_to is None else _reply_topic(reply_to),
            request=request,
            budget=budget,
            extensions={**extra, **(extensions or {})},
        )
        envelope = self._composed(type_, data, topic, how)
        if not durable and self._tx is None and not_before is None:
            try:
                road = await self._tell(topic, envelope)
                return Receipt(envelope.id, road, agent=agent)
            except (NobodyHears, NoRoad):
                pass
        return await self._kept(how.message(topic, envelope), agent)

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
        how = How(
            entity=whose,
            subject=subject,
            partition_key=partition_key,
            idempotency_key=idempotency_key,
            priority=priority,
            expires=timeout,
            performative=performative,
            to=to,
            budget=budget,
            extensions={**extra, **extensions} if extensions else extra,
        )
        envelope = self._composed(type_, data, topic, how)
        if not durable:
            began = self.exchange.clock.monotonic()
            try:
                return _checked(*await self.exchange.request(topic, envelope, timeout))
            except (NobodyHears, NoRoad):
                timeout -= timedelta(seconds=self.exchange.clock.monotonic() - began)
        asking = replace(
            envelope, extensions={**envelope.extensions, REPLY_TO: self.exchange.answers_topic}
        )
        message = replace(how, expires=timeout).message(topic, asking)
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
        correlation: str | None = None,
        durable: bool = True,
    ) -> Receipt:
        """Tell all groups whose pattern fits ``type_`` that something has happened.

        ``correlation`` names the conversation that it begins, if nothing has caused it here.
        Not ``durable``: groups of which somebody hears now are told at once; for the others it is kept.

        Raises
            ...: see `send`.
        """
        whose = self._whose(entity)
        how = How(
            entity=whose,
            subject=subject,
            partition_key=partition_key,
            idempotency_key=idempotency_key,
            priority=priority,
            expires=expires,
            not_before=not_before,
            extensions=extensions,
            correlation=correlation,
        )
        envelope = self._composed(type_, data, EVENTS, how)
        if not durable and self._tx is None and not_before is None:
            return await self._told_directly(envelope, priority)
        return await self._kept(how.message(EVENTS, envelope), None)

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

    def _reply(self, to: Envelope, data: JsonValue, performative: Performative) -> Message | None:
        topic = to.extensions.get(REPLY_TO)
        if not isinstance(topic, str):
            return None
        key = f"{performative} to {to.id} from {self.identity.name}"
        waits = to.expires_at if topic.startswith(REPLIES) else None
        identifier = self.exchange.identifier(to.entity, topic, key)
        envelope = self._answer(to, identifier, data, performative, waits)
        return How(idempotency_key=key, expires=waits).message(topic, envelope)

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
                how = How(priority=priority, expires=copy.expires_at)
                road = (await self._kept(how.message(topic, copy), None)).road
        return Receipt(envelope.id, road)

    async def _kept(self, message: Message, agent: str | None) -> Receipt:
        if self._tx is not None:
            if message.entity is not None:
                await self.exchange.entities.remember(message.entity)
            (published,) = await self.exchange.outbox.publish(self._tx, message)
            return Receipt(published.id, "postgres", published.is_new, agent)
        (published,), road = await self.exchange.send(message)
        return Receipt(published.id, road, published.is_new, agent)


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
