"""Commands that follow Notion."""

import sys
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import click

from higherself.cli.output import as_json, asynchronous, plain, print_json, say
from higherself.kernel.clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from higherself.notion.following.report import CycleReport

SECONDS_BETWEEN_LINES = 5.0


@click.command(epilog="Example: higherself notion sync --dry-run")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--full", is_flag=True, help="Read every page again, whatever its times say.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"]),
    help="Read again what was edited since then (UTC).",
)
@click.option("--database", help="Look at this one alone: its title, its address or its id.")
@as_json
@asynchronous
async def sync(
    *, dry_run: bool, full: bool, since: datetime | None, database: str | None, as_json: bool
) -> None:
    """Bring what has changed in Notion here, once; what broke off goes on where it was.

    Pages become documents of the knowledge hub; pages in the trash vanish from it. Many deletions at
    once are held until you say `higherself notion resume --deletes`.
    """
    from datetime import UTC

    from higherself.app.notion_sync import opened_sync
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs, opened_sync(hs) as notion:
        report = await notion.sync(
            scope="content" if full else "changes",
            since=None if since is None else since.replace(tzinfo=UTC),
            database=database,
            dry_run=dry_run,
            progress=_progress(hs.settings.notion_plan),
            told=say,
        )
        plan = await notion.plan(report) if dry_run else {}
    if as_json:
        print_json({**report.shown(), **plan})
    else:
        show_cycle(report)
        for name, value in plan.items():
            click.echo(f"{name}: {value}")
    for problem in report.problems:
        say(plain(problem))


@click.command(epilog="Example: higherself notion watch")
@asynchronous
async def watch() -> None:
    """Stay in step with Notion until Ctrl-C or SIGTERM: look every 30 seconds, sooner when it calls.

    `higherself serve` does the same beside everything else; there webhooks make it faster.
    """
    from higherself.app.notion_sync import opened_sync
    from higherself.app.wiring import HigherSelf

    def reported(report: "CycleReport") -> None:
        if report.changes or report.failed or report.problems:
            show_cycle(report)
        for problem in report.problems:
            say(plain(problem))

    async with HigherSelf.open(report=say) as hs, opened_sync(hs) as notion:
        await notion.watch(told=lambda line: say(plain(line)), reported=reported)


def show_cycle(report: "CycleReport") -> None:
    """Print what became of pages."""
    would = "would be " if report.dry_run else ""
    click.echo(
        f"pages: {report.created} {would}created, {report.updated} {would}updated, "
        f"{report.unchanged} unchanged, {report.deleted} {would}deleted, {report.failed} failed; "
        f"{report.requests} requests, {report.embedded} texts embedded; {report.seconds:.1f} s"
    )
    if report.lost:
        click.echo(f"{report.lost} pages cannot be reached any more; they are kept for now")
    if report.held:
        click.echo(
            f"{report.held} pages would be deleted and wait for you: "
            "higherself notion resume --deletes"
        )
    if report.partial:
        click.echo("the search has more to show; the next syncs ask for it")


def _progress(plan: str) -> "Callable[[CycleReport], None]":
    """Return what tells a person how far it is, now and then, on standard error."""
    started = last = SYSTEM_CLOCK.monotonic()
    every = 0.5 if sys.stderr.isatty() else SECONDS_BETWEEN_LINES

    def update(report: "CycleReport") -> None:
        nonlocal last
        now = SYSTEM_CLOCK.monotonic()
        if now - last < every:
            return
        last = now
        from higherself.notion.gateway.budget import for_plan

        policy = for_plan(plan)
        left = max(0, report.found - report.handed)
        allowed = policy.requests / policy.window.total_seconds()
        rate = min(report.handed / max(now - started, 0.001), allowed)
        seconds = left / rate if rate else 0.0
        say(f"{report.handed} of {report.found} pages found so far, about {seconds:.0f} s left")

    return update
