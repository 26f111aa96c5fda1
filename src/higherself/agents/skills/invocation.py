"""The one place where skills are run: by workflows, agents, the command line and MCP."""

import asyncio
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import Any

from pydantic_core import from_json

from higherself.agents.errors import SkillNotAllowed
from higherself.agents.model import AgentCard
from higherself.agents.skills.cached import CachedResults
from higherself.agents.skills.errors import (
    NotStarted,
    OutcomeUnknown,
    SkillFailed,
    SkillForbidden,
    SkillsTooDeep,
    SkillTimedOut,
)
from higherself.agents.skills.keys import key_of
from higherself.agents.skills.memory import MemoryResults
from higherself.agents.skills.model import Cache, Retry, Skill, SkillCall
from higherself.agents.skills.ports import SharedResults, Tally
from higherself.agents.skills.registry import SkillRegistry
from higherself.agents.skills.versions import name_and_version
from higherself.kernel import telemetry
from higherself.kernel.backoff import exponential
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import Conflict, HigherSelfError, Misconfigured, NotFound, Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.tasks import raise_if_cancelled

LONGEST = timedelta(minutes=2)
"""How long a run may take if neither the skill nor whoever asks says."""

DEEPEST = 16
"""How many skills may be within each other."""

Cards = Callable[[str], AgentCard | None]
"""Returns the card of the agent of a name, if it is known here."""

_Chain = tuple[tuple[str, bytes | None], ...]

_CHAIN: ContextVar[_Chain] = ContextVar("skills", default=())
"""The skills that are running around this one, outermost first, with the keys of their results."""

_ONCE = Retry(attempts=1)
_FINAL = (Rejected, Misconfigured, NotFound, Conflict)
"""Families of errors that another attempt would only repeat."""


class _Resources(Mapping[str, Any]):
    """What skills work with, made when it is asked for."""

    def __init__(self) -> None:
        self.makers: dict[str, Callable[[], Any]] = {}

    def __getitem__(self, name: str) -> Any:
        return self.makers[name]()

    def __contains__(self, name: object) -> bool:
        return name in self.makers

    def __iter__(self) -> Iterator[str]:
        return iter(self.makers)

    def __len__(self) -> int:
        return len(self.makers)


