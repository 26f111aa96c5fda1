"""Commands on instances: start them, send them events, look at them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, table, words
from higherself.cli.workflow_sources import A_NUMBER, opened, read_file
from higherself.kernel.errors import Rejected

if TYPE_CHECKING:
    from higherself.kernel.jsonvalue import JsonObject
    from higherself.workflow.engine.engine import Engine
    from higherself.workflow.engine.model import Instance, Moment, StoredInstance

STATUSES = click.Choice(["running", "waiting", "paused", "completed", "failed", "cancelled"])

instance_id = click.argument("identifier", type=click.UUID, metavar="INSTANCE")


@click.command(
    epilog="""Example: higherself workflow start booking --context '{"email": "a@b.c"}'"""
)
@click.argument("name", type=words)
@click.option("--context", type=words, help="JSON object, or @FILE; on top of the defaults.")
@click.option("--key", type=words, help="The same key starts once.")
@click.option("--entity", type=words, default="default", show_default=True, help="The business.")
@click.option("--version", type=A_NUMBER, help="Default: the latest.")
@as_json
@asynchronous
async def start(
    *,
    name: str,
    context: str | None,
    key: str | None,
    entity: str,
    version: int | None,
    as_json: bool,
) -> None:
    """Start an instance of a workflow."""
    given = json_object("--context", context)
    async with opened() as hs:
        started = await hs.workflows.start(
            name, context=given, key=key, entity=entity, version=version
        )
    show(started, as_json=as_json)


@click.command(epilog="Example: higherself workflow send 0198... email.replied --id mail-17")
@instance_id
@click.argument("event", type=words)
@click.option("--data", type=words, help="JSON object, or @FILE: what guards read as `event`.")
@click.option("--id", "event_id", type=words, help="The same id counts once.")
@as_json
@asynchronous
async def send(
    *, identifier: UUID, event: str, data: str | None, event_id: str | None, as_json: bool
) -> None:
    """Send an event to an instance."""
    given = json_object("--data", data)
    async with opened() as hs:
        await hs.workflows.send(identifier, event, given, id=event_id)
        stored = await hs.workflows.get(identifier)
    _show_whole(stored, as_json=as_json)


@click.command(epilog="Example: higherself workflow instances --status failed --json")
@click.option("--status", type=STATUSES, help="Only those that are so.")
@click.option("--workflow", "name", type=words, help="Only of this workflow.")
@click.option("--state", type=words, help="Only those in this state.")
@click.option("--entity", type=words, help="Only of this business.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True)
@click.option("--before", type=click.UUID, help="Go on here: the `next` of the page before.")
@as_json
@asynchronous
async def instances(
    *,
    status: Any,
    name: str | None,
    state: str | None,
    entity: str | None,
    limit: int,
    before: UUID | None,
    as_json: bool,
) -> None:
    """Show instances, the latest first, and what each waits for."""
    from higherself.workflow.engine.model import Wanted

    wanted = Wanted(status=status, workflow=name, state=state, entity=entity)
    async with opened() as hs:
        page = await hs.workflows.page(wanted, limit=limit, before=before, counted=None)
    if as_json:
        print_json(
            {
                "instances": [each.to_json() for each in page.instances],
                "total": page.total,
                "counted_all": page.counted_all,
                "next": page.next,
            }
        )
        return
    table(
        ["instance", "workflow", "state", "status", "since", "reason"],
        [
            (i.instance, f"{i.workflow} {i.version}", i.state, i.status,
             f"{i.updated_at:%Y-%m-%d %H:%M:%S}", i.reason)
            for i in page.instances
        ],
    )  # fmt: skip
    if page.next is not None:
        click.echo(f"more: --before {page.next}", err=True)


@click.command(epilog="Example: higherself workflow instance 0198... --at 4")
@instance_id
@click.option("--at", type=A_NUMBER, help="As it was after this entry of its history.")
@as_json
@asynchronous
async def instance(*, identifier: UUID, at: int | None, as_json: bool) -> None:
    """Show an instance: where it is, what it waits for, what it knows, its page in Notion."""
    from higherself.app.notion_workflows import page_of_instance

    async with opened() as hs:
        if at is not None:
            _show_moment(await hs.workflows.at(identifier, at), as_json=as_json)
            return
        stored = await hs.workflows.get(identifier)
        progress = await _progress(hs.workflows, stored)
        page = await page_of_instance(hs.database, hs.clock, identifier)
    _show_whole(stored, progress=progress, page=page, as_json=as_json)


@click.command(epilog="Example: higherself workflow history 0198... --json")
@instance_id
@click.option("--after", type=A_NUMBER, help="Only what came after this entry.")
@as_json
@asynchronous
async def history(*, identifier: UUID, after: int | None, as_json: bool) -> None:
    """Show everything that has happened to an instance."""
    async with opened() as hs:
        entries = await hs.workflows.history(identifier, after=after or 0)
    if as_json:
        print_json(
            [
                {
                    "sequence": e.sequence, "at": e.at, "from": e.source, "to": e.target,
                    "cause": e.cause, "event": e.event, "agent": e.agent, "attempt": e.attempt,
                    "error": e.error, "milliseconds": e.milliseconds, "status": e.status,
                    "region": e.region, "note": e.note, "data": e.data, "changes": e.changes,
                    "removed": e.removed,
                }
                for e in entries
            ]
        )  # fmt: skip
        return
    table(
        ["#", "at", "from", "to", "cause", "event", "attempt", "ms", "what"],
        [
            (e.sequence, f"{e.at:%Y-%m-%d %H:%M:%S}", _within(e.region, e.source),
             _within(e.region, e.target), e.cause, e.event, e.attempt, e.milliseconds,
             e.error or e.note)
            for e in entries
        ],
    )  # fmt: skip


def _within(region: str, state: str | None) -> str | None:
    return f"{region}.{state}" if region and state else state


async def _progress(engine: "Engine", stored: "StoredInstance") -> float:
    from higherself.workflow.view.progress import progress

    definition = await engine.pinned(stored.snapshot)
    history = await engine.history(stored.instance.instance)
    return progress(definition, stored.snapshot, history).share


def show(shown: "Instance", *, as_json: bool) -> None:
    """Print an instance: its identifier as data, and where it is as a remark."""
    if as_json:
        print_json(shown.to_json())
        return
    click.echo(str(shown.instance))
    click.echo(
        plain(f"{shown.workflow} version {shown.version}: {shown.status} in {shown.state}"),
        err=True,
    )
    click.echo(plain(shown.reason), err=True)


def _show_whole(
    stored: "StoredInstance",
    *,
    progress: float | None = None,
    page: Mapping[str, Any] | None = None,
    as_json: bool,
) -> None:
    described = {**stored.instance.to_json(), **_inside(stored), "progress": progress}
    if page is not None:
        described["notion"] = page["url"]
        if page["state"] != "ok":
            described["notion_state"] = f"{page['state']}: {page['reason']}"
    if as_json:
        print_json(described)
        return
    if progress is not None:
        described["progress"] = f"{progress:.0%}"
    if len(states := described["states"]) == 1 and "" in states:
        del described["states"]  # it is the state
    facts(described)


def _inside(stored: "StoredInstance") -> dict[str, Any]:
    snapshot = stored.snapshot
    return {
        "context": snapshot.context,
        "states": {region: each.state for region, each in snapshot.positions.items()},
        "visits": snapshot.visits,
        "timers": {name: each.due_at for name, each in snapshot.timers.items()},
        "pending": [
            {"key": key, "kind": each.kind, "activity": each.activity, "attempt": each.attempt,
             "due_at": each.due_at, "error": each.error or None}
            for key, each in snapshot.pending.items()
        ],
        "failure": snapshot.failure,
    }  # fmt: skip


def _show_moment(moment: "Moment", *, as_json: bool) -> None:
    described = {
        "sequence": moment.sequence,
        "at": moment.entry.at,
        "status": moment.status,
        "state": moment.state,
        "states": moment.states,
        "context": moment.context,
    }
    if as_json:
        print_json(described)
    else:
        facts(described)


def json_object(option: str, text: str | None) -> "JsonObject":
    """Return the JSON object that an option holds, or the file that it names as @FILE.

    Raises
        Rejected: it is none; the text says what is wrong with it.
    """
    if text is None:
        return {}
    if text.startswith("@"):
        text = read_file(Path(text[1:]))
    like = """write it like '{"score": 80}'"""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise Rejected(f"{option} is no JSON ({error}); {like}") from None
    except RecursionError:
        raise Rejected(f"{option} is nested too deeply") from None
    if not isinstance(value, Mapping):
        raise Rejected(f"{option} is no JSON object; {like}")
    return value


COMMANDS = (start, send, instances, instance, history)
