"""What a page about one instance says: where it is, what it waits for, who is to act. Pure.

It depends on what has happened alone, not on when it is looked at, so the same is said until
something happens. Texts of a definition or a context are text: whoever shows them escapes them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from higherself.workflow.definition.model import (
    Activity,
    Approval,
    SubWorkflow,
    WorkflowDefinition,
    state_path,
)
from higherself.workflow.machine.snapshot import Pending, Snapshot
from higherself.workflow.machine.step import Cause, HistoryEntry
from higherself.workflow.machine.waiting import waits_for
from higherself.workflow.view.mermaid import mermaid
from higherself.workflow.view.progress import progress
from higherself.workflow.view.run import Run, run_of
from higherself.workflow.view.words import agent_of, lasting, percent, shortened, times

Tone = Literal["works", "waits", "asks", "paused", "failed", "completed", "cancelled"]
"""How it is, as colours tell it. ``asks``: a person is to decide."""

Waiting = Literal["Person", "Event", "Timer", "Activity", "Workflow", "Condition"]

LAST_STEPS = 20
"""Steps that the table has."""

LONGEST_PATH = 30
"""Stops that the way has; the first and the latest are kept."""

LONGEST_TEXT = 300
"""Characters of a text that somebody else wrote."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stay in a state. ``took`` is empty while it lasts."""

    state: str
    entered_at: datetime
    took: str = ""
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Line:
    """One entry of the history in words: what happened, who did it, and what came of it."""

    sequence: int
    at: datetime
    what: str
    who: str = ""
    result: str = ""
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class StatusReport:
    """What a page about an instance says.

    ``headline`` is how it is in two or three words, ``waiting`` the whole reason, ``acts`` who is
    to do something next and ``since`` when that began. ``actions`` are those that a person can
    choose now. ``share`` is from 0 to 1.
    """

    workflow: str
    version: int
    description: str
    tone: Tone
    headline: str
    waiting: str
    kind: Waiting | None
    acts: str
    question: str
    since: datetime | None
    states: tuple[str, ...]
    share: float
    figures: tuple[tuple[str, str], ...]
    actions: tuple[str, ...]
    path: tuple[Stop | None, ...]
    lines: tuple[Line, ...]
    entries: int
    diagram: str
    started_at: datetime | None
    ended_at: datetime | None
    moved_at: datetime | None
    error: str
    agent: str


def status_report(
    definition: WorkflowDefinition,
    snapshot: Snapshot,
    history: Sequence[HistoryEntry],
    *,
    reason: str | None = None,
) -> StatusReport:
    """Return what is to be said of an instance; ``reason`` is what it waits for, if that is known."""
    run = run_of(definition, snapshot, history)
    tone = _tone(snapshot)
    moved_at = history[-1].at if history else None
    asked = _first(snapshot)
    return StatusReport(
        workflow=definition.name,
        version=definition.version,
        description=" ".join(definition.description.split()),
        tone=tone,
        headline=_headline(tone, snapshot),
        waiting=shortened(reason or waits_for(definition, snapshot), 4 * LONGEST_TEXT),
        kind=_kind(snapshot, asked),
        acts=_acts(definition, snapshot, asked),
        question=_question(asked) if tone == "asks" else "",
        since=_since(snapshot, history),
        states=tuple(
            state_path(region, position.state) for region, position in snapshot.positions.items()
        ),
        share=progress(definition, snapshot, history).share,
        figures=tuple(_figures(snapshot, history, run)),
        actions=tuple(_actions(snapshot, tone)),
        path=_path(run),
        lines=tuple(_line(definition, each) for each in reversed(history[-LAST_STEPS:])),
        entries=len(history),
        diagram=mermaid(definition, run=run, guards=False),
        started_at=snapshot.started_at or run.started_at,
        ended_at=moved_at if snapshot.finished else None,
        moved_at=moved_at,
        error=shortened(snapshot.failure.message, LONGEST_TEXT) if snapshot.failure else "",
        agent=next((each.agent for each in reversed(history) if each.agent), ""),
    )


