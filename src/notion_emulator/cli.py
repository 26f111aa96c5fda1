"""The command line: serve, and compare with recordings."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import click
import uvicorn

from notion_emulator import conformance
from notion_emulator.app import create_app
from notion_emulator.clock import RealClock, VirtualClock
from notion_emulator.settings import Settings


class _ServeByDefault(click.Group):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] != "--help"):
            args = ["serve", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_ServeByDefault)
def main() -> None:
    """A Notion API server in memory, for tests, benchmarks and the offline demo."""


@main.command(epilog="Example: notion-emulator serve --port 8099 --seed demo")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8099, show_default=True)
@click.option("--seed", default="demo", show_default=True, help="demo, empty, or a JSON file.")
@click.option("--plan", default="plus", type=click.Choice(["free", "plus", "business", "enterprise"]))  # fmt: skip
@click.option("--clock", default="real", type=click.Choice(["real", "virtual"]))
@click.option("--token", default="ntn_emulator", show_default=True)
def serve(**options: Any) -> None:
    """Answer until interrupted."""
    clock = RealClock() if options["clock"] == "real" else VirtualClock()
    try:
        app = create_app(
            seed_name=options["seed"],
            settings=Settings(plan=options["plan"]),
            clock=clock,
            token=options["token"],
        )
    except (OSError, ValueError, KeyError) as error:
        raise click.ClickException(f"cannot read the seed {options['seed']}: {error}") from error
    click.echo(f"token {options['token']} on http://{options['host']}:{options['port']}", err=True)
    uvicorn.run(app, host=options["host"], port=options["port"], log_level="warning", lifespan="off")  # fmt: skip


@main.command("conformance", epilog="Example: notion-emulator conformance recordings --json")
@click.argument("directory", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON.")
def conform(directory: Path, *, as_json: bool) -> None:
    """Send the recorded requests of DIRECTORY and compare the answers."""
    report = asyncio.run(conformance.run(directory))
    if as_json:
        click.echo(json.dumps(report, ensure_ascii=False))
        return
    for endpoint, score in report["by_endpoint"].items():
        click.echo(f"{score['identical']:4} of {score['total']:4}  {endpoint}")
    click.echo(f"{report['identical']:4} of {report['total']:4}  in all")


if __name__ == "__main__":
    main()
