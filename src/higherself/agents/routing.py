"""Which agent gets some work. Pure, and explained.

The ways to decide are tried in the order of `WAYS`; the first that leads to an agent that may have
the work decides. Where it leads to several, they are scored by what is known of them; equal scores
go by name, so the same question has the same answer. What an agent accepts it has declared: no
handler is run, and no code is read, to find out.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from higherself.kernel.nearest import did_you_mean
from higherself.messaging.patterns import fits

WAYS = (
    "rule",
    "pattern",
    "continuation",
    "workflow",
    "entity",
    "event",
    "required",
    "prefix",
    "accepts",
    "model",
)
"""In this order: a rule of the operator, a pattern of several agents that is named, who has the conversation, events of workflows, agents of the business, the map
of event types, what is required (a name, a role, a capability), the beginning of the type, who
declared to accept it, and what a language model suggests."""

FALLBACK = "fallback"
"""The only way for work at which an agent has failed: who may take over is for that agent to say."""

NOBODY = "nobody"
"""In place of one of them: none led anywhere."""

WORKFLOWS = "workflows"
"""In `Candidate.leads`: the events of workflows, as if they were a pattern of several agents."""

ANYTHING_ELSE = "*"
"""In `Candidate.fallbacks`, in place of a capability: work for which none was asked for."""

FOR_AWAY = 4.0
"""Points that an agent loses for being away, where the work can wait for it: more than all it can
gain by its load and its success, so one that is there is preferred."""


@dataclass(frozen=True, slots=True)
class Selector:
    """Which agents may do the work; every key that is given has to fit."""

    name: str | None = None
    role: str | None = None
    capability: str | None = None
    entity: str | None = None

    def __bool__(self) -> bool:
        return any((self.name, self.role, self.capability))


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent as routing sees it. No ``entities``: it serves every business.

    ``running`` and ``concurrency`` count tasks; ``done`` and ``failed`` are of the recent past.
    ``away`` says why it cannot be asked at all. ``accepts`` are patterns of types of messages
    (none: nothing is known of it); ``events`` and ``prefixes`` say whose a type is. ``leads`` are
    patterns of several agents (`WORKFLOWS`: the events of workflows). ``fallbacks`` are agents, by
    the capability for which they may take over; ``stands_in`` are capabilities for which it does so
    itself, once another has failed.
    """

    name: str
    role: str = ""
    capabilities: frozenset[str] = frozenset()
    entities: frozenset[str] = frozenset()
    running: int = 0
    concurrency: int = 1
    done: int = 0
    failed: int = 0
    away: str = ""
    accepts: tuple[str, ...] = ()
    events: frozenset[str] = frozenset()
    prefixes: tuple[str, ...] = ()
    leads: frozenset[str] = frozenset()
    fallbacks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    stands_in: frozenset[str] = frozenset()

    def takes(self, type_: str | None) -> bool:
        """Whether a message of this type may be given to it."""
        return type_ is None or not self.accepts or any(fits(each, type_) for each in self.accepts)


@dataclass(frozen=True, slots=True)
class Need:
    """Work that is to be routed.

    ``task`` is what it is about (a skill), ``type`` that of its message, ``pattern`` the pattern of
    several agents that it names. ``before`` is who had the instance's work last, ``owner`` who has
    the conversation now. ``failed`` are the agents that have failed at it, the first one first.
    ``waits``: it lies in an inbox until the agent comes to it, so nobody is too busy for it.
    """

    selector: Selector = field(default_factory=Selector)
    entity: str | None = None
    task: str = ""
    before: str | None = None
    type: str | None = None
    pattern: str | None = None
    owner: str | None = None
    failed: tuple[str, ...] = ()
    waits: bool = False

    @property
    def business(self) -> str | None:
        """Whose agents are asked."""
        return self.selector.entity or self.entity


