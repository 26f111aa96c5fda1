"""The reference page of the databases in Notion, from their declaration."""

from collections.abc import Iterator

from higherself.app.notion import declared
from higherself.notion.databases.declaration import DeclaredDatabase, Property, View

INTRODUCTION = """\
`higherself notion setup` makes these databases, and [how to set them up](../howto/set-up-notion.md) says who wins when a
field was changed on both sides (its *policy*). A name in brackets after a type is another database. Fields without a
column are Notion's alone: formulas, and what the sync itself writes."""


def databases_parts() -> Iterator[str]:
    """Yield the parts of the page."""
    yield INTRODUCTION
    for database in declared().values():
        yield f"## {database.title}"
        yield _head(database)
        yield _table(database)
        yield "Views: " + ", ".join(map(_view, database.views)) + "."


def _head(database: DeclaredDatabase) -> str:
    where = f"Rows: table `{database.name}`." if database.records else "The server shows its workflows there; there is no table for it."  # fmt: skip
    parts = [database.about.rstrip(".") + ".", where, f"Adopted by `{database.env}`."]
    if database.id_prefix:
        parts.append(f"Identifiers are like `{database.id_prefix}7K2MWQ9X`.")
    if database.entity:
        parts.append(f"A row belongs to the business that *{database.entity}* names.")
    if database.optional:
        parts.append("Optional.")
    return " ".join(parts)


def _table(database: DeclaredDatabase) -> str:
    lines = ["| Property | Type | Column | Policy |", "| --- | --- | --- | --- |"]
    for prop in database.properties.values():
        column = f"`{prop.column}`" if prop.column else ""
        lines.append(f"| {prop.name} | {_type(prop)} | {column} | {prop.policy or ''} |")
    return "\n".join(lines)


def _type(prop: Property) -> str:
    told = prop.type.replace("_", " ")
    if prop.options:
        told += ": " + ", ".join(prop.options)
    if prop.to:
        told += f" [{prop.to}]" + (f", shown there as *{prop.both}*" if prop.both else "")
    if prop.format:
        told += f", {prop.format}"
    if prop.type == "date" and not prop.time:
        told += ", without a time"
    return told.replace("|", "\\|")


def _view(view: View) -> str:
    return f"{view.name} ({view.type}{f' by {view.group_by}' if view.group_by else ''})"
