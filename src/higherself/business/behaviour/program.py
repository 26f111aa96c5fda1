"""What an agent does about one type of message: a short list of steps, decided one by one. Pure.

`advance` says what is to be done next, and `noted` takes in what came of it; whoever carries it out
(`agent`) decides nothing. Texts of steps are templates of the workflows' language. They read

    data      what was sent, over what the step before it in a chain answered
    contact   the person it is about, from wherever in the data they are
    task      type, entity, subject, conversation, key, sender, collaborating
    agent     name, title, role, voice
    made      what the steps before have made, by the name they saved it under
    item      in a step that is done for `each` of a list, the one that it is done for
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, get_args

from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.workflow.guard import (
    ExpressionFailed,
    Fields,
    Guard,
    InvalidExpression,
    Template,
    compile_guard,
    compile_template,
)

Verb = Literal[
    "search", "skill", "ask", "remember", "delegate", "publish", "escalate", "refuse", "set"
]
VERBS: tuple[Verb, ...] = get_args(Verb)

NAMED: frozenset[Verb] = frozenset({"skill", "ask", "delegate", "publish"})
"""Steps of which a name is written that no data can change: a skill, an ask, a type of message."""

READABLE: Fields = {
    "data": None,
    "contact": None,
    "task": dict.fromkeys(
        ("type", "entity", "subject", "conversation", "key", "sender", "collaborating")
    ),
    "agent": dict.fromkeys(("name", "title", "role", "voice")),
}

MOST_ITEMS = 50
"""How often a step is done at most for the items of a list."""

_PEOPLE = ("contact", "client", "member", "customer", "person", "attendee", "subscriber")
_FACTS = (
    "email", "first_name", "last_name", "name", "full_name", "phone", "company", "job_title",
    "record_id", "contact_id",
)  # fmt: skip


class StepFailed(Rejected):
    """A step cannot be done, because of what it reads; the text says which, and why."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"{where}: {reason}")
        self.where, self.reason = where, reason


class DataMissing(Rejected):
    """A message lacks what its handler needs."""

    def __init__(self, type_: str, names: Sequence[str]) -> None:
        needed = " or ".join(f"`{name}`" for name in names)
        super().__init__(
            f"a message {type_!r} needs {needed} in its data; add it and send it again"
        )
        self.type, self.names = type_, tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do. ``name`` is fixed, ``given`` filled in; ``optional``: go on if it fails."""

    verb: Verb
    name: str = ""
    given: Template
    when: Guard | None = None
    save: str | None = None
    optional: bool = False
    options: JsonObject = field(default_factory=dict)
    each: Template | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """All that is done about one type of message.

    ``needs`` are groups of names; of each, one has to be in the data. ``capability`` is what the work
    counts as. ``begins`` is the sequence of several agents that goes on from here.
    """

    type: str
    steps: tuple[Step, ...]
    answer: Template | None
    needs: tuple[tuple[str, ...], ...] = ()
    capability: str | None = None
    begins: str | None = None
    about: str = ""

    @property
    def skills(self) -> tuple[str, ...]:
        """The skills that its steps name."""
        said = [step.name for step in self.steps if step.verb == "skill"]
        tools = [name for step in self.steps for name in _texts(step.options.get("tools"))]
        return tuple(dict.fromkeys([*said, *tools]))


@dataclass(frozen=True, slots=True)
class Do:
    """The shell is to do this, and to say what came of it: with each of ``given``, one after the other.

    If ``many``, what came of it is a list; else there is one, and its result is what came of it.
    """

    step: Step
    given: tuple[Mapping[str, Any], ...]
    many: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """It is done; this is the answer."""

    data: JsonValue


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it is: which step comes next, what was made, what could not be done."""

    at: int = 0
    made: JsonObject = field(default_factory=dict)
    left_out: tuple[str, ...] = ()


def scope_of(data: JsonValue, task: JsonObject, agent: JsonObject) -> JsonObject:
    """Return what templates read, but for what is made on the way.

    What the step before has answered (``previous``, in a chain) lies under the data: so a later step
    finds it by its own name.

    >>> found = scope_of({"previous": {"score": 80}, "client": {"email": "a@b.c"}}, {}, {})
    >>> found["data"]["score"], found["contact"]
    (80, {'email': 'a@b.c'})
    """
    said = data if isinstance(data, Mapping) else {} if data is None else {"value": data}
    before = said.get("previous")
    whole = {**(before if isinstance(before, Mapping) else {}), **said}
    return {"data": whole, "contact": person_in(whole), "task": task, "agent": agent}


def person_in(data: Mapping[str, JsonValue]) -> JsonObject:
    """Return whom data are about: what is said of a contact, client or member, or beside it."""
    found: dict[str, JsonValue] = {}
    for name in _PEOPLE:
        inner = data.get(name)
        if isinstance(inner, Mapping):
            found = {**inner, **found}
    beside = {name: data[name] for name in _FACTS if data.get(name) not in (None, "")}
    return {**beside, **{name: value for name, value in found.items() if value is not None}}


