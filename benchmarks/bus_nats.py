"""The roads over NATS: requests with answers a second, how long one takes, and what it costs in CPU.

Two processes and the server, 1 KB each way. Beside nats-py alone, which carries bytes that nobody
reads, and FastStream on NATS, if `benchmarks/.venv` has it. CPU is that of all three processes, which
a busy machine changes least. In turns, the best of some rounds. Then durable messages: from publication
to the table, by one sender and one drain; the server syncs every one of them.
"""

import asyncio
import json
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import IO, Any

from measure import Line, Server, at_least, at_most, finish, parser, say, throwaway_server

from higherself.db.migrate import migrate
from higherself.db.pool import open_database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.ids import new_id
from higherself.kernel.tasks import in_background
from higherself.messaging.envelope import MessageId
from higherself.messaging.model import Message
from higherself.messaging.nats import open_nats
from higherself.messaging.postgres import open_channel
from higherself.testing.nats import NatsServer, nats_server
from higherself.testing.postgres import in_database

HERE = Path(__file__).resolve().parent
PEER_PYTHON = HERE / ".venv" / "bin" / "python"
NAMES = ("nats-py", "road", "bus", "faststream")
OUTSTANDING = 64
DURABLE = 5000
PAUSE = timedelta(milliseconds=5)

Figures = dict[str, float]


def main() -> None:
    """Measure and print."""
    options = parser(__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=2.0)
    chosen = options.parse_args()
    with throwaway_server() as postgres, nats_server() as nats:
        url = in_database(postgres.url, postgres.fresh_database("nats", ours=True))
        asyncio.run(migrate(url, clock=SYSTEM_CLOCK))
        settings = {"url": nats.url, "monitoring": nats.monitoring, "database": url}
        lines = direct(nats, json.dumps(settings), chosen.rounds, chosen.seconds)
        lines += asyncio.run(durable(nats, postgres, url, chosen.rounds))
    finish(lines, chosen.json)


def direct(nats: NatsServer, settings: str, rounds: int, seconds: float) -> list[Line]:
    """Let each do the same, in turns."""
    best: dict[tuple[str, int], Figures] = {}
    for _ in range(rounds):
        for outstanding in (OUTSTANDING, 1):
            for name in NAMES:
                found = measured(nats, name, settings, outstanding, seconds)
                if found is None:
                    continue
                before = best.get((name, outstanding), found)
                best[name, outstanding] = {
                    "rate": max(found["rate"], before["rate"]),
                    "p50": min(found["p50"], before["p50"]),
                    "cpu": min(found["cpu"], before["cpu"]),
                }
    lines = []
    for ours in ("road", "bus"):
        many, one = best[ours, OUTSTANDING], best[ours, 1]
        for peer in ("nats-py", "faststream"):
            if (peer, 1) not in best:
                lines.append(Line(f"{ours}: requests", "not measured", beside=peer))
                continue
            beside, alone = best[peer, OUTSTANDING], best[peer, 1]
            target = peer == "nats-py" and ours == "road"
            lines += [
                line(f"{ours}: requests, {OUTSTANDING} outstanding", "/s", peer, many["rate"], beside["rate"],
                     at_least(many["rate"], 12_000, "/s") if target else {}),
                line(f"{ours}: one request, p50", "ms", peer, one["p50"], alone["p50"],
                     at_most(one["p50"], 0.5, " ms") if target else {}, less=True),
                line(f"{ours}: CPU a request, {OUTSTANDING} outstanding", "us", peer, many["cpu"], beside["cpu"],
                     at_most(many["cpu"], round(1.25 * beside["cpu"], 1), " us") if target else {}, less=True),
                line(f"{ours}: CPU a request, one outstanding", "us", peer, one["cpu"], alone["cpu"],
                     at_most(one["cpu"], round(1.25 * alone["cpu"], 1), " us") if target else {}, less=True),
            ]  # fmt: skip
    return lines


def line(
    figure: str,
    unit: str,
    peer: str,
    ours: float,
    theirs: float,
    target: dict[str, object],
    *,
    less: bool = False,
) -> Line:
    """Return a line whose ratio is how many times better ours is."""
    ratio = theirs / ours if less else ours / theirs
    return Line(figure, ours, unit, peer, theirs, ratio, **target)  # type: ignore[arg-type]


def measured(
    nats: NatsServer, name: str, settings: str, outstanding: int, seconds: float
) -> Figures | None:
    """Run one case: an answering process and an asking one."""
    say(f"{name}: {outstanding} outstanding")
    python = str(PEER_PYTHON if name == "faststream" else sys.executable)
    side = [python, str(HERE / "bus_nats_side.py"), name]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    try:
        with subprocess.Popen([*side, "answer", settings], **pipes) as answers:
            if not heard(answers.stdout).startswith("ready"):
                return None
            asks_for = [*side, "ask", settings, str(outstanding), str(seconds)]
            with subprocess.Popen(asks_for, **pipes) as asks:
                heard(asks.stdout)
                before = float(told(answers)) + nats.cpu()
                found = json.loads(told(asks))
                after = float(told(answers)) + nats.cpu()
    except (OSError, ValueError) as error:
        say(f"{name}: {error}")
        return None
    spent = after - before + found["cpu"]
    return {
        "rate": found["count"] / found["wall"],
        "p50": 1000 * found["p50"],
        "cpu": 1e6 * spent / found["count"],
    }


def told(process: "subprocess.Popen[str]") -> str:
    """Poke a process, and return what it says then."""
    if process.stdin is None:
        raise AssertionError("it has no standard input")
    process.stdin.write("\n")
    process.stdin.flush()
    return heard(process.stdout)


def heard(output: IO[str] | None) -> str:
    """Return the next line."""
    return output.readline() if output is not None else ""


async def durable(nats: NatsServer, postgres: Server, url: str, rounds: int) -> list[Line]:
    """Publish to JetStream, and wait until all is in the table."""
    best: Figures = {}
    async with (
        open_database(url, connections=4) as database,
        open_channel(url, database) as channel,
        open_nats(nats.settings(), b"durable") as roads,
        in_background(roads.drain(channel.outbox, database).run()),
    ):
        for _ in range(rounds):
            say("durable")
            sent = [message(number) for number in range(DURABLE)]
            began = time.perf_counter()
            cpu = time.process_time() + nats.cpu() + postgres.cpu()
            for at in range(0, DURABLE, 500):
                await roads.durable.send(*sent[at : at + 500])
            published = time.perf_counter() - began
            while await roads.durable.pending():
                await SYSTEM_CLOCK.sleep(PAUSE)
            brought = time.perf_counter() - began
            cpu = time.process_time() + nats.cpu() + postgres.cpu() - cpu
            found = {
                "published": DURABLE / published,
                "brought": DURABLE / brought,
                "cpu": -1e6 * cpu / DURABLE,
            }
            best = {name: max(value, best.get(name, value)) for name, value in found.items()}
    return [
        Line("durable: published, acknowledged after fsync", best["published"], "/s"),
        Line("durable: published and in PostgreSQL", best["brought"], "/s"),
        Line("durable: CPU a message, all processes", -best["cpu"], "us"),
    ]


def message(number: int) -> Message:
    """Return a message of about 1 KB, as the bus hands it to a road."""
    now = SYSTEM_CLOCK.now()
    return Message(
        topic="work",
        type="com.bench.v1",
        source="urn:bench",
        data={"text": "x" * 1000, "number": number},
        id=MessageId(new_id(now)),
        time=now,
    )


if __name__ == "__main__":
    main()
