"""Our engine, in a process of its own as its peers are; in our environment."""

import asyncio
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from common import EVENTS_DROPPED, PAUSE, STATES, line, main

from higherself.db.pool import open_database
from higherself.kernel.tasks import in_background
from higherself.workflow.definition import WorkflowDefinition, load
from higherself.workflow.engine.activities import ActivityCall, Ran
from higherself.workflow.engine.model import Wanted
from higherself.workflow.engine.wiring import Workflows, open_workflows

Answers = AsyncGenerator[dict[str, Any] | None, None]

STARTS = 64
"""Instances that are started at a time."""
SLEEP = 0.02
SLEEPERS = 16
PAGES = 200

NEXT = dict(zip("abcde", "bcdef", strict=True))
ACTIVITY = {"activity": {"skill": "step", "input": {"n": "{{ context.n }}"}, "save": "n"}}
GUARD = "context.n >= 0"

FIVE = load(
    {
        "workflow": "five",
        "version": 1,
        "initial": "a",
        "context": {"n": 0},
        "states": {
            **{
                at: {**ACTIVITY, "transitions": {"to": to, "when": GUARD}}
                for at, to in NEXT.items()
            },
            "f": {"final": True},
        },
    }
)
CHAIN = load(
    {
        "workflow": "chain",
        "version": 1,
        "initial": "a",
        "context": {"n": 0},
        "states": {
            **{at: {"transitions": {"to": to, "when": GUARD}} for at, to in NEXT.items()},
            "f": {"final": True},
        },
    }
)


def _ping(name: str, *, timers: bool) -> WorkflowDefinition:
    """Return what waits for events: one that only moves it, and one that leads to an activity."""
    waits: dict[str, Any] = {"after": {"30d": {"to": "idle"}}} if timers else {}
    work = {"to": "working"}
    return load(
        {
            "workflow": name,
            "version": 1,
            "initial": "idle",
            "context": {"n": 0},
            "states": {
                "idle": {"on": {"move": {"to": "moved"}, "work": work}, **waits},
                "moved": {"on": {"move": {"to": "idle"}, "work": work}, **waits},
                "working": {**ACTIVITY, "transitions": {"to": "idle"}},
            },
        }
    )


PING = _ping("ping", timers=False)
WAITING = _ping("waiting", timers=True)
"""Each has a timer, too: what is due in a month lies among what is due now."""


class Runner:
    """Runs the one activity there is, and counts."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.ran, self._seconds = 0, seconds

    async def run(self, call: ActivityCall) -> Ran:
        """Add one."""
        if self._seconds:
            await asyncio.sleep(self._seconds)
        self.ran += 1
        return Ran(call.input["n"] + 1)  # type: ignore[index,operator,call-overload]


@asynccontextmanager
async def opened(url: str, **how: int) -> AsyncIterator[Workflows]:
    """Yield the engine with our definitions."""
    async with (
        open_database(url, connections=4) as database,
        open_workflows(url, database, **how) as workflows,
    ):
        for definition in (FIVE, CHAIN, PING, WAITING):
            await workflows.engine.add(definition)
        yield workflows


async def start(workflows: Workflows, workflow: str, number: int) -> list[UUID]:
    """Start instances, some at a time."""
    some, started = asyncio.Semaphore(STARTS), []

    async def one() -> None:
        async with some:
            started.append((await workflows.engine.start(workflow)).instance)

    async with asyncio.TaskGroup() as group:
        for _ in range(number):
            group.create_task(one())
    return started


async def _completed(workflows: Workflows, runner: Runner, number: int) -> None:
    """Wait for all instances, without asking the database before it can be."""
    while runner.ran < number * STATES:  # noqa: ASYNC110  the runner shall do nothing but count
        await asyncio.sleep(0.002)
    done = Wanted(status="completed")
    while (await workflows.engine.page(done, limit=1, counted=None)).total < number:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def _to_completion(url: str, number: int, **how: int) -> Answers:
    async with opened(url) as workflows:
        instances = await start(workflows, "five", number)
    runner = Runner()
    async with opened(url, **how) as workflows:
        consumer = workflows.consumer(runner)
        yield None
        async with in_background(consumer.run()):
            await _completed(workflows, runner, number)
            yield {"steps": number * STATES}
        assert runner.ran == number * STATES, runner.ran
        assert len(await workflows.engine.history(instances[-1])) == 1 + STATES


async def one_by_one(url: str, number: int) -> Answers:
    """Each activity's step committed by its own transaction."""
    async for each in _to_completion(url, number, at_once=1, side_by_side=8):
        yield each


async def together(url: str, number: int) -> Answers:
    """As it is: steps that come together are committed together."""
    async for each in _to_completion(url, number):
        yield each