# --- How it is.


def _tone(snapshot: Snapshot) -> Tone:
    match snapshot.status:
        case "completed" | "cancelled" | "paused" | "failed":
            return snapshot.status
        case _:
            kinds = {pending.kind for pending in snapshot.pending.values()}
            if "approval" in kinds:
                return "asks"
            return "works" if kinds & {"activity", "collaboration"} else "waits"


def _headline(tone: Tone, snapshot: Snapshot) -> str:
    match tone:
        case "works":
            return "Cancelling" if snapshot.cancelling is not None else "Working"
        case "waits":
            return "Waiting"
        case "asks":
            return "Waiting for a decision"
        case "paused":
            return "On hold"
        case "failed":
            return "Failed"
        case "completed":
            return "Completed"
        case "cancelled":
            return "Cancelled"


def _first(snapshot: Snapshot) -> Pending | None:
    """Return what a person would name first of all that was asked for."""
    order = ("approval", "activity", "collaboration", "child")
    found = sorted(snapshot.pending.items(), key=lambda each: (order.index(each[1].kind), each[0]))
    return found[0][1] if found else None


def _kind(snapshot: Snapshot, asked: Pending | None) -> Waiting | None:
    if snapshot.finished:
        return None
    if snapshot.status in ("failed", "paused"):
        return "Person"
    if asked is not None:
        kinds: dict[str, Waiting] = {"approval": "Person", "child": "Workflow"}
        return kinds.get(asked.kind, "Activity")
    if any(position.unmet for position in snapshot.positions.values()):
        return "Condition"
    timed = any(timer.path != "deadline" for timer in snapshot.timers.values())
    return "Timer" if timed else "Event"


def _acts(definition: WorkflowDefinition, snapshot: Snapshot, asked: Pending | None) -> str:
    """Return who is to do something next, in words; empty when nobody is."""
    if snapshot.finished:
        return ""
    if snapshot.status == "failed":
        return "somebody who looks at the error, then retries or cancels"
    if snapshot.status == "paused":
        return "somebody who resumes it"
    if asked is None:
        events = sorted(
            {
                name
                for region, position in snapshot.positions.items()
                if position.phase in ("working", "open")
                for name in definition.state(region, position.state).on
            }
        )
        return f"whoever sends {' or '.join(events)}" if events else "nobody: it goes on by itself"
    position = snapshot.positions.get(asked.region)
    state = definition.state(asked.region, position.state) if position else None
    match asked.kind:
        case "approval":
            work = state.work if state else None
            return " or ".join(work.roles) if isinstance(work, Approval) else "a person"
        case "child":
            work = state.work if state else None
            return f"workflow {work.workflow}" if isinstance(work, SubWorkflow) else "a workflow"
        case _:
            agent = agent_of(definition.agent_of(asked.activity))
            activity = definition.activities.get(asked.activity)
            named = activity.skill if isinstance(activity, Activity) else "several agents"
            return f"{agent} ({named})" if agent else f"the server ({named})"


def _question(asked: Pending | None) -> str:
    if asked is None or asked.kind != "approval" or not isinstance(asked.input, str):
        return ""
    return shortened(asked.input, LONGEST_TEXT)


def _since(snapshot: Snapshot, history: Sequence[HistoryEntry]) -> datetime | None:
    """Return when it came to be as it is."""
    if not history:
        return None
    if snapshot.finished or snapshot.status == "failed":
        return history[-1].at
    if snapshot.status == "paused":
        return next((each.at for each in reversed(history) if each.cause == "paused"), None)
    entered = [position.entered_at for position in snapshot.positions.values()]
    return max(entered, default=history[-1].at)


def _actions(snapshot: Snapshot, tone: Tone) -> Iterator[str]:
    if snapshot.finished:
        return
    if tone == "asks":
        yield from ("Approve", "Reject")
    if tone == "failed":
        yield "Retry"
    elif tone == "paused":
        yield "Resume"
    else:
        yield "Pause"
    yield "Cancel"


# --- Figures and the way.