@dataclass(frozen=True, slots=True)
class Rule:
    """Work like this is ``agent``'s. What is not given fits everything; ``task`` may end in ``*``.

    ``task`` is compared with the task, or the type of the message if there is none.
    """

    agent: str
    task: str | None = None
    capability: str | None = None
    entity: str | None = None

    def fits(self, need: Need) -> bool:
        """Whether the rule is about ``need``."""
        capability = self.capability in (None, need.selector.capability)
        return (
            capability
            and self.entity in (None, need.entity)
            and self._fits_task(need.task or need.type or "")
        )

    def _fits_task(self, task: str) -> bool:
        if self.task is None:
            return True
        return task.startswith(self.task[:-1]) if self.task.endswith("*") else task == self.task

    def __str__(self) -> str:
        parts = (("task", self.task), ("capability", self.capability), ("entity", self.entity))
        said = ", ".join(f"{name} {value}" for name, value in parts if value is not None)
        return f"{said or 'everything'} is {self.agent}'s"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a language model would do: give it to ``agent``, as a message of the ``type`` it knows."""

    agent: str
    type: str | None = None
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What is agreed beside what agents say of themselves.

    ``patterns``: who leads a pattern of several agents (or `WORKFLOWS`). ``workflows``: patterns of
    types that are events of workflows; one may end in ``*`` for all that begins so. ``router``: what a language model
    suggests if all else leads nowhere; a text in its place says why none can be asked.
    """

    rules: tuple[Rule, ...] = ()
    patterns: Mapping[str, str] = field(default_factory=dict)
    workflows: tuple[str, ...] = ("workflow.>", "workflow_*")
    router: Suggestion | str = "no language model is installed that routes, so none was asked"


NOTHING_AGREED = Table()


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate's score, and what it is made of. No score: it cannot have the work."""

    agent: str
    score: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Passed:
    """A way that was tried and did not decide, and why."""

    way: str
    why: str


@dataclass(frozen=True, slots=True)
class Routing:
    """Who gets the work, and why; every candidate's score, the best first.

    ``agent`` is None if nobody can have it now; ``reason`` then says what is waited for. ``way``
    is what decided, ``passed`` what was tried before. ``type``: it is to be given to the agent as
    a message of this type.
    """

    agent: str | None
    reason: str
    scores: tuple[Scored, ...] = field(default_factory=tuple)
    way: str = NOBODY
    passed: tuple[Passed, ...] = ()
    type: str | None = None


def route(
    need: Need,
    candidates: Collection[Candidate],
    rules: Sequence[Rule] = (),
    table: Table = NOTHING_AGREED,
) -> Routing:
    """Return who of ``candidates`` gets the work.

    >>> nyra = Candidate("nyra", capabilities=frozenset({"lead_enrichment"}))
    >>> need = Need(Selector(capability="lead_enrichment"), entity="the_7_space")
    >>> route(need, [nyra]).agent
    'nyra'
    """
    scores = tuple(sorted((_scored(need, each) for each in candidates), key=_best_first))
    agents = {each.name: each for each in candidates}
    able = {each.agent: each for each in scores if each.score is not None}
    passed: list[Passed] = []
    for way in (_by_fallback,) if need.failed else _WAYS:
        name = way.__name__.removeprefix("_by_")
        found = way(need, agents, able, replace(table, rules=(*rules, *table.rules)))
        if isinstance(found, Chosen):
            return Routing(found.agent, found.why, scores, name, tuple(passed), found.type)
        passed += [Passed(name, found)] if found else []
    reason = _nobody(need, candidates, passed)
    return Routing(None, reason, scores, NOBODY, tuple(passed))


@dataclass(frozen=True, slots=True)
class Chosen:
    """Whom one way leads to."""

    agent: str
    why: str
    type: str | None = None


_Agents = Mapping[str, Candidate]
_Able = Mapping[str, Scored]
_Way = Callable[[Need, _Agents, _Able, Table], Chosen | str]
"""Returns who is chosen, or why nobody is; nothing if there was nothing to decide upon."""


