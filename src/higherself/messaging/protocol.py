"""What the bus adds to an envelope: who speaks, to whom, how, and what it may cost.

All of it stands in the envelope's extensions, under names that CloudEvents allows, so it goes
along on every road.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol, get_args

from higherself.kernel.errors import NotFound, Rejected
from higherself.messaging.envelope import Attribute, Envelope, MessageId
from higherself.messaging.errors import MessageMalformed

Performative = Literal[
    "request", "response", "inform", "cfp", "propose", "accept", "reject", "refuse", "failure", "cancel"
]  # fmt: skip
"""What is done by saying it; after FIPA's communicative acts, the few of them that are used."""

PERFORMATIVES: frozenset[str] = frozenset(get_args(Performative))
ANSWERS: frozenset[str] = frozenset(("response", "refuse", "failure", "propose"))

TO, REPLY_TO, PERFORMATIVE = "to", "replyto", "performative"
MICRO_USD, TOKENS = "budgetmicrousd", "budgettokens"
SPENT_MICRO_USD, SPENT_TOKENS = "spentmicrousd", "spenttokens"
"""What the handling of its cause had cost when a message was sent."""

ROAD = "road"
"""By which road a message came to the table, if not straight."""

TRACE = "traceparent"
REQUEST = "requestid"
"""What an answer answers, where that is not its cause: the request was passed on to somebody else."""
LENGTH_OF_TRACE = 55

AGENTS, REPLIES = "agent.", "reply."
"""Before the name of an agent, its inbox; before that of a process, where it waits for answers."""

Kind = Literal["agent", "operator", "workflow", "service"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,41}")
_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@:-]{0,119}")
_TOPIC = re.compile(r"[a-z][a-z0-9_.-]{0,47}")
_TRACE = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")


class UnknownRecipient(NotFound):
    """Nobody is there by this name, or with this capability or role."""

    def __init__(self, to: str, reason: str) -> None:
        super().__init__(f"there is nobody to send to at {to!r}: {reason}")
        self.to = to


class BudgetSpent(Rejected):
    """What a conversation may cost is spent, so nothing more may be asked in it."""

    def __init__(self, type_: str, what: str) -> None:
        super().__init__(
            f"a message {type_!r} cannot be sent: of the budget of its conversation, no {what} are "
            "left; begin again with a larger budget, or ask for less"
        )
        self.type, self.what = type_, what


@dataclass(frozen=True, slots=True)
class Identity:
    """Who speaks. It comes from the session or the lease, never from what was said.

    >>> Identity("agent", "nyra").source
    'urn:higherself:agent:nyra'
    """

    kind: Kind
    name: str
    source: str = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not _SUBJECT.fullmatch(self.name):
            raise MessageMalformed("identity", f"{self.name!r} is no name for a {self.kind}")
        object.__setattr__(self, "source", f"urn:higherself:{self.kind}:{self.name}")


