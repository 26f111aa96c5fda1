"""The command line: serve, and compare with recordings."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sqlite3
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import uvicorn

from notion_emulator import conformance, persistence
from notion_emulator.app import Emulated, create_app
from notion_emulator.clock import RealClock, VirtualClock
from notion_emulator.recording import Recorder
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
@click.option("--port", default=8099, show_default=True, help="0: any that is free.")
@click.option(
    "--seed",
    default="demo",
    show_default=True,
    help="demo, empty, hostile, pages:N, or a JSON file.",
)
@click.option("--plan", default="plus", type=click.Choice(["free", "plus", "business", "enterprise"]))  # fmt: skip
@click.option("--clock", default="real", type=click.Choice(["real", "virtual"]))
@click.option("--store", type=click.Path(dir_okay=False, path_type=Path), help="Keep the workspace in this SQLite file.")  # fmt: skip
@click.option("--record", type=click.Path(dir_okay=False, path_type=Path), help="Add every request and its answer to this file, as JSON lines.")  # fmt: skip
@click.option("--token", default="ntn_emulator", show_default=True)
@click.option("--until-eof", is_flag=True, help="End with the standard input: with whoever started it.")  # fmt: skip
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
    _keep(app, options["store"], options["record"])
    gc.freeze()  # what is there now stays; to look through it again and again would take long
    with _listening(options["host"], options["port"]) as listener:
        address = f"http://{options['host']}:{listener.getsockname()[1]}"
        click.echo(f"token {options['token']} on {address}", err=True)
        config = uvicorn.Config(app, log_level="warning", lifespan="on", timeout_graceful_shutdown=1)  # fmt: skip
        server = uvicorn.Server(config)
        if options["until_eof"]:
            threading.Thread(target=_end_with_input, args=(server,), daemon=True).start()
        with suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle off only where the protocol is named; else answers wait 40 ms.
    listener = socket.socket(family, proto=socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise click.ClickException(f"cannot listen on {host}, port {port}: {error}") from error
    listener.listen(128)
    return listener


def _end_with_input(server: uvicorn.Server) -> None:
    while os.read(0, 1024):
        pass
    server.should_exit = True


def _keep(app: Emulated, store: Path | None, record: Path | None) -> None:
    app.recorder = Recorder(record) if record is not None else None
    app.store_file = store
    if store is not None and store.exists():
        try:
            persistence.load(app, store)
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise click.ClickException(f"cannot read the workspace in {store}: {error}") from error


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
