"""The command that shows everything on sample data."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from higherself.cli.output import as_json, asynchronous, plain, print_json, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from higherself.app.demo import Asked, DemoReport
    from higherself.app.demo_notion import NotionReport
    from higherself.app.demo_workspace import Workspace
    from higherself.app.wiring import HigherSelf
    from higherself.flows.mail import Mailbox
    from higherself.flows.model import Run


@click.command(epilog="Example: higherself demo --serve")
@click.option("--serve", "keep_serving", is_flag=True, help="Keep the dashboard open afterwards.")
@as_json
@asynchronous
async def demo(*, keep_serving: bool, as_json: bool) -> None:
    """Walk through everything on sample data, offline, in a home of its own.

    Documents of three businesses are split, embedded by the local model and stored in the
    embedded PostgreSQL; then questions are asked, and answered with their sources. Then Notion:
    an emulator of it is started beside the demo, gets the databases of the business and some rows,
    a page of it answers a question, and somebody approves there what a workflow waits for. Then a
    story: a lead arrives by webhook, is scored and written to, books, and asks for help; a text is
    drafted, reviewed in Notion and published. Letters go to a mail server of the demo.

    With --serve the dashboard and the emulator stay until Ctrl-C.
    """
    from contextlib import ExitStack

    from higherself.app.demo import demo_settings, run_demo
    from higherself.app.demo_workspace import emulated
    from higherself.app.settings import load_settings
    from higherself.app.wiring import HigherSelf
    from higherself.business import sample
    from higherself.cli.progress import ingest_progress
    from higherself.flows.mail import mail_server
    from higherself.flows.staging import outward
    from higherself.kernel.clock import SYSTEM_CLOCK

    given = load_settings()[0]
    async with emulated(sample.NOTION) as workspace, mail_server() as mail:
        settings = await demo_settings(given, workspace, outward(mail))
        async with HigherSelf.open(settings, report=say) as hs:
            with ExitStack() as stack:
                report = await run_demo(
                    hs,
                    clock=SYSTEM_CLOCK,
                    progress=lambda total: stack.enter_context(ingest_progress(total)),
                )
            with _alone(hs, needed=keep_serving) as ours:
                story = None
                if ours:
                    report = await _with_notion(report, hs, workspace)
                    story = await _story(hs, workspace, mail)
                page = _write_page(report, story, serving=keep_serving)
                if as_json:
                    print_json(_summary(report, story, page))
                else:
                    _tell(report, story, mail, page, serving=keep_serving)
                if keep_serving:
                    from higherself.cli.serve import serve_until_stopped

                    await serve_until_stopped(hs)


@contextmanager
def _alone(hs: "HigherSelf", *, needed: bool) -> "Iterator[bool]":
    """Keep other demos of this home away from what is known of Notion; yield whether that is so.

    Raises
        Conflict: another demo shows Notion, and this one is to go on showing it.
    """
    from higherself.db.server.locks import FileLock
    from higherself.kernel.errors import Conflict

    with FileLock(hs.settings.home / "notion.lock") as lock:
        ours = lock.try_exclusive()
        if not ours and needed:
            raise Conflict(
                "another demo runs in this home; stop it with Ctrl-C, then start this one"
            )
        if not ours:
            say("Notion: left out, as another demo in this home shows it now")
        yield ours


async def _with_notion(
    report: "DemoReport", hs: "HigherSelf", workspace: "Workspace"
) -> "DemoReport":
    from dataclasses import replace

    from higherself.app.demo_notion import show_notion

    notion = await show_notion(hs, workspace, told=say)
    return replace(report, notion=notion, seconds=round(report.seconds + notion.seconds, 1))


async def _story(hs: "HigherSelf", workspace: "Workspace", mail: "Mailbox") -> "Run":
    from higherself.cli.serve import listen, serve_until_stopped
    from higherself.flows.report import page_of
    from higherself.flows.story import tell

    say("A story: a lead, a question, a text")
    story = await tell(
        hs, workspace, mail, serve=serve_until_stopped, listen=lambda: listen("127.0.0.1", 0),
        told=lambda line: say(f"  {line}"),
    )  # fmt: skip
    _story_page(hs.settings.home).write_text(page_of(story), encoding="utf-8")
    return story


def _story_page(home: Path) -> Path:
    return home / "story.html"


def _tell(
    report: "DemoReport", story: "Run | None", mail: "Mailbox", page: Path, *, serving: bool
) -> None:
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
        f"three passages, {report.first} in the first place."
    )
    if report.notion is not None:
        _tell_notion(report.notion, serving=serving)
    if story is not None:
        _tell_story(story, mail)
        click.echo(f"\nThe story in pictures:  {_story_page(report.home)}")
    click.echo(f"\n{_seconds(report, story):.1f} s in all. As a page:  {page}")
    if not serving:
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


def _tell_notion(notion: "NotionReport", *, serving: bool) -> None:
    decision = notion.decision
    rows = ", ".join(f"{count} {name.partition('_')[0]}" for name, count in notion.records.items())
    click.echo(click.style("\nNotion, in its emulator on this machine", bold=True))
    click.echo(f"  {notion.databases} databases made; rows of the businesses brought there: {rows}")
    click.echo(f"  {notion.pages_synced} pages read; one of them answers:")
    click.echo(f"\n{click.style('Q', fg='cyan')}  {notion.question}")
    for hit in notion.answer.hits:
        text = " ".join(hit.chunk.text.split())
        click.echo(f"   {text[:220]}{'...' if len(text) > 220 else ''}")
        click.echo(click.style(f"   {hit.document.title} (a page in Notion) ", dim=True) + _verdict(notion.found))  # fmt: skip
    click.echo(
        f"\n  The workflow {decision.workflow} asked on its page in Notion: {decision.question}\n"
        f"  {decision.person} chose Approve there: {decision.before} -> {decision.after}\n"
        f"\n  {notion.requests} requests to Notion, {notion.seconds:.1f} s"
    )
    for problem in notion.problems:
        click.echo(f"  not done: {plain(problem)}")
    if serving:
        click.echo(f"  The workspace:         {notion.viewer}")
        click.echo(f"  A page waits for you:  {decision.waiting_url}")
        click.echo(
            "  (set its Action to Approve at its foot; the server sees it after half a minute)"
        )


def _tell_story(story: "Run", mail: "Mailbox") -> None:
    click.echo(click.style("\nA day of the gallery", bold=True))
    for each in story.results:
        click.echo(f"\n  {each.title} ({each.seconds:.1f} s)")
        for step in each.steps:
            mark = click.style("+", fg="green") if step.passed else click.style("x", fg="red")
            click.echo(f"   {mark} {step.name}")
            if not step.passed:
                click.echo(f"     {plain(step.detail)}")
    click.echo(f"\n  {len(mail.letters)} letters went out, to a mail server on this machine:")
    for letter in mail.letters:
        click.echo(f"    {plain(letter.subject)}")


def _verdict(found: bool) -> str:
    return click.style("right", fg="green") if found else click.style("not it", fg="yellow")


def _summary(report: "DemoReport", story: "Run | None", page: Path) -> dict[str, object]:
    told = story is None or story.passed
    return {
        "ok": not report.ingested.failed
        and report.answered > 0
        and _is_well(report.notion)
        and told,
        "story": None if story is None else story.to_json(),
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
        "notion": None if report.notion is None else _notion_summary(report.notion),
        "seconds": _seconds(report, story),
    }


def _seconds(report: "DemoReport", story: "Run | None") -> float:
    return round(report.seconds + (0 if story is None else story.seconds), 1)


def _is_well(notion: "NotionReport | None") -> bool:
    return notion is None or (
        notion.found and not notion.problems and notion.decision.after != notion.decision.before
    )


def _notion_summary(notion: "NotionReport") -> dict[str, object]:
    decision = notion.decision
    return {
        "databases": notion.databases,
        "requests": notion.requests,
        "pages_synced": notion.pages_synced,
        "records": notion.records,
        "records_pushed": notion.pages_pushed,
        "question": notion.question,
        "found": notion.found,
        "answer": notion.answer,
        "instance": decision.instance,
        "page": decision.page,
        "decision": {
            "workflow": decision.workflow,
            "question": decision.question,
            "by": decision.person,
            "before": decision.before,
            "after": decision.after,
            "waiting": decision.waiting_url,
        },
        "viewer": notion.viewer,
        "problems": notion.problems,
        "seconds": notion.seconds,
    }


def _write_page(report: "DemoReport", story: "Run | None", *, serving: bool) -> Path:
    from jinja2 import Environment, PackageLoader

    environment = Environment(loader=PackageLoader("higherself.cli"), autoescape=True)
    text = environment.get_template("demo.html").render(report=report, story=story, serving=serving)
    page = report.home / "report.html"
    page.write_text(text, encoding="utf-8")
    return page