def check_needs(program: Program, scope: JsonObject) -> None:
    """Refuse a message that lacks what the program needs.

    Raises
        DataMissing: naming the fields of which one is needed.
    """
    data, contact = scope["data"], scope["contact"]
    for names in program.needs:
        if not any(_there(data, name) or _there(contact, name) for name in names):
            raise DataMissing(program.type, names)


def advance(
    program: Program, scope: JsonObject, progress: Progress, now: datetime
) -> tuple[Progress, Do | Answer]:
    """Return what is to be done next, or the answer, and how far it is then.

    Raises
        StepFailed: a template asks for what is not there.
    """
    while progress.at < len(program.steps):
        step = program.steps[progress.at]
        where = f"step {progress.at + 1} of {program.type} ({step.verb} {step.name}".rstrip() + ")"
        here: JsonObject = {**scope, "made": progress.made}
        try:
            if step.when is not None and not step.when(here, now):
                progress = noted(program, progress, None)
                continue
            given = _given(step, here, now)
        except ExpressionFailed as error:
            if not step.optional:
                raise StepFailed(where, str(error)) from None
            progress = left(program, progress, str(error))
            continue
        if step.verb == "set":
            progress = noted(program, progress, given if step.each else given[0])
            continue
        whole = tuple(each if isinstance(each, Mapping) else {} for each in given)
        return progress, Do(step, whole, many=step.each is not None)
    try:
        made: JsonObject = {**scope, "made": progress.made}
        answer = None if program.answer is None else program.answer(made, now)
    except ExpressionFailed as error:
        raise StepFailed(f"the answer to {program.type}", str(error)) from None
    return progress, Answer(_with_left_out(answer, progress.left_out))


def _given(step: Step, here: JsonObject, now: datetime) -> list[JsonValue]:
    """Return what a step is given, filled in: once, or for each item of its list."""
    if step.each is None:
        return [step.given(here, now)]
    items = step.each(here, now)
    listed = items if isinstance(items, list | tuple) else [] if items is None else [items]
    return [step.given({**here, "item": item}, now) for item in listed[:MOST_ITEMS]]


def noted(program: Program, progress: Progress, result: JsonValue) -> Progress:
    """Return how far it is after a step that came to ``result``; null if it was passed over."""
    name = program.steps[progress.at].save
    made = progress.made if name is None else {**progress.made, name: result}
    return Progress(progress.at + 1, made, progress.left_out)


def left(program: Program, progress: Progress, reason: str) -> Progress:
    """Return how far it is after an optional step that could not be done."""
    step = program.steps[progress.at]
    after = noted(program, progress, None)
    said = f"{step.name or step.verb}: {reason}"[:500]
    return Progress(after.at, after.made, (*after.left_out, said))


def _with_left_out(answer: JsonValue, left_out: Sequence[str]) -> JsonValue:
    if not left_out or not isinstance(answer, Mapping):
        return answer
    return {**answer, "left_out": list(left_out)}


def _there(value: JsonValue, name: str) -> bool:
    return isinstance(value, Mapping) and value.get(name) not in (None, "", [], {})


def _texts(value: JsonValue) -> Iterator[str]:
    if isinstance(value, list | tuple):
        yield from (str(each) for each in value)


# --- Compiling what is said.


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something that is wrong with what is said: under which keys, and what."""

    path: tuple[str | int, ...]
    what: str


def compiled_step(
    verb: Verb,
    name: str,
    given: Any,
    *,
    when: str | None,
    save: str | None,
    optional: bool,
    options: JsonObject,
    made: Sequence[str],
    each: Any = None,
) -> Step | list[Wrong]:
    """Return a step; ``made`` are the names that the steps before it save under."""
    known = readable(made)
    wrong: list[Wrong] = []
    guard: Guard | None = None
    try:
        guard = None if when is None else compile_guard(when, known=known)
    except InvalidExpression as error:
        wrong.append(Wrong(("when",), str(error)))
    items = None if each is None else compiled(each, known, wrong, ("each",))
    template = compiled(given, known if each is None else {**known, "item": None}, wrong, ())
    if wrong or template is None:
        return wrong
    return Step(
        verb=verb, name=name, given=template, when=guard, save=save, optional=optional,
        options=options, each=items,
    )  # fmt: skip


def compiled(
    said: Any, known: Fields, wrong: list[Wrong], under: tuple[str | int, ...]
) -> Template | None:
    """Return the template that is said; if it is none, what is wrong goes into ``wrong``."""
    try:
        return compile_template(said, known=known)
    except InvalidExpression as error:
        wrong.append(Wrong((*under, *(error.within or ())), str(error)))
        return None


def readable(made: Sequence[str]) -> Fields:
    """Return what expressions may read after steps that have saved these."""
    return {**READABLE, "made": dict.fromkeys(made)}
