"""Commands that draw: definitions, instances, many instances, and what is to be expected."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, plain, print_json, say, table, words
from higherself.cli.workflow_sources import A_NUMBER, load_file, opened
from higherself.kernel.errors import Misconfigured

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf
    from higherself.workflow.definition import WorkflowDefinition
    from higherself.workflow.view import Learnt, Run, Simulation, Statistics

LATEST = 500
"""Instances of a workflow that are looked at for what is usual."""

OUTPUT = click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Default: standard output."
)
DARK = click.option("--dark", is_flag=True, help="For a dark background.")


@click.command(epilog="Example: higherself workflow diagram wellness_booking --format svg -o b.svg")
@click.argument("what", metavar="NAME|FILE|INSTANCE", type=words)
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "svg", "png"]),
    default="mermaid",
    show_default=True,
)
@click.option("--version", type=A_NUMBER, help="Of a workflow. Default: the latest.")
@click.option(
    "--direction",
    type=click.Choice(["TB", "LR"]),
    default="TB",
    show_default=True,
    help="Of Mermaid: from the top, or from the left.",
)
@click.option("--guards/--no-guards", default=True, help="Whether conditions are written.")
@click.option("--heat", is_flag=True, help="Of a workflow: where its instances went, how long.")
@DARK
@OUTPUT
@as_json
@asynchronous
async def diagram(
    *,
    what: str,
    form: Literal["mermaid", "svg", "png"],
    version: int | None,
    direction: Literal["TB", "LR"],
    guards: bool,
    heat: bool,
    dark: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Draw a workflow, a file, or an instance with the way it went."""
    from higherself.workflow.view import mermaid, svg

    definition, run, statistics = await _seen(what, version, heat=heat)
    if form == "mermaid":
        drawn = mermaid(
            definition, direction=direction, guards=guards, run=run, statistics=statistics
        )
    else:
        drawn = svg(
            definition, guards=guards, run=run, statistics=statistics, dark=_dark(dark, form)
        )
    _give(_pixels(drawn) if form == "png" else drawn, form, output, as_json=as_json)


@click.command(epilog="Example: higherself workflow gantt 0198... -o run.svg")
@click.argument("identifier", type=click.UUID, metavar="INSTANCE")
@click.option(
    "--format",
    "form",
    type=click.Choice(["svg", "mermaid", "png"]),
    default="svg",
    show_default=True,
)
@DARK
@OUTPUT
@as_json
@asynchronous
async def gantt(
    *,
    identifier: UUID,
    form: Literal["svg", "mermaid", "png"],
    dark: bool,
    output: Path | None,
    as_json: bool,
) -> None:
    """Draw an instance over time: its states, and every attempt of its activities."""
    from higherself.workflow.view import gantt as gantt_svg
    from higherself.workflow.view import gantt_mermaid

    async with opened() as hs:
        definition, run = await _run_of(hs, identifier)
        now = None if run.status in ("completed", "cancelled") else hs.hosted.workflows.clock.now()
    title = f"{definition} · {identifier}"
    if form == "mermaid":
        drawn = gantt_mermaid(run, title=title, now=now)
    else:
        drawn = gantt_svg(run, title=title, now=now, dark=_dark(dark, form))
    _give(_pixels(drawn) if form == "png" else drawn, form, output, as_json=as_json)


@click.command(epilog="Example: higherself workflow simulate lead_nurturing --runs 2000")
@click.argument("what", metavar="NAME|FILE", type=words)
@click.option("--runs", type=click.IntRange(1, 1_000_000), default=1000, show_default=True)
@click.option("--seed", type=int, default=1, show_default=True)
@click.option("--learn", is_flag=True, help="Take durations and probabilities from past instances.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write a picture (SVG, or PNG) there."
)
@as_json
@asynchronous
async def simulate(
    *, what: str, runs: int, seed: int, learn: bool, output: Path | None, as_json: bool
) -> None:
    """Play a workflow through many times: how long it takes, where it gets stuck."""
    from higherself.kernel.tasks import abandonable
    from higherself.workflow.view import outlook
    from higherself.workflow.view import simulate as simulation_of

    definition, learnt = await _learnt(what, learn=learn)
    found = await abandonable(
        partial(simulation_of, definition, runs=runs, seed=seed, learnt=learnt)
    )
    if output is not None:
        is_png = output.suffix == ".png"
        drawn = outlook(found, dark=False if is_png else None)
        write(output, _pixels(drawn) if is_png else drawn)
    if as_json:
        print_json(found.to_json())
    else:
        _tell(found)


COMMANDS = (diagram, gantt, simulate)


