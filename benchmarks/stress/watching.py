"""What is watched while the server is under stress: throughput, latency and memory, second by second."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from measure import Server, p

EVERY = 1.0
"""Seconds between two samples."""

WARM_UP = 0.25
"""The share of a run that does not count for the slope of the memory."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look: what was done since the last one, and what everybody held."""

    at: float
    done: int
    rate: float
    p50: float | None
    p95: float | None
    megabytes: dict[str, float]


@dataclass(slots=True)
class Watch:
    """Samples of one run. Latencies are told in milliseconds; ``done`` counts what is finished."""

    name: str
    server: Server
    unit: str
    processes: Callable[[], Iterable[int]] = tuple
    samples: list[Sample] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    done: int = 0
    _lately: list[float] = field(default_factory=list)

    def tell(self, milliseconds: float) -> None:
        """Note how long one thing took."""
        self.latencies.append(milliseconds)
        self._lately.append(milliseconds)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Take samples while the block runs."""
        sampling = asyncio.create_task(self._sample())
        try:
            yield
        finally:
            sampling.cancel()
            await asyncio.wait([sampling])

    def slope(self, of: str) -> float:
        """Return by how many MB an hour the memory grew after the warm-up (least squares)."""
        warm = self.samples[int(len(self.samples) * WARM_UP) :]
        points = [(s.at / 3600, s.megabytes[of]) for s in warm if of in s.megabytes]
        if len(points) < 3:
            return 0.0
        x_mean = sum(x for x, _ in points) / len(points)
        y_mean = sum(y for _, y in points) / len(points)
        spread = sum((x - x_mean) ** 2 for x, _ in points)
        return sum((x - x_mean) * (y - y_mean) for x, y in points) / spread

    def write(self, folder: Path) -> None:
        """Keep the samples for the charts."""
        folder.mkdir(parents=True, exist_ok=True)
        kept = {"name": self.name, "unit": self.unit, "samples": [asdict(s) for s in self.samples]}
        (folder / f"{self.name}.json").write_text(json.dumps(kept))

    async def _sample(self) -> None:
        began = last = time.perf_counter()
        before = self.done
        while True:
            await asyncio.sleep(EVERY)
            now, lately = time.perf_counter(), self._lately
            self._lately = []
            held = await asyncio.to_thread(self._held)
            self.samples.append(
                Sample(
                    at=now - began,
                    done=self.done,
                    rate=(self.done - before) / (now - last),
                    p50=p(lately, 50) if lately else None,
                    p95=p(lately, 95) if lately else None,
                    megabytes=held,
                )
            )
            before, last = self.done, now

    def _held(self) -> dict[str, float]:
        mine = sum(map(_megabytes, self.processes()))
        return {"program": mine, "postgres": self.server.memory()}


def _megabytes(pid: int) -> float:
    try:
        with psutil.Process(pid).oneshot():
            return psutil.Process(pid).memory_info().rss / 2**20
    except psutil.Error:
        return 0.0
