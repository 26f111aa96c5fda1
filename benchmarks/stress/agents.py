"""200 agents in two workers hand 20,000 messages on to each other, each with an effect of its own."""

import asyncio
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from measure import Line, Server, at_most, p
from serving import asking, prepared, workers
from watching import Watch

from higherself import HigherSelf

AGENTS, MESSAGES, HOPS, AT_ONCE = 200, 20_000, 4, 50

CODE = f'''
"""Agents in a ring: each counts what it got about a subject, and tells the next."""
from higherself import agent

AGENTS, HOPS = {AGENTS}, {HOPS}


def _made(number):
    @agent(name=f"stress_{{number}}", accepts=[f"stress{{number}}.hop"], description="Passes on")
    async def passes(task, context):
        said = dict(task.data)
        async with context.once() as tx:
            kept = await context.state.read(tx)
            await context.state.write(int(kept.value or 0) + 1, expected=kept.version, tx=tx)
            if said["hop"] + 1 < HOPS:
                then = (number + 1) % AGENTS
                said["hop"] += 1
                await context.bus.within(tx).send(f"agent:stress_{{then}}", f"stress{{then}}.hop", said,
                                                  subject=task.subject)
    return passes


globals().update({{f"agent_{{n}}": _made(n) for n in range(AGENTS)}})
'''

COUNT = "SELECT coalesce(sum((value #>> '{}')::int), 0) FROM higherself.agent_state"


def install(folder: Path) -> None:
    """Write the ring of agents into ``folder``, an extension."""
    (folder / "ring.py").write_text(CODE)


async def run(server: Server, watch: Watch, messages: int = MESSAGES) -> list[Line]:
    """Send ``messages`` in all, hops included, and count the effects."""
    name = await prepared(server, "agents")
    settings = server.as_program(name)
    with TemporaryDirectory(prefix="higherself-agents-") as folder:
        install(Path(folder))
        async with (
            HigherSelf.open(settings) as hs,
            workers(server, name, Path(folder)) as pids,
            asking(server, name) as ask,
        ):
            watch.processes = lambda: pids
            began = time.perf_counter()
            async with watch.watching():
                beginnings = messages // HOPS
                sending = asyncio.create_task(_send(hs, watch, beginnings))
                while watch.done < beginnings * HOPS:
                    await asyncio.sleep(0.5)
                    watch.done = await ask(COUNT)
                await sending
            took = time.perf_counter() - began
    wrong = abs(watch.done - beginnings * HOPS)
    grown = watch.slope("program") if took > 120 else 0.0
    return [
        Line(f"{AGENTS} agents, {messages:,} messages", beginnings * HOPS / took, "/s"),
        Line("their sending: p95", p(watch.latencies, 95), "ms", note="durable when it returns"),
        Line("effects missing or twice", wrong, **at_most(wrong, 0)),
        *([Line("memory of the workers", grown, "MB/h")] if grown else []),
    ]


async def _send(hs: HigherSelf, watch: Watch, count: int) -> None:
    turn = asyncio.Semaphore(AT_ONCE)

    async def one(number: int) -> None:
        async with turn:
            at, began = number % AGENTS, time.perf_counter()
            await hs.bus.send(
                f"agent:stress_{at}", f"stress{at}.hop", {"hop": 0}, subject=f"s{number}",
                idempotency_key=f"stress/{number}",
            )  # fmt: skip
            watch.tell((time.perf_counter() - began) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(one(number))