def _by_rule(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    fitting = [rule for rule in table.rules if rule.fits(need)]
    for rule in fitting:
        if rule.agent in able:
            return Chosen(rule.agent, f"rule: {rule}")
    return "; ".join(_cannot(rule.agent, agents, need) for rule in fitting)


def _by_fallback(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    first, capability = need.failed[0], need.selector.capability or ANYTHING_ELSE
    others = agents[first].fallbacks.get(capability, ()) if first in agents else ()
    for each in others:
        if each in able:
            return Chosen(each, f"stands in for {first}, which failed, in {capability}")
    if not others:
        return f"{first} failed, and has declared no fallback for {capability}"
    return "; ".join(_cannot(each, agents, need) for each in others)


def _by_pattern(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.pattern is None:
        return ""
    led = _led(agents, table)
    leader = led.get(need.pattern)
    if leader is None:
        return f"no agent leads a pattern {need.pattern!r}{did_you_mean(need.pattern, led)}"
    if leader in able:
        return Chosen(leader, f"leads the pattern {need.pattern}")
    return _cannot(leader, agents, need)


def _by_continuation(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.owner is None:
        return ""
    if need.owner in able:
        return Chosen(need.owner, "has the conversation")
    return _cannot(need.owner, agents, need)


def _by_workflow(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.type is None or not any(_means(each, need.type) for each in table.workflows):
        return ""
    if named := sorted(each for each in able if need.type in agents[each].events):
        return f"{' and '.join(named)} has this very event"
    orchestrator = _led(agents, table).get(WORKFLOWS)
    if orchestrator is None:
        return "it is an event of a workflow, and no agent leads workflows"
    if orchestrator in able:
        return Chosen(orchestrator, "has the events of workflows")
    return _cannot(orchestrator, agents, need)


def _means(pattern: str, type_: str) -> bool:
    plain = pattern.endswith("*") and pattern[-2:-1] not in ("", ".")
    return type_.startswith(pattern[:-1]) if plain else fits(pattern, type_)


def _by_entity(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.type is None or need.business is None:
        return ""
    ours = [
        each for each in able if agents[each].entities and agents[each].accepts
    ]  # who is able serves the business
    return _best(ours, able, f"is there for {need.business}, and accepts {need.type}")


def _by_event(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.type is None:
        return ""
    theirs = [each for each, agent in agents.items() if need.type in agent.events]
    return _best(
        [each for each in theirs if each in able], able, f"has the events {need.type}"
    ) or ("; ".join(_cannot(each, agents, need) for each in sorted(theirs)))


def _by_required(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.type is not None and not need.selector:
        return ""
    return _best(list(able), able, "")


def _by_prefix(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.type is None:
        return ""
    longest = {
        each: max((len(p) for p in agents[each].prefixes if need.type.startswith(p)), default=0)
        for each in able
    }
    most = max(longest.values(), default=0)
    theirs = [each for each, length in longest.items() if length == most > 0]
    return _best(theirs, able, f"has what begins with {need.type[:most]}")


def _by_accepts(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.type is None:
        return ""
    willing = [each for each in able if agents[each].accepts]
    by_name = [each for each in willing if need.type in agents[each].accepts]
    return _best(by_name or willing, able, f"accepts {need.type}") or (
        f"no agent that may have it has declared to accept {need.type}"
    )


def _by_model(need: Need, agents: _Agents, able: _Able, table: Table) -> Chosen | str:
    if need.type is None or need.selector:
        return ""
    match table.router:
        case Suggestion(agent, type_, why):
            as_given = replace(need, type=type_ or need.type)
            if agent not in agents:
                return f"the model chose {agent}, and there is no such agent"
            if against := tuple(_obstacles(as_given, agents[agent])):
                return f"the model chose {agent}, which {' and '.join(against)}"
            return Chosen(agent, f"the model chose it: {why}".rstrip(": "), as_given.type)
        case reason:
            return reason


_WAYS: tuple[_Way, ...] = (
    _by_rule,
    _by_pattern,
    _by_continuation,
    _by_workflow,
    _by_entity,
    _by_event,
    _by_required,
    _by_prefix,
    _by_accepts,
    _by_model,
)


def _led(agents: _Agents, table: Table) -> dict[str, str]:
    """Return who leads what. What is agreed goes before what agents say; of several, the first name."""
    said = {each: name for name in sorted(agents, reverse=True) for each in agents[name].leads}
    return {**said, **table.patterns}


def _best(names: Sequence[str], able: _Able, why: str) -> Chosen | str:
    if not names:
        return ""
    best = min((able[each] for each in names), key=_best_first)
    return Chosen(best.agent, ", ".join(filter(None, (why, *best.reasons))))


def _cannot(name: str, agents: _Agents, need: Need) -> str:
    """Return why an agent that would have the work cannot have it."""
    if name not in agents:
        return f"there is no agent {name}{did_you_mean(name, agents)}"
    return f"{name} {' and '.join(_obstacles(need, agents[name]))}"


def _best_first(scored: Scored) -> tuple[bool, float, str]:
    return scored.score is None, -(scored.score or 0), scored.agent


def _scored(need: Need, candidate: Candidate) -> Scored:
    against = tuple(_obstacles(need, candidate))
    if against:
        return Scored(candidate.name, None, against)
    parts = tuple(_merits(need, candidate))
    return Scored(
        candidate.name,
        round(sum(points for points, _ in parts), 4),
        tuple(f"{reason} ({points:+.2f})" for points, reason in parts),
    )


def _obstacles(need: Need, candidate: Candidate) -> Iterator[str]:
    yield from _misfits(need, candidate)
    if candidate.name in need.failed:
        yield "has failed at it"
    if candidate.away and not need.waits:
        yield f"is away: {candidate.away}"
    if candidate.running >= candidate.concurrency and not need.waits:
        yield f"is busy ({candidate.running} of {candidate.concurrency})"


def _misfits(need: Need, candidate: Candidate) -> Iterator[str]:
    """Yield why ``candidate`` can never have the work."""
    wanted = need.selector
    if wanted.name is not None and wanted.name != candidate.name:
        yield f"is not {wanted.name}"
    if wanted.role is not None and wanted.role != candidate.role:
        yield f"has not the role {wanted.role}"
    able = candidate.capabilities | (candidate.stands_in if need.failed else frozenset())
    if wanted.capability is not None and wanted.capability not in able:
        yield f"has not the capability {wanted.capability}"
    if candidate.entities and need.business not in candidate.entities:
        yield f"does not serve {need.business or 'what belongs to no business'}"
    if not candidate.takes(need.type):
        yield f"does not accept {need.type}"


def _merits(need: Need, candidate: Candidate) -> Iterator[tuple[float, str]]:
    """Yield points and what they are for. What is known best weighs most."""
    free = 1 - candidate.running / candidate.concurrency
    yield max(free, 0.0), f"{candidate.running} of {candidate.concurrency} tasks"
    # Laplace's rule: who has done nothing yet counts as one who succeeds half the time.
    rate = (candidate.done + 1) / (candidate.done + candidate.failed + 2)
    yield rate, f"{candidate.done} done and {candidate.failed} failed"
    if candidate.entities:
        yield 0.5, f"is there for {need.business}"
    if need.before == candidate.name:
        yield 0.5, "had the instance before"
    if candidate.away:
        yield -FOR_AWAY, f"is away: {candidate.away}"


def _nobody(need: Need, candidates: Collection[Candidate], passed: Sequence[Passed]) -> str:
    """Return what is waited for: the narrowest thing that can be said."""
    if need.failed:
        return "; ".join(each.why for each in passed)
    if not need.selector and need.type is not None:
        ways = "; ".join(f"{each.way}: {each.why}" for each in passed)
        return f"no agent was found for {need.type}: {ways}"
    said = _wanted(need.selector)
    fitting = [each for each in candidates if not any(_misfits(need, each))]
    if fitting:
        fitting.sort(key=lambda each: each.name)
        states = (f"{each.name} {' and '.join(_obstacles(need, each))}" for each in fitting)
        return f"every agent {said} is busy or away: {'; '.join(states)}"
    for wanted, known in _known(need.selector, candidates):
        if wanted is not None and wanted not in known:
            return f"no agent {said}{did_you_mean(wanted, known)}"
    untyped = [each for each in candidates if not any(_misfits(replace(need, type=None), each))]
    if untyped:
        return f"no agent {said} accepts {need.type}"
    return f"no agent {said} serves {need.business}"


def _known(
    selector: Selector, candidates: Collection[Candidate]
) -> Iterator[tuple[str | None, frozenset[str]]]:
    """Yield what is asked for, and what of that kind there is."""
    yield selector.name, frozenset(each.name for each in candidates)
    yield selector.role, frozenset(each.role for each in candidates if each.role)
    capabilities = (each.capabilities for each in candidates)
    yield selector.capability, frozenset[str]().union(*capabilities)


def _wanted(selector: Selector) -> str:
    parts = (
        ("named", selector.name),
        ("with role", selector.role),
        ("with capability", selector.capability),
    )
    return " and ".join(f"{word} {value}" for word, value in parts if value is not None) or "at all"
