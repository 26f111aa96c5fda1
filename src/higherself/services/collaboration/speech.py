"""What collaborations say to agents, and what answers mean to them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from higherself.agents.coordination.commands import (
    Ask,
    Reject,
)
from higherself.agents.coordination.events import (
    Answered,
    Bid,
    Event,
    Failed,
    HandedOff,
    Refused,
)
from higherself.agents.coordination.model import Plan, Target
from higherself.agents.coordination.records import Stored
from higherself.agents.forwarding import CAPABILITY
from higherself.messaging.envelope import Attribute, Envelope, MessageId
from higherself.messaging.model import Message, identifier_of_key
from higherself.messaging.protocol import (
    AGENTS,
    MICRO_USD,
    PERFORMATIVE,
    REPLY_TO,
    SPENT_MICRO_USD,
    TO,
    TOKENS,
    TRACE,
    Budget,
    Identity,
    trace_of,
)
from higherself.workflow.engine.model import COLLABORATIONS

SELF = Identity("service", "collaboration").source
TIMER = "collaboration.timer"

NEWS_FOR = timedelta(days=1)
"""How long it is worth telling an agent that its bid was not chosen."""

_PERFORMATIVES = {"work": "request", "undo": "request", "bid": "cfp", "reaction": "inform"}


@dataclass(frozen=True, slots=True)
class Frame:
    """What all messages of a collaboration have in common."""

    id: UUID
    entity: str
    plan: Plan
    correlation_id: str
    hop_count: int
    budget: Budget
    cause: Envelope | None


def frame_of(stored: Stored, cost: int, cause: Envelope | None) -> Frame:
    """Return what the messages of a stored collaboration have in common, after ``cost`` more."""
    spent = stored.cost_micro_usd + cost
    return Frame(
        id=stored.id,
        entity=stored.entity,
        plan=stored.plan,
        correlation_id=stored.correlation_id,
        hop_count=stored.hop_count,
        budget=Budget(stored.budget_micro_usd, stored.budget_tokens).less(spent),
        cause=cause,
    )


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


def cost_of(envelope: Envelope) -> int:
    """Return what an answer says it cost, in millionths of a US dollar."""
    said = envelope.extensions.get(SPENT_MICRO_USD)
    if isinstance(said, str) and said.isdecimal():
        said = int(said)
    return max(0, said) if isinstance(said, int) and not isinstance(said, bool) else 0


def request_of(frame: Frame, ask: Ask, agent: str, why: Mapping[str, Attribute]) -> Message:
    """Return the message that asks ``agent`` for something."""
    topic, name = AGENTS + agent, f"{frame.id}/{ask.task}"
    identifier = identifier_of_key(frame.entity, topic, name)
    said: dict[str, Attribute] = {
        **why,
        TO: f"agent:{agent}",
        REPLY_TO: COLLABORATIONS,
        PERFORMATIVE: _PERFORMATIVES[ask.kind],
        TRACE: trace_of(frame.correlation_id, identifier, frame.cause),
    }
    if ask.to.capability is not None:  # so who may stand in for the agent is known where it fails
        said[CAPABILITY] = ask.to.capability
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


def rejection_of(frame: Frame, reject: Reject) -> Message:
    """Return the message that tells an agent that its bid was not chosen."""
    topic = AGENTS + reject.agent
    identifier = identifier_of_key(frame.entity, topic, f"{frame.id}/{reject.task}/reject")
    return Message(
        topic=topic,
        type=f"{reject.type}.reject",
        source=SELF,
        data={"reason": reject.reason},
        subject=str(frame.id),
        entity=frame.entity,
        expires=NEWS_FOR,
        correlation_id=frame.correlation_id,
        causation_id=str(frame.cause.id) if frame.cause else None,
        hop_count=frame.hop_count + 1,
        extensions={
            TO: f"agent:{reject.agent}",
            PERFORMATIVE: "reject",
            TRACE: trace_of(frame.correlation_id, identifier, frame.cause),
        },
        id=identifier,
    )


def timer_message(frame: Frame, timer: str, due_at: datetime) -> Message:
    """Return the message that comes when a timer is due."""
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
        id=timer_id(frame.id, frame.entity, timer, due_at),
    )


def timer_id(id: UUID, entity: str, timer: str, due_at: datetime) -> MessageId:
    """Return the identifier of that message."""
    return identifier_of_key(entity, COLLABORATIONS, f"{id}/{timer}/{due_at.isoformat()}")
