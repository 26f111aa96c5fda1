"""What follows from what happens: workflows that begin, instances that are told. Pure.

A condition that asks for what is not there does not hold. What a trigger would do and does not is
told with the reason, so that nothing is lost silently.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from higherself.kernel.jsonvalue import JsonObject, JsonValue, canonical
from higherself.services.triggers import Happening, SendSaid, StartSaid, Trigger, Triggers
from higherself.workflow.guard import (
    ExpressionFailed,
    Guard,
    Template,
    compile_guard,
    compile_template,
)


@dataclass(frozen=True, slots=True)
class Known:
    """What a decision rests on, beside what happened.

    ``contact`` is the saved one. ``refused`` says of workflows why this business cannot have them
    started; ``in_conversation`` are those that this conversation has started already, other than by
    this happening. ``duplicate_of`` is the happening that told of the same before.
    """

    contact: JsonObject | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    in_conversation: frozenset[str] = frozenset()
    duplicate_of: str | None = None
    now: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A workflow is to be started, once for ``key``; later it is found by what it is ``about``."""

    trigger: int
    workflow: str
    key: str
    about: str | None
    context: JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class Send:
    """An instance is to be told, once for ``id``: that of ``key``, or the newest ``about`` it.

    Or each of ``instances`` that is of the workflow.
    """

    trigger: int
    workflow: str
    event: str
    key: str | None
    about: str | None
    data: JsonObject
    id: str
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """What ``earlier`` has started is to be told that it was told of again."""

    earlier: str
    event: str
    data: JsonObject
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Skip:
    """A trigger does nothing, and why."""

    trigger: int
    workflow: str
    reason: str


Action = Start | Send | Log | Skip


def decide(triggers: Triggers, happening: Happening, known: Known) -> tuple[Action, ...]:
    """Return what follows from what happened. The same for the same arguments, and it raises nothing.

    What is a duplicate starts nothing: what the earlier one has started is told. Every trigger of
    this type is among the actions, done or skipped with the reason.
    """
    scope: dict[str, JsonValue] = {
        "event": happening.data,
        "contact": known.contact,
        "happening": happening.facts(),
    }
    now = known.now or happening.at
    actions: list[Action] = []
    duplicates = triggers.duplicates.get(happening.type)
    if known.duplicate_of is not None and duplicates is not None:
        actions.append(
            Log(
                earlier=known.duplicate_of,
                event=duplicates.event,
                data={"source": happening.source, "happening": happening.id, **_brief(happening)},
                id=f"happening/{happening.id}",
            )
        )
    for place, trigger in triggers.of(happening):
        actions.append(_action(place, trigger, happening, known, scope, now))
    return tuple(actions)


def _action(
    place: int,
    trigger: Trigger,
    happening: Happening,
    known: Known,
    scope: JsonObject,
    now: datetime,
) -> Action:
    def skip(reason: str) -> Skip:
        return Skip(trigger=place, workflow=trigger.workflow, reason=reason)

    try:
        if trigger.when is not None and not _guard(trigger.when)(scope, now):
            return skip(f"`{trigger.when}` does not hold")
        if trigger.send is not None:
            return _send(place, trigger.send, happening, scope, now) or skip(
                "there is nothing by which to find the instance"
            )
        if known.duplicate_of is not None:
            return skip(f"it was told of before, by {known.duplicate_of}")
        if trigger.workflow in known.refused:
            return skip(known.refused[trigger.workflow])
        if trigger.workflow in known.in_conversation:
            return skip(f"this conversation has started {trigger.workflow} already")
        return _start(place, trigger.start or StartSaid(workflow=""), happening, scope, now)
    except ExpressionFailed as error:
        return skip(f"it asks for what is not there: {error}")


def _start(
    place: int, said: StartSaid, happening: Happening, scope: JsonObject, now: datetime
) -> Start:
    context = _object(said.context, scope, now)
    return Start(
        trigger=place,
        workflow=said.workflow,
        key=_text(said.key, scope, now),
        about=_about(said.about, scope, now),
        context={"correlation": happening.correlation, **context},
    )


def _send(
    place: int, said: SendSaid, happening: Happening, scope: JsonObject, now: datetime
) -> Send | None:
    key = None if said.key is None else _text(said.key, scope, now)
    instances: tuple[str, ...] = ()
    if said.instance is not None:
        named = _filled(said.instance, scope, now)
        instances = tuple(
            str(e) for e in (named if isinstance(named, list | tuple) else [named]) if e
        )
    about = None if key is not None or said.instance else _about(said.about, scope, now)
    if key is None and about is None and not instances:
        return None
    return Send(
        trigger=place,
        workflow=said.workflow,
        event=said.event,
        key=key,
        about=about,
        data=_object(said.data, scope, now),
        id=f"happening/{happening.id}/{place}",
        instances=instances,
    )


def _about(said: str | None, scope: JsonObject, now: datetime) -> str | None:
    """Return what an instance is about: what is said, or the contact."""
    if said is not None:
        return _text(said, scope, now)
    contact = scope["contact"]
    if not isinstance(contact, Mapping) or not contact.get("record_id"):
        return None
    return f"contact/{contact['record_id']}"


def _text(said: str, scope: JsonObject, now: datetime) -> str:
    return str(_filled(said, scope, now))[:400]


def _object(said: Any, scope: JsonObject, now: datetime) -> JsonObject:
    found = _filled(said, scope, now)
    return found if isinstance(found, Mapping) else {"value": found}


def _filled(said: Any, scope: JsonObject, now: datetime) -> JsonValue:
    return _template(canonical(said))(scope, now)


@lru_cache(maxsize=1024)
def _template(text: bytes) -> Template:
    return compile_template(from_json(text))


@lru_cache(maxsize=1024)
def _guard(text: str) -> Guard:
    return compile_guard(text)


def _brief(happening: Happening) -> JsonObject:
    """Return of the data what a log can hold: plain values, and those of the contact."""
    contact = happening.data.get("contact")
    return {"contact": contact} if isinstance(contact, Mapping) else {}


def person_of(triggers: Triggers, happening: Happening, contact: JsonObject | None) -> str | None:
    """Return by what a happening is compared with earlier ones; None: it never is a duplicate."""
    said = triggers.duplicates.get(happening.type)
    if said is None:
        return None
    scope: JsonObject = {
        "event": happening.data,
        "contact": contact,
        "happening": happening.facts(),
    }
    try:
        found = _filled(said.by, scope, happening.at)
    except ExpressionFailed:
        return None
    return str(found).strip().lower()[:400] if found else None


# --- Rows that people change.


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordChange:
    """A row that people have changed (or made) in Notion: its columns before and after."""

    database: str
    record: UUID
    entity: str
    before: JsonObject
    after: JsonObject
    person: str | None = None
    """Who changed it, by their id in Notion."""


def happened_to(
    triggers: Triggers, change: RecordChange, *, now: datetime
) -> Iterator[tuple[str, JsonObject]]:
    """Yield the type and the data of everything that happened by a change; it raises nothing."""
    scope: JsonObject = {
        "before": change.before,
        "after": change.after,
        "record": str(change.record),
        "person": change.person,
    }
    for rule in triggers.records:
        if rule.database != change.database:
            continue
        try:
            if _guard(rule.when)(scope, now):
                data = _object(rule.data, scope, now)
                yield rule.happening, {"record": str(change.record), **data}
        except ExpressionFailed:
            continue
