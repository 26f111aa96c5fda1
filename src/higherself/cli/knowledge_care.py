"""Commands that care for what is stored: check and mend, take out and back in, delete for good."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from higherself.cli.output import as_json, asynchronous, print_json, say, show_report, table, words
from higherself.kernel.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from higherself.knowledge.erasure import Shredded
    from higherself.knowledge.hub import KnowledgeHub

one_business = click.option("--entity", help="Only this business. Default: all.")
shredding = click.option(
    "--shred", is_flag=True, help="Afterwards, see that no byte of it stays in any table's file."
)


@click.command(epilog="Example: higherself knowledge verify --repair")
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@click.option("--entity", help="Only the rows of this business. Default: everything.")
@as_json
@asynchronous
async def verify(*, repair: bool, entity: str | None, as_json: bool) -> None:
    """Check that documents, chunks, vectors and indexes fit together.

    What was mended is checked again. The command ends with 1 if something is left to mend.
    """
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        findings = await hs.knowledge.verify(repair=repair, entity=entity, progress=say)
    ok = all(finding.ok for finding in findings)
    if as_json:
        print_json({"ok": ok, "findings": findings})
    else:
        table(
            ["check", "wrong", "mended", "detail"],
            [(each.name, each.wrong, each.mended, each.detail) for each in findings],
        )
    if not ok:
        raise click.exceptions.Exit(1)


@click.command(epilog="Example: higherself knowledge export --entity the_7_space > backup.jsonl")
@one_business
@as_json
@asynchronous
async def export(*, entity: str | None, as_json: bool) -> None:
    """Print every document, its whole text included, as a line of JSON.

    The documents are those of one instant, whatever is added meanwhile; `import` takes them in.
    --json makes one document of them: {"documents": [...]}.
    """
    from higherself.app.wiring import HigherSelf
    from higherself.kernel.jsonvalue import shown
    from higherself.knowledge.exported import exported

    async with HigherSelf.open(report=say, workflows=False) as hs:
        opening = '{"documents": [\n'
        async for document in hs.knowledge.export(entity):
            line = shown(exported(document), indent=None)
            click.echo(f"{opening}{line}" if as_json else line, nl=not as_json)
            opening = ",\n"
        if as_json:
            click.echo(f"{opening.removeprefix(',')}]}}")


@click.command("import", epilog="Example: higherself knowledge import backup.jsonl --dry-run")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--entity", help="Only the lines of this business. Default: all.")
@click.option("--dry-run", is_flag=True, help="Store nothing; say what would be stored.")
@as_json
@asynchronous
async def import_(*, file: Path, entity: str | None, dry_run: bool, as_json: bool) -> None:
    """Take in what `export` has written to FILE (-: standard input), exactly as it was.

    Each document comes back under its business, source and name. One that is there just so costs
    nothing. A broken line is told of with its number and stops nothing; interrupted, the same
    command goes on where it stopped. Files of other programs are for `add`.
    """
    from higherself.app.wiring import HigherSelf
    from higherself.cli.progress import ingest_progress
    from higherself.knowledge.exported import read_exported
    from higherself.knowledge.files import line_count
    from higherself.knowledge.readers.file import printable

    stdin = str(file) == "-"
    with _opened(file, stdin=stdin) as stream:
        lines = read_exported(stream, name="standard input" if stdin else printable(file))
        async with HigherSelf.open(report=say, workflows=False) as hs:
            with ingest_progress(None if stdin else line_count(file)) as progress:
                try:
                    report = await hs.knowledge.restore(
                        lines, entity=entity, dry_run=dry_run, progress=progress
                    )
                except Unavailable:
                    say("broken off; what was confirmed is stored, and the same command goes on")
                    raise
    if dry_run and not as_json:
        click.echo("nothing was stored; this is what would be:")
    show_report(report, as_json=as_json)


@click.command(epilog="Example: higherself knowledge delete 0198c0de-... --json")
@click.argument("documents", nargs=-1, required=True, type=words)
@click.option("--entity", help="Look for them in this business alone.")
@shredding
@as_json
@asynchronous
async def delete(
    *, documents: tuple[str, ...], entity: str | None, shred: bool, as_json: bool
) -> None:
    """Delete DOCUMENTS with everything made of them: chunks, vectors, index entries.

    Afterwards every table is searched for what is left; that is the proof in --json.
    """
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        erased = await hs.knowledge.delete(documents, entity=entity)
        shredded = await _shredded(hs.knowledge) if shred else None
    _show_erased(
        {"deleted": erased.ids, "proof": erased.proof},
        f"{erased.documents} deleted",
        shredded,
        as_json=as_json,
    )


@click.command(epilog="Example: higherself knowledge forget the_7_space --yes --shred")
@click.argument("entity")
@click.option("--yes", is_flag=True, help="Do not ask.")
@shredding
@as_json
@asynchronous
async def forget(*, entity: str, yes: bool, shred: bool, as_json: bool) -> None:
    """Delete a business (ENTITY) with all its documents, everything made of them, and its messages.

    Afterwards every table is searched for what is left; that is the proof in --json.
    """
    from higherself.app.wiring import HigherSelf

    if not yes:
        raise click.UsageError(
            f"this deletes everything that {entity} knows; export it first if in doubt, "
            "then say --yes"
        )
    async with HigherSelf.open(report=say, workflows=False) as hs:
        erased = await hs.knowledge.forget(entity)
        shredded = await _shredded(hs.knowledge) if shred else None
    _show_erased(
        {"entity": entity, "deleted": erased.documents, "proof": erased.proof},
        f"{erased.documents} deleted",
        shredded,
        as_json=as_json,
    )


@click.command(epilog="Example: higherself knowledge shred")
@as_json
@asynchronous
async def shred(*, as_json: bool) -> None:
    """See that no byte of what was deleted stays in any table's file.

    Every table is written anew, and locked meanwhile: searches and writes wait. The server's log of
    changes (WAL) and your backups are not touched.
    """
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        shredded = await _shredded(hs.knowledge)
    _show_erased({}, f"{shredded.tables} tables written anew", shredded, as_json=as_json)


async def _shredded(knowledge: "KnowledgeHub") -> "Shredded":
    return await knowledge.shred(progress=say)


def _show_erased(
    answer: "Mapping[str, Any]", told: str, shredded: "Shredded | None", *, as_json: bool
) -> None:
    if as_json:
        print_json({**answer, "shredded": shredded} if shredded is not None else answer)
    else:
        click.echo(told)
    if shredded is None or shredded.complete:
        return
    for reason in shredded.skipped:
        say(f"not written anew: {reason}")
    for name, rows in shredded.unseen.items():
        say(f"{rows} deleted rows stay in {name} while a transaction elsewhere may see them")
    say("run `higherself knowledge shred` again later")
    raise click.exceptions.Exit(Unavailable.exit_code)


@contextmanager
def _opened(file: Path, *, stdin: bool) -> "Iterator[BinaryIO]":
    """Open ``file``, or standard input in a way that whoever reads it may be left alone."""
    from higherself.knowledge.errors import MissingPath
    from higherself.knowledge.readers.file import printable

    try:
        opened = open(0, "rb", closefd=False) if stdin else file.open("rb")  # noqa: SIM115
    except FileNotFoundError:
        raise MissingPath(printable(file)) from None
    except OSError as error:
        raise Rejected(f"{printable(file)} cannot be read: {error.strerror}") from error
    with opened:
        yield opened


COMMANDS = (verify, export, import_, delete, forget, shred)
