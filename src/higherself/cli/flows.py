"""Commands that play whole flows, from one end to the other, over real parts."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from higherself.cli.output import as_json, asynchronous, print_json, say, table, words

if TYPE_CHECKING:
    from higherself.flows.model import FlowResult, Run


@click.group(epilog="Example: higherself flows run --html flows.html")
def flows() -> None:
    """Play what a business does, end to end, and see how it went."""


@flows.command("list", epilog="Example: higherself flows list")
@as_json
def list_(*, as_json: bool) -> None:
    """List the flows that there are."""
    from higherself.flows.catalogue import FLOWS

    if as_json:
        print_json({"flows": [{"name": each.name, "title": each.title} for each in FLOWS.values()]})
        return
    table(("Flow", "What happens"), [(each.name, each.title) for each in FLOWS.values()])


@flows.command(epilog="Example: higherself flows run lead_nurturing support --html flows.html")
@click.argument("names", nargs=-1, type=words)
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the page with the pictures goes. Default: flows/report.html in HIGHERSELF_HOME.",
)
@click.option(
    "--junit",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write what test servers read.",
)
@as_json
@asynchronous
async def run(
    *, names: tuple[str, ...], page: Path | None, junit: Path | None, as_json: bool
) -> None:
    """Play all flows, or those named, with a server, a database, a mail server and a Notion of their own.

    Nothing of the real business is touched, and nobody is written to. It ends with 0 if all passed.
    """
    from higherself.app.settings import load_settings
    from higherself.cli.serve import listen, serve_until_stopped
    from higherself.flows.catalogue import chosen
    from higherself.flows.report import junit_of, page_of
    from higherself.flows.running import perform, remember

    wanted = chosen(names)
    settings, _ = load_settings()
    path = settings.home / "flows" / "history.jsonl"
    done = await perform(
        settings,
        wanted,
        serve=serve_until_stopped,
        listen=lambda: listen("127.0.0.1", 0),
        history=path,
        told=lambda line: say(f"  {line}"),
        ended=_tell if not as_json else lambda result: None,
    )
    remember(path, done)
    at = page or settings.home / "flows" / "report.html"
    _write(at, page_of(done))
    if junit is not None:
        _write(junit, junit_of(done))
    if as_json:
        print_json({**done.to_json(), "report": at})
    else:
        _sum_up(done, at)
    if not done.passed:
        raise click.exceptions.Exit(1)


def _tell(result: "FlowResult") -> None:
    mark = click.style("passed", fg="green") if result.passed else click.style("FAILED", fg="red")
    click.echo(f"{mark}  {result.title} ({result.name}), {result.seconds:.1f} s")
    for step in result.steps:
        if not step.passed:
            click.echo(click.style(f"        {step.name}: {step.detail}", fg="red"))


def _sum_up(done: "Run", page: Path) -> None:
    passed = sum(each.passed for each in done.results)
    click.echo(f"\n{passed} of {len(done.results)} flows passed in {done.seconds:.1f} s.")
    click.echo(f"As a page:  {page}")


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
