"""10,000 webhooks with duplicates, in another order, forged and stale ones among them; five kills of the server.

What is signed is sent until it is answered, as a vendor does: a kill costs an attempt, never a lead. First, while
nothing is killed, leads come at a steady rate, and it is measured how long it takes until a workflow has begun.
"""

import asyncio
import json
import os
import random
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psycopg
from measure import Line, Server, at_most, p
from serving import asking, environment, prepared, running
from watching import Watch

from higherself.flows.deliveries import SECRET, sample, signed

WEBHOOKS, KILLS, AT_ONCE = 10_000, 5, 64
STEADY, A_SECOND = 200, 5
"""Leads by which the time to a workflow is measured, and how many a second."""

FORGED, STALE, REPEATED = 0.08, 0.04, 0.30
"""The parts of all that are sent which are forged, too old, or the same as another."""

BUSINESS = "the_7_space"
OF = sample("generic_new_lead.json")
READY = r"^dashboard: "


@dataclass(frozen=True)
class Sent:
    """One request that is to be sent. ``kind``: good, forged or stale."""

    number: int
    kind: str
    headers: dict[str, str]
    body: bytes


def body_of(number: int) -> bytes:
    """Return what a lead says."""
    contact = {"email": f"lead{number}@example.org", "first_name": f"Lead {number}"}
    said = {
        "type": "new_lead",
        "timestamp": datetime.now(UTC).isoformat(),
        "data": {"subject": f"form:{number}", "contact": contact, "lead": {"number": number}},
    }
    return json.dumps(said).encode()


def requests(count: int, draw: random.Random, first: int) -> list[Sent]:
    """Return ``count`` requests in another order than they were made: good, again, forged and stale."""
    now = datetime.now(UTC)
    made: list[Sent] = []
    good: list[Sent] = []
    for at in range(count):
        now += timedelta(microseconds=1)  # of which a delivery's name is made
        turn = draw.random()
        if turn < FORGED:
            arrived = signed(OF, body_of(-at - 1), secret="whsec_Zm9yZ2VkZm9yZ2VkZm9yZ2Vk", now=now)
            made.append(Sent(-at - 1, "forged", dict(arrived.headers), arrived.body))
        elif turn < FORGED + STALE:
            arrived = signed(OF, body_of(-at - 1), now=now - timedelta(hours=1))
            made.append(Sent(-at - 1, "stale", dict(arrived.headers), arrived.body))
        elif good and turn < FORGED + STALE + REPEATED:
            made.append(draw.choice(good))
        else:
            arrived = signed(OF, body_of(first + at), now=now)
            one = Sent(first + at, "good", dict(arrived.headers), arrived.body)
            good.append(one)
            made.append(one)
    draw.shuffle(made)
    return made


class Server1:
    """The server, which is killed and begun again on the same port."""

    def __init__(self, told: dict[str, str], home: Path) -> None:
        self._told, self._home = told, home
        self.port = 0
        self.pids: list[int] = []
        self.kills = 0
        self._up = asyncio.Event()
        self._ending = False

    @asynccontextmanager
    async def kept_up(self) -> AsyncIterator[None]:
        keeping = asyncio.create_task(self._keep())
        await self._up.wait()
        try:
            yield
        finally:
            self._ending = True
            self.kill()
            await asyncio.wait([keeping])

    def kill(self) -> None:
        """Kill it at once, as a machine that loses power does."""
        for pid in self.pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    async def _keep(self) -> None:
        while not self._ending:
            log = self._home / f"serve{self.kills}.log"
            arguments = ("serve", "--port", str(self.port))
            async with running(self._told, *arguments, ready=READY, log=log) as (process, line):
                found = re.search(r":(\d+)/", line)
                assert found is not None
                self.port, self.pids = int(found[1]), [process.pid]
                self._up.set()
                await asyncio.to_thread(process.wait)
                self._up.clear()
                self.kills += 1

    async def post(self, http: httpx.AsyncClient, one: Sent) -> int:
        """Send a request until it is answered, and return the status."""
        headers = {"content-type": "application/json", **one.headers}
        while True:
            await self._up.wait()
            try:
                url = f"http://127.0.0.1:{self.port}{OF.path}"
                answer = await http.post(url, content=one.body, headers=headers)
            except httpx.TransportError:
                await asyncio.sleep(0.05)
                continue
            if answer.status_code in (429, 500, 502, 503):
                await asyncio.sleep(0.1)
                continue
            return answer.status_code


async def run(server: Server, watch: Watch, count: int = WEBHOOKS) -> list[Line]:
    """Send ``count`` webhooks, kill the server five times, and count what came of them."""
    name = await prepared(server, "webhooks")
    draw = random.Random(7)
    with TemporaryDirectory(prefix="higherself-webhooks-") as folder:
        home = Path(folder)
        told = environment(server, name, home, home)
        told |= {
            "WEBHOOK_SECRET": SECRET,
            "HIGHERSELF_WEBHOOK_BUSINESSES": f"*={BUSINESS}",
            "HIGHERSELF_WEBHOOK_RATE": "10000000",
            "HIGHERSELF_DELIVERY": "sandbox",
        }
        one = Server1(told, home)
        async with (
            one.kept_up(),
            httpx.AsyncClient(timeout=30, limits=httpx.Limits(max_connections=AT_ONCE)) as http,
            asking(server, name) as ask,
        ):
            watch.processes = lambda: one.pids
            lines = await _steady(server, name, one, http, min(STEADY, count))
            made = requests(count, draw, first=STEADY)
            good = {each.number for each in made if each.kind == "good"}
            began = time.perf_counter()
            async with watch.watching():
                bad = await _burst(one, http, made, watch, ask)
                await _until(ask, len(good) + min(STEADY, count))
            took = time.perf_counter() - began
            lines += await _counted(server, name, good, bad)
    return [
        Line(f"{count:,} webhooks, {one.kills - 1} kills of the server", count / took, "/s"),
        Line(
            "answer to a webhook in the burst: p95",
            p(watch.latencies, 95),
            "ms",
            note="kills included",
        ),
        *lines,
    ]