OPERATOR = Identity("operator", "local")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a message is to go. ``topic`` is known at once for an agent by name and for a topic."""

    kind: Literal["agent", "topic", "capability", "role"]
    name: str
    topic: str | None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


@lru_cache(maxsize=4096)
def address(to: str) -> Address:
    """Return the address that ``to`` means.

    Raises
        MessageMalformed: it is none.
    """
    kind, colon, name = to.partition(":")
    match kind:
        case "agent" if colon and _NAME.fullmatch(name):
            return Address("agent", name, inbox(name))
        case "topic" if colon and _TOPIC.fullmatch(name):
            return Address("topic", name, name)
        case "capability" | "role" if colon and _SUBJECT.fullmatch(name):
            return Address("role" if kind == "role" else "capability", name, None)
    raise MessageMalformed(
        TO,
        f"{to[:60]!r} is no address; write agent:NAME, topic:NAME, capability:NAME or role:NAME, "
        "for example agent:nyra",
    )


@lru_cache(maxsize=4096)
def inbox(agent: str) -> str:
    """Return the topic of an agent's inbox.

    Raises
        MessageMalformed: it is no name for an agent.
    """
    if not _NAME.fullmatch(agent):
        raise MessageMalformed(TO, f"{agent!r} is no name for an agent: a-z, 0-9, _ and -")
    return AGENTS + agent


@dataclass(frozen=True, slots=True)
class Found:
    """The agent that an address means now. ``why`` goes along with the message, as extensions."""

    agent: str
    why: Mapping[str, Attribute] = field(default_factory=dict)


class AddressBook(Protocol):
    """Knows which agents there are."""

    async def find(
        self,
        entity: str | None,
        *,
        name: str | None = None,
        role: str | None = None,
        capability: str | None = None,
    ) -> Found:
        """Return the agent to send to; exactly one of the three is given.

        Raises
            UnknownRecipient: there is none.
        """
        ...

    async def present(
        self, entity: str | None, *, role: str | None = None, capability: str | None = None
    ) -> Sequence[str]:
        """Return the names of all agents that are there now (with a role, a capability)."""
        ...


class NoAddressBook:
    """Takes every agent's name as it is, and knows no roles."""

    async def find(
        self,
        entity: str | None,
        *,
        name: str | None = None,
        role: str | None = None,
        capability: str | None = None,
    ) -> Found:
        """Return the agent of that name."""
        if name is not None:
            return Found(name)
        to = f"role:{role}" if role is not None else f"capability:{capability}"
        raise UnknownRecipient(to, "no agents are installed; name one as agent:NAME")

    async def present(
        self, entity: str | None, *, role: str | None = None, capability: str | None = None
    ) -> Sequence[str]:
        """Return nobody."""
        return ()


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent, in millionths of a US dollar and in tokens. None: there is no limit."""

    micro_usd: int | None = None
    tokens: int | None = None

    def less(self, micro_usd: int = 0, tokens: int = 0) -> "Budget":
        """Return what is left after that; never less than nothing."""
        return Budget(
            None if self.micro_usd is None else max(0, self.micro_usd - micro_usd),
            None if self.tokens is None else max(0, self.tokens - tokens),
        )

    def within(self, other: "Budget") -> "Budget":
        """Return the smaller of both."""
        return Budget(_least(self.micro_usd, other.micro_usd), _least(self.tokens, other.tokens))


UNLIMITED = Budget()


class Purse:
    """What is left for everything that the handling of one message may cause, and what it has cost.

    All views about the same message share one.
    """

    __slots__ = ("__weakref__", "left", "micro_usd", "tokens")

    def __init__(self, left: Budget) -> None:
        self.left = left
        self.micro_usd = self.tokens = 0

    def spend(self, *, micro_usd: int = 0, tokens: int = 0) -> None:
        """Note what something cost, and take it away. More than is left leaves nothing."""
        self.micro_usd += micro_usd
        self.tokens += tokens
        self.set_aside(Budget(micro_usd, tokens))

    def set_aside(self, portion: Budget) -> None:
        """Take away what somebody else may spend."""
        if self.left is not UNLIMITED:
            self.left = self.left.less(portion.micro_usd or 0, portion.tokens or 0)

    def require(self, type_: str) -> None:
        """Raise `BudgetSpent` if nothing is left."""
        if self.left.micro_usd is not None and self.left.micro_usd <= 0:
            raise BudgetSpent(type_, "US dollars")
        if self.left.tokens is not None and self.left.tokens <= 0:
            raise BudgetSpent(type_, "tokens")


def budget_of(envelope: Envelope) -> Budget:
    """Return what is left for everything that a message causes."""
    found = envelope.extensions
    if MICRO_USD not in found and TOKENS not in found:
        return UNLIMITED
    return Budget(amount(found, MICRO_USD), amount(found, TOKENS))


def trace_of(correlation_id: str, message: MessageId, cause: Envelope | None = None) -> str:
    """Return the W3C trace context of a message: the trace of its cause, or of its conversation.

    The span is the message itself, so who knows the message knows its span.

    Source: W3C Trace Context, section 3.2.2.
    """
    came = None if cause is None else cause.extensions.get(TRACE)
    trace = came[3:35] if isinstance(came, str) and len(came) == LENGTH_OF_TRACE else None
    return f"00-{trace or _trace(correlation_id)}-{message.hex[16:]}-01"


@lru_cache(maxsize=4096)
def _trace(correlation_id: str) -> str:
    plain = correlation_id.replace("-", "").lower()
    if re.fullmatch("[0-9a-f]{32}", plain) and plain.strip("0"):
        return plain
    return hashlib.sha256(correlation_id.encode()).hexdigest()[:32]


def check_protocol(envelope: Envelope) -> None:
    """Raise what is wrong with our own attributes of an envelope that came from elsewhere.

    Raises
        MessageMalformed: naming the attribute.
    """
    found = envelope.extensions
    said = found.get(PERFORMATIVE)
    if said is not None and said not in PERFORMATIVES:
        raise MessageMalformed(
            PERFORMATIVE, f"{said!r} is none of {', '.join(sorted(PERFORMATIVES))}"
        )
    if (to := found.get(TO)) is not None:
        address(_as_text(TO, to))
    if (back := found.get(REPLY_TO)) is not None and not _TOPIC.fullmatch(_as_text(REPLY_TO, back)):
        raise MessageMalformed(REPLY_TO, f"{back!r} is not the name of a topic")
    if (trace := found.get(TRACE)) is not None and not _TRACE.fullmatch(_as_text(TRACE, trace)):
        raise MessageMalformed(TRACE, f"{trace!r} is no trace context of W3C")
    for name in (MICRO_USD, TOKENS):
        amount(found, name)


def amount(found: Mapping[str, Attribute], name: str) -> int | None:
    """Return a number of money or tokens; None if it is not there.

    Raises
        MessageMalformed: it is none.
    """
    value = found.get(name)
    if value is None:
        return None
    if isinstance(value, str) and value.isdecimal():  # CloudEvents' integers have 32 bits
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MessageMalformed(name, f"{value!r} is not an amount")
    return value


def _as_text(name: str, value: Attribute) -> str:
    if not isinstance(value, str):
        raise MessageMalformed(name, f"{value!r} is not a text")
    return value


def _least(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
