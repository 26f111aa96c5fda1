"""The command that runs one more worker, on this or another machine."""

from typing import TYPE_CHECKING

import click

from higherself.cli.output import say

if TYPE_CHECKING:
    import asyncio


@click.command(epilog="Example: higherself worker --concurrency 16")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 1000),
    default=64,
    show_default=True,
    help="Activities that it runs at a time.",
)
@click.option("--child-of", type=int, hidden=True, help="The process to stop with.")
def worker(*, concurrency: int, child_of: int | None) -> None:
    """Run activities of workflows, and the installed agents, until Ctrl-C or SIGTERM.

    Then nothing more is begun; what runs may finish for 20 seconds, and what does not is left to
    other workers. A second Ctrl-C does not wait.
    """
    import asyncio

    asyncio.run(_work(concurrency, child_of))


async def _work(concurrency: int, parent: int | None) -> None:
    from higherself.app.telemetry import install_telemetry
    from higherself.cli.stopping import asked_to_stop
    from higherself.cli.workflow_sources import opened
    from higherself.kernel.tasks import in_background, side_by_side

    stop = asked_to_stop()
    async with opened() as hs:
        install_telemetry(hs.settings)
        skills = hs.hosted.extensions.skills.brought
        told = f"worker with {skills} {'skill' if skills == 1 else 'skills'}"
        if agents := len(hs.agents.registry):
            told += f" and {agents} {'agent' if agents == 1 else 'agents'}"
        say(f"{told}  (Ctrl-C stops)")
        working = side_by_side(
            hs.hosted.worker(concurrency=concurrency).run(),
            hs.agents.work(),
            hs.agents.upkeep(),
            hs.happenings.work(),
            hs.human_tasks.work(),
            hs.outbound.postman.run(),
            hs.drain_nats(),
            hs.hosted_skills.upkeep.keep_up(),
        )
        async with in_background(working):
            await _told(stop, parent)
    say("worker stopped")


async def _told(stop: "asyncio.Event", parent: int | None) -> None:
    """Wait until it is to stop: told so, or left behind by the process that started it."""
    import asyncio
    import os
    from contextlib import suppress

    while not stop.is_set() and (parent is None or os.getppid() == parent):
        with suppress(TimeoutError):
            async with asyncio.timeout(None if parent is None else 1):
                await stop.wait()
