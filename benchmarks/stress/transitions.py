"""100,000 transitions: instances of five states, each with an activity, by two workers."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import Line, Server, at_least, at_most, p
from serving import asking, prepared, workers
from watching import Watch

from higherself import HigherSelf

TRANSITIONS, STATES, AT_ONCE = 100_000, 5, 64
GOAL = 500
"""Transitions a second."""

SKILL = '''
"""One activity that does next to nothing."""
from higherself import skill


@skill(description="Count on", effects="pure")
async def count_on(n: int) -> int:
    return n + 1
'''

COMPLETED = "SELECT count(*) FROM higherself.workflow_instance WHERE status = 'completed'"
SPOILT = (
    "SELECT count(*) FROM higherself.workflow_instance"
    f" WHERE (snapshot -> 'context' ->> 'n')::int IS DISTINCT FROM {STATES}"
)


def definition() -> str:
    """Return the workflow, as a developer writes it."""
    lines = ["workflow: stress", "version: 1", "context: {n: 0}", "initial: s0", "states:"]
    for number in range(STATES):
        lines += [
            f"  s{number}:",
            '    activity: {skill: count_on, input: {n: "{{ context.n }}"}, save: n}',
            f"    transitions: [{{to: s{number + 1}, when: context.n > {number}}}]",
        ]
    return "\n".join([*lines, f"  s{STATES}: {{final: true}}", ""])


def install(folder: Path) -> None:
    """Write what makes ``folder`` an extension with the workflow and its skill."""
    (folder / "counting.py").write_text(SKILL)
    (folder / "workflows").mkdir()
    (folder / "workflows" / "stress.yaml").write_text(definition())


async def run(server: Server, watch: Watch, transitions: int = TRANSITIONS) -> list[Line]:
    """Start as many instances as it takes, and wait for all of them."""
    name = await prepared(server, "transitions")
    instances = transitions // STATES
    with TemporaryDirectory(prefix="higherself-transitions-") as folder:
        install(Path(folder))
        async with (
            HigherSelf.open(server.as_program(name)) as hs,
            workers(server, name, Path(folder)) as pids,
            asking(server, name) as ask,
        ):
            await hs.workflows.add_text(definition(), file="stress.yaml")
            watch.processes = lambda: pids
            began = time.perf_counter()
            async with watch.watching():
                starting = asyncio.create_task(_start(hs, watch, instances))
                while (completed := await ask(COMPLETED)) < instances:
                    watch.done = completed * STATES
                    await asyncio.sleep(0.5)
                watch.done = completed * STATES
                await starting
            took = time.perf_counter() - began
            wrong = await ask(SPOILT)
    rate = instances * STATES / took
    grown = watch.slope("program") if took > 120 else 0.0
    return [
        Line(f"{instances * STATES:,} transitions", rate, "/s", **at_least(rate, GOAL, "/s")),
        Line("starting under that load: p95", p(watch.latencies, 95), "ms"),
        Line("instances that miscounted", wrong, **at_most(wrong, 0)),
        *([Line("memory of the workers", grown, "MB/h")] if grown else []),
    ]


async def _start(hs: HigherSelf, watch: Watch, count: int) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turn:
            began = time.perf_counter()
            await hs.workflows.start("stress", key=f"stress/{number}")
            watch.tell((time.perf_counter() - began) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
