"""One run of a definition: where an instance has been, how long, and what went wrong. Pure."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from higherself.workflow.definition.model import (
    Activity,
    Transitions,
    WorkflowDefinition,
    state_path,
)
from higherself.workflow.machine.snapshot import Snapshot, Status
from higherself.workflow.machine.step import HistoryEntry
from higherself.workflow.view.graph import DEADLINE, START, EdgeKey, graphs_of


@dataclass(frozen=True, slots=True)
class Visit:
    """One stay in a state. ``left_at`` is None while it lasts; ``errors`` went wrong meanwhile."""

    state: str
    sequence: int
    entered_at: datetime
    left_at: datetime | None = None
    errors: tuple[str, ...] = ()

    @property
    def duration(self) -> timedelta | None:
        """How long it took; None while it lasts."""
        return None if self.left_at is None else self.left_at - self.entered_at


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try at an activity that has ended. When it began is known if it said how long it took.

    ``activity`` is its path in the state, ``skill`` what was run, or the pattern of agents.
    """

    state: str
    activity: str
    skill: str
    number: int
    ended_at: datetime
    began_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """What became of an instance. States are named by their paths.

    ``edges`` counts how often each edge was taken, ``moved`` are those among them that the
    definition does not have. ``errors`` counts what went wrong in each state, ``failed`` is where
    the instance stands still because of it. ``until`` is the latest moment that is known of.
    """

    status: Status
    visits: tuple[Visit, ...] = ()
    edges: Mapping[EdgeKey, int] = field(default_factory=dict)
    moved: tuple[EdgeKey, ...] = ()
    current: frozenset[str] = frozenset()
    errors: Mapping[str, int] = field(default_factory=dict)
    failed: str | None = None
    reason: str = ""
    attempts: tuple[Attempt, ...] = ()
    until: datetime | None = None

    @property
    def times(self) -> Mapping[str, int]:
        """How often each state was entered."""
        found: dict[str, int] = {}
        for visit in self.visits:
            found[visit.state] = found.get(visit.state, 0) + 1
        return found

    @property
    def spent(self) -> Mapping[str, timedelta]:
        """How long it was in each state altogether, in the visits that have ended."""
        found: dict[str, timedelta] = {}
        for visit in self.visits:
            if visit.duration is not None:
                found[visit.state] = found.get(visit.state, timedelta(0)) + visit.duration
        return found

    @property
    def started_at(self) -> datetime | None:
        """When it began."""
        return self.visits[0].entered_at if self.visits else None


def run_of(
    definition: WorkflowDefinition, snapshot: Snapshot, history: Iterable[HistoryEntry]
) -> Run:
    """Return the run that ``history``, from its first entry on, tells of."""
    reading = _Reading(definition)
    for entry in history:
        reading.take(entry)
    moved = tuple(key for key in reading.edges if key not in reading.known)
    over = snapshot.finished
    current = frozenset(state_path(region, at.state) for region, at in snapshot.positions.items())
    failure = snapshot.failure
    return Run(
        status=snapshot.status,
        visits=tuple(_ended(visit, current, reading.until, over=over) for visit in reading.visits),
        edges=reading.edges,
        moved=moved,
        current=current,
        errors=reading.errors,
        failed=state_path(failure.region, failure.state) if failure else None,
        reason=failure.message if failure else snapshot.cancelling or "",
        attempts=tuple(reading.attempts),
        until=reading.until,
    )


def _ended(visit: Visit, current: frozenset[str], until: datetime | None, *, over: bool) -> Visit:
    if visit.left_at is None and (over or visit.state not in current):
        return replace(visit, left_at=until)
    return visit


class _Reading:
    """What has been read of a history."""

    def __init__(self, definition: WorkflowDefinition) -> None:
        self.definition = definition
        self.known = {edge.key for graph in graphs_of(definition).values() for edge in graph.edges}
        self.visits: list[Visit] = []
        self.edges: dict[EdgeKey, int] = {}
        self.errors: dict[str, int] = {}
        self.attempts: list[Attempt] = []
        self.until: datetime | None = None
        self._open: dict[str, int] = {}
        self._deadline = False

    def take(self, entry: HistoryEntry) -> None:
        """Read the next entry."""
        self.until = entry.at
        for region in entry.closed:
            self._leave(region, entry.at)
        self._deadline = self._deadline or (entry.event == "deadline" and not entry.error)
        if entry.error is not None and entry.source is not None:
            self._wrong(entry, entry.error)
        if entry.cause == "activity" and entry.event in self.definition.activities:
            self._attempt(entry)
        if entry.target is not None and self._enters(entry):
            self._enter(entry, entry.target)

    def _enters(self, entry: HistoryEntry) -> bool:
        if entry.source != entry.target:
            return True
        if entry.note or entry.target is None:
            return False
        return any(
            each.to == entry.target for ways in self._ways(entry, entry.target) for each in ways
        )

    def _ways(self, entry: HistoryEntry, name: str) -> Iterator[Transitions]:
        """Yield the transitions of a state that may have led from it to itself."""
        state = self.definition.state(entry.region, name)
        path = state_path(entry.region, name)
        done = entry.cause == "activity" and entry.event in (
            f"{path}/activity", f"{path}/collaborate"
        )  # fmt: skip
        if entry.cause in ("automatic", "join", "child") or (done and entry.error is None):
            yield state.transitions
        elif entry.cause == "error":
            yield from (state.on_timeout, state.on_error)
        elif entry.cause == "event":
            yield state.on.get(entry.event or "", ())
        elif entry.cause in ("timer", "approval"):
            named = entry.event if entry.cause == "timer" else f"approval.{entry.event}"
            yield from (ways for way, ways in state.ways() if way == named)

    def _wrong(self, entry: HistoryEntry, error: str) -> None:
        path = state_path(entry.region, entry.source or "")
        self.errors[path] = self.errors.get(path, 0) + 1
        place = self._open.get(entry.region)
        if place is not None:
            visit = self.visits[place]
            self.visits[place] = replace(visit, errors=(*visit.errors, error))

    def _attempt(self, entry: HistoryEntry) -> None:
        path = entry.event or ""
        work = self.definition.activities[path]
        state, _, activity = path.partition("/")
        took = entry.milliseconds
        self.attempts.append(
            Attempt(
                state=state or state_path(entry.region, entry.source or ""),
                activity=activity,
                skill=work.skill if isinstance(work, Activity) else work.pattern,
                number=entry.attempt or 1,
                ended_at=entry.at,
                began_at=None if took is None else entry.at - timedelta(milliseconds=took),
                error=entry.error or "",
            )
        )

    def _enter(self, entry: HistoryEntry, name: str) -> None:
        source = START if entry.source is None else entry.source
        target = state_path(entry.region, name)
        key = (state_path(entry.region, source), target)
        if not entry.region:
            if self._deadline and (DEADLINE, target) in self.known:
                key = (DEADLINE, target)
            self._deadline = False
        self.edges[key] = self.edges.get(key, 0) + 1
        self._leave(entry.region, entry.at)
        self._open[entry.region] = len(self.visits)
        self.visits.append(Visit(target, entry.sequence, entry.at))

    def _leave(self, region: str, at: datetime) -> None:
        place = self._open.pop(region, None)
        if place is not None:
            self.visits[place] = replace(self.visits[place], left_at=at)
