"""What is said, made into an envelope: by whom, about what, and how.

A view says who speaks, for which business, and in answer to what; what it composes carries that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache

from pydantic_core import from_json, to_json

from higherself.kernel.ids import checked_entity
from higherself.kernel.jsonvalue import JsonValue, check_json
from higherself.messaging.envelope import Attribute, Envelope, MessageId, check_extensions
from higherself.messaging.errors import MessageMalformed, MessageTooLarge, TooManyHops
from higherself.messaging.exchange import Exchange
from higherself.messaging.model import (
    LONGEST_NAME,
    MOST_HOPS,
    Message,
    Priority,
    When,
    check_name,
)
from higherself.messaging.outbox import LARGEST
from higherself.messaging.protocol import (
    MICRO_USD,
    PERFORMATIVE,
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
    trace_of,
)

OURS = frozenset(
    (TO, REPLY_TO, REQUEST, PERFORMATIVE, MICRO_USD, TOKENS, SPENT_MICRO_USD, SPENT_TOKENS)
)
"""Extensions that only the bus sets."""

LARGEST_INTEGER = 2**31 - 1
"""Of CloudEvents; larger numbers go as text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """How something is said and to be delivered: all that a sender may choose beside what is said.

    ``reply_to`` is a topic. ``to`` is the address as it was given, ``entity`` the business that it
    is really about.
    """

    entity: str | None = None
    subject: str | None = None
    partition_key: str | None = None
    idempotency_key: str | None = None
    priority: Priority = Priority.NORMAL
    expires: When | None = None
    not_before: When | None = None
    performative: Performative = "inform"
    to: str | None = None
    reply_to: str | None = None
    request: str | None = None
    correlation: str | None = None
    budget: Budget | None = None
    extensions: Mapping[str, Attribute] | None = None

    def message(self, topic: str, envelope: Envelope) -> Message:
        """Return the message that says ``envelope`` on ``topic``."""
        return Message(
            topic=topic,
            type=envelope.type,
            source=envelope.source,
            data=envelope.data,
            subject=envelope.subject,
            entity=envelope.entity,
            partition_key=envelope.partition_key,
            idempotency_key=self.idempotency_key,
            priority=self.priority,
            not_before=self.not_before,
            expires=self.expires,
            time=envelope.time,
            correlation_id=envelope.correlation_id,
            causation_id=envelope.causation_id,
            hop_count=envelope.hop_count,
            extensions=envelope.extensions,
            id=envelope.id,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Who speaks on a bus, for which business, and in answer to what."""

    exchange: Exchange
    identity: Identity
    entity: str | None = None
    cause: Envelope | None = None
    purse: Purse = field(default_factory=lambda: Purse(UNLIMITED))

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

    def _composed(self, type_: str, data: JsonValue, topic: str, how: How) -> Envelope:
        """Return the envelope, checked, with all that the view knows."""
        identifier = self.exchange.identifier(how.entity, topic, how.idempotency_key)
        own: dict[str, Attribute] = {PERFORMATIVE: how.performative}
        if how.to is not None:
            own[TO] = how.to
        if how.reply_to is not None:
            own[REPLY_TO] = how.reply_to
        if how.request is not None:
            own[REQUEST] = how.request
        self._add_budget(own, type_, how.budget)
        if self.cause is not None:
            _add_costs(own, self.purse)
        if how.extensions:
            if taken := OURS.intersection(how.extensions):
                raise MessageMalformed(f"extension {min(taken)!r}", "the bus sets it itself")
            own |= check_extensions(how.extensions)
        for name, value in (
            ("subject", how.subject),
            ("partition_key", how.partition_key),
            ("correlation", how.correlation),
        ):
            if value is not None:
                check_name(name, value)
        return self._envelope(self.cause, identifier, type_, data, own, how)

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
        how = How(entity=to.entity, expires=expires)
        return self._envelope(to, identifier, type_, data, own, how)

    def _envelope(
        self,
        cause: Envelope | None,
        identifier: MessageId,
        type_: str,
        data: JsonValue,
        own: dict[str, Attribute],
        how: How,
    ) -> Envelope:
        check_name("type", type_)
        now, expires = self.exchange.clock.now(), how.expires
        text = str(identifier)
        if cause is None:
            correlation, causation, hops = how.correlation or text, None, 0
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
            subject=how.subject,
            entity=how.entity,
            partition_key=how.partition_key,
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


@lru_cache(maxsize=4096)
def _answered(type_: str, performative: Performative) -> str:
    """Return the type of an answer to what was of ``type_``."""
    return f"{type_}.{performative}" if len(type_) < LONGEST_NAME - 20 else performative


def _add_costs(own: dict[str, Attribute], purse: Purse) -> None:
    if purse.micro_usd:
        own[SPENT_MICRO_USD] = _integer(purse.micro_usd)
    if purse.tokens:
        own[SPENT_TOKENS] = _integer(purse.tokens)


def _integer(amount: int) -> Attribute:
    return amount if amount <= LARGEST_INTEGER else str(amount)
