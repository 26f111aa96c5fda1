"""Commands on workflows: what there is, and whether it is sound."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from higherself.cli import workflow_instances, workflow_pictures, workflow_steering
from higherself.cli.output import as_json, asynchronous, plain, print_json, table, words
from higherself.cli.workflow_sources import A_NUMBER, load_file, opened, read_file
from higherself.kernel.errors import Rejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from higherself.workflow.errors import Place

FILES = click.argument(
    "files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path)
)


@click.group()
def workflow() -> None:
    """Start workflows, see where they are, steer them.

    A workflow is a definition, a state machine in YAML; an instance is one run of it. Workers
    (`higherself serve` or `higherself worker`) run its activities.
    """


@workflow.command("list", epilog="Example: higherself workflow list --json")
@as_json
@asynchronous
async def list_(*, as_json: bool) -> None:
    """Show the workflows, and how many instances of each go on."""
    async with opened() as hs:
        listed = await hs.workflows.overview()
    if as_json:
        print_json({"workflows": listed})
        return
    table(
        ["workflow", "versions", "unfinished", "description"],
        [
            (each.name, ", ".join(str(v) for v in each.versions), each.unfinished, each.description)
            for each in listed
        ],
    )


@workflow.command(epilog="Example: higherself workflow show lead_nurturing")
@click.argument("name", type=words)
@click.option("--version", type=A_NUMBER, help="Default: the latest.")
@as_json
@asynchronous
async def show(*, name: str, version: int | None, as_json: bool) -> None:
    """Show a definition: as it was written, or with --json as data."""
    from higherself.workflow.definition import as_data

    async with opened() as hs:
        stored = await hs.workflows.definition(name, version)
        versions = (await hs.workflows.workflows())[name]
    data = as_data(stored.definition)
    if as_json:
        print_json(
            {
                "name": name,
                "version": stored.definition.version,
                "versions": versions,
                "definition": data,
                "events": sorted(stored.definition.events),
                "created_at": stored.created_at,
            }
        )
    else:
        click.echo(plain(stored.source or json.dumps(data, indent=2, ensure_ascii=False)))


@workflow.command(epilog="Example: higherself workflow add booking.yaml")
@FILES
@as_json
@asynchronous
async def add(*, files: tuple[Path, ...], as_json: bool) -> None:
    """Make definitions known. One that an instance has used never changes."""
    texts = [(str(path), read_file(path)) for path in files]
    added = []
    async with opened() as hs:
        for file, text in texts:
            definition = await hs.workflows.add_text(text, file=file)
            added.append({"name": definition.name, "version": definition.version, "file": file})
    if as_json:
        print_json({"added": added})
        return
    for each in added:
        click.echo(plain(f"{each['name']} version {each['version']}"))


@workflow.command(epilog="Example: higherself workflow lint workflows/*.yaml")
@FILES
@as_json
def lint(*, files: tuple[Path, ...], as_json: bool) -> None:
    """Check definitions: whether they can be loaded, and what looks wrong in them.

    Ends with exit code 5 if one has an error. Needs no server.
    """
    results = [_linted(path) for path in files]
    ok = all(each["ok"] for each in results)
    if as_json:
        print_json({"ok": ok, "files": results})
    else:
        for each in results:
            for finding in each["findings"]:
                click.echo(plain(finding["text"]))
            if not each["findings"]:
                click.echo(plain(f"{each['file']}: clean"))
    if not ok:
        raise click.exceptions.Exit(Rejected.exit_code)


def _linted(path: Path) -> dict[str, Any]:
    from higherself.services.collaboration.workflows import plan_problems
    from higherself.workflow.errors import InvalidDefinition
    from higherself.workflow.lint import lint as findings_of

    try:
        loaded = load_file(path)
    except InvalidDefinition as invalid:
        found = [
            _finding("error", "invalid", each.path, each.what, each.place, str(each))
            for each in invalid.problems
        ]
    else:
        found = [
            _finding(each.severity, each.rule, each.path, each.what, each.place, str(each))
            for each in findings_of(loaded.definition, loaded.places)
        ]
        found += [
            _finding(
                "error",
                "no-such-plan",
                where,
                what,
                None,
                f"{path}: {where}: error: {what} [no-such-plan]",
            )
            for where, what in plan_problems(loaded.definition)
        ]
    return {"file": str(path), "ok": not _errors(found), "findings": found}


def _finding(
    severity: str, rule: str, path: str, what: str, place: "Place | None", text: str
) -> dict[str, Any]:
    return {
        "severity": severity,
        "rule": rule,
        "path": path,
        "what": what,
        "line": place and place.line,
        "column": place and place.column,
        "text": text,
    }


def _errors(findings: "Sequence[dict[str, Any]]") -> bool:
    return any(each["severity"] == "error" for each in findings)


for command in (
    *workflow_pictures.COMMANDS,
    *workflow_instances.COMMANDS,
    *workflow_steering.COMMANDS,
):
    workflow.add_command(command)
