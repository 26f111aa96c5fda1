"""Commands on the knowledge hub."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from higherself.cli.output import as_json, asynchronous, plain, print_json, say, table, words
from higherself.kernel.errors import Rejected, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from higherself.knowledge.evaluate import Measured
    from higherself.knowledge.model import Answer, Hit, Mode

MODES = click.Choice(["hybrid", "vector", "lexical"])


@click.group()
def knowledge() -> None:
    """Add documents, search them, care for them."""


@knowledge.command(epilog="Example: higherself knowledge add ./policies --entity the_7_space")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--source", type=words, help="A name for where these come from. Default: their full path."
)
@click.option("--entity", default="default", show_default=True, help="The business they belong to.")
@click.option(
    "--tag", "tags", type=words, multiple=True, help="A tag for each of them; may be repeated."
)
@click.option("--prune", is_flag=True, help="Delete documents whose files are gone from the paths.")
@as_json
@asynchronous
async def add(
    *,
    paths: tuple[Path, ...],
    source: str | None,
    entity: str,
    tags: tuple[str, ...],
    prune: bool,
    as_json: bool,
) -> None:
    """Add files or folders: Markdown, text, HTML, PDF, CSV, JSON Lines.

    Adding again costs only what has changed. Interrupted, it goes on where it stopped.
    """
    from higherself.app.wiring import HigherSelf
    from higherself.cli.progress import ingest_progress
    from higherself.knowledge.files import FileSource

    files = FileSource(paths, entity=entity, source=source, tags=tags)
    total = files.count()
    async with HigherSelf.open(report=say) as hs:
        with ingest_progress(total) as progress:
            try:
                report = await hs.knowledge.add(files.documents(), progress=progress)
            except Unavailable:
                say("broken off; what was confirmed is stored, and the same command goes on there")
                raise
        if prune:
            report.deleted = await files.prune(hs.knowledge)
    if as_json:
        print_json(report)
    else:
        click.echo(
            f"{report.documents} documents: {report.created} created, {report.updated} updated, "
            f"{report.unchanged} unchanged, {report.deleted} deleted, {len(report.failed)} failed; "
            f"{report.chunks} chunks, {report.embedded} embedded, {report.reused} reused; "
            f"{report.seconds:.1f} s"
        )
        for failure in report.failed:
            click.echo(plain(f"failed: {failure.path}: {failure.reason}"), err=True)
    if report.failed and len(report.failed) == report.documents:
        raise click.exceptions.Exit(Rejected.exit_code)


@knowledge.command(
    epilog="Example: higherself knowledge search 'late arrival' --entity the_7_space"
)
@click.argument("query", type=words)
@click.option("--limit", default=10, show_default=True, help="How many passages, up to 1000.")
@click.option("--mode", type=MODES, default="hybrid", show_default=True)
@click.option("--entity", help="Only this business. Default: all.")
@click.option(
    "--source", "sources", type=words, multiple=True, help="Only this source; may be repeated."
)
@click.option(
    "--tag",
    "tags",
    type=words,
    multiple=True,
    help="Only documents with this tag; may be repeated.",
)
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Changed on or after this day.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Changed before this day.")
@click.option(
    "--where", "metadata", type=words, multiple=True, metavar="KEY=VALUE", help="Metadata to match."
)
@click.option("--neighbours", default=0, help="Chunks before and after each hit to show, too.")
@click.option("--rerank", is_flag=True, help="Let a reranker order the hits, if one is configured.")
@as_json
@asynchronous
async def search(
    *,
    query: str,
    limit: int,
    mode: str,
    entity: str | None,
    sources: tuple[str, ...],
    tags: tuple[str, ...],
    since: object,
    until: object,
    metadata: tuple[str, ...],
    neighbours: int,
    rerank: bool,
    as_json: bool,
) -> None:
    """Find the passages that answer QUERY. Words in double quotes must occur as they stand."""
    from higherself.app.wiring import HigherSelf

    wanted = _pairs(metadata)
    if rerank:
        say("no reranker is configured; the order is that of the search itself")
    async with HigherSelf.open(report=say) as hs:
        answer = await hs.knowledge.search(
            query,
            limit=limit,
            mode=cast("Mode", mode),
            entity=entity,
            sources=sources,
            tags=tags,
            metadata=wanted,
            since=_utc(since),
            until=_utc(until),
            neighbours=neighbours,
        )
    if as_json:
        print_json(answer)
    else:
        _print_answer(answer)


@knowledge.command(epilog="Example: higherself knowledge show --entity the_7_space")
@click.argument("document", required=False, type=words)
@click.option("--entity", help="List only documents of this business.")
@click.option("--source", type=words, help="List only documents of this source.")
@click.option("--after", help="List the page after this identifier.")
@click.option("--limit", default=50, show_default=True)
@as_json
@asynchronous
async def show(
    *,
    document: str | None,
    entity: str | None,
    source: str | None,
    after: str | None,
    limit: int,
    as_json: bool,
) -> None:
    """Show a DOCUMENT with its chunks (by identifier or name), or list the newest documents."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        if document is None:
            page = await hs.knowledge.page(entity=entity, source=source, after=after, limit=limit)
            if as_json:
                print_json({"documents": page})
            else:
                table(
                    ["id", "entity", "title", "changed"],
                    [
                        (row["document_id"], row["entity"], row["title"], row["changed_at"])
                        for row in page
                    ],
                )
            return
        found = await hs.knowledge.show(document)
    if as_json:
        print_json(found)
        return
    click.echo(click.style(plain(found["title"] or found["external_id"]), bold=True))
    click.echo(plain(f"{found['entity']} / {found['source']} / {found['external_id']}"))
    for chunk in found["chunks"]:
        heading = " > ".join(chunk["headings"])
        click.echo(click.style(plain(f"\n[{chunk['ordinal']}] {heading}"), dim=True))
        click.echo(plain(chunk["text"].strip()))


