"""What an agent says of itself, what it is asked, and what is known of it. Pure values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, get_args
from uuid import UUID

from higherself.agents.errors import AgentMistaken, TaskIncomplete
from higherself.agents.routing import ANYTHING_ELSE, Candidate
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.envelope import Envelope
from higherself.messaging.errors import MessageMalformed
from higherself.messaging.patterns import expression, fits

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,41}")

Phase = Literal["starting", "ready", "draining", "stopped"]
"""Where an agent is in one worker. Only one that is ready is given work there."""

EscalationStatus = Literal["open", "in_progress", "resolved", "closed"]
ESCALATION_STATUSES: tuple[EscalationStatus, ...] = get_args(EscalationStatus)

Severity = Literal[1, 2, 3, 4]
"""1 one or two agents, 2 several agents, 3 the whole network, 4 a person who knows the matter."""

ANSWER_WITHIN: Mapping[int, timedelta] = {
    1: timedelta(hours=2),
    2: timedelta(hours=1),
    3: timedelta(minutes=30),
    4: timedelta(hours=2),
}
"""How soon a person should have seen to an escalation, by its severity."""

ANSWERED = "escalation.answered"
"""The type of the message by which the agent gets a person's answer."""

OPENED = "escalation.opened"
"""The type of the event that tells of a new ticket; ``escalation.closed`` of one that was given up."""

CLOSED = "escalation.closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentCard:
    """What an agent is and can do.

    ``accepts`` are the types of messages it takes, or patterns of them (``lead.*``, ``booking.>``);
    of an agent made of handlers, they are added by themselves. No ``entities``: it serves every
    business. ``concurrency`` counts tasks at a time in one worker. ``skills`` it may use, or patterns of their
    names (none named: all). ``events`` and ``prefixes`` are types, and beginnings of types, that are its own
    unless something more particular decides. ``leads`` are patterns of several agents whose messages it
    gets (``workflows``: the events of workflows). ``fallbacks``: who may take over work that it failed
    at, by the capability that was asked for; without an entry nobody does. ``stands_in`` are capabilities
    that it has for such work alone. ``voice`` is how it sounds to customers.
    """

    name: str
    role: str = ""
    capabilities: tuple[str, ...] = ()
    accepts: tuple[str, ...] = ()
    entities: tuple[str, ...] = ()
    concurrency: int = 4
    version: str = "1"
    description: str = ""
    skills: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    leads: tuple[str, ...] = ()
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    voice: str = ""
    stands_in: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise AgentMistaken(
                self.name, "its name is not 1 to 42 of a-z, 0-9, _ and -, beginning with a-z"
            )
        if not 1 <= self.concurrency <= 1000:
            raise AgentMistaken(self.name, f"concurrency is {self.concurrency}; say 1 to 1000")
        for each in self.accepts:
            try:
                expression(each)
            except MessageMalformed as error:
                raise AgentMistaken(self.name, f"accepts: {error.reason}") from None
        for capability in self.fallbacks:
            if capability not in (ANYTHING_ELSE, *self.capabilities):
                raise AgentMistaken(
                    self.name,
                    f"fallbacks names the capability {capability!r}, which it has not; add it to "
                    f"capabilities, or write {ANYTHING_ELSE!r} for work without one",
                )

    @property
    def source(self) -> str:
        """Who speaks when it speaks."""
        return f"urn:higherself:agent:{self.name}"

    @property
    def topic(self) -> str:
        """Its inbox."""
        return f"agent.{self.name}"

    def takes(self, type_: str) -> bool:
        """Whether it accepts messages of this type."""
        return any(fits(each, type_) for each in self.accepts)

    def to_json(self) -> dict[str, Any]:
        """Return the card as it is stored and shown."""
        return {
            "name": self.name,
            "role": self.role,
            "capabilities": list(self.capabilities),
            "accepts": list(self.accepts),
            "entities": list(self.entities),
            "concurrency": self.concurrency,
            "version": self.version,
            "description": self.description,
            "skills": list(self.skills),
            "events": list(self.events),
            "prefixes": list(self.prefixes),
            "leads": list(self.leads),
            "fallbacks": {name: list(agents) for name, agents in self.fallbacks.items()},
            "voice": self.voice,
            "stands_in": list(self.stands_in),
        }

    @classmethod
    def from_json(cls, read: Mapping[str, Any]) -> "AgentCard":
        """Return the card that `to_json` wrote; what this version does not know is left out."""
        given = {name: read[name] for name in cls.__dataclass_fields__ if name in read}
        lists = {name: tuple(each) for name, each in given.items() if isinstance(each, list)}
        fallbacks = {name: tuple(each) for name, each in given.get("fallbacks", {}).items()}
        return cls(**{**given, **lists, "fallbacks": fallbacks})


