"""What every benchmark needs: clocks, a server to throw away, and lines for the table."""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

import psycopg
from psycopg.sql import SQL, Identifier

from higherself.app.settings import Settings
from higherself.db import embedded
from higherself.db.embedded import EmbeddedPostgres
from higherself.testing.postgres import create_database, drop_database, in_database

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a piece of work took: wall time, and CPU of the client and of PostgreSQL."""

    wall: float
    client: float
    server: float

    @property
    def cpu(self) -> float:
        """CPU seconds of both sides: what a busy machine changes least."""
        return self.client + self.server


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. ``ratio`` is how many times better ours is, unless ``target`` says other."""

    figure: str
    ours: float | str
    unit: str = ""
    beside: str = ""
    theirs: float | None = None
    ratio: float | None = None
    target: str = ""
    met: bool | None = None
    note: str = ""


def at_least(value: float, bound: float, unit: str = "") -> dict[str, object]:
    """Return the target and whether ``value`` reaches it, for a `Line`."""
    return {"target": f">= {bound:g}{unit}", "met": value >= bound}


def at_most(value: float, bound: float, unit: str = "") -> dict[str, object]:
    """Return the target and whether ``value`` keeps it, for a `Line`."""
    return {"target": f"<= {bound:g}{unit}", "met": value <= bound}


def p(values: Sequence[float], percent: float) -> float:
    """Return the percentile by nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def p50(values: Sequence[float]) -> float:
    """Return the median."""
    return median(values)


class Server:
    """An embedded PostgreSQL of its own, with fresh databases on request."""

    def __init__(self, home: Path, held: EmbeddedPostgres) -> None:
        self.home = home
        self.url, self.admin_url = held.url, held.admin_url
        status = embedded.status(home)
        self.log = status.log
        self._postmaster = status.pid
        self._made = 0

    def fresh_database(self, kind: str, *, ours: bool = False) -> str:
        """Make an empty database, prepared for the program if it is ``ours``; return its name."""
        self._made += 1
        name = f"{kind}_{self._made}"
        if ours:
            create_database(self.admin_url, name)
        else:
            with psycopg.connect(self.admin_url, autocommit=True) as admin:
                admin.execute(SQL("CREATE DATABASE {}").format(Identifier(name)))
        return name

    def drop(self, name: str) -> None:
        """Drop a database of ours, so that the disk does not fill."""
        drop_database(self.admin_url, name)

    def as_program(self, database: str) -> Settings:
        """Return the settings for the program, as its own role, on ``database``."""
        url = in_database(self.url, database)
        return Settings.model_validate({"DATABASE_URL": url, "HIGHERSELF_HOME": str(self.home)})

    def as_superuser(self, database: str) -> str:
        """Return the URL that peers use: nothing is forbidden, no row-level security."""
        return in_database(self.admin_url, database)

    def cpu(self) -> float:
        """Return the CPU seconds of all server processes so far, those that ended included."""
        return sum(sum(map(int, fields[11:15])) for _, fields in self._processes()) / TICKS

    def memory(self) -> float:
        """Return the MB that all server processes hold, what they share counted once."""
        kilobytes = 0
        for folder, _ in self._processes():
            with suppress(OSError):
                rollup = Path(folder, "smaps_rollup").read_text()
                kilobytes += int(rollup.partition("\nPss:")[2].split()[0])
        return kilobytes / 1024

    def _processes(self) -> Iterator[tuple[str, list[str]]]:
        """Yield the folder in /proc of each server process, and the fields of its `stat` from 3 on."""
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit():
                continue
            try:
                stat = Path(entry.path, "stat").read_text()
            except OSError:
                continue
            fields = stat[stat.rindex(")") + 2 :].split()
            if self._postmaster in (int(entry.name), int(fields[1])):
                yield entry.path, fields

    @contextmanager
    def spending(self) -> Iterator[Callable[[], Spent]]:
        """Yield a function that returns what was spent since the block began."""
        began = time.perf_counter(), time.process_time(), self.cpu()

        def spent() -> Spent:
            return Spent(
                time.perf_counter() - began[0],
                time.process_time() - began[1],
                self.cpu() - began[2],
            )

        yield spent


@contextmanager
def throwaway_server() -> Iterator[Server]:
    """Yield a server in a temporary home; both are gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="higherself-bench-"))
    try:
        with EmbeddedPostgres.attach(home) as held:
            yield Server(home, held)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def parser(description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the option that `run.py` uses."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--json", type=Path, help="also write the lines to this file")
    return made


def say(text: str) -> None:
    """Tell a waiting person what is going on."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def finish(lines: Sequence[Line], path: Path | None) -> None:
    """Print ``lines`` as a table, and write them to ``path``."""
    print(table(lines))
    if path is not None:
        path.write_text(json.dumps([asdict(line) for line in lines], indent=1))


def table(lines: Sequence[Line]) -> str:
    """Return ``lines`` as a table for a terminal."""
    rows = [("figure", "ours", "beside", "theirs", "ratio", "target", "met", "")]
    for line in lines:
        met = {True: "yes", False: "NO", None: ""}[line.met]
        ours = f"{_short(line.ours)} {line.unit}"
        ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
        theirs = "" if line.theirs is None else _short(line.theirs)
        rows.append(
            (line.figure, ours, line.beside, theirs, ratio, line.target, met, line.note)
        )  # fmt: skip
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _short(value: float | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
