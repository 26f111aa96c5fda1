"""A soak: searches, documents, workflows and messages at a steady rate, for an hour (or ten minutes).

The server is `higherself serve` as users run it. What must hold: nothing fails, and after the
warm-up the memory of the server grows by less than 2 MB an hour.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import data
import httpx
import transitions
from measure import Line, Server, at_most, p
from serving import environment, prepared, running
from watching import Watch

import agents
from higherself import HigherSelf

RATE = 5.0
"""Of each kind, a second."""

SLOPE = 2.0
"""MB an hour."""

WORTH_A_SLOPE = 10
"""Minutes from which on the slope is more than noise."""

DOCUMENTS = 2_000
"""The knowledge that is searched; documents that are added replace one another."""

One = Callable[[int], Awaitable[object]]


async def run(server: Server, watch: Watch, minutes: int) -> list[Line]:
    """Keep it busy for so many minutes."""
    name = await prepared(server, "soak")
    failures: list[str] = []
    with TemporaryDirectory(prefix="higherself-soak-") as folder:
        place = Path(folder)
        transitions.install(place)
        agents.install(place)
        told = environment(server, name, place, place)
        async with AsyncExitStack() as stack:
            settings = server.as_program(name)
            hs = await stack.enter_async_context(HigherSelf.open(settings))
            serving, said = await stack.enter_async_context(
                running(told, "serve", "--port", "0", ready=r"dashboard: ", log=place / "serve.log")
            )
            watch.processes = lambda: [serving.pid]
            address = said.split("dashboard: ", 1)[1].split()[0].rstrip("/")
            http = await stack.enter_async_context(httpx.AsyncClient(base_url=address, timeout=30))
            await hs.workflows.add_text(transitions.definition(), file="stress.yaml")
            kinds = _kinds(hs, http)
            for number in range(0, DOCUMENTS, 100):
                await http.post("/api/v1/knowledge/documents", json=_documents(number, 100))
            async with watch.watching():
                until = time.monotonic() + minutes * 60
                async with asyncio.TaskGroup() as group:
                    for kind, one in kinds.items():
                        group.create_task(_steadily(kind, one, until, watch, failures))
            slope = watch.slope("program")
    bound = at_most(slope, SLOPE, " MB/h") if minutes >= WORTH_A_SLOPE else {}
    return [
        Line(f"soak of {minutes} minutes", watch.done / (minutes * 60), "/s"),
        Line("what took longest: p95", p(watch.latencies, 95), "ms"),
        Line("failed", len(failures), note="; ".join(failures[:3]), **at_most(len(failures), 0)),
        Line("memory of the server after the warm-up", slope, "MB/h", **bound),
    ]


def _kinds(hs: HigherSelf, http: httpx.AsyncClient) -> dict[str, One]:
    async def search(number: int) -> None:
        query = data.row(number % DOCUMENTS).text[:60]
        asked = {"query": query, "limit": 5}
        (await http.post("/api/v1/knowledge/search", json=asked)).raise_for_status()

    async def add(number: int) -> None:
        sent = _documents(number % DOCUMENTS, 1, edition=number // DOCUMENTS)
        (await http.post("/api/v1/knowledge/documents", json=sent)).raise_for_status()

    async def start(number: int) -> None:
        await hs.workflows.start("stress", key=f"soak/{number}")

    async def tell(number: int) -> None:
        at = number % 200
        said = {"hop": 0}
        await hs.bus.send(f"agent:stress_{at}", f"stress{at}.hop", said, subject=f"s{number % 500}")

    return {"search": search, "document": add, "workflow": start, "message": tell}


def _documents(first: int, count: int, *, edition: int = 0) -> dict[str, object]:
    rows = [data.row(first + number) for number in range(count)]
    said = f" Edition {edition}." if edition else ""
    return {"documents": [{"external_id": row.id, "text": row.text + said} for row in rows]}


async def _steadily(kind: str, one: One, until: float, watch: Watch, failures: list[str]) -> None:
    """Do one after another at the rate, however long each takes; what is late is made up for."""
    began, number = time.monotonic(), 0
    while (now := time.monotonic()) < until:
        due = began + number / RATE
        if due > now:
            await asyncio.sleep(due - now)
        asked = time.perf_counter()
        try:
            await one(number)
        except Exception as error:  # noqa: BLE001  it is counted, and the soak goes on
            failures.append(f"{kind}: {error!r}")
        else:
            watch.done += 1
            watch.tell((time.perf_counter() - asked) * 1000)
        number += 1
