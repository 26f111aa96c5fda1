"""Commands on collaborations: how they went, what would make them better, and what people decide."""

import getpass
import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, say, table, words
from higherself.cli.workflow_pictures import write
from higherself.cli.workflow_sources import opened
from higherself.kernel.errors import Rejected

if TYPE_CHECKING:
    from higherself.agents.coordination.figures import Asking, PatternFigures, Run
    from higherself.agents.coordination.proposals import StoredProposal
    from higherself.app.wiring import HigherSelf

IDENTIFIER = click.argument("identifier", type=click.UUID, metavar="ID")
DAYS = click.option(
    "--days", type=click.IntRange(1, 3650), default=30, show_default=True, help="Look so far back."
)
ENTITY = click.option("--entity", type=words, help="Only this business. Default: all.")
NAME = click.option("--name", type=words, help="Only this workflow state or plan.")
BY = click.option("--as", "by", type=words, help="Who decides. Default: who you are here.")


@click.group()
def patterns() -> None:
    """See how agents collaborate, and make it better.

    A collaboration is work that several agents share in a pattern: a chain, side by side, by bids,
    and so on. Workflows start them in states with `collaborate:`, programs with
    `hs.collaborations.start`.
    """


@patterns.command("list", epilog="Example: higherself patterns list --waiting")
@ENTITY
@NAME
@click.option("--waiting", is_flag=True, help="Only those in which a person is asked.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@as_json
@asynchronous
async def list_(
    *, entity: str | None, name: str | None, waiting: bool, limit: int, as_json: bool
) -> None:
    """Show the latest collaborations, newest first."""
    async with opened() as hs:
        found = await hs.collaborations.latest(
            entity=entity, name=name, waiting=waiting, limit=limit
        )
    if as_json:
        print_json({"collaborations": found})
        return
    table(
        ["id", "name", "pattern", "status", "started", "reason"],
        [(c.id, c.name, c.pattern, c.status, f"{c.started_at:%F %T}", c.reason) for c in found],
    )


@patterns.command(epilog="Example: higherself patterns show 0198... > chain.mmd")
@IDENTIFIER
@click.option("--diagram/--facts", default=True, help="As a sequence diagram, or as facts.")
@as_json
@asynchronous
async def show(*, identifier: UUID, diagram: bool, as_json: bool) -> None:
    """Show a collaboration: as a sequence diagram in Mermaid, or with --json all of it."""
    from higherself.agents.coordination.mermaid import sequence_diagram

    async with opened() as hs:
        found = await hs.collaborations.get(identifier)
    drawn = sequence_diagram(found)
    if as_json:
        print_json({**_fields(found), "diagram": drawn})
    elif diagram:
        click.echo(drawn.rstrip("\n"))
    else:
        facts(_fields(found))


@patterns.command(epilog="Example: higherself patterns report --svg patterns.svg")
@ENTITY
@NAME
@DAYS
@click.option("--svg", type=click.Path(path_type=Path), help="Draw it there.")
@click.option("--png", type=click.Path(path_type=Path), help="Draw it there, in pixels.")
@as_json
@asynchronous
async def report(
    *,
    entity: str | None,
    name: str | None,
    days: int,
    svg: Path | None,
    png: Path | None,
    as_json: bool,
) -> None:
    """Show how long collaborations and their steps take, what fails, and what it costs."""
    from higherself.agents.coordination.figures import figures_of

    async with opened() as hs:
        found = figures_of(*await _past(hs, days, entity, name))
    if svg is not None or png is not None:
        _draw(found, svg, png)
    if as_json:
        print_json({"patterns": found, "days": days})
        return
    table(
        ["name", "step", "pattern", "runs", "failures", "retries", "p50", "p95", "cost", "fan-out"],
        [row for each in found for row in _rows(each)],
    )


@patterns.command(epilog="Example: higherself patterns propose --days 7")
@ENTITY
@NAME
@DAYS
@as_json
@asynchronous
async def propose(*, entity: str | None, name: str | None, days: int, as_json: bool) -> None:
    """Look for what would make collaborations faster; a person approves it, or not.

    Nothing is proposed without enough data, and nothing changes by this.
    """
    from higherself.agents.coordination.optimising import proposals_of

    async with opened() as hs:
        runs, askings = await _past(hs, days, entity, name)
        for business in dict.fromkeys(run.entity for run in runs):
            ours = [run for run in runs if run.entity == business]
            for proposal in proposals_of(ours, askings):
                await hs.collaborations.proposals.open(business, proposal)
        found = await hs.collaborations.proposals.listed(entity=entity, name=name)
    standing = [each for each in found if each.status in ("open", "approved")]
    if as_json:
        print_json({"proposals": standing, "runs": len(runs), "askings": len(askings)})
        return
    say(f"{len(runs)} collaborations of the last {days} days were looked at")
    for each in standing:
        _tell(each)


@patterns.command(epilog="Example: higherself patterns approve 0198... --as ana")
@IDENTIFIER
@BY
@as_json
@asynchronous
async def approve(*, identifier: UUID, by: str | None, as_json: bool) -> None:
    """Have collaborations that begin from now on go by a proposal."""
    await _decide(identifier, "approved", by, as_json=as_json)


@patterns.command(epilog="Example: higherself patterns decline 0198... --as ana")
@IDENTIFIER
@BY
@as_json
@asynchronous
async def decline(*, identifier: UUID, by: str | None, as_json: bool) -> None:
    """Have a proposal be of no effect."""
    await _decide(identifier, "declined", by, as_json=as_json)


@patterns.command(epilog="Example: higherself patterns revert 0198... --as ana")
@IDENTIFIER
@BY
@as_json
@asynchronous
async def revert(*, identifier: UUID, by: str | None, as_json: bool) -> None:
    """Take back what was approved; what begins from now on is as the plan says."""
    await _decide(identifier, "reverted", by, as_json=as_json)


@patterns.command(epilog="Example: higherself patterns cancel 0198... --reason 'no longer needed'")
@IDENTIFIER
@click.option("--reason", type=words, default="cancelled by hand", show_default=True)
@as_json
@asynchronous
async def cancel(*, identifier: UUID, reason: str, as_json: bool) -> None:
    """End a collaboration, once what was done is undone."""
    async with opened() as hs:
        found = await hs.collaborations.cancel(identifier, reason=reason)
    print_json(_fields(found)) if as_json else click.echo(plain(f"{found.id} is {found.status}"))


@patterns.command(epilog="Example: higherself patterns answer 0198... --as ana --role owner")
@IDENTIFIER
@BY
@click.option("--role", "roles", multiple=True, required=True, type=words, help="Which you have.")
@click.option("--reject", is_flag=True, help="Reject it.")
@click.option("--data", type=words, default="{}", help="What you decide, as a JSON object.")
@as_json
@asynchronous
async def answer(
    *,
    identifier: UUID,
    by: str | None,
    roles: tuple[str, ...],
    reject: bool,
    data: str,
    as_json: bool,
) -> None:
    """Decide what no agent could: see `patterns list --waiting`."""
    async with opened() as hs:
        found = await hs.collaborations.answer(
            identifier,
            by=by or getpass.getuser(),
            roles=roles,
            outcome="rejected" if reject else "approved",
            data=_object(data),
        )
    print_json(_fields(found)) if as_json else click.echo(plain(f"{found.id} is {found.status}"))


async def _past(
    hs: "HigherSelf", days: int, entity: str | None, name: str | None
) -> "tuple[list[Run], list[Asking]]":
    since = hs.hosted.workflows.clock.now() - timedelta(days=days)
    return await hs.collaborations.store.runs(since=since, entity=entity, name=name)


async def _decide(
    identifier: UUID,
    decision: "Literal['approved', 'declined', 'reverted']",
    by: str | None,
    *,
    as_json: bool,
) -> None:
    async with opened() as hs:
        found = await hs.collaborations.proposals.decide(
            identifier, decision, by=by or getpass.getuser()
        )
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _tell(each: "StoredProposal") -> None:
    where = f"{each.name}, step {each.step}" if each.step else each.name
    click.echo(plain(f"{each.id}  {each.status}  {where}: {each.kind} {json.dumps(each.change)}"))
    click.echo(
        plain(
            f"    gains about {each.gain_seconds:.3g} s ({each.gain_share:.0%}), from "
            f"{each.samples} samples: {each.reason}"
        )
    )
    if each.decided_by is not None:
        click.echo(plain(f"    {each.status} by {each.decided_by} at {each.decided_at:%F %T}"))


def _draw(found: "list[PatternFigures]", svg: Path | None, png: Path | None) -> None:
    from higherself.app.pattern_pictures import figures_picture

    if svg is not None:
        write(svg, figures_picture(found))
    if png is not None:
        from higherself.workflow.view.png import png as pixels

        write(png, pixels(figures_picture(found, dark=False)))


def _rows(each: "PatternFigures") -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = [
        (
            each.name, "", each.pattern, each.runs, each.failures, each.retries,
            _seconds(each.p50), _seconds(each.p95), _dollars(each.cost_usd), f"{each.fan_out:.3g}",
        )
    ]  # fmt: skip
    rows += [
        (
            each.name, step.step, "", step.asked, step.failures, step.retries,
            _seconds(step.p50), _seconds(step.p95), _dollars(step.cost_usd), "",
        )
        for step in each.steps
    ]  # fmt: skip
    return rows


def _seconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.3g} s"


def _dollars(value: float) -> str | None:
    return f"${value:.4f}" if value else None


def _fields(found: Any) -> dict[str, Any]:
    names = [
        name for each in reversed(type(found).__mro__) for name in getattr(each, "__slots__", ())
    ]
    return {name: getattr(found, name) for name in dict.fromkeys(names)}


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Rejected(f"--data: this is no JSON: {error}") from None
    if not isinstance(value, dict):
        raise Rejected("--data: a JSON object is needed")
    return value
