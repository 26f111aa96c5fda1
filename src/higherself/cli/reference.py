"""Write the reference pages from the code: ``python -m higherself.cli.reference docs/reference``.

Commands come from click, settings from their model, errors from the classes as they are written,
tables from the migrations. A test fails when the committed pages say something else.
"""

import ast
import inspect
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from higherself.app.settings import Settings
from higherself.business.roster import described, load_roster
from higherself.cli.main import higherself
from higherself.cli.reference_notion import databases_parts
from higherself.db.migrate import Migration, migrations
from higherself.db.queryfile import read_queries
from higherself.kernel.errors import FAMILIES

_HEAD = "<!-- Written by `python -m higherself.cli.reference docs/reference`; do not edit. -->"


_AGENTS = """\
The agents that come with the program. Each reads what the business knows before it acts, cites what it used, and keeps what
it makes. Who gets a message is decided as [Add an agent](../howto/add-an-agent.md) says; there is also how a business changes
one of these, or adds its own, in a file."""


def pages() -> dict[str, str]:
    """Return every page of the reference, by the name of its file."""
    return {
        "commands.md": commands_page(),
        "settings.md": settings_page(),
        "errors.md": errors_page(),
        "schema.md": schema_page(),
        "agents.md": _page("Agents", _AGENTS, *map(described, load_roster().declared.values())),
        "notion-databases.md": _page("Databases in Notion", *databases_parts()),
    }


def _page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", _HEAD, *(part for part in parts if part)]) + "\n"


def _table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headers, ["---"] * len(headers), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


# --- Commands.


def commands_page() -> str:
    """Return every command with its arguments, options and example."""
    return _page(
        "Commands",
        "`higherself COMMAND --help` says the same. Data go to standard output, progress and "
        "remarks to standard error; [errors](errors.md) has the exit codes. `higherself "
        "--version` prints the version.",
        *_described(higherself, higherself.make_context("higherself", [], resilient_parsing=True)),
    )


def _described(command: click.Command, context: click.Context) -> Iterator[str]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None  # noqa: S101  it was just listed
            yield from _described(inner, click.Context(inner, info_name=name, parent=context))
        return
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    options = [each for each in command.params if isinstance(each, click.Option)]
    yield f"## `{context.command_path}`"
    yield f"```text\n{usage}\n```"
    yield inspect.cleandoc(command.help or "")
    if options:
        yield _table(
            ["Option", "What it does", "Default"], [_option(each, context) for each in options]
        )
    yield f"Example: `{(command.epilog or '').removeprefix('Example: ')}`"


def _option(option: click.Option, context: click.Context) -> tuple[str, str, str]:
    name = ", ".join(option.opts)
    if not option.is_flag:
        name += f" {option.make_metavar(context)}".replace("[%Y-%m-%d]", "YYYY-MM-DD")
    default = option.get_default(context, call=False)
    shown = isinstance(default, str | int) and not isinstance(default, bool)
    return _code(name), option.help or "", _code(str(default)) if shown else ""


# --- Settings.


def settings_page() -> str:
    """Return every setting with its values, default and an example."""
    rows = []
    for field in Settings.model_fields.values():
        name = str(field.validation_alias)
        default = "" if field.default_factory else _shown_default(field.default)
        if field.default_factory:
            default = "the platform's folder for a user's data"
        choices = [str(each) for each in get_args(field.annotation) if isinstance(each, str)]
        meaning = f"{field.description} One of: {', '.join(choices)}." if choices else ""
        example = f"{name}={(field.examples or [''])[0]}"
        rows.append((_code(name), meaning or field.description or "", default, _code(example)))
    return _page(
        "Settings",
        "Settings come from the environment, or from a file `.env` in the folder where the command "
        "runs; the environment wins. An empty value means unset. A wrong value is refused at "
        "start, with its name, what is wrong with it, and an example. `higherself doctor` shows "
        "each setting, and where it came from; secrets are masked.",
        "Settings of parts that are still to come (Notion, agents) are checked already, and used "
        "by nothing yet.",
        "What a workflow calls `secrets.crm_token` is set as `HIGHERSELF_SECRET_CRM_TOKEN` where "
        "workers run, in the environment or in `.env`; it is not shown anywhere.",
        _table(["Setting", "Meaning", "Default", "Example"], rows),
    )


def _shown_default(value: Any) -> str:
    match value:
        case None | ():
            return ""
        case tuple():
            return _code(",".join(map(str, value)))
        case _:
            return _code(str(value))


# --- Errors.


@dataclass(frozen=True, slots=True)
class _ErrorClass:
    name: str
    base: str
    module: str
    meaning: str


