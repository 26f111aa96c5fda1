"""What the engine needs of whoever runs activities, and what becomes of a run. I/O behind a port."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from higherself.kernel.clock import Clock
from higherself.kernel.errors import Rejected
from higherself.kernel.ids import InstanceId
from higherself.kernel.jsonvalue import JsonObject, JsonValue, NotJson, check_json
from higherself.workflow.definition import AgentSelector
from higherself.workflow.engine.errors import CannotRun
from higherself.workflow.engine.outgoing import correlation_of
from higherself.workflow.machine import (
    ActivityCompleted,
    ActivityFailed,
    ActivityTimedOut,
    AgentTask,
    RunActivity,
    RunCollaboration,
    Snapshot,
)

LONGEST = timedelta(minutes=2)
"""How long an attempt may take whose definition does not say."""

MOST_OF_A_MESSAGE = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCall:
    """One attempt of an activity. ``key`` is the same on every attempt: effects count once for it.

    ``skill`` is what is run; or ``pattern``, with the ``tasks`` of the agents that collaborate.
    ``terms`` are what the definition says of the pattern beside that, and ``timeout`` how long it may
    take. ``secrets`` are the places in ``input`` of the texts in which ``{{ secrets.NAME }}`` is replaced.
    ``correlation`` names the conversation that the instance belongs to.
    """

    key: str
    attempt: int
    instance: InstanceId
    workflow: str
    entity: str
    activity: str
    input: JsonValue
    skill: str | None = None
    pattern: str | None = None
    agent: AgentSelector | None = None
    tasks: tuple[AgentTask, ...] = ()
    terms: JsonObject = field(default_factory=dict)
    timeout: timedelta | None = None
    secrets: tuple[tuple[str | int, ...], ...] = ()
    correlation: str | None = None


@dataclass(frozen=True, slots=True)
class Ran:
    """What a run came to, and which agent did it."""

    result: JsonValue
    agent: str | None = None


@dataclass(frozen=True, slots=True)
class Deferred:
    """It goes on elsewhere, and nobody holds a seat for it.

    How it ends comes as a message `ENDED_ELSEWHERE`, durably: before this is returned, all is stored
    that leads there.
    """


class ActivityRunner(Protocol):
    """Runs skills and collaborations."""

    async def run(self, call: ActivityCall) -> Ran | Deferred:
        """Return what the activity comes to, or that it goes on elsewhere.

        Raises
            CannotRun: nobody here can run it now; nothing of it was done.
            Exception: it failed; `Rejected` says that trying again is of no use.
        """
        ...


def call_of(
    command: RunActivity | RunCollaboration, snapshot: Snapshot, *, lapses: int
) -> ActivityCall:
    """Return the call that ``command`` asks for. A worker that died had its attempt, too."""
    return ActivityCall(
        key=command.key,
        attempt=command.attempt + (lapses if isinstance(command, RunActivity) else 0),
        instance=snapshot.instance,
        workflow=snapshot.workflow,
        entity=snapshot.entity,
        activity=command.activity,
        input=command.input,
        skill=command.skill if isinstance(command, RunActivity) else None,
        pattern=None if isinstance(command, RunActivity) else command.pattern,
        agent=command.agent if isinstance(command, RunActivity) else None,
        tasks=() if isinstance(command, RunActivity) else command.tasks,
        terms={} if isinstance(command, RunActivity) else command.terms,
        timeout=command.timeout,
        secrets=command.secrets if isinstance(command, RunActivity) else (),
        correlation=correlation_of(snapshot),
    )


async def ended(
    runner: ActivityRunner,
    command: RunActivity | RunCollaboration,
    snapshot: Snapshot,
    clock: Clock,
    *,
    lapses: int = 0,
) -> ActivityCompleted | ActivityFailed | ActivityTimedOut | Deferred:
    """Run an attempt and return how it ended, whatever it does; or that it goes on elsewhere.

    Raises
        CannotRun: nobody here can run it now.
    """
    call = call_of(command, snapshot, lapses=lapses)
    limit = asyncio.timeout((command.timeout or LONGEST).total_seconds())
    took = _watch(clock)
    try:
        async with limit:
            ran = await runner.run(call)
        if isinstance(ran, Deferred):
            return ran
        return ActivityCompleted(command.key, check_json(ran.result), ran.agent, took())
    except CannotRun:
        raise
    except NotJson as error:
        said = f"it returned what is no JSON: {error.reason}"
        return ActivityFailed(
            command.key, command.attempt, said, ("InvalidResult",), False, None, took()
        )
    except Exception as error:  # noqa: BLE001  whatever an activity raises is how it ended
        if limit.expired():
            return ActivityTimedOut(command.key, command.attempt)
        return ActivityFailed(
            command.key,
            command.attempt,
            str(error)[:MOST_OF_A_MESSAGE].replace("\0", "?") or type(error).__name__,
            tuple(each.__name__ for each in type(error).__mro__[:-2]),
            not isinstance(error, Rejected),
            None,
            took(),
        )


def _watch(clock: Clock) -> Callable[[], float]:
    began = clock.monotonic()
    return lambda: round((clock.monotonic() - began) * 1000, 3)
