"""Build the object graph: the one place that knows which adapter stands behind which port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

from higherself.app.providers import build_reranker, build_tiers, make_tier
from higherself.app.settings import Settings, load_secrets, load_settings
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate, require_current
from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.ledger_postgres import PostgresLedger
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.reranking import GuardedReranker
from higherself.knowledge.roster import MakeTier
from higherself.knowledge.search_postgres import SESSION_SETTINGS, PostgresSearch
from higherself.knowledge.tiers import Tier

if TYPE_CHECKING:
    from higherself.app.workflows import Hosted
    from higherself.workflow.engine.engine import Engine

Report = Callable[[str], None]


class HigherSelf:
    """The server, in a Python program: ``async with HigherSelf.open() as hs:``."""

    def __init__(
        self,
        *,
        settings: Settings,
        database: Database,
        knowledge: KnowledgeHub,
        tiers: list[Tier],
        reranker: GuardedReranker,
        hosted: "Hosted | None" = None,
    ) -> None:
        self.settings = settings
        self.database = database
        self.knowledge = knowledge
        self.tiers = tiers
        self.reranker = reranker
        self._hosted = hosted

    @property
    def hosted(self) -> "Hosted":
        """The engine, with what is installed for it and what its workers need."""
        if self._hosted is None:
            raise AssertionError("this was opened with workflows=False")
        return self._hosted

    @property
    def workflows(self) -> "Engine":
        """Starts instances of workflows, moves them on, and shows them."""
        return self.hosted.engine

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        settings: Settings | None = None,
        *,
        clock: Clock = SYSTEM_CLOCK,
        report: Report = lambda line: None,
        workflows: bool = True,
    ) -> "AsyncIterator[HigherSelf]":
        """Yield a running server (settings from the environment unless given).

        Without ``DATABASE_URL`` the embedded PostgreSQL is started, or joined if another process
        of the same home runs it, and brought up to date. ``report`` gets a line for a person when
        something takes long. With ``workflows`` false neither the engine nor extensions are loaded,
        which makes it faster for those who want the knowledge hub alone.

        Raises
            Misconfigured: a setting, an extension, the database or the installation is wrong; the text says how.
            Unavailable: the database does not answer.
        """
        settings = settings or load_settings()[0]
        async with AsyncExitStack() as stack:
            url = await stack.enter_async_context(database_url(settings, report=report))
            if settings.database_url is None:
                await migrate(url, clock=clock)
            else:
                await require_current(url)
            database = await stack.enter_async_context(
                open_database(url, settings=SESSION_SETTINGS)
            )
            ledger = PostgresLedger(database)
            tiers = build_tiers(settings, clock=clock, ledger=ledger)
            for tier in tiers:
                stack.push_async_callback(tier.close)
                await tier.recall()
            reranker = build_reranker(settings, clock=clock, ledger=ledger)
            stack.push_async_callback(reranker.close)
            await reranker.recall()
            make = partial(make_tier, settings=settings, clock=clock, ledger=ledger)
            knowledge = _knowledge(database, clock, tiers, make, reranker)
            stack.push_async_callback(knowledge.close)
            hosted = None
            if workflows:
                from higherself.app.workflows import open_hosted

                opening = open_hosted(
                    url, database, clock=clock, folders=settings.extensions, secrets=load_secrets()
                )
                hosted = await stack.enter_async_context(opening)
            yield cls(
                settings=settings,
                database=database,
                knowledge=knowledge,
                tiers=tiers,
                reranker=reranker,
                hosted=hosted,
            )


@asynccontextmanager
async def database_url(
    settings: Settings, *, report: Report = lambda line: None
) -> AsyncIterator[str]:
    """Yield the URL of the database: the one that is set, or the embedded one, held meanwhile."""
    if settings.database_url is not None:
        yield settings.database_url.get_secret_value()
        return
    server = await asyncio.to_thread(EmbeddedPostgres.attach, settings.home, report=report)
    try:
        yield server.url
    finally:
        await asyncio.to_thread(server.close)


def _knowledge(
    database: Database,
    clock: Clock,
    tiers: list[Tier],
    make_tier: MakeTier,
    reranker: GuardedReranker,
) -> KnowledgeHub:
    return KnowledgeHub(
        store=PostgresDocuments(database, clock),
        index=PostgresSearch(database),
        catalogue=PostgresCatalogue(database),
        clock=clock,
        tiers=tiers,
        make_tier=make_tier,
        reranker=reranker,
    )
