"""Playing flows one after the other, and keeping how they went."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from socket import socket

from higherself.app.settings import Settings
from higherself.flows.model import Flow, FlowResult, Past, Run, StepFailed, StepResult
from higherself.flows.stage import Stage
from higherself.flows.staging import Serve, staged
from higherself.kernel.clock import SYSTEM_CLOCK

KEPT = 50
"""Runs of which it is kept how they went."""


async def play(
    stage: Stage, flows: Sequence[Flow], *, ended: Callable[[FlowResult], None]
) -> tuple[FlowResult, ...]:
    """Play flows; one that fails keeps no other from being played. ``ended`` is told of each."""
    results = []
    for flow in flows:
        stage.begin()
        try:
            await flow.run(stage)
        except StepFailed:
            pass  # it is noted with its step
        except Exception as error:  # noqa: BLE001  a flow that breaks keeps no other from being played
            said = f"{type(error).__name__}: {error}"
            stage.steps.append(StepResult("between the steps", False, 0.0, 0.0, said))
        seconds = stage.hs.clock.monotonic() - stage.began
        result = FlowResult(
            flow.name,
            flow.title,
            tuple(stage.steps),
            seconds,
            await stage.arrows(),
            await stage.pictures(),
        )
        results.append(result)
        ended(result)
    return tuple(results)


def remembered(path: Path) -> list[Past]:
    """Return how earlier runs went, the oldest first; what cannot be read is left out."""
    found = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError:
        return []
    for line in lines[-KEPT:]:
        try:
            said = json.loads(line)
            found.append(Past(datetime.fromisoformat(said["at"]), dict(said["passed"])))
        except (ValueError, KeyError, TypeError):
            continue
    return found


def remember(path: Path, run: Run) -> None:
    """Keep how a run went."""
    path.parent.mkdir(parents=True, exist_ok=True)
    passed = {each.name: each.passed for each in run.results}
    line = json.dumps({"at": run.at.isoformat(), "passed": passed})
    kept = [json.dumps({"at": each.at.isoformat(), "passed": each.passed}) for each in run.history]
    path.write_text("\n".join([*kept[-KEPT + 1 :], line]) + "\n", "utf-8")


async def perform(
    settings: Settings,
    flows: Sequence[Flow],
    *,
    serve: Serve,
    listen: Callable[[], socket],
    history: Path,
    told: Callable[[str], None],
    ended: Callable[[FlowResult], None],
) -> Run:
    """Set the stage, play ``flows``, and return how it went.

    Raises
        Misconfigured: a part of the stage does not start.
    """
    at, began = SYSTEM_CLOCK.now(), SYSTEM_CLOCK.monotonic()
    notion = any(each.notion for each in flows)
    async with staged(settings, serve, listen, notion=notion, told=told) as stage:
        parts = await _parts(stage)
        results = await play(stage, flows, ended=ended)
    seconds = SYSTEM_CLOCK.monotonic() - began
    return Run(at, results, seconds, parts, remembered(history))


async def _parts(stage: Stage) -> tuple[tuple[str, str], ...]:
    """Return what it is played on."""
    nats = stage.hs.settings.nats_url
    return (
        (
            "database",
            f"PostgreSQL {stage.hs.database.inspection.server_version // 10_000}, embedded",
        ),
        ("mail", f"a mail server at {stage.mail.url}"),
        *(
            []
            if stage.workspace is None
            else [("Notion", f"its emulator at {stage.workspace.base_url}")]
        ),
        ("embeddings", ", ".join(each.name for each in stage.hs.tiers)),
        ("messages", "PostgreSQL" if nats is None else f"PostgreSQL and NATS at {_host(nats)}"),
        ("language model", stage.hs.settings.llm),
    )


def _host(url: str) -> str:
    return url.rpartition("@")[2].rpartition("/")[2]
