"""What the network answers as a whole: who was asked, what each made of it, how far a sequence is."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from higherself.agents.coordination.records import Collaboration
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import JsonObject, JsonValue

if TYPE_CHECKING:
    from higherself.app.agents import Agents

_AGENT = "urn:higherself:agent:"


async def asked_of_network(
    agents: "Agents",
    type_: str,
    data: JsonValue,
    *,
    pattern: str | None,
    timeout: timedelta,  # noqa: ASYNC109  it is what all of it may take
    entity: str,
) -> JsonObject:
    """Ask whoever it is for, wait for what that begins, and return all of it in one shape."""
    began = agents.clock.monotonic()
    try:
        reply = await agents.ask(type_, data, timeout=timeout, entity=entity, pattern=pattern)
    except HigherSelfError as error:
        seconds = agents.clock.monotonic() - began
        return answer(entity=entity, seconds=seconds, error=str(error), type_=type_)
    begun, ended = _sequence(reply.data), None
    if begun is not None:
        left = timeout.total_seconds() - (agents.clock.monotonic() - began)
        with suppress(TimeoutError):  # it goes on all the same
            await agents.collaborations.wait(begun, timeout=timedelta(seconds=max(left, 0.1)))
        ended = await agents.collaborations.get(begun)
    return answer(
        entity=entity,
        seconds=agents.clock.monotonic() - began,
        type_=type_,
        tracking_id=reply.envelope.correlation_id,
        agent=reply.envelope.source.removeprefix(_AGENT),
        data=reply.data,
        sequence=ended,
    )


def answer(
    *,
    entity: str,
    seconds: float,
    type_: str,
    tracking_id: str | None = None,
    agent: str | None = None,
    data: JsonValue = None,
    sequence: Collaboration | None = None,
    error: str | None = None,
) -> JsonObject:
    """Return what is answered, in the shape that callers of the network know. Pure."""
    done = f"{type_} is done"
    results: dict[str, Any] = {}
    if agent is not None:
        results[agent] = {"status": "processed", "message": done, "data": data}
    failed = error
    if sequence is not None:
        results |= _results(sequence)
        done = f"{sequence.name} is {sequence.status}"
        failed = error or (sequence.reason if sequence.status == "failed" else None)
    return {
        "status": "error" if failed else "processed",
        "message": failed or done,
        "tracking_id": tracking_id,
        "agent_results": results,
        "workflow_info": None if sequence is None else _progress(sequence, _steps(data)),
        "business_entity": entity,
        "processing_time": round(seconds, 3),
    }


def _results(sequence: Collaboration) -> dict[str, Any]:
    """Return what each agent of a sequence came to: of several tasks of one, the last."""
    steps: Any = sequence.outcome.get("steps") if isinstance(sequence.outcome, Mapping) else None
    return {
        each.agent: {
            "status": "processed" if each.status == "answered" else each.status,
            "message": each.error or f"{each.step} is {each.status}",
            "data": steps.get(each.step) if isinstance(steps, Mapping) else None,
        }
        for each in sequence.asked
    }


def _progress(sequence: Collaboration, total: int) -> JsonObject:
    answered = [each for each in sequence.asked if each.status == "answered"]
    states = {"completed": "completed", "failed": "error", "cancelled": "error"}
    return {
        "workflow_id": str(sequence.id),
        "name": sequence.name,
        "current_step": len(answered),
        "total_steps": max(total, len(answered)),
        "status": states.get(sequence.status, "active"),
    }


def _steps(data: JsonValue) -> int:
    found = data.get("sequence") if isinstance(data, Mapping) else None
    steps = found.get("steps") if isinstance(found, Mapping) else None
    return len(steps) if isinstance(steps, list | tuple) else 0


def _sequence(data: JsonValue) -> UUID | None:
    """Return the sequence that an answer tells of, if it has begun one."""
    found = data.get("sequence") if isinstance(data, Mapping) else None
    said = found.get("collaboration") if isinstance(found, Mapping) else None
    try:
        return None if said is None else UUID(str(said))
    except ValueError:
        return None