@knowledge.command(epilog="Example: higherself knowledge delete 0198c0de-... --json")
@click.argument("documents", nargs=-1, required=True, type=words)
@as_json
@asynchronous
async def delete(*, documents: tuple[str, ...], as_json: bool) -> None:
    """Delete DOCUMENTS with everything made of them: chunks, vectors, index entries."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        deleted = await hs.knowledge.delete(documents)
    if as_json:
        print_json({"deleted": deleted})
    else:
        click.echo(f"{len(deleted)} deleted")


@knowledge.command(epilog="Example: higherself knowledge stats --json")
@as_json
@asynchronous
async def stats(*, as_json: bool) -> None:
    """Show how much the hub holds."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        found = await hs.knowledge.stats()
        found["spaces"] = await hs.knowledge.spaces()
    if as_json:
        print_json(found)
        return
    click.echo(
        f"{found['documents']} documents, {found['chunks']} chunks, {found['terms']} terms, "
        f"{found['bytes'] / 1e6:.1f} MB"
    )
    table(
        ["entity", "source", "documents"],
        [(row["entity"], row["source"], row["documents"]) for row in found["sources"]],
    )


@knowledge.command(epilog="Example: higherself knowledge verify --repair")
@click.option("--repair", is_flag=True, help="Mend what can be mended.")
@as_json
@asynchronous
async def verify(*, repair: bool, as_json: bool) -> None:
    """Check that documents, chunks, vectors and lexical index fit together."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        findings = await hs.knowledge.verify(repair=repair, progress=say)
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


@knowledge.command(epilog="Example: higherself knowledge spaces --json")
@as_json
@asynchronous
async def spaces(*, as_json: bool) -> None:
    """Show the embedding spaces and how much of the knowledge each covers."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        found = await hs.knowledge.spaces()
    if as_json:
        print_json({"spaces": found})
    else:
        table(
            ["space", "dimensions", "chunks", "coverage", "active"],
            [
                (s["name"], s["dimensions"], s["chunks"], f"{s['coverage']:.1%}", s["active"])
                for s in found
            ],
        )