async def _steady(
    server: Server, name: str, one: Server1, http: httpx.AsyncClient, count: int
) -> list[Line]:
    """Send leads at a steady rate; return how long answers and workflows took."""
    sent: dict[int, float] = {}
    answers: list[float] = []

    async def post(number: int) -> None:
        arrived = signed(OF, body_of(number), now=datetime.now(UTC))
        begun = time.perf_counter()
        sent[number] = time.time()
        await one.post(http, Sent(number, "good", dict(arrived.headers), arrived.body))
        answers.append((time.perf_counter() - begun) * 1000)

    async with asyncio.TaskGroup() as group:
        for number in range(count):
            group.create_task(post(number))
            await asyncio.sleep(1 / A_SECOND)
    await asyncio.sleep(3)
    waits: list[float] = []
    async with await psycopg.AsyncConnection.connect(server.as_superuser(name)) as connection:
        rows = await connection.execute(
            "SELECT (h.data #>> '{lead,number}')::int, extract(EPOCH FROM min(s.started_at))"
            " FROM higherself.happening h JOIN higherself.happening_start s"
            " ON s.entity = h.entity AND s.happening_id = h.id WHERE h.type = 'new_lead' GROUP BY 1"
        )
        async for number, started in rows:
            if number in sent:
                waits.append((float(started) - sent[number]) * 1000)
    warm = waits[len(waits) // 10 :] or [0.0]
    p95 = p(warm, 95)
    return [
        Line("webhook answered: p95", p(answers, 95), "ms", **at_most(p(answers, 95), 150)),
        Line("webhook to workflow begun: p50", p(warm, 50), "ms"),
        Line("webhook to workflow begun: p95", p95, "ms", **at_most(p95, 150)),
        Line("leads without a workflow", count - len(waits), **at_most(count - len(waits), 0)),
    ]


async def _burst(
    one: Server1, http: httpx.AsyncClient, made: list[Sent], watch: Watch, ask
) -> dict[str, int]:  # type: ignore[no-untyped-def]
    """Send all, killing the server now and then; return how many bad ones were taken."""
    turn = asyncio.Semaphore(AT_ONCE)
    taken = {"forged": 0, "stale": 0, "refused": 0}
    every = max(len(made) // (KILLS + 1), 1)
    answered = 0

    async def send(each: Sent) -> None:
        nonlocal answered
        async with turn:
            begun = time.perf_counter()
            status = await one.post(http, each)
            watch.tell((time.perf_counter() - begun) * 1000)
            watch.done += 1
        answered += 1
        if each.kind == "good":
            taken["refused"] += status != OF.of.acknowledged
        else:
            taken[each.kind] += status == OF.of.acknowledged
        if answered % every == 0 and answered // every <= KILLS:
            one.kill()

    async with asyncio.TaskGroup() as group:
        for each in made:
            group.create_task(send(each))
    return taken


async def _until(ask, leads: int) -> None:  # type: ignore[no-untyped-def]
    """Wait until all that was taken is handled, or nothing moves any more."""
    query = (
        "SELECT (SELECT count(*) FROM higherself.webhook_delivery WHERE status = 'received')"
        " + (SELECT count(*) FROM higherself.happening WHERE status = 'open')"
    )
    for _ in range(1200):
        if await ask(query) == 0:
            return
        await asyncio.sleep(0.5)


async def _counted(server: Server, name: str, good: set[int], bad: dict[str, int]) -> list[Line]:
    """Count what was lost, and what was done twice."""
    async with await psycopg.AsyncConnection.connect(server.as_superuser(name)) as connection:

        async def one(query: str) -> int:
            row = await (await connection.execute(query.encode())).fetchone()
            return int(row[0]) if row else 0

        rows = await connection.execute(
            "SELECT (data #>> '{lead,number}')::int, count(*) FROM higherself.happening"
            " WHERE type = 'new_lead' GROUP BY 1"
        )
        seen = {number: times async for number, times in rows}
        contacts = await one(
            "SELECT count(*) - count(DISTINCT lower(email)) FROM higherself.contacts_profiles"
        )
        instances = await one(
            "SELECT (SELECT count(*) FROM higherself.workflow_instance WHERE workflow = 'lead_capture')"
            " - (SELECT count(DISTINCT happening_id) FROM higherself.happening_start"
            " WHERE workflow = 'lead_capture')"
        )
        invented = await one(
            "SELECT count(*) FROM higherself.contacts_profiles WHERE email LIKE 'lead-%'"
        )
    lost = len(good - seen.keys()) + bad["refused"]
    twice = sum(times - 1 for times in seen.values()) + contacts + instances
    return [
        Line("webhooks lost", lost, **at_most(lost, 0)),
        Line("forged ones taken", bad["forged"], **at_most(bad["forged"], 0)),
        Line("stale ones taken", bad["stale"], **at_most(bad["stale"], 0)),
        Line("effects twice", twice, **at_most(twice, 0), note="happenings, contacts, instances"),
        Line("effects of what was refused", invented, **at_most(invented, 0)),
    ]
