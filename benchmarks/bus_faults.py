"""200 agents and 20,000 durable messages, while workers, the NATS server and PostgreSQL are killed.

The laboratory of the fault suite (`tests.messaging.lab`) with large numbers: agents stand in chains of
three, in worker processes of their own; each has one effect and passes the message on. Three runs:
workers killed, the messages through NATS and the victims its drains; the NATS server killed; PostgreSQL
killed. Recovery: for workers, from the kill until what was leased then is handled; for servers, from
when it listens again until the next message is acknowledged.
"""

import asyncio
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from measure import Line, at_most, finish, p, parser, say, throwaway_server
from tests.messaging.lab.lab import ByRoad, Lab, Sends, make_lab
from tests.messaging.lab.plan import STAGES, Plan

from higherself.db import embedded
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.messaging.nats import open_nats
from higherself.messaging.postgres import open_channel
from higherself.messaging.subscribing import signing_key
from higherself.testing.nats import NatsServer, nats_server
from higherself.testing.postgres import in_database

RUNS = ("workers", "nats", "postgres")
GOALS = {"workers": 3.5, "nats": 3.0, "postgres": 3.0}
"""Seconds: the lease of 1.5 s and 2 s; and what the fault suite says of servers."""

Kill = Callable[[Lab], Awaitable[float]]


def main() -> None:
    """Run, and print."""
    options = parser(__doc__)
    options.add_argument("--count", type=int, default=20_000, help="messages of each run")
    options.add_argument("--agents", type=int, default=200)
    options.add_argument("--kills", type=int, default=10, help="of each run")
    options.add_argument("--seed", type=int, default=20261123)
    options.add_argument("--run", choices=RUNS, action="append", help="only this; may be repeated")
    given = options.parse_args()
    lines: list[Line] = []
    for name in given.run or RUNS:
        lines += asyncio.run(run(name, given.count, given.agents, given.kills, given.seed))
    finish(lines, given.json)


async def run(name: str, count: int, agents: int, kills: int, seed: int) -> list[Line]:
    """Send, kill, wait, and count what is wrong."""
    with throwaway_server() as postgres, nats_server() as nats:
        url = in_database(postgres.url, postgres.fresh_database("faults", ours=True))
        await migrate(url, clock=SYSTEM_CLOCK)
        make_lab(url)
        plan = Plan(
            url=url, agents=agents, concurrency=2, nats=nats.url, monitoring=nats.monitoring
        )
        with closing(Lab(plan, conversations=agents, dice=random.Random(seed))) as lab:
            kill: dict[str, Kill] = {
                "workers": kill_worker,
                "nats": lambda lab: kill_nats(lab, nats),
                "postgres": lambda lab: kill_postgres(lab, postgres.home),
            }
            async with open_database(url) as database, open_channel(url, database) as channel:
                key = await signing_key(database)
                async with open_nats(nats.settings(), key) as roads:
                    await asyncio.wait_for(roads.link.when_up(), 10)
                    road = channel.outbox if name == "postgres" else ByRoad(roads.durable)
                    recovered, took = await play(lab, road, kill[name], count, kills)
            return lines_of(name, lab, count, recovered, took)


async def play(
    lab: Lab, road: Sends, kill: Kill, count: int, kills: int
) -> tuple[list[float], float]:
    await lab.start(3)
    began = time.monotonic()
    sending = asyncio.create_task(lab.send(road, range(count), at_once=20))
    recovered = []
    for number in range(1, kills + 1):
        share = count * number // (kills + 2)
        while len(lab.acknowledged) < share:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        recovered.append(await kill(lab))
        say(f"kill {number}: recovered in {recovered[-1]:.2f} s")
    await sending
    with suppress(AssertionError):  # then it shows in what is counted
        await lab.finished(count, patience=max(120, count / 20))
    return recovered, time.monotonic() - began


async def kill_worker(lab: Lab) -> float:
    find = "SELECT message_id::text FROM higherself.message WHERE status = 'leased'"
    held = [row[0] for row in await asyncio.to_thread(lab.rows, find)]
    began = time.monotonic()
    replacing = asyncio.create_task(lab.kill_one())
    named = ", ".join(f"'{each}'" for each in held) or "NULL"
    left = (
        "SELECT 1 FROM higherself.message WHERE status IN ('leased', 'ready', 'waiting')"
        f" AND message_id::text IN ({named}) LIMIT 1"
    )
    while await asyncio.to_thread(lab.rows, left):  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    recovered = time.monotonic() - began
    await replacing
    return recovered


async def kill_nats(lab: Lab, server: NatsServer) -> float:
    await asyncio.to_thread(server.kill)
    await asyncio.sleep(lab.dice.uniform(0, 2))
    await asyncio.to_thread(server.start)
    return await next_acknowledged(lab)


async def kill_postgres(lab: Lab, home: Path) -> float:
    pid = embedded.status(home).pid
    if pid is None:
        raise RuntimeError("PostgreSQL does not run")
    os.kill(pid, signal.SIGKILL)
    await asyncio.sleep(lab.dice.uniform(0, 2))
    await asyncio.to_thread(EmbeddedPostgres.attach, home)
    return await next_acknowledged(lab)


async def next_acknowledged(lab: Lab) -> float:
    before, began = len(lab.acknowledged), time.monotonic()
    while len(lab.acknowledged) == before:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def lines_of(name: str, lab: Lab, count: int, recovered: list[float], took: float) -> list[Line]:
    effects = lab.effects()
    times = Counter((n, stage) for n, stage, _ in effects)
    lost = sum((n, stage) not in times for n in lab.acknowledged for stage in range(STAGES))
    doubled = len(effects) - len(times)
    last: dict[tuple[int, int], int] = {}
    disordered = 0
    for n, stage, conversation in effects:
        disordered += n <= last.get((conversation, stage), -1)
        last[conversation, stage] = n
    said = f"{name} killed {len(recovered)} times"
    (open_,) = lab.rows(
        "SELECT count(*) FROM message WHERE status IN ('ready', 'waiting', 'leased')"
    )[0]
    acknowledged = f"{len(lab.acknowledged):,} of {count:,} acknowledged, {took:.0f} s"
    if open_:
        acknowledged += f"; not lost but not done yet: {open_:,} messages"
    return [
        Line(f"{said}: acknowledged and lost", lost, note=acknowledged, **at_most(lost, 0)),
        Line(f"{said}: effects twice", doubled, **at_most(doubled, 0)),
        Line(f"{said}: out of order", disordered, **at_most(disordered, 0)),
        Line(
            f"{said}: recovery p95", p(recovered, 95), " s",
            **at_most(p(recovered, 95), GOALS[name], " s"),
        ),
    ]  # fmt: skip


@contextmanager
def closing(lab: Lab) -> Iterator[Lab]:
    try:
        yield lab
    finally:
        lab.close()


if __name__ == "__main__":
    main()
