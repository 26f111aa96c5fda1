"""50,000 chunks of real sentences through the local model into the index."""

import os
import time
from collections.abc import Iterator

import data
from measure import Line, Server, at_most
from serving import prepared
from watching import Watch

from higherself import HigherSelf
from higherself.knowledge.model import IngestReport, NewDocument

CHUNKS, A_DOCUMENT = 50_000, 2
"""Chunks in all, and of each document."""
FLAT_MB = 60


def documents(count: int) -> Iterator[NewDocument]:
    """Yield texts of about 200 words."""
    for number in range(count):
        row = data.row(number)
        yield NewDocument(external_id=row.id, text=row.text, entity="default", source="stress")


async def run(server: Server, watch: Watch, chunks: int = CHUNKS) -> list[Line]:
    """Take in ``chunks`` as a stream; the memory must not grow with them."""
    name = await prepared(server, "embedding")
    settings = server.as_program(name).model_copy(update={"embedding_tiers": ("local",)})
    last = [time.perf_counter()]

    def progress(report: IngestReport) -> None:
        now = time.perf_counter()
        watch.tell((now - last[0]) * 1000)
        watch.done, last[0] = report.embedded + report.reused, now

    wanted = chunks // A_DOCUMENT
    watch.processes = lambda: [os.getpid()]
    async with HigherSelf.open(settings, workflows=False) as hs:
        began = time.perf_counter()
        async with watch.watching():
            report = await hs.knowledge.add(documents(wanted), progress=progress)
        took = time.perf_counter() - began
    held = [s.megabytes["program"] for s in watch.samples[len(watch.samples) // 5 :]]
    growth = held[-1] - held[0] if held else 0.0
    lost = len(report.failed)
    return [
        Line("embedded and stored", report.chunks / took, "chunks/s", note=f"{report.chunks:,} chunks"),
        Line("documents that failed", lost, **at_most(lost, 0)),
        Line("memory, from the first fifth on", growth, "MB", **at_most(growth, FLAT_MB, " MB")),
    ]  # fmt: skip
