"""The command that an assistant starts: tools over standard input and output."""

from typing import TYPE_CHECKING

import click

from higherself.cli.output import say, words

if TYPE_CHECKING:
    from higherself.app.open_skills import Offering


@click.command(epilog="Example: higherself mcp --allow-writes")
@click.option(
    "--allow-writes",
    is_flag=True,
    help="Also offer skills that change something. Default: what HIGHERSELF_MCP says, or `read`.",
)
@click.option(
    "--entity",
    type=words,
    help="For one business alone. Default: for all.",
)
def mcp(*, allow_writes: bool, entity: str | None) -> None:
    """Serve an assistant (Model Context Protocol) on standard input and output.

    It is not for people: name this command in the assistant's settings. It ends when the assistant
    does.
    """
    import asyncio

    asyncio.run(_serve(allow_writes, entity))


async def _serve(allow_writes: bool, entity: str | None) -> None:
    from higherself.app.settings import load_settings
    from higherself.app.telemetry import install_telemetry
    from higherself.app.wiring import HigherSelf
    from higherself.cli.stopping import asked_to_stop
    from higherself.kernel.clock import SYSTEM_CLOCK
    from higherself.kernel.ids import checked_entity
    from higherself.mcp.http import McpMissing, is_installed

    if not is_installed():
        raise McpMissing
    if entity is not None:
        checked_entity(entity)
    from higherself.mcp.edge import edge_of
    from higherself.mcp.stdio import serve_stdio

    stop = asked_to_stop()
    settings, _ = load_settings()
    async with HigherSelf.open(settings, report=say) as hs:
        install_telemetry(settings)
        writes = allow_writes or settings.mcp == "all"
        offering: Offering = "all" if writes else "read"
        edge = edge_of(hs, offering=offering, only=entity, clock=SYSTEM_CLOCK)
        await serve_stdio(edge, stop)
