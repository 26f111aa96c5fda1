"""The offline walk through everything, on the sample businesses, in a home of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from higherself.app.demo_notion import BUSINESS, OWNERS_ADDRESS, TOP, NotionReport
from higherself.app.demo_workspace import TOKEN, Workspace
from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.business import sample
from higherself.business.sample import Question
from higherself.kernel.clock import Clock
from higherself.knowledge.files import FileSource
from higherself.knowledge.model import Answer, IngestReport

SOURCE = "sample"
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Asked:
    """A question that was asked, what came back, and at which rank the right document stood."""

    question: Question
    answer: Answer
    rank: int | None


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What happened."""

    home: Path
    ingested: IngestReport
    by_entity: dict[str, int]
    asked: list[Asked] = field(default_factory=list)
    seconds: float = 0.0
    notion: NotionReport | None = None

    @property
    def first(self) -> int:
        """How many questions had the right document in the first place."""
        return sum(asked.rank == 1 for asked in self.asked)

    @property
    def answered(self) -> int:
        """How many questions had it among the passages shown."""
        return sum(asked.rank is not None for asked in self.asked)


async def demo_settings(
    settings: Settings, workspace: Workspace, outward: Mapping[str, Any]
) -> Settings:
    """Return ``settings`` for the demo: a database and a Notion apart from the real ones, no network.

    ``outward`` are those by which letters go out and webhooks come in.
    """
    return settings.model_copy(
        update={
            "home": settings.home / "demo",
            "database_url": None,
            "embedding_tiers": ("local",),
            "reranker": None,
            "llm": "template",
            "nats_url": None,
            "extensions": (),
            "drop_folder": None,
            "url": None,
            **outward,
            **await notion_of(workspace),
        }
    )


async def notion_of(workspace: Workspace) -> dict[str, Any]:
    """Return the settings by which ``workspace`` is the Notion of the business."""
    return {
        "notion_token": SecretStr(TOKEN),
        "notion_base_url": workspace.base_url,
        "notion_webhook_token": None,
        "notion_plan": "business",
        "notion_parent_page": await workspace.page_called(TOP),
        "notion_entity": BUSINESS,
        "notion_roles": f"owner: {OWNERS_ADDRESS}",
    }


async def run_demo(
    hs: HigherSelf,
    *,
    clock: Clock,
    progress: Callable[[int], Callable[[IngestReport], None]],
) -> DemoReport:
    """Take the sample documents in, ask the questions, and return what happened.

    ``progress`` is given the number of documents and returns what to call with each report.
    """
    started = clock.monotonic()
    sources = {
        entity: FileSource((sample.FOLDER / entity,), entity=entity, source=SOURCE, tags=())
        for entity in sample.ENTITIES
    }
    update = progress(sum(source.count() for source in sources.values()))
    ingested = await hs.knowledge.add(
        (item for source in sources.values() for item in source.documents()), progress=update
    )
    stats = await hs.knowledge.stats()
    asked = [await _ask(hs, question) for question in sample.questions()]
    return DemoReport(
        home=hs.settings.home,
        ingested=ingested,
        by_entity={row["name"]: row["documents"] for row in stats["entities"]},
        asked=asked,
        seconds=round(clock.monotonic() - started, 1),
    )


async def _ask(hs: HigherSelf, question: Question) -> Asked:
    answer = await hs.knowledge.search(question.question, entity=question.entity, limit=SHOWN)
    # A record of a JSON Lines file has a name of its own; its file is in the address.
    ranks = (
        hit.rank
        for hit in answer.hits
        if hit.document.external_id == question.source
        or (hit.document.uri or "").split("#")[0].endswith(question.source)
    )
    return Asked(question, answer, next(ranks, None))