async def automatic(url: str, number: int) -> Answers:
    """Five transitions without activities; the start, too, is an entry of the history."""
    async with opened(url) as workflows:
        yield None
        instances = await start(workflows, "chain", number)
        yield {"steps": number * STATES}
        entries = await workflows.engine.history(instances[-1])
        assert len(entries) == 1 + STATES, entries
        found = await workflows.engine.page(Wanted(status="completed"), limit=1, counted=None)
        assert found.total == number, found.total


class Committed:
    """Notes when the step of an activity was committed."""

    def __init__(self, workflows: Workflows) -> None:
        self.at: dict[UUID, float] = {}
        self.seen = asyncio.Event()
        stepper = workflows.engine.stepper
        apply = stepper.apply

        async def watched(instance: Any, *given: Any, **named: Any) -> Any:
            applied = await apply(instance, *given, **named)
            if named.get("handled") is not None:
                self.at[instance] = time.perf_counter()
                self.seen.set()
            return applied

        stepper.apply = watched  # type: ignore[method-assign]


async def _sent(workflows: Workflows, instance: UUID) -> float:
    began = time.perf_counter()
    await workflows.engine.send(instance, "move")
    return (time.perf_counter() - began) * 1000


async def _worked(workflows: Workflows, committed: Committed, instance: UUID) -> float:
    committed.seen.clear()
    committed.at.pop(instance, None)
    began = time.perf_counter()
    await workflows.engine.send(instance, "work")
    while instance not in committed.at:
        committed.seen.clear()
        await asyncio.wait_for(committed.seen.wait(), 30)
    return (committed.at[instance] - began) * 1000


async def latency(url: str, number: int) -> Answers:
    """From before an event is sent until its transition, or its activity's step, is committed."""
    async with opened(url) as workflows:
        (instance,) = await start(workflows, "ping", 1)
        committed = Committed(workflows)
        async with in_background(workflows.consumer(Runner()).run()):
            await asyncio.sleep(1)
            yield None
            sent, worked = [], []
            for _ in range(number):
                sent.append(await _sent(workflows, instance))
                await asyncio.sleep(PAUSE)
            for _ in range(number):
                worked.append(await _worked(workflows, committed, instance))
                await asyncio.sleep(PAUSE)
            yield {"sent": sent[EVENTS_DROPPED:], "worked": worked[EVENTS_DROPPED:]}


async def idle(url: str, seconds: int) -> Answers:
    """Have a worker with nothing to do for ``seconds``."""
    async with (
        opened(url) as workflows,
        in_background(workflows.consumer(Runner()).run()),
    ):
        await asyncio.sleep(1)
        yield None
        await asyncio.sleep(seconds)
        yield {}


async def fill(url: str, number: int) -> Answers:
    """Start instances for the workers that come then."""
    async with opened(url) as workflows:
        yield None
        await start(workflows, "five", number)
        yield {}


async def sleeping(url: str, number: int) -> Answers:
    """Work with activities that take a while, until told to stop."""
    runner = Runner(SLEEP)
    async with opened(url) as workflows:
        yield None
        async with in_background(workflows.consumer(runner, concurrency=SLEEPERS).run()):
            await line()
            yield {"steps": runner.ran}


async def wait(url: str, number: int) -> Answers:
    """Start instances that wait for an event, each with a timer."""
    async with opened(url) as workflows:
        yield None
        await start(workflows, "waiting", number)
        yield {}


async def claims(url: str, number: int) -> Answers:
    """Send an event to one waiting instance after the other; how long until its activity's step."""
    async with opened(url) as workflows:
        page = await workflows.engine.page(Wanted(workflow="waiting"), limit=100)
        instances = [each.instance for each in page.instances]
        draw = random.Random(7)
        committed = Committed(workflows)
        async with in_background(workflows.consumer(Runner()).run()):
            await asyncio.sleep(1)
            yield None
            worked = []
            for _ in range(number):
                worked.append(await _worked(workflows, committed, draw.choice(instances)))
                await asyncio.sleep(PAUSE / 5)
            yield {"worked": worked[EVENTS_DROPPED:]}


LISTS = {
    "running": Wanted(status="running"),
    "of a workflow, completed": Wanted(workflow="five", status="completed"),
    "completed": Wanted(status="completed"),
    "all": Wanted(),
}


async def pages(url: str, number: int) -> Answers:
    """List instances time and again."""
    async with opened(url) as workflows:
        for wanted in LISTS.values():
            await workflows.engine.page(wanted)
        yield None
        took: dict[str, list[float]] = {}
        for name, wanted in LISTS.items():
            for _ in range(number):
                began = time.perf_counter()
                await workflows.engine.page(wanted)
                took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
        yield {"took": took}


if __name__ == "__main__":
    main(
        one_by_one=one_by_one,
        together=together,
        automatic=automatic,
        latency=latency,
        idle=idle,
        fill=fill,
        sleeping=sleeping,
        wait=wait,
        claims=claims,
        pages=pages,
    )
