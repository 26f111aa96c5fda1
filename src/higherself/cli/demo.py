"""The command that shows everything on sample data."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from higherself.cli.output import as_json, asynchronous, print_json, say

if TYPE_CHECKING:
    from higherself.app.demo import Asked, DemoReport


@click.command(epilog="Example: higherself demo --serve")
@click.option("--serve", "keep_serving", is_flag=True, help="Keep the dashboard open afterwards.")
@as_json
@asynchronous
async def demo(*, keep_serving: bool, as_json: bool) -> None:
    """Walk through everything on sample data, offline, in a home of its own.

    Documents of three businesses are split, embedded by the local model and stored in the
    embedded PostgreSQL; then questions are asked, and answered with their sources.
    """
    from contextlib import ExitStack

    from higherself.app.demo import demo_settings, run_demo
    from higherself.app.settings import load_settings
    from higherself.app.wiring import HigherSelf
    from higherself.cli.progress import ingest_progress
    from higherself.kernel.clock import SYSTEM_CLOCK

    settings = demo_settings(load_settings()[0])
    async with HigherSelf.open(settings, report=say, workflows=keep_serving) as hs:
        with ExitStack() as stack:
            report = await run_demo(
                hs,
                clock=SYSTEM_CLOCK,
                progress=lambda total: stack.enter_context(ingest_progress(total)),
            )
        page = _write_page(report)
        if as_json:
            print_json(_summary(report, page))
        else:
            _tell(report, page)
        if keep_serving:
            from higherself.cli.serve import serve_until_stopped

            await serve_until_stopped(hs)


def _tell(report: "DemoReport", page: Path) -> None:
    done = report.ingested
    click.echo(click.style("\nHigherSelf Network Server: the demo", bold=True))
    for name, documents in report.by_entity.items():
        click.echo(f"  {name:<26} {documents:>4} documents")
    click.echo(
        f"  {done.created} new, {done.unchanged} unchanged; {done.chunks} chunks, "
        f"{done.embedded} embedded in {done.seconds:.1f} s"
    )
    for asked in report.asked:
        _tell_answer(asked)
    click.echo(
        f"\n{report.answered} of {len(report.asked)} questions found the right document among "
        f"three passages, {report.first} in the first place; {report.seconds:.1f} s in all."
    )
    click.echo(f"As a page:               {page}")
    click.echo("To keep the dashboard open:  make demo-serve   (or: higherself demo --serve)")
    click.echo("To start with your own documents:  .venv/bin/higherself knowledge add FOLDER")


def _tell_answer(asked: "Asked") -> None:
    click.echo(f"\n{click.style('Q', fg='cyan')}  {asked.question.question}")
    if not asked.answer.hits:
        click.echo("   nothing found")
        return
    hit = asked.answer.hits[0]
    text = " ".join(hit.chunk.text.split())
    mark = {1: click.style("right", fg="green"), None: click.style("not it", fg="yellow")}
    verdict = mark.get(asked.rank, f"right one at rank {asked.rank}")
    click.echo(f"   {text[:220]}{'...' if len(text) > 220 else ''}")
    heading = f" > {hit.chunk.heading}" if hit.chunk.heading else ""
    click.echo(
        click.style(f"   {hit.document.title}{heading} ({hit.document.external_id}) ", dim=True)
        + verdict
    )


def _summary(report: "DemoReport", page: Path) -> dict[str, object]:
    return {
        "ok": not report.ingested.failed and report.answered > 0,
        "home": report.home,
        "report": page,
        "documents": report.by_entity,
        "ingested": report.ingested,
        "questions": [
            {
                "question": asked.question.question,
                "entity": asked.question.entity,
                "expected": asked.question.source,
                "rank": asked.rank,
                "answer": asked.answer,
            }
            for asked in report.asked
        ],
        "answered": report.answered,
        "first": report.first,
        "seconds": report.seconds,
    }


def _write_page(report: "DemoReport") -> Path:
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("higherself.cli"), autoescape=True)
    text = environment.get_template("demo.html").render(report=report)
    page = report.home / "report.html"
    page.write_text(text, encoding="utf-8")
    return page