def errors_page() -> str:
    """Return the families of errors with their codes, and every error that belongs to one."""
    families = [
        (_code(each.__name__), str(each.exit_code), str(each.http_status), _first_line(each))
        for each in FAMILIES
    ]
    known = {each.__name__: each.__name__ for each in FAMILIES}
    found = sorted(_error_classes(), key=lambda each: each.name)
    while missing := [e for e in found if e.name not in known and e.base in known]:
        known |= {each.name: known[each.base] for each in missing}
    parts = []
    for family in FAMILIES:
        mine = [
            e for e in found if known.get(e.name) == family.__name__ and e.name != known[e.name]
        ]
        parts.append(f"## {family.__name__}")
        parts.append(
            _table(
                ["Error", "What is wrong", "Where"],
                [(_code(each.name), each.meaning, _code(each.module)) for each in mine],
            )
        )
    return _page(
        "Errors",
        "Every error that the program can explain belongs to one of five families. The family "
        "alone decides the exit code of a command, the HTTP status of an answer, and whether "
        "trying again makes sense. The text of an error says what to do.",
        _table(["Family", "Exit code", "HTTP status", "Meaning"], families),
        "Besides: exit code 0 means done; 1 means a mistake in the program, or a check that found "
        "something wrong; 130 means stopped by Ctrl-C or SIGTERM. Wrong usage of a command is a 2. "
        "`higherself knowledge add` ends with 5 only if not one document was taken in.",
        *parts,
    )


def _first_line(documented: type) -> str:
    return (inspect.getdoc(documented) or "").partition("\n\n")[0]


def _error_classes() -> Iterator[_ErrorClass]:
    """Yield the classes of the program as written: importing all of it would need every extra."""
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*.py")):
        module = ".".join(path.relative_to(root.parent).with_suffix("").parts)
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and node.bases:
                base, doc = node.bases[0], ast.get_docstring(node) or ""
                name = base.id if isinstance(base, ast.Name) else ""
                meaning = doc.partition("\n\n")[0].replace("``", "`")
                yield _ErrorClass(node.name, name, module.removesuffix(".__init__"), meaning)


# --- Schema.

_DO_BLOCK = re.compile(r"^DO \$\$.*?^\$\$;$", re.MULTILINE | re.DOTALL)
_STATEMENT = re.compile(
    r"((?:^--[^\n]*\n)*)^(CREATE TABLE|CREATE INDEX|CREATE UNIQUE INDEX|ALTER TABLE) (.*?);$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class _Statement:
    """A statement of a migration, with the comment above it."""

    migration: Migration
    comment: str
    kind: str
    rest: str

    @property
    def table(self) -> str:
        """The table it is about."""
        named = self.rest.partition(" ON ")[2] if self.kind.endswith("INDEX") else self.rest
        return named.split()[0]

    def __str__(self) -> str:
        said = f": {self.comment}" if self.comment else ""
        return _code(" ".join(f"{self.kind} {self.rest}".split())) + said


def schema_page() -> str:
    """Return the tables as the migrations make them."""
    statements = [found for migration in migrations() for found in _statements(migration)]
    parts = []
    for made in (each for each in statements if each.kind == "CREATE TABLE"):
        later = [each for each in statements if each.table == made.table and each is not made]
        parts += [
            f"## {made.table}",
            f"{made.comment} Made by `{made.migration}`.".strip(),
            _columns(made.rest),
            "\n".join(f"- {each}" for each in later),
        ]
    embedding = read_queries("higherself.knowledge")["create_space_table"].text
    return _page(
        "Schema",
        "Our tables are in the schema `higherself`, whatever else the database holds. "
        "`schema_migration` remembers which migrations were applied, with their checksums. Every "
        "table with a column `entity`, and `entity` itself, is under forced row-level security: a "
        "transaction sees the rows of the business named by the setting `higherself.entity`, all "
        "of them if it is `*`, and none if it is not set.",
        *parts,
        "## embedding_N",
        "Each embedding space has a table of its own, made with the space and named after its "
        "number; its HNSW index is built once the table has grown.",
        _columns(embedding.partition("}")[2].replace("{dimensions}", "DIMENSIONS")),
    )


def _statements(migration: Migration) -> Iterator[_Statement]:
    for comment, kind, rest in _STATEMENT.findall(_DO_BLOCK.sub("", migration.up)):
        if "ROW LEVEL SECURITY" not in rest:  # the page's head says it of all
            yield _Statement(migration, _said(comment.splitlines()), kind, rest.strip())


def _said(lines: Iterable[str]) -> str:
    text = " ".join(line.strip().removeprefix("--").strip() for line in lines)
    return "" if re.match(r"\d\d_", text) else text  # the head of the migration itself


def _columns(body: str) -> str:
    """Return the columns and constraints between the parentheses of a CREATE TABLE."""
    rows: list[tuple[str, str, str]] = []
    comment: list[str] = []
    definition = ""
    for line in [*body[body.index("(") + 1 : body.rindex(")")].splitlines(), ","]:
        if line.strip().startswith("--"):
            comment.append(line)
            continue
        definition = f"{definition} {line.strip()}".strip()
        if definition.endswith(",") and definition.count("(") == definition.count(")"):
            rows.append(_column(definition.rstrip(", "), _said(comment)))
            definition, comment = "", []
    return _table(["Column", "Definition", "Note"], rows)


def _column(definition: str, note: str) -> tuple[str, str, str]:
    name, _, rest = definition.partition(" ")
    if name in {"CONSTRAINT", "PRIMARY"}:
        return "", _code(definition), note
    return _code(name), _code(rest), note


def main(arguments: Sequence[str]) -> None:
    """Write the pages into the folder that is named."""
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")
        click.echo(folder / name)


if __name__ == "__main__":
    main(sys.argv[1:])
