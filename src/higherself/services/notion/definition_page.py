"""Definitions of workflows on pages in Notion: finding them, judging them, and saying what came of it. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from higherself.kernel.jsonvalue import shown
from higherself.notion.content import Content, RegionDamaged, parse, region, render, with_region
from higherself.notion.content.rich import text as rich
from higherself.notion.content.tree import (
    Block,
    Bullet,
    Callout,
    Code,
    Heading,
    Marks,
    Paragraph,
    Row,
    Table,
    Text,
    walk,
)
from higherself.services.setups import Setting, settings_of
from higherself.workflow.definition import LoadedDefinition, WorkflowDefinition, load_text
from higherself.workflow.definition.model import state_path
from higherself.workflow.errors import InvalidDefinition, Place
from higherself.workflow.lint import Catalogue, lint
from higherself.workflow.view.mermaid import mermaid
from higherself.workflow.view.words import agent_of, shortened, work_of

REGION = "definition"
"""The name of our part of the page."""

FILE = "definition.yaml"
SET_UP = (
    "Set it up for a business by a block of code on this page (language YAML) with the lines setup: "
    "(the workflow), entity: (the business) and settings:, each setting on a line below that."
)
_LANGUAGES = ("yaml", "", "plain text", "json")
_MOST_PROBLEMS = 50
_MOST_STATES = 90


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of a text: a definition that can be used, or ``problems``; ``remarks`` may be both."""

    definition: WorkflowDefinition | None
    problems: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def result(self) -> str:
        """What the page's property says: nothing, if there is nothing wrong."""
        return "\n".join(self.problems)


def written_definition(markdown: str) -> tuple[str, ...]:
    """Return the texts on a page that are meant to be definitions: code that names its workflow."""
    try:
        if region(markdown, REGION) is not None:
            markdown = with_region(markdown, REGION, "")
    except RegionDamaged:
        pass  # what is ours shows pictures and words, and no definition
    return tuple(
        block.code
        for _, block in walk(parse(markdown).blocks)
        if isinstance(block, Code) and block.language in _LANGUAGES and _names_workflow(block.code)
    )


def _names_workflow(code: str) -> bool:
    return any(
        line.startswith(("workflow:", '"workflow"')) or line.strip().startswith('"workflow":')
        for line in code.splitlines()
    )


def judge(texts: Sequence[str], catalogue: Catalogue | None = None) -> Judged:
    """Return what comes of the texts that a page has; only one may be there."""
    if len(texts) != 1:
        return Judged(None, (f"there are {len(texts)} definitions on this page; leave one",))
    try:
        loaded: LoadedDefinition = load_text(texts[0], file=FILE)
    except InvalidDefinition as error:
        problems = [
            f"{_where(each.place)}{f'{each.path}: ' if each.path else ''}{each.what}"
            for each in error.problems
        ]
        return Judged(None, tuple(problems))
    found = lint(loaded.definition, loaded.places, catalogue=catalogue)
    said = {finding: f"{_where(finding.place)}{finding.path}: {finding.what}" for finding in found}
    problems = [said[each] for each in found if each.severity == "error"]
    remarks = tuple(said[each] for each in found if each.severity != "error")
    if problems:
        return Judged(None, tuple(problems), remarks)
    return Judged(loaded.definition, (), remarks)


def _where(place: Place | None) -> str:
    return "" if place is None else f"line {place.line}: "


# --- What the page says.


def definition_body(
    definition: WorkflowDefinition | None,
    *,
    problems: Sequence[str] = (),
    remarks: Sequence[str] = (),
    written: bool,
) -> str:
    """Return our part of a page. ``written``: the definition stands on this page, and not in a file."""
    return render(Content(tuple(_blocks(definition, problems, remarks, written))))


def _blocks(
    definition: WorkflowDefinition | None,
    problems: Sequence[str],
    remarks: Sequence[str],
    written: bool,
) -> Iterator[Block]:
    if problems or definition is None:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        yield _callout("🔴", "red_background", f"Not loaded: {count}", problems)
        return
    said = f"{definition}"
    if not written:
        note = "It is defined in a file of the server; change it there."
        yield _callout("📄", "gray_background", said, [note])
    else:
        yield _callout("✅", "green_background", f"Loaded: {said}", remarks)
    if definition.description:
        yield Paragraph(rich(" ".join(definition.description.split())))
    yield Code(code=mermaid(definition, guards=False).rstrip("\n"), language="mermaid")
    yield Heading(rich("States"), level=3)
    yield _states(definition)
    if settings := settings_of(definition):
        yield Heading(rich("What can be set"), level=3)
        yield Paragraph(rich(SET_UP))
        yield _settings(settings)


def _callout(icon: str, colour: str, head: str, lines: Sequence[str]) -> Callout:
    shown = [*lines[:_MOST_PROBLEMS]]
    if len(lines) > _MOST_PROBLEMS:
        shown.append(f"and {len(lines) - _MOST_PROBLEMS} more")
    return Callout(
        (Text(head, Marks(bold=True)),),
        colour,
        icon=icon,
        children=tuple(Bullet(rich(shortened(" ".join(each.split()), 500))) for each in shown),
    )


def _states(definition: WorkflowDefinition) -> Table:
    head = Row(cells=tuple((Text(each, Marks(bold=True)),) for each in ("State", "Does", "Who", "About")))  # fmt: skip
    rows = [
        Row(
            cells=(
                (Text(state_path(region, state.name), Marks(code=True)),),
                rich("end" if state.final else work_of(state)),
                rich(agent_of(state.agent)),
                rich(shortened(" ".join(state.description.split()), 200)),
            )
        )
        for region, state in definition.all_states()
    ]
    return Table(header_row=True, children=(head, *rows[:_MOST_STATES]))


def _settings(settings: Sequence[Setting]) -> Table:
    head = Row(cells=tuple((Text(each, Marks(bold=True)),) for each in ("Setting", "Type", "Default", "What it is")))  # fmt: skip
    rows = [
        Row(
            cells=(
                (Text(each.name, Marks(code=True)),),
                rich(each.type),
                rich(
                    "has to be set"
                    if each.required
                    else shortened(shown(each.default, indent=None), 200)
                ),
                rich(shortened(" ".join((each.about or each.title).split()), 300)),
            )
        )
        for each in settings
    ]
    return Table(header_row=True, children=(head, *rows[:_MOST_STATES]))


def steps_of(definition: WorkflowDefinition) -> str:
    """Return the names of the states, as the library lists them."""
    return shortened(", ".join(state_path(region, state.name) for region, state in definition.all_states()), 1_900)  # fmt: skip