class SkillInvoker:
    """Runs skills: checks who asks and what is given, limits time, repeats what may be, keeps results.

    ``shared`` keeps the results that all processes have in common; without it, each has its own.
    """

    def __init__(
        self,
        skills: SkillRegistry,
        *,
        clock: Clock = SYSTEM_CLOCK,
        memory: MemoryResults | None = None,
        shared: SharedResults | None = None,
        cards: Cards = lambda name: None,
    ) -> None:
        self.skills = skills
        self.cached = CachedResults(clock, memory=memory or MemoryResults(clock), shared=shared)
        self._clock, self._cards = clock, cards
        self._resources = _Resources()
        self._tallies: dict[tuple[str, str], Tally] = {}

    async def run(
        self,
        name: str,
        given: Mapping[str, JsonValue],
        call: SkillCall,
        *,
        version: str | None = None,
        within: timedelta | None = LONGEST,
        cached: bool = True,
    ) -> JsonValue:
        """Return what the skill (``name``, or ``name@version``) makes of ``given``.

        An attempt may take as long as the skill says, else ``within`` (None: the caller sees to
        it). Without ``cached``, the skill is run whatever is kept, and its result is not kept.

        Raises
            SkillUnknown, InputRejected, SkillForbidden, SkillNotAllowed, SkillsTooDeep: nothing was
                done.
            OutputRejected, NotJson: it returned what it does not say it returns; what it did is done.
            SkillTimedOut: it took too long. OutcomeUnknown: the same, and it must not be repeated.
            Exception: whatever the skill raises.
        """
        found = self.skills.find(name, version)
        if not call.operator:
            self._permit(found, call)
        cache = found.cache if cached else None
        key = None if cache is None else key_of(found, call.entity, given)
        if cache is None or key is None:
            return await self._run(found, given, call, within, None)
        text = self.cached.at_hand(found, key)
        if text is None:
            text = await self._made(found, cache, given, call, within, key)
        else:
            self._count_hit(found)
        result: JsonValue = from_json(text)
        return result

    async def explained(
        self,
        name: str,
        given: Mapping[str, JsonValue],
        call: SkillCall,
        **options: Any,
    ) -> JsonValue:
        """Like `run`, for those at the edges, to whom only our errors mean something.

        Raises
            SkillFailed: the skill raised an error of its own.
            HigherSelfError: see `run`.
        """
        try:
            return await self.run(name, given, call, **options)
        except HigherSelfError:
            raise
        except Exception as error:
            raise SkillFailed(name_and_version(name)[0], error) from error

    def provide(self, name: str, make: Callable[[], Any]) -> None:
        """Let skills find what ``make`` returns in `SkillCall.resource`; it is called when one asks."""
        self._resources.makers[name] = make

    def card_of(self, agent: str) -> AgentCard | None:
        """Return the card of an agent, if it is known here."""
        return self._cards(agent)

    def tallies(self) -> list[Tally]:
        """Return what was counted since this was asked last."""
        counted, self._tallies = list(self._tallies.values()), {}
        return counted

    def count_again(self, tallies: Sequence[Tally]) -> None:
        """Take back what could not be stored."""
        for each in tallies:
            self._tally(
                each.skill,
                each.version,
                runs=each.runs,
                hits=each.hits,
                failures=each.failures,
                seconds=each.seconds,
            )

    async def _made(
        self,
        skill: Skill,
        cache: Cache,
        given: Mapping[str, JsonValue],
        call: SkillCall,
        within: timedelta | None,
        key: bytes,
    ) -> bytes:
        # Whoever asks next gets the same result, so it must not depend on who asked first.
        anybody = SkillCall(
            key=key.hex(),
            entity=call.entity,
            correlation=call.correlation,
            traceparent=call.traceparent,
        )
        if any(key == outer for _, outer in _CHAIN.get()):
            raise SkillsTooDeep(_names(skill), "it waits for its own result")
        text, worked = await self.cached.made(
            skill,
            cache,
            call.entity,
            key,
            lambda: self._run(skill, given, anybody, within, key),
        )
        if worked:
            telemetry.count("skills.cache.missed", skill=skill.name)
        else:
            self._count_hit(skill)
        return text

    async def _run(
        self,
        skill: Skill,
        given: Mapping[str, JsonValue],
        call: SkillCall,
        within: timedelta | None,
        key: bytes | None,
    ) -> JsonValue:
        """Run it as often as it may be, until it succeeds."""
        chain = _CHAIN.get()
        if len(chain) >= DEEPEST:
            raise SkillsTooDeep(_names(skill), f"{DEEPEST} is the most")
        retry = skill.retry or _ONCE
        inside = _CHAIN.set((*chain, (skill.full_name, key)))
        try:
            for attempt in range(1, retry.attempts + 1):
                this = replace(
                    call, attempt=call.attempt + attempt - 1, runs=self, resources=self._resources
                )
                try:
                    return await self._attempt(skill, given, this, skill.timeout or within)
                except Exception as error:
                    if attempt == retry.attempts or not _may_be_repeated(skill, error):
                        raise
                raise_if_cancelled()
                wait = exponential(
                    attempt,
                    base=retry.first,
                    ceiling=retry.most,
                    jitter=random.random() / 2,  # noqa: S311
                )
                await self._clock.sleep(wait)
        finally:
            _CHAIN.reset(inside)
        raise AssertionError("the last attempt returns or raises")

    async def _attempt(
        self,
        skill: Skill,
        given: Mapping[str, JsonValue],
        call: SkillCall,
        within: timedelta | None,
    ) -> JsonValue:
        began = self._clock.monotonic()
        limit = asyncio.timeout(None if within is None else within.total_seconds())
        error: BaseException | None = None
        try:
            arguments = skill.arguments(given)
            try:
                async with limit:
                    return await skill.run_with(arguments, call)
            except TimeoutError as late:
                if not limit.expired() or within is None:
                    raise
                raise _too_late(skill, within) from late
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._tell(skill, call, self._clock.monotonic() - began, error)

    def _permit(self, skill: Skill, call: SkillCall) -> None:
        """Let those through who may use the skill.

        Raises
            SkillForbidden: the skill is not for them, or not for this state.
            SkillNotAllowed: the agent's card does not name it.
        """
        if skill.agents and not _one_of(skill.agents, call.agent):
            who = f"not for {call.agent}" if call.agent else "and no agent asked"
            raise SkillForbidden(skill.name, f"it is for {_listed('agent', skill.agents)}, {who}")
        if skill.states and not (
            _one_of(skill.states, call.state)
            or _one_of(skill.states, f"{call.workflow}.{call.state}")
        ):
            where = f"this is {call.state}" if call.state else "and no workflow asked"
            raise SkillForbidden(skill.name, f"it is for {_listed('state', skill.states)}, {where}")
        if call.agent is None:
            return
        card = self._cards(call.agent)
        for names in (call.allowed, card.skills if card else ()):
            if names and not _one_of(names, skill.name):
                raise SkillNotAllowed(call.agent, skill.name, names)

    def _count_hit(self, skill: Skill) -> None:
        telemetry.count("skills.cache.hit", skill=skill.name)
        self._tally(skill.name, skill.version, hits=1)

    def _tell(
        self, skill: Skill, call: SkillCall, seconds: float, error: BaseException | None
    ) -> None:
        outcome = "done" if error is None else _outcome(error)
        telemetry.duration("skills.run", seconds, skill=skill.name, outcome=outcome)
        failures = int(error is not None)
        self._tally(skill.name, skill.version, runs=1, failures=failures, seconds=seconds)
        if error is None and call.instance is not None:
            return  # it is in the history of the workflow
        facts = {"skill": skill.full_name, "milliseconds": round(seconds * 1000, 3)}
        if error is None:
            call.log.info("skills.run.done", **facts)
        else:
            said = f"{type(error).__name__}: {error}"[:500]
            telling = call.log.warning
            telling(f"skills.run.{outcome}", **facts, reason=said)

    def _tally(self, name: str, version: str, **more: Any) -> None:
        known = self._tallies.get((name, version)) or Tally(name, version)
        self._tallies[name, version] = known.plus(**more)


def _may_be_repeated(skill: Skill, error: Exception) -> bool:
    if isinstance(error, NotStarted):
        return True
    return skill.idempotent and not isinstance(error, _FINAL)


def _too_late(skill: Skill, within: timedelta) -> HigherSelfError:
    seconds = within.total_seconds()
    if skill.irreversible and not skill.idempotent:
        return OutcomeUnknown(skill.name, f"was cut off after {seconds:g} s")
    return SkillTimedOut(skill.name, seconds)


def _outcome(error: BaseException) -> str:
    match error:
        case asyncio.CancelledError():
            return "cancelled"
        case SkillTimedOut() | OutcomeUnknown():
            return "timed_out"
        case Rejected():
            return "rejected"
        case _:
            return "failed"


def _one_of(patterns: Sequence[str], name: str | None) -> bool:
    return name is not None and any(fnmatchcase(name, each) for each in patterns)


def _listed(what: str, names: Sequence[str]) -> str:
    return f"the {what}{'' if len(names) == 1 else 's'} {', '.join(names)}"


def _names(innermost: Skill) -> list[str]:
    return [*(name for name, _ in _CHAIN.get()), innermost.full_name]
