"""How a measured process talks with `workflow.py`: ready, a line to go, one JSON line as the answer.

A verb is an asynchronous generator. What it does before its first ``yield`` is preparation, what it
does between that and the second is measured, and the second yields what is to be answered.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

Verb = Callable[[str, int], AsyncGenerator[dict[str, Any] | None, None]]

STATES = 5
EVENTS_DROPPED = 10
PAUSE = 0.05
"""Seconds between two events, so that each meets an idle system."""

TABLES = """
CREATE TABLE instance (
    instance_id bigint PRIMARY KEY, state int NOT NULL, version int NOT NULL, context jsonb NOT NULL
);
CREATE TABLE history (
    instance_id bigint NOT NULL, seq int NOT NULL, source int NOT NULL, target int NOT NULL,
    context jsonb NOT NULL, at timestamptz NOT NULL DEFAULT now(), PRIMARY KEY (instance_id, seq)
)
"""
"""What a queue needs beside it to be a state machine: where instances are, and what happened."""


async def line() -> str:
    """Return the next line that `workflow.py` says."""
    return await asyncio.to_thread(sys.stdin.readline)


def aside() -> float:
    """Return the CPU seconds of the processes that this one has started and that run."""
    ticks, total = os.sysconf("SC_CLK_TCK"), 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                with open(f"{entry.path}/stat") as file:
                    stat = file.read()
            except OSError:
                continue
            fields = stat[stat.rindex(")") + 2 :].split()
            if int(fields[1]) == os.getpid():
                total += int(fields[11]) + int(fields[12])
    return total / ticks


def say(answer: dict[str, Any]) -> None:
    """Say something to `workflow.py`."""
    print(json.dumps(answer), flush=True)


async def _serve(verb: Verb, url: str, number: int) -> None:
    made = verb(url, number)
    try:
        await anext(made)
        say({"ready": True})
        if not await line():
            return
        wall, cpu, other = time.perf_counter(), time.process_time(), aside()
        answer = await anext(made) or {}
        took = {
            "wall": time.perf_counter() - wall,
            "client": time.process_time() - cpu,
            "aside": aside() - other,
        }
        say(took | answer)
        await line()  # what was spent is being read
    finally:
        await made.aclose()


def main(**verbs: Verb) -> None:
    """Run the verb that the command line names: ``VERB URL NUMBER``."""
    verb, url, number = sys.argv[1:]
    asyncio.run(_serve(verbs[verb], url, int(number)))
