"""What comes from outside: the start of an instance, and events. Pure.

Every function here decides before it changes anything: if it raises, the turn is as it was.
"""

import json
from dataclasses import replace
from typing import Any

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, canonical, check_json
from higherself.workflow.definition.paths import below
from higherself.workflow.errors import ContextRejected, EventRefused, did_you_mean
from higherself.workflow.machine.events import Event, Received, Started
from higherself.workflow.machine.moving import enter, take
from higherself.workflow.machine.snapshot import Failure
from higherself.workflow.machine.step import Outcome
from higherself.workflow.machine.turn import Choice, Told, Turn

LARGEST_DATA = 256_000
"""Bytes of canonical JSON that the start, one event or one result may bring."""

MOST_KEPT = 100
MOST_SEEN = 50

_read = json.JSONDecoder().decode

Answer = tuple[Outcome, str]
TAKEN: Answer = ("taken", "")
STALE: Answer = ("ignored", "nobody waits for this any more")


def started(turn: Turn, event: Started) -> Answer:
    """Put the context together and enter the initial state."""
    if turn.sequence:
        return "ignored", "it has started already"
    context: JsonObject = {**turn.definition.context, **checked(event.context, "to start with")}
    if turn.definition.schema is not None:
        turn.definition.schema.check(context)
    turn.context, turn.started_at = context, turn.now
    if turn.definition.deadline is not None:
        turn.set_timer("", "deadline", turn.now + turn.definition.deadline)
    enter(turn, "", turn.definition.initial, {}, Told("started"), source=None)
    turn.ready.append(("", None))
    return TAKEN


def checked(value: Any, what: str) -> Any:
    """Return ``value`` as plain JSON of our own, so that nobody else can change it.

    Raises
        Rejected: it is no JSON, or too large.
    """
    try:
        data = canonical(value)
        own = _read(data.decode())
        if own != value or b"\\u0000" in data:  # tuples, keys that are no texts, NUL characters
            check_json(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise _no_json(value, what, error) from None
    if len(data) > LARGEST_DATA:
        said = f"takes no {len(data):,} bytes {what}; {LARGEST_DATA:,} are the most"
        raise ContextRejected("", said)
    return own


def _no_json(value: Any, what: str, error: Exception) -> Rejected:
    """Return why ``value`` is no JSON, with the path of what is not, if that can be said."""
    try:
        check_json(value)
    except Rejected as said:
        return said
    except RecursionError:
        pass
    return ContextRejected("", f"takes this not {what}, for it is no JSON: {error}")


def received(turn: Turn, event: Received) -> Answer:
    """Take an event if a state waits for it; keep it while the instance is busy.

    Raises
        Rejected: nobody waits for it and the instance is not busy, its data are no JSON, or a
            guard or an assignment cannot cope with them.
    """
    if event.id is not None and event.id in turn.seen:
        return "ignored", f"event {event.id} has been counted already"
    if event.name not in turn.definition.events:
        known = did_you_mean(event.name, turn.definition.events)
        raise EventRefused(event.name, f"no state of {turn.definition} waits for it{known}")
    event = replace(event, data=checked(event.data, f"with event {event.name}"))
    if turn.cancelling is not None:
        raise EventRefused(event.name, "the instance is being cancelled")
    offers, reasons = ({}, []) if turn.halted else _offers(turn, event)
    if not offers and not reasons and turn.status == "waiting":
        raise EventRefused(event.name, _nobody(turn, event))
    if event.id is not None:
        turn.seen = (*turn.seen, event.id)[-MOST_SEEN:]
    told = Told("event", event=event.name, data=event.data or None)
    if reasons and not offers:
        why = f"no transition for {event.name}: {'; '.join(reasons)}"
        turn.stay(told._replace(note=why))
        return "ignored", why
    if not offers:
        return keep(turn, event, told)
    for region, choice in offers.items():
        take(turn, region, choice, event.data, told)
        turn.ready.append((region, None))
    return TAKEN


def keep(turn: Turn, event: Event, told: Told) -> Answer:
    """Keep ``event`` until the instance can take it.

    Raises
        EventRefused: it came from outside, and too many wait already.
    """
    if not isinstance(event, Received) and event in turn.kept:
        return "ignored", "this is kept already"
    waiting = sum(isinstance(each, Received) for each in turn.kept)
    if isinstance(event, Received) and waiting >= MOST_KEPT:
        raise EventRefused(event.name, f"{waiting} events wait already; send it later")
    why = f"the instance is {turn.status}; this is kept until it can be taken"
    turn.kept.append(event)
    turn.stay(told._replace(note=why))
    return "kept", why


def stuck(turn: Turn, event: Event, region: str, error: Rejected) -> Answer:
    """Fail, and have the event that cannot be processed be the first when it is retried."""
    state = turn.positions[region].state
    turn.kept.insert(0, event)
    failure = Failure(region, state, "GuardFailed", str(error))
    turn.fail(failure, Told("error", error=str(error)))
    return TAKEN


def is_awaited(turn: Turn, name: str) -> bool:
    """Whether some state takes an event of this name now, if its guards hold."""
    return any(turn.attentive(each) and name in turn.state(each).on for each in turn.positions)


def _offers(turn: Turn, event: Received) -> tuple[dict[str, Choice], list[str]]:
    """Return what takes ``event``: of inner states first, of outer ones only if no inner one does.

    With it, why the guards of others do not hold.
    """
    offers: dict[str, Choice] = {}
    reasons: list[str] = []
    for region in reversed(turn.active()):
        transitions = turn.state(region).on.get(event.name, ())
        inner_ones = any(inner in offers for inner in turn.inside(region))
        if inner_ones or not transitions or not turn.attentive(region):
            continue
        try:
            choice = turn.choose(region, below("on", event.name), transitions, event.data)
        except Rejected as error:
            raise EventRefused(event.name, str(error)) from error
        if choice is None:
            reasons.append(turn.why_not(transitions, event.data))
        else:
            offers[region] = choice
    return {region: offers[region] for region in turn.active() if region in offers}, reasons


def _nobody(turn: Turn, event: Received) -> str:
    awaited = {
        name for each in turn.positions if turn.attentive(each) for name in turn.state(each).on
    }
    where = " and ".join(turn.path(each) for each in turn.active())
    return f"nobody waits for it in {where}{did_you_mean(event.name, awaited)}"
