"""Which agent gets the work of a state. Pure, and explained.

Rules come first: the first one that fits, and whose agent may do the work, decides. Without one,
the agents that may do it are scored by what is known of them. Equal scores go by name, so the same
question has the same answer.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from higherself.workflow.definition import AgentSelector
from higherself.workflow.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Candidate:
    """An agent as routing sees it. No ``entities``: it serves every business.

    ``running`` and ``concurrency`` count tasks; ``done`` and ``failed`` are of the recent past.
    ``away`` says why it cannot be asked at all.
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


@dataclass(frozen=True, slots=True)
class Need:
    """Work that is to be routed. ``before`` is who had the instance's work last."""

    selector: AgentSelector
    entity: str
    task: str = ""
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Work like this is ``agent``'s. What is not given fits everything; ``task`` may end in ``*``."""

    agent: str
    task: str | None = None
    capability: str | None = None
    entity: str | None = None

    def fits(self, need: Need) -> bool:
        """Whether the rule is about ``need``."""
        capability = self.capability in (None, need.selector.capability)
        return capability and self.entity in (None, need.entity) and self._fits_task(need.task)

    def _fits_task(self, task: str) -> bool:
        if self.task is None:
            return True
        return task.startswith(self.task[:-1]) if self.task.endswith("*") else task == self.task

    def __str__(self) -> str:
        parts = (("task", self.task), ("capability", self.capability), ("entity", self.entity))
        said = ", ".join(f"{name} {value}" for name, value in parts if value is not None)
        return f"{said or 'everything'} is {self.agent}'s"


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate's score, and what it is made of. No score: it cannot have the work."""

    agent: str
    score: float | None
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Routing:
    """Who gets the work, and why; every candidate's score, the best first.

    ``agent`` is None if nobody can have it now; ``reason`` then says what is waited for.
    """

    agent: str | None
    reason: str
    scores: tuple[Scored, ...] = field(default_factory=tuple)


def route(need: Need, candidates: Collection[Candidate], rules: Sequence[Rule] = ()) -> Routing:
    """Return who of ``candidates`` gets the work.

    >>> nyra = Candidate("nyra", capabilities=frozenset({"lead_enrichment"}))
    >>> need = Need(AgentSelector(capability="lead_enrichment"), entity="the_7_space")
    >>> route(need, [nyra]).agent
    'nyra'
    """
    scores = tuple(sorted((_scored(need, each) for each in candidates), key=_best_first))
    able = {each.agent for each in scores if each.score is not None}
    for rule in rules:
        if rule.fits(need) and rule.agent in able:
            return Routing(rule.agent, f"rule: {rule}", scores)
    if not able:
        return Routing(None, _nobody(need, candidates), scores)
    best = scores[0]
    return Routing(best.agent, ", ".join(best.reasons), scores)


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
    if candidate.away:
        yield f"is away: {candidate.away}"
    if candidate.running >= candidate.concurrency:
        yield f"is busy ({candidate.running} of {candidate.concurrency})"


def _misfits(need: Need, candidate: Candidate) -> Iterator[str]:
    """Yield why ``candidate`` can never have the work."""
    wanted = need.selector
    if wanted.name is not None and wanted.name != candidate.name:
        yield f"is not {wanted.name}"
    if wanted.role is not None and wanted.role != candidate.role:
        yield f"has not the role {wanted.role}"
    if wanted.capability is not None and wanted.capability not in candidate.capabilities:
        yield f"has not the capability {wanted.capability}"
    entity = wanted.entity or need.entity
    if candidate.entities and entity not in candidate.entities:
        yield f"does not serve {entity}"


def _merits(need: Need, candidate: Candidate) -> Iterator[tuple[float, str]]:
    """Yield points and what they are for. What is known best weighs most."""
    free = 1 - candidate.running / candidate.concurrency
    yield free, f"{candidate.running} of {candidate.concurrency} tasks"
    # Laplace's rule: who has done nothing yet counts as one who succeeds half the time.
    rate = (candidate.done + 1) / (candidate.done + candidate.failed + 2)
    yield rate, f"{candidate.done} done and {candidate.failed} failed"
    if candidate.entities:
        yield 0.5, f"is there for {need.selector.entity or need.entity}"
    if need.before == candidate.name:
        yield 0.5, "had the instance before"


def _nobody(need: Need, candidates: Collection[Candidate]) -> str:
    """Return what is waited for: the narrowest thing that can be said."""
    said = _wanted(need.selector)
    fitting = [each for each in candidates if not any(_misfits(need, each))]
    if fitting:
        fitting.sort(key=lambda each: each.name)
        states = (f"{each.name} {' and '.join(_obstacles(need, each))}" for each in fitting)
        return f"every agent {said} is busy or away: {'; '.join(states)}"
    for wanted, known in _known(need.selector, candidates):
        if wanted is not None and wanted not in known:
            return f"no agent {said}{did_you_mean(wanted, known)}"
    return f"no agent {said} serves {need.selector.entity or need.entity}"


def _known(
    selector: AgentSelector, candidates: Collection[Candidate]
) -> Iterator[tuple[str | None, frozenset[str]]]:
    """Yield what is asked for, and what of that kind there is."""
    yield selector.name, frozenset(each.name for each in candidates)
    yield selector.role, frozenset(each.role for each in candidates if each.role)
    capabilities = (each.capabilities for each in candidates)
    yield selector.capability, frozenset[str]().union(*capabilities)


def _wanted(selector: AgentSelector) -> str:
    parts = (
        ("named", selector.name),
        ("with role", selector.role),
        ("with capability", selector.capability),
    )
    return " and ".join(f"{word} {value}" for word, value in parts if value is not None) or "at all"