def _figures(
    snapshot: Snapshot, history: Sequence[HistoryEntry], run: Run
) -> Iterator[tuple[str, str]]:
    if history:
        end = history[-1].at
        yield ("Took" if snapshot.finished else "Until the last step"), lasting(end - history[0].at)
    yield "Steps", f"{len(history):,}"
    yield "States visited", f"{len(run.visits):,}"
    done = sum(1 for each in run.attempts if not each.error)
    if run.attempts:
        yield "Activities done", f"{done:,}"
    if errors := sum(run.errors.values()):
        yield "Went wrong", times(errors)
    busy = sum(each.milliseconds or 0.0 for each in history)
    if busy >= 1:
        yield "Time at work", lasting(timedelta(milliseconds=busy))


def _path(run: Run) -> tuple[Stop | None, ...]:
    """Return the stays in states, in order; None is where some are left out."""
    stops = [
        Stop(
            visit.state,
            visit.entered_at,
            "" if visit.duration is None else lasting(visit.duration),
            len(visit.errors),
        )
        for visit in run.visits
    ]
    if len(stops) <= LONGEST_PATH:
        return tuple(stops)
    return (stops[0], None, *stops[-(LONGEST_PATH - 2) :])


# --- The history in words.


def _line(definition: WorkflowDefinition, entry: HistoryEntry) -> Line:
    what, who = _told(definition, entry)
    result = "" if entry.source == entry.target or entry.target is None else _moved(entry)
    said = entry.error or entry.note or result
    if entry.error and result:
        said = f"{entry.error} ({result})"
    return Line(
        entry.sequence,
        entry.at,
        shortened(what, LONGEST_TEXT),
        shortened(who, LONGEST_TEXT),
        shortened(" ".join(said.split()), LONGEST_TEXT),
        entry.error is not None,
    )


def _moved(entry: HistoryEntry) -> str:
    """Return where it went."""
    target = state_path(entry.region, entry.target or "")
    if entry.source is None:
        return f"in {target}"
    return f"{state_path(entry.region, entry.source)} → {target}"


_SAID: Mapping[Cause, str] = {
    "started": "Started",
    "automatic": "Went on",
    "child": "Other workflow ended",
    "join": "Branches joined",
    "left": "Left",
    "paused": "Put on hold",
    "resumed": "Resumed",
    "retried": "Retried",
    "cancelled": "Cancelled",
    "migrated": "Moved to another version",
    "error": "Went wrong",
}
_DECIDED = {"approved": "Approved", "rejected": "Rejected", "expired": "Nobody decided"}


def _told(definition: WorkflowDefinition, entry: HistoryEntry) -> tuple[str, str]:
    """Return what happened, and who did it."""
    data = entry.data if isinstance(entry.data, dict) else {}
    by, event = str(data.get("by") or ""), entry.event or ""
    match entry.cause:
        case "event":
            return f"Event {event}", by
        case "activity":
            return _activity(definition, entry), entry.agent or by
        case "timer":
            return f"Time was up: {event}", by
        case "approval":
            what, comment = _DECIDED.get(event, event), data.get("comment")
            return (f"{what}: {comment}" if comment else what), by
        case cause:
            return _SAID[cause], by


def _activity(definition: WorkflowDefinition, entry: HistoryEntry) -> str:
    activity = definition.activities.get(entry.event or "")
    name = activity.skill if isinstance(activity, Activity) else "Collaboration"
    attempt = f", attempt {entry.attempt}" if (entry.attempt or 1) > 1 else ""
    return f"{name} {'failed' if entry.error else 'done'}{attempt}"


def bar(share: float, length: int = 10) -> str:
    """Return a share as a bar and a number.

    >>> bar(0.52), bar(0.0), bar(1.0)
    ('▓▓▓▓▓░░░░░ 52%', '░░░░░░░░░░ 0%', '▓▓▓▓▓▓▓▓▓▓ 100%')
    """
    full = min(length, int(share * length + 1e-9))
    return f"{'▓' * full}{'░' * (length - full)} {percent(share)}"