def _tell(found: "Simulation") -> None:
    from higherself.workflow.view.words import lasting, percent

    click.echo(plain(f"{found.workflow}: {found.runs:,} simulated runs"))
    if found.expected is not None:
        said = [f"{lasting(found.expected)} on average"]
        for share, named in ((0.5, "half"), (0.9, "90%"), (0.95, "95%")):
            value = found.quantile(share)
            if value is not None:
                said.append(f"{named} within {lasting(value)}")
        click.echo(f"duration:    {', '.join(said)}")
    if found.bottleneck is not None:
        spent = percent(found.time[found.bottleneck])
        click.echo(plain(f"bottleneck:  {found.bottleneck}, {spent} of the time"))
    click.echo(f"stuck:       {percent(found.stuck)}")
    for reason, count in found.reasons.items():
        click.echo(plain(f"             {count:,} runs: {reason}"))
    if found.assumed:
        click.echo(plain(f"assumed:     how long it takes in {', '.join(found.assumed)}"))
    table(
        ["state", "visits", "mean time", "share of time", "runs that end here"],
        [
            (
                state,
                f"{found.visits[state]:.2f}",
                lasting(found.spent[state]) if state in found.spent else None,
                percent(found.time[state]) if state in found.time else None,
                percent(found.ends[state]) if state in found.ends else None,
            )
            for state in found.visits
        ],
    )


async def _seen(
    what: str, version: int | None, *, heat: bool
) -> "tuple[WorkflowDefinition, Run | None, Statistics | None]":
    """Return what ``what`` names: a file, an instance with its run, or a workflow."""
    from higherself.workflow.view import statistics_of

    if is_file(what):
        return load_file(Path(what)).definition, None, None
    async with opened() as hs:
        if (identifier := _identifier(what)) is not None:
            definition, run = await _run_of(hs, identifier)
            return definition, run, None
        definition = (await hs.workflows.definition(what, version)).definition
        statistics = statistics_of(await _past_runs(hs, definition)) if heat else None
        return definition, None, statistics


async def _learnt(what: str, *, learn: bool) -> "tuple[WorkflowDefinition, Learnt | None]":
    from higherself.workflow.view import learn as learnt_from

    if is_file(what) and not learn:
        return load_file(Path(what)).definition, None
    async with opened() as hs:
        if is_file(what):
            definition = load_file(Path(what)).definition
        else:
            definition = (await hs.workflows.definition(what)).definition
        if not learn:
            return definition, None
        runs = await _past_runs(hs, definition)
    say(f"learnt from {len(runs)} {'instance' if len(runs) == 1 else 'instances'}")
    return definition, learnt_from(runs)


async def _run_of(hs: "HigherSelf", instance: UUID) -> "tuple[WorkflowDefinition, Run]":
    from higherself.workflow.view import run_of

    stored = await hs.workflows.get(instance)
    definition = await hs.workflows.pinned(stored.snapshot)
    return definition, run_of(definition, stored.snapshot, await hs.workflows.history(instance))


async def _past_runs(hs: "HigherSelf", definition: "WorkflowDefinition") -> "list[Run]":
    """Return the latest runs of this version of a workflow."""
    from higherself.workflow.engine.model import Wanted

    page = await hs.workflows.page(Wanted(workflow=definition.name), limit=LATEST)
    return [
        (await _run_of(hs, each.instance))[1]
        for each in page.instances
        if each.version == definition.version
    ]


def is_file(what: str) -> bool:
    """Return whether ``what`` is to be the name of a file, not of a workflow."""
    return Path(what).suffix in (".yaml", ".yml", ".json")


def _identifier(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _dark(dark: bool, form: str) -> bool | None:
    """Return how to draw: an SVG is as the reader's machine is, unless it is to be dark."""
    return True if dark else None if form == "svg" else False


def _pixels(svg: str) -> bytes:
    from higherself.workflow.view.png import png

    return png(svg)


def _give(drawn: str | bytes, form: str, output: Path | None, *, as_json: bool) -> None:
    """Write a picture where it is wanted; with --json, say where, or have it in the document."""
    if output is not None:
        write(output, drawn)
    if as_json:
        print_json({"format": form, **_in_json(drawn, output)})
    elif output is not None:
        pass
    elif isinstance(drawn, str):
        click.echo(drawn.rstrip("\n"))
    elif sys.stdout.isatty():
        raise click.UsageError("a PNG is nothing for a terminal: say where with --output FILE")
    else:
        sys.stdout.buffer.write(drawn)


def _in_json(drawn: str | bytes, output: Path | None) -> dict[str, Any]:
    if output is not None:
        return {"file": output}
    if isinstance(drawn, str):
        return {"diagram": drawn}
    from base64 import b64encode

    return {"encoding": "base64", "diagram": b64encode(drawn).decode()}


def write(path: Path, drawn: str | bytes) -> None:
    """Write a picture there, and say so."""
    try:
        path.write_bytes(drawn.encode() if isinstance(drawn, str) else drawn)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be written: {error.strerror}") from error
    say(plain(f"written to {path}"))