@dataclass(frozen=True, slots=True)
class Citation:
    """A passage that an agent was shown, and where it is from. ``number`` is what it refers to."""

    number: int
    document: UUID
    chunk: int
    source: str
    name: str
    title: str
    quote: str
    trust: Literal["own", "generated", "external"] = "external"
    local_only: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return it as it is stored and shown."""
        return {name: _plain(getattr(self, name)) for name in self.__dataclass_fields__}


@dataclass(frozen=True, slots=True)
class Task:
    """What an agent is asked: a message, in the words of the one who handles it.

    ``key`` is the same on every ``attempt``: what is done elsewhere under it counts once.
    """

    envelope: Envelope
    key: str
    attempt: int = 1

    @property
    def type(self) -> str:
        """What kind of work it is."""
        return self.envelope.type

    @property
    def data(self) -> JsonValue:
        """What was sent with it."""
        return self.envelope.data

    @property
    def entity(self) -> str | None:
        """The business it is for."""
        return self.envelope.entity

    @property
    def subject(self) -> str | None:
        """What it is about."""
        return self.envelope.subject

    @property
    def conversation(self) -> str:
        """The conversation it belongs to."""
        return self.envelope.correlation_id

    @property
    def sender(self) -> str:
        """Who sent it, as the bus knows: ``urn:higherself:agent:nyra``."""
        return self.envelope.source

    def __getitem__(self, name: str) -> Any:
        """Return a field of the data.

        Raises
            TaskIncomplete: there is none of this name.
        """
        if not isinstance(self.data, Mapping) or name not in self.data:
            raise TaskIncomplete(self.type, name)
        return self.data[name]


@dataclass(frozen=True, slots=True)
class Presence:
    """An agent in one worker."""

    worker: str
    phase: Phase
    problem: str | None
    running: int
    concurrency: int
    since: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Known:
    """An agent as the directory knows it: its card, where it is present, how it did lately.

    ``seconds`` is the mean length of a task; None if there was none. ``hands_on``: there are
    conversations that it has handed on.
    """

    card: AgentCard
    seen_at: datetime
    present: tuple[Presence, ...] = ()
    done: int = 0
    failed: int = 0
    seconds: float | None = None
    hands_on: bool = False

    @property
    def ready(self) -> tuple[Presence, ...]:
        """Where it can be given work."""
        return tuple(each for each in self.present if each.phase == "ready")

    @property
    def away(self) -> str:
        """Why it cannot be given work now; nothing if it can."""
        if self.ready:
            return ""
        if not self.present:
            return "no worker runs it"
        told = (f"{p.phase}{f' ({p.problem})' if p.problem else ''}" for p in self.present)
        return f"it is {', '.join(dict.fromkeys(told))}"

    def candidate(self) -> Candidate:
        """Return it as routing sees it."""
        card = self.card
        return Candidate(
            card.name,
            role=card.role,
            capabilities=frozenset(card.capabilities),
            entities=frozenset(card.entities),
            running=sum(each.running for each in self.ready),
            concurrency=sum(each.concurrency for each in self.ready) or card.concurrency,
            done=self.done,
            failed=self.failed,
            away=self.away,
            accepts=card.accepts,
            events=frozenset(card.events),
            prefixes=card.prefixes,
            leads=frozenset(card.leads),
            fallbacks=card.fallbacks,
            stands_in=frozenset(card.stands_in),
        )


@dataclass(frozen=True, slots=True)
class Handoff:
    """A conversation went from one agent to another."""

    conversation: str
    entity: str | None
    sequence: int
    from_agent: str
    to_agent: str
    reason: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """What an agent asks a person to see to, and what came of it.

    ``attempts`` says what was tried already, ``cause`` is the message that the agent was handling.
    """

    ticket: str
    entity: str | None
    agent: str
    conversation: str
    message: UUID
    severity: int
    reason: str
    attempts: tuple[str, ...]
    details: JsonValue
    status: EscalationStatus
    assignee: str | None
    answer: JsonValue
    answered_by: str | None
    answered_to: str | None
    due_at: datetime
    opened_at: datetime
    updated_at: datetime
    closed_at: datetime | None
    cause: Mapping[str, Any] = field(repr=False, default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return it as it is shown."""
        names = [name for name in self.__dataclass_fields__ if name != "cause"]
        return {name: _plain(getattr(self, name)) for name in names}


def _plain(value: Any) -> Any:
    match value:
        case UUID():
            return str(value)
        case datetime():
            return value.isoformat()
        case tuple():
            return list(value)
        case _:
            return value
