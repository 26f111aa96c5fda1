"""Commands for templates: workflows that a business sets up with settings of its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, table, words
from higherself.cli.workflow_sources import opened, read_file
from higherself.kernel.errors import Rejected

if TYPE_CHECKING:
    from higherself.services.setups import Setup, Template


@click.group(epilog="Example: higherself templates setup lead_nurturing --entity the_7_space")
def templates() -> None:
    """Set workflows up for a business: nurturing, support, sales, with settings of its own."""


entity = click.option("--entity", type=words, required=True, help="The business, by its slug.")
by = click.option(
    "--as", "by", type=words, default="operator", show_default=True, help="Who does it."
)


@templates.command("list", epilog="Example: higherself templates list")
@as_json
@asynchronous
async def list_(*, as_json: bool) -> None:
    """List the workflows that can be set up, and who has."""
    async with opened() as hs:
        found = await hs.setups.templates()
    if as_json:
        print_json({"templates": [_brief(each) for each in found]})
        return
    rows = [
        (each.name, each.definition.version, _whose(each.setups), each.definition.description)
        for each in found
    ]
    table(("Template", "Version", "Set up for", "What it does"), rows)


@templates.command(epilog="Example: higherself templates show lead_nurturing")
@click.argument("name", type=words)
@as_json
@asynchronous
async def show(*, name: str, as_json: bool) -> None:
    """Show what can be set of a template, and how each business has it."""
    async with opened() as hs:
        found = await hs.setups.template(name)
    if as_json:
        print_json(
            {
                **_brief(found),
                "settings": [each.to_json() for each in found.settings],
                "setups": [each.to_json() for each in found.setups],
            }
        )
        return
    facts({"template": str(found.definition), "for": found.definition.description})
    rows = [
        (
            each.name,
            each.type,
            "to be set" if each.required else _said(each.default),
            each.about or each.title,
        )
        for each in found.settings
    ]
    table(("Setting", "Type", "Default", "What it is"), rows)
    for setup in found.setups:
        _tell(setup)


@templates.command(
    epilog="Example: higherself templates setup lead_nurturing --entity the_7_space "
    "--set booking_link=https://the7space.example/visit"
)
@click.argument("name", type=words)
@entity
@click.option("--set", "given", type=words, multiple=True, help="A setting: NAME=VALUE, or JSON.")
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, dir_okay=False),
    help="YAML with settings, by name; or - for the standard input.",
)
@click.option("--anew", is_flag=True, help="Forget what was set before.")
@by
@as_json
@asynchronous
async def setup(
    *,
    name: str,
    entity: str,
    given: Sequence[str],
    path: Path | None,
    anew: bool,
    by: str,
    as_json: bool,
) -> None:
    """Set a template up for a business, or change how; what is not given stays as it was."""
    settings = {**({} if path is None else _settings_in(path)), **dict(map(_setting, given))}
    async with opened() as hs:
        done = await hs.setups.set_up(
            entity, name, settings, by=by, origin="cli" if path is None else "file", keep=not anew
        )
    _show(done, as_json=as_json)


@templates.command(
    epilog="Example: higherself templates disable lead_nurturing --entity the_7_space"
)
@click.argument("name", type=words)
@entity
@by
@as_json
@asynchronous
async def disable(*, name: str, entity: str, by: str, as_json: bool) -> None:
    """Have nothing start a workflow by itself for a business any more; what runs goes on."""
    async with opened() as hs:
        done = await hs.setups.disable(entity, name, by=by)
    _show(done, as_json=as_json)


@templates.command(
    epilog="Example: higherself templates enable lead_nurturing --entity the_7_space"
)
@click.argument("name", type=words)
@entity
@by
@as_json
@asynchronous
async def enable(*, name: str, entity: str, by: str, as_json: bool) -> None:
    """Have a disabled workflow start by itself again."""
    async with opened() as hs:
        done = await hs.setups.disable(entity, name, by=by, enabled=True)
    _show(done, as_json=as_json)


def _settings_in(path: Path) -> Mapping[str, Any]:
    """Return the settings of a YAML file: at its top, or under ``settings``."""
    import sys

    import yaml

    text = sys.stdin.read() if str(path) == "-" else read_file(path)
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise Rejected(f"{path} is no YAML: {error}") from None
    if not isinstance(said, Mapping):
        raise Rejected(f"{path} has no settings; write one on a line, such as `service_hours: 24`")
    inner = said.get("settings", said)
    return inner if isinstance(inner, Mapping) else {}


def _setting(said: str) -> tuple[str, Any]:
    """Return what ``NAME=VALUE`` says: JSON if the value is some, else a text."""
    from pydantic_core import from_json

    name, equals, value = said.partition("=")
    if not equals or not name.strip():
        raise click.UsageError(f"--set {said!r}: write NAME=VALUE, such as --set language=en")
    try:
        return name.strip(), from_json(value)
    except ValueError:
        return name.strip(), value


def _brief(found: "Template") -> dict[str, Any]:
    return {
        "name": found.name,
        "version": found.definition.version,
        "description": found.definition.description,
        "setup_for": [each.entity for each in found.setups if each.enabled],
    }


def _whose(setups: "Sequence[Setup]") -> str:
    return ", ".join(each.entity if each.enabled else f"({each.entity})" for each in setups)


def _said(value: Any) -> str:
    import json

    said = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return plain(said if len(said) <= 60 else f"{said[:57]}...")


def _show(done: "Setup", *, as_json: bool) -> None:
    if as_json:
        print_json(done.to_json())
        return
    _tell(done)


def _tell(setup: "Setup") -> None:
    state = "set up" if setup.enabled else "disabled"
    facts(
        {
            state: f"{setup.workflow} for {setup.entity}, by {plain(setup.set_by)}",
            **{name: _said(value) for name, value in setup.settings.items()},
        }
    )
