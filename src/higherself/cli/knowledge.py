"""Commands on the knowledge hub."""

from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from higherself.cli.knowledge_care import COMMANDS
from higherself.cli.knowledge_providers import providers
from higherself.cli.knowledge_spaces import reembed, spaces
from higherself.cli.output import (
    as_json,
    asynchronous,
    plain,
    print_json,
    say,
    show_report,
    table,
    words,
)
from higherself.kernel.errors import Unavailable

if TYPE_CHECKING:
    from datetime import datetime

    from higherself.knowledge.evaluate import Measured
    from higherself.knowledge.model import Answer, Hit, Mode, Trust

TRUST = click.Choice(["own", "generated", "external"])
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
@click.option("--trust", type=TRUST, help="Who wrote them. Default: own, or as a record says.")
@click.option("--local-only", is_flag=True, help="No provider off this machine may see them.")
@click.option("--prune", is_flag=True, help="Delete documents whose files are gone from the paths.")
@as_json
@asynchronous
async def add(
    *,
    paths: tuple[Path, ...],
    source: str | None,
    entity: str,
    tags: tuple[str, ...],
    trust: str | None,
    local_only: bool,
    prune: bool,
    as_json: bool,
) -> None:
    """Add files or folders: Markdown, text, HTML, PDF, CSV, JSON Lines.

    Adding again costs only what has changed. Interrupted, it goes on where it stopped.
    """
    from higherself.app.wiring import HigherSelf
    from higherself.cli.progress import ingest_progress
    from higherself.knowledge.files import FileSource

    files = FileSource(
        paths,
        entity=entity,
        source=source,
        tags=tags,
        trust=cast("Trust | None", trust),
        local_only=local_only,
    )
    total = files.count()
    async with HigherSelf.open(report=say, workflows=False) as hs:
        with ingest_progress(total) as progress:
            try:
                report = await hs.knowledge.add(files.documents(), progress=progress)
            except Unavailable:
                say("broken off; what was confirmed is stored, and the same command goes on there")
                raise
        if prune:
            report.deleted = await files.prune(hs.knowledge)
    show_report(report, as_json=as_json)


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
@click.option(
    "--rerank", is_flag=True, help="Let the reranker (HIGHERSELF_RERANKER) order the hits."
)
@click.option("--quoted", is_flag=True, help="Print the passages as data for a language model.")
@click.option("--budget", type=int, help="With --quoted: at most so many characters.")
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
    quoted: bool,
    budget: int | None,
    as_json: bool,
) -> None:
    """Find the passages that answer QUERY. Words in double quotes must occur as they stand."""
    from higherself.app.wiring import HigherSelf

    wanted = _pairs(metadata)
    if budget is not None and not quoted:
        raise click.UsageError("--budget goes with --quoted")
    async with HigherSelf.open(report=say, workflows=False) as hs:
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
            rerank=rerank,
        )
    if as_json:
        if rerank and answer.degraded:
            say(f"note: {answer.reason}")
        print_json(_with_quotations(answer, budget) if quoted else answer)
    elif quoted:
        click.echo(_quoted(answer, budget), nl=False)
    else:
        _print_answer(answer)


@knowledge.command(epilog="Example: higherself knowledge show --entity the_7_space")
@click.argument("document", required=False, type=words)
@click.option("--entity", help="Only documents of this business.")
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

    async with HigherSelf.open(report=say, workflows=False) as hs:
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
        found = await hs.knowledge.show(document, entity=entity)
    if as_json:
        print_json(found)
        return
    click.echo(click.style(plain(found["title"] or found["external_id"]), bold=True))
    click.echo(plain(f"{found['entity']} / {found['source']} / {found['external_id']}"))
    for chunk in found["chunks"]:
        heading = " > ".join(chunk["headings"])
        click.echo(click.style(plain(f"\n[{chunk['ordinal']}] {heading}"), dim=True))
        click.echo(plain(chunk["text"].strip()))


@knowledge.command(epilog="Example: higherself knowledge stats --json")
@click.option("--entity", help="Only what this business has. Default: all.")
@as_json
@asynchronous
async def stats(*, entity: str | None, as_json: bool) -> None:
    """Show how much the hub holds."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        found = await hs.knowledge.stats(entity=entity)
        found["spaces"] = await hs.knowledge.spaces(entity=entity)
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

    async with HigherSelf.open(report=say, workflows=False) as hs:
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


def _quoted(answer: "Answer", budget: int | None) -> str:
    from higherself.knowledge.quotations import quotations, quoted

    made = quoted(quotations(answer.hits), budget=budget)
    if made.left_out:
        say(f"{made.left_out} of {len(answer.hits)} passages have no room in {budget} characters")
    return made.text


def _with_quotations(answer: "Answer", budget: int | None) -> dict[str, Any]:
    found = {field.name: getattr(answer, field.name) for field in fields(answer)}
    return {**found, "quoted": _quoted(answer, budget)}


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
    if hit.why.rerank_score is not None:
        reasons.append(f"reranked: {hit.why.rerank_score:.4g}")
    if hit.why.vector_rank:
        reasons.append(f"meaning: rank {hit.why.vector_rank}, similarity {hit.why.similarity}")
    if hit.why.lexical_rank:
        words = ", ".join(hit.why.terms)
        reasons.append(f"words: rank {hit.why.lexical_rank} ({words})")
    where = plain(hit.document.uri or "")
    click.echo(click.style(f"    {'; '.join(reasons)}  {where}", dim=True))


for _command in COMMANDS:
    knowledge.add_command(_command)
knowledge.add_command(spaces)
knowledge.add_command(reembed)
knowledge.add_command(providers)