@knowledge.command(epilog="Example: higherself knowledge reembed --space local/...")
@click.option("--space", required=True, help="The space to fill.")
@as_json
@asynchronous
async def reembed(*, space: str, as_json: bool) -> None:
    """Embed whatever lacks a vector in a space. Interrupted, it goes on where it stopped."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        done = await hs.knowledge.reembed(space, progress=lambda count: say(f"{count} embedded"))
    if as_json:
        print_json({"space": space, "embedded": done})
    else:
        click.echo(f"{done} embedded")


@knowledge.command(epilog="Example: higherself knowledge providers --json")
@as_json
def providers(*, as_json: bool) -> None:
    """Show the embedding tiers in their order, and why one is off."""
    from higherself.app.providers import build_tiers
    from higherself.app.settings import load_settings

    settings, _ = load_settings()
    tiers = build_tiers(settings)
    found = [tier.described() for tier in tiers]
    for tier in tiers:
        tier.close()
    if as_json:
        print_json({"providers": found})
    else:
        table(
            ["tier", "state", "space", "reason"],
            [(row["tier"], row["state"], row["space"], row["reason"]) for row in found],
        )


@knowledge.command(epilog="Example: higherself knowledge evaluate ./collection --mode hybrid")
@click.argument("dataset", type=click.Path(path_type=Path))
@click.option("--mode", type=MODES, default="hybrid", show_default=True)
@click.option("--limit", default=100, show_default=True, help="Documents to find for each query.")
@click.option(
    "--run", "run_file", type=click.Path(path_type=Path), help="Write the rankings, TREC format."
)
@as_json
@asynchronous
async def evaluate(
    *, dataset: Path, mode: str, limit: int, run_file: Path | None, as_json: bool
) -> None:
    """Measure how well the search finds what DATASET says it should.

    DATASET is a folder with corpus.jsonl, queries.jsonl and qrels.tsv (the layout of BEIR). It is
    taken in as a business of its own, which is removed afterwards.
    """
    from higherself.app.wiring import HigherSelf
    from higherself.cli.progress import ingest_progress
    from higherself.knowledge.files import line_count

    async with HigherSelf.open(report=say) as hs:
        with ingest_progress(line_count(dataset / "corpus.jsonl")) as progress:
            found = await hs.knowledge.evaluate(
                dataset, modes=[cast("Mode", mode)], limit=limit, progress=progress
            )
    (measured,) = found.measured
    quality = measured.quality
    if run_file is not None:
        _write_run(run_file, measured)
    if as_json:
        print_json(
            {
                "ndcg@10": quality.ndcg_at_10,
                "recall@100": quality.recall_at_100,
                "mrr@10": quality.mrr_at_10,
                "queries": quality.queries,
                "mode": mode,
                "documents": found.ingest.created,
                "empty": found.empty,
                "seconds": measured.seconds,
            }
        )
        return
    figures = (quality.ndcg_at_10, quality.recall_at_100, quality.mrr_at_10)
    table(
        ["mode", "queries", "nDCG@10", "Recall@100", "MRR@10"],
        [(mode, quality.queries, *(f"{figure:.4f}" for figure in figures))],
    )


@knowledge.command(
    epilog="Example: higherself knowledge export --entity the_7_space > backup.jsonl"
)
@click.option("--entity", help="Only this business. Default: all.")
@as_json
@asynchronous
async def export(*, entity: str | None, as_json: bool) -> None:
    """Print every document, its whole text included, as a line of JSON.

    --json makes one document of them: {"documents": [...]}.
    """
    from higherself.app.wiring import HigherSelf
    from higherself.kernel.jsonvalue import shown

    async with HigherSelf.open(report=say) as hs:
        opening = '{"documents": [\n'
        async for row in hs.knowledge.export(entity):
            line = shown(_record(row), indent=None)
            click.echo(f"{opening}{line}" if as_json else line, nl=not as_json)
            opening = ",\n"
        if as_json:
            click.echo(f"{opening.removeprefix(',')}]}}")


def _record(row: "Mapping[str, Any]") -> dict[str, Any]:
    return {
        "id": row["external_id"],
        "title": row["title"],
        "text": row["text"],
        "entity": row["entity"],
        "source": row["source"],
        "uri": row["uri"],
        "tags": row["tags"],
        "metadata": row["metadata"],
        "date": row["changed_at"],
    }


def _write_run(path: Path, measured: "Measured") -> None:
    lines = (
        f"{query} Q0 {document} {rank} {score:.6f} higherself-{measured.mode}\n"
        for query, ranking in measured.rankings.items()
        for rank, (document, score) in enumerate(ranking, start=1)
    )
    path.write_text("".join(lines), encoding="utf-8")


def _pairs(given: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for pair in given:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"{pair!r} is not KEY=VALUE", param_hint="--where")
        pairs[key] = value
    return pairs


def _utc(given: object) -> "datetime | None":
    from datetime import UTC, datetime

    return given.replace(tzinfo=UTC) if isinstance(given, datetime) else None


def _print_answer(answer: "Answer") -> None:
    if answer.degraded or (answer.reason and not answer.hits):
        say(f"note: {answer.reason}")
    if not answer.hits:
        click.echo("nothing found")
    for hit in answer.hits:
        _print_hit(hit)
    say(f"{len(answer.hits)} passages in {answer.milliseconds:.0f} ms ({answer.mode})")


def _print_hit(hit: "Hit") -> None:
    title = plain(hit.document.title or hit.document.external_id)
    heading = plain(f" > {hit.chunk.heading}" if hit.chunk.heading else "")
    click.echo(f"\n{hit.rank:>2}. {click.style(title, bold=True)}{heading}  {hit.score:.3f}")
    for chunk in (*hit.before, hit.chunk, *hit.after):
        text = plain(" ".join(chunk.text.split()))
        click.echo("    " + (text if len(text) <= 400 else text[:397] + "..."))
    reasons = []
    if hit.why.vector_rank:
        reasons.append(f"meaning: rank {hit.why.vector_rank}, similarity {hit.why.similarity}")
    if hit.why.lexical_rank:
        words = ", ".join(hit.why.terms)
        reasons.append(f"words: rank {hit.why.lexical_rank} ({words})")
    where = plain(hit.document.uri or "")
    click.echo(click.style(f"    {'; '.join(reasons)}  {where}", dim=True))
