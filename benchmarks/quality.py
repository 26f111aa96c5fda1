"""How well search finds what judges said it should: three modes and rank fusion, on collections.

Every collection (a folder in the layout of BEIR, see `docs/quality.md`) is taken in once, through
`hs.knowledge.evaluate`, on a PostgreSQL started for the run. Rank fusion is not a mode of ours: it
merges the documents that the lexical and the vector mode found, and is here to compare with.
Prints one JSON document.
"""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import data
from measure import Line, Server, at_least, parser, say, throwaway_server
from store import ours

from higherself import HigherSelf
from higherself.knowledge.evaluate import Evaluation, Measured, read_collection
from higherself.knowledge.evaluation import quality
from higherself.knowledge.fusion import reciprocal_rank_fusion
from higherself.knowledge.model import Mode

LIMIT = 100
MODES: tuple[Mode, ...] = ("hybrid", "vector", "lexical")
TARGETS = {"cranfield": 0.42, "npl": 0.485, "cisi": 0.43}
"""Hybrid nDCG@10 to reach with the local model."""
SLACK = 0.005
"""How far hybrid may stay behind the better of the other two."""


async def main() -> None:
    """Measure the collections that the options name."""
    options = parser(__doc__)
    options.add_argument(
        "folders", nargs="*", type=Path, help="collections, or folders of them", metavar="folder"
    )
    chosen = options.parse_args()
    folders = collections(chosen.folders or [data.COLLECTIONS])
    if not folders:
        options.error("there is no collection; name a folder that holds corpus.jsonl")
    with throwaway_server() as server:
        measured = {folder.name: await measure(server, folder) for folder in folders}
    print(json.dumps(measured, indent=1))
    if chosen.json is not None:
        found = [line for name, values in measured.items() for line in lines(name, values)]
        chosen.json.write_text(json.dumps([asdict(line) for line in found], indent=1))


def collections(folders: Sequence[Path]) -> list[Path]:
    """Return the collections among ``folders`` and directly in them."""
    places = [place for folder in folders for place in (folder, *sorted(folder.glob("*/")))]
    return [place for place in places if (place / "corpus.jsonl").is_file()]


async def measure(server: Server, folder: Path) -> dict[str, Any]:
    """Return what one collection shows."""
    say(f"{folder.name}: taking it in, then its queries in {len(MODES)} modes")
    async with ours(server) as hs:
        evaluation = await _evaluated(hs, folder)
    ranked = {measured.mode: _names(measured) for measured in evaluation.measured}
    merged = {
        query: list(reciprocal_rank_fusion([ranking, ranked["lexical"][query]]))[:LIMIT]
        for query, ranking in ranked["vector"].items()
    }
    judgements = read_collection(folder, limit=LIMIT).judgements
    return {
        "documents": evaluation.ingest.created,
        "empty": evaluation.empty,
        "failed": len(evaluation.ingest.failed),
        "chunks": evaluation.ingest.chunks,
        "ingest_seconds": evaluation.ingest.seconds,
        **{m.mode: {**asdict(m.quality), "seconds": m.seconds} for m in evaluation.measured},
        "rank fusion": asdict(quality(merged, judgements)),
    }


async def _evaluated(hs: HigherSelf, folder: Path) -> Evaluation:
    return await hs.knowledge.evaluate(folder, modes=MODES, limit=LIMIT)


def _names(measured: Measured) -> dict[str, list[str]]:
    return {query: [name for name, _ in found] for query, found in measured.rankings.items()}


def lines(name: str, values: dict[str, Any]) -> list[Line]:
    """Return the lines that `run.py` shows of one collection."""
    hybrid, vector, lexical = (values[mode]["ndcg_at_10"] for mode in MODES)
    merged = values["rank fusion"]["ndcg_at_10"]
    target: dict[str, Any] = at_least(hybrid, TARGETS[name]) if name in TARGETS else {}
    better = max(vector, lexical)
    return [
        Line(f"{name}: nDCG@10, hybrid", hybrid, beside="rank fusion", theirs=merged, **target),
        Line(
            f"{name}: hybrid beside the better mode alone",
            hybrid,
            beside="vector" if vector > lexical else "lexical",
            theirs=better,
            **at_least(hybrid, round(better - SLACK, 4)),  # type: ignore[arg-type]
        ),
        Line(f"{name}: Recall@100, hybrid", values["hybrid"]["recall_at_100"]),
    ]


if __name__ == "__main__":
    asyncio.run(main())
