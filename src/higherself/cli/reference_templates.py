"""Write the page of the templates: ``python -m higherself.cli.reference_templates docs/templates.md``.

What a workflow is for, what begins it and what can be set come from its definition and the triggers,
and so does its picture. A test fails when the committed page says something else.
"""

import json
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import click

from higherself.app.happenings import installed_triggers
from higherself.business.workflows import texts
from higherself.services.setups import Setting, is_template, settings_of
from higherself.services.triggers import Triggers
from higherself.workflow.definition import WorkflowDefinition, load_text
from higherself.workflow.view import mermaid

_HEAD = """\
# Templates

<!-- Written by `python -m higherself.cli.reference_templates docs/templates.md`; do not edit. -->

The workflows that come with the program. A *template* has settings, which every business sets as it wants them:
[how to set one up](howto/templates-setup.md). The others are used as they are. *Begins with* names what has to happen to a
business; everything can be started by `higherself workflow start NAME`, too. In the pictures a dashed arrow is the way
when something fails; conditions are left out, and `higherself workflow diagram NAME` draws them."""


def templates_page() -> str:
    """Return the page: every shipped workflow with its settings and its picture."""
    triggers = installed_triggers()
    definitions = [load_text(text, file=name).definition for name, text in texts()]
    ordered = sorted(definitions, key=lambda each: (not is_template(each), each.name))
    parts = [_HEAD, _contents(ordered)]
    for settable, those in groupby(ordered, is_template):
        parts.append("## Templates with settings" if settable else "## Used as they are")
        for definition in those:
            parts += _described(definition, triggers)
    return "\n\n".join(parts) + "\n"


def _contents(definitions: Sequence[WorkflowDefinition]) -> str:
    rows = [
        (f"[{each.name}](#{each.name})", each.description, "yes" if is_template(each) else "")
        for each in definitions
    ]
    return _table(("Workflow", "What it does", "Settings"), rows)


def _described(definition: WorkflowDefinition, triggers: Triggers) -> Iterator[str]:
    yield f"### {definition.name}"
    ends = [name for name, state in definition.states.items() if state.final]
    said = [f"{definition.description}.", f"Version {definition.version}."]
    if begins := _begins(definition.name, triggers):
        said.append(f"Begins with {', '.join(f'`{each}`' for each in begins)}.")
    said.append(f"Ends in {', '.join(f'`{each}`' for each in ends)}.")
    yield " ".join(said)
    if settings := settings_of(definition) if is_template(definition) else ():
        yield _table(("Setting", "Type", "Default", "Meaning"), map(_setting, settings))
    yield f"```mermaid\n{mermaid(definition, guards=False)}```"


def _begins(workflow: str, triggers: Triggers) -> list[str]:
    """Return the types of happenings that start a workflow, in the order of the triggers."""
    return list(
        dict.fromkeys(
            each.on
            for each in triggers.triggers
            if each.start is not None and each.start.workflow == workflow
        )
    )


def _setting(setting: Setting) -> tuple[str, str, str, str]:
    default = "*has to be set*"
    if not setting.required:
        default = f"`{json.dumps(setting.default, ensure_ascii=False)}`"
    return f"`{setting.name}`", setting.type, default, setting.about


def _table(headers: Sequence[str], rows: Iterator[Sequence[str]] | Sequence[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    cells = [[" ".join(each.split()).replace("|", "\\|") for each in line] for line in lines]
    return "\n".join("| " + " | ".join(line) + " |" for line in cells)


def main(arguments: Sequence[str]) -> None:
    """Write the page into the file that is named."""
    path = Path(arguments[0])
    path.write_text(templates_page(), encoding="utf-8")
    click.echo(path)


if __name__ == "__main__":
    main(sys.argv[1:])
