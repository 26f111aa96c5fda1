"""An agent that does what its file says: carries out, one by one, the steps that `program` decides."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, assert_never

from higherself.agents.agent import Agent, Handle
from higherself.agents.context import AgentContext
from higherself.agents.llm.model import Source
from higherself.agents.model import AgentCard, Task
from higherself.business.behaviour import asking
from higherself.business.behaviour.program import (
    Answer,
    Do,
    Program,
    Progress,
    Step,
    advance,
    check_needs,
    left,
    noted,
    scope_of,
)
from higherself.business.behaviour.said import Declared
from higherself.kernel import telemetry
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError, NotFound, Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.messaging.patterns import fits
from higherself.services.collaboration.speech import SELF as COLLABORATION

RUN_SEQUENCE = "run_sequence"
"""The skill that begins a sequence of several agents."""

MOST_QUOTED = 1_200
"""Characters of a passage that steps get to read."""


class DeclaredAgent(Agent):
    """An agent of declarative behaviour; methods marked with `handles` go before what is declared.

    To change one in Python, subclass it with the card and programs of the roster::

        class OurNyra(DeclaredAgent):
            card, programs = declaration("nyra").card, declaration("nyra").programs

            @handles("new_lead")
            async def greet(self, task, context): ...
    """

    programs: Mapping[str, Program] = {}
    title: str = ""
    clock: ClassVar[Clock] = SYSTEM_CLOCK

    declared: Declared | None = None
    """Where it is declared; a subclass has none of its own."""

    def __init__(self, declared: Declared | None = None) -> None:
        if declared is not None:
            self.declared = declared
            self.card, self.programs = declared.card, declared.programs
            self.title = declared.title

    def told(self) -> JsonObject:
        """Return what people want to know of it beside its card."""
        said = None if self.declared is None else self.declared.said
        does = [
            {"type": type_, "about": each.about, "capability": each.capability}
            for type_, each in self.programs.items()
        ]
        if said is None:
            return {"title": self.title, "does": does}
        return {
            "title": self.title,
            "class_of_work": said.class_of_work,
            "registry_id": said.registry_id,
            "systems": list(said.systems),
            "databases": list(said.databases),
            "could_stand_in": list(said.fallbacks.agents),
            "stand_in_for": list(said.fallbacks.capabilities),
            "does": does,
        }

    @property
    def _known(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self._methods, *self.programs)))

    def handler_for(self, type_: str) -> Handle | None:
        """Return what handles messages of this type."""
        if type_ in self._methods:
            return super().handler_for(type_)
        program = self.programs.get(type_) or next(
            (each for pattern, each in self.programs.items() if fits(pattern, type_)), None
        )
        if program is not None:
            return partial(self.carry_out, program)
        marked = next((each for each in self._methods if fits(each, type_)), None)
        if marked is not None:
            found: Handle = getattr(self, self._methods[marked])
            return found
        return self.on_answer if type_ == "escalation.answered" else None

    async def carry_out(self, program: Program, task: Task, context: AgentContext) -> JsonValue:
        """Do what the program says about a message, and return the answer.

        Raises
            DataMissing, StepFailed: the message lacks something; nothing more is done.
            Exception: whatever a step raises that is not optional.
        """
        scope = scope_of(task.data, _facts(task), self._self(context.card))
        check_needs(program, scope)
        progress = Progress()
        numbers: list[int] | None = None
        while True:
            progress, wanted = advance(program, scope, progress, self.clock.now())
            match wanted:
                case Answer(data):
                    said = _cited(data, context, numbers)
                    return await self._gone_on(program, task, context, said)
                case Do(step):
                    try:
                        result = await self._all_done(wanted, task, context)
                    except HigherSelfError as error:
                        if not step.optional:
                            raise
                        _tell_left_out(step, context, error)
                        progress = left(program, progress, str(error))
                        continue
                    if step.verb == "ask" and isinstance(result, Mapping):
                        numbers = _used(result, context)
                    progress = noted(program, progress, result)
                case _:
                    assert_never(wanted)

    async def _all_done(self, wanted: Do, task: Task, context: AgentContext) -> JsonValue:
        """Carry out a step for all that it is to be done with; what fails does not stop the others."""
        if not wanted.many:
            return await self._done(wanted.step, wanted.given[0], task, context)
        results: list[JsonValue] = []
        for given in wanted.given:
            try:
                results.append(await self._done(wanted.step, given, task, context))
            except (Rejected, NotFound) as error:
                if not wanted.step.optional:
                    raise
                _tell_left_out(wanted.step, context, error)
                results.append({"failed": str(error)[:500]})
        return results

    async def _done(
        self, step: Step, given: Mapping[str, Any], task: Task, context: AgentContext
    ) -> JsonValue:
        """Carry out one step, and return what came of it."""
        match step.verb:
            case "search":
                return await _searched(given, context)
            case "skill":
                said = given.get("input") or {}
                told = {name: value for name, value in said.items() if value is not None}
                return await context.skill(step.name, **told)
            case "ask":
                return await self._asked(step, given, context)
            case "remember":
                return await _remembered(given, context)
            case "delegate":
                key = given.get("key")
                receipt = await context.delegate(
                    _to(given["to"]),
                    str(given.get("type") or step.name),
                    given.get("data"),
                    key=None if key is None else str(key),
                )
                return {"message": str(receipt.id), "agent": receipt.agent}
            case "publish":
                return await self._published(step, given, task, context)
            case "escalate":
                severity = given.get("severity", 1)
                return await context.escalate(
                    str(given["escalate"])[:2_000],
                    severity=severity if severity in (1, 2, 3, 4) else 2,
                    attempts=[str(each) for each in given.get("attempts") or ()],
                    details=given.get("details"),
                    key=None if given.get("key") is None else str(given["key"]),
                )
            case "refuse":
                raise Rejected(str(given["refuse"]))
            case "set":
                raise AssertionError("the program does this itself")
            case _:
                assert_never(step.verb)

    async def _asked(
        self, step: Step, given: Mapping[str, Any], context: AgentContext
    ) -> JsonObject:
        found = [
            Source(
                text=each.quote, title=each.title, origin=each.source, name=each.name,
                trust=each.trust, local_only=each.local_only,
            )
            for each in context.citations
        ]  # fmt: skip
        names = [str(each) for each in _listed(step.options.get("tools"))]
        ask = asking.ask_of(
            step.name,
            given["with"],
            found=found,
            texts=given.get("texts") or {},
            tools=context.tools(*names),
            voice=self._voice(context.card, context.task.entity),
            signed=self.title or context.card.name.title(),
        )
        answer = await context.ask(ask)
        return asking.made_of(
            answer.output, model=answer.model, degraded=answer.degraded, reason=answer.reason
        )

    async def _published(
        self, step: Step, given: Mapping[str, Any], task: Task, context: AgentContext
    ) -> JsonValue:
        receipt = await context.bus.publish(
            step.name,
            given.get("data"),
            subject=given.get("subject") or task.subject,
            idempotency_key=f"{task.key}/{context.card.name}/publish/{step.name}",
        )
        return {"message": str(receipt.id)}

    async def _gone_on(
        self, program: Program, task: Task, context: AgentContext, said: JsonValue
    ) -> JsonValue:
        """Begin the sequence that goes on from here, unless the message is a step of one already."""
        if program.begins is None or _collaborating(task):
            return said
        given = dict(task.data) if isinstance(task.data, Mapping) else {}
        begun = await context.skill(
            RUN_SEQUENCE,
            name=program.begins,
            data=given,
            done=program.type,
            previous=said,
            conversation=task.conversation,
        )
        return {**said, "sequence": begun} if isinstance(said, Mapping) else said

    def _self(self, card: AgentCard) -> JsonObject:
        title = self.title or card.name.title()
        return {"name": card.name, "title": title, "role": card.role, "voice": card.voice}

    def _voice(self, card: AgentCard, entity: str | None) -> str:
        whose = (entity or "the business").replace("_", " ")
        role = card.role.replace("_", " ") or "an assistant"
        tone = f" Your tone is {card.voice}." if card.voice else ""
        return f"You write as {self.title or card.name.title()}, {role} of {whose}.{tone}"


def _tell_left_out(step: Step, context: AgentContext, error: HigherSelfError) -> None:
    telemetry.info(
        "agents.step.left_out", agent=context.card.name, type=context.task.type,
        step=step.name or step.verb, reason=str(error)[:500],
    )  # fmt: skip


def _facts(task: Task) -> JsonObject:
    return {
        "type": task.type,
        "entity": task.entity or "default",
        "subject": task.subject,
        "conversation": task.conversation,
        "key": task.key,
        "sender": task.sender,
        "collaborating": _collaborating(task),
    }


def _collaborating(task: Task) -> bool:
    """Whether the message is a step of what several agents do together."""
    return task.sender == COLLABORATION


async def _searched(given: Mapping[str, Any], context: AgentContext) -> JsonObject:
    limit = given.get("limit", 5)
    passages = await context.search(
        str(given["search"])[:1_000],
        limit=limit if isinstance(limit, int) and 1 <= limit <= 20 else 5,
        tags=[str(each) for each in given.get("tags") or ()],
    )
    return {
        "count": len(passages.citations),
        "titles": [each.title for each in passages.citations],
        "passages": [
            {"number": each.number, "title": each.title, "text": each.quote[:MOST_QUOTED]}
            for each in passages.citations
        ],
        "degraded": passages.degraded,
        "reason": passages.reason,
    }


async def _remembered(given: Mapping[str, Any], context: AgentContext) -> str:
    text = asking.in_words(given["remember"])
    if not text.strip():
        raise Rejected("there is no text to remember")
    document = await context.remember(
        str(given["title"])[:300] or context.task.type,
        text,
        name=None if given.get("name") is None else str(given["name"])[:300],
        tags=[str(each) for each in given.get("tags") or ()],
        metadata=given.get("metadata"),
    )
    return str(document)


def _used(made: Mapping[str, Any], context: AgentContext) -> list[int] | None:
    """Return the numbers of the citations that an output rests on; None if it does not say."""
    places = made.get("sources")
    if not isinstance(places, list):
        return None
    cited = context.citations
    return [cited[at - 1].number for at in places if isinstance(at, int) and 1 <= at <= len(cited)]


def _cited(data: JsonValue, context: AgentContext, numbers: list[int] | None) -> JsonValue:
    if not isinstance(data, Mapping) or not context.citations:
        return data
    return context.with_citations(data, numbers=numbers or None)


def _to(said: JsonValue) -> str:
    text = str(said)
    return text if ":" in text else f"agent:{text}"


def _listed(value: JsonValue) -> list[JsonValue]:
    return list(value) if isinstance(value, list | tuple) else []
