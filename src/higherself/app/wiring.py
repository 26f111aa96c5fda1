"""Build the object graph: the one place that knows which adapter stands behind which port."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING

from higherself.app.providers import build_reranker, build_tiers, make_tier
from higherself.app.settings import Settings, load_secrets, load_settings
from higherself.db.embedded import EmbeddedPostgres
from higherself.db.migrate import migrate, require_current
from higherself.db.pool import Database, open_database
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.tasks import in_background
from higherself.knowledge.catalogue_postgres import PostgresCatalogue
from higherself.knowledge.hub import KnowledgeHub
from higherself.knowledge.ledger_postgres import PostgresLedger
from higherself.knowledge.postgres import PostgresDocuments
from higherself.knowledge.reranking import GuardedReranker
from higherself.knowledge.roster import MakeTier
from higherself.knowledge.search_postgres import SESSION_SETTINGS, PostgresSearch
from higherself.knowledge.tiers import Tier

if TYPE_CHECKING:
    from higherself.agents.skills.invocation import SkillInvoker
    from higherself.app.agents import Agents
    from higherself.app.escalations import Escalations
    from higherself.app.inbound import Inbound
    from higherself.app.language_model import ConfiguredModel
    from higherself.app.notion_pages import NotionDatabasePages
    from higherself.app.notion_records import InstalledNotion
    from higherself.app.notion_workflows import NotionWorkflows
    from higherself.app.outbound import Outbound
    from higherself.app.skills import HostedSkills
    from higherself.app.workflows import Hosted
    from higherself.messaging.bus import Bus
    from higherself.messaging.nats import Nats
    from higherself.messaging.ports import Subscription
    from higherself.services.agent_knowledge import HubKnowledge
    from higherself.services.collaboration.collaborations import Collaborations
    from higherself.services.contacts import Contacts
    from higherself.services.happenings import Happenings
    from higherself.services.human_tasks import HumanTasks
    from higherself.services.notion.records import Records
    from higherself.services.setups import Setups
    from higherself.services.shelf import Shelf
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
        bus: "Bus | None" = None,
        nats: "Nats | None" = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        self.settings = settings
        self.database = database
        self.knowledge = knowledge
        self.tiers = tiers
        self.reranker = reranker
        self._hosted = hosted
        self._bus, self._nats = bus, nats
        self._clock = clock
        self._language_model: ConfiguredModel | None = None
        self._skills: HostedSkills | None = None
        self._notion: InstalledNotion | None = None

    @property
    def clock(self) -> Clock:
        """What tells it the time."""
        return self._clock

    @property
    def language_model(self) -> "ConfiguredModel":
        """The language model that the settings name, made when it is first asked for."""
        if self._language_model is None:
            from higherself.app.language_model import build_language_model

            self._language_model = build_language_model(
                self.settings, self.database, clock=self._clock
            )
        return self._language_model

    @property
    def notion(self) -> "InstalledNotion":
        """Notion, by the token that is set, with its databases; made when it is first asked for.

        Raises
            Misconfigured: NOTION_TOKEN is not set.
        """
        if self._notion is None:
            from higherself.app.notion_records import installed

            changed = None if self._bus is None else self.happenings.record_changed
            self._notion = installed(self.settings, self.database, self._clock, changed=changed)
        return self._notion

    @cached_property
    def records(self) -> "Records":
        """The rows of the business (contacts, products, tasks, ...): ``hs.records.of("contacts_profiles")``.

        They are here without Notion, and in Notion as soon as its databases are set up.
        """
        from higherself.app.notion import declared
        from higherself.services.notion.records import Records

        return Records(declared(), self.database, self._clock)

    @cached_property
    def contacts(self) -> "Contacts":
        """The people that businesses know: found by address or number, merged and kept."""
        from higherself.app.happenings import contacts_of

        return contacts_of(self)

    @cached_property
    def setups(self) -> "Setups":
        """Which workflows a business has set up, and with which settings."""
        from higherself.app.happenings import setups_of

        return setups_of(self)

    @cached_property
    def happenings(self) -> "Happenings":
        """Takes what happens to a business, and has done what follows: workflows start, or are told."""
        from higherself.app.happenings import happenings_of

        return happenings_of(self)

    @cached_property
    def human_tasks(self) -> "HumanTasks":
        """What people are asked to decide or to answer: reviews and escalations."""
        from higherself.app.human_tasks import human_tasks_of

        return human_tasks_of(self)

    @cached_property
    def escalations(self) -> "Escalations":
        """What waits for a person's answer, whoever asks, with all that led to it."""
        from higherself.app.escalations import Escalations

        return Escalations(self)

    @cached_property
    def webhooks(self) -> "Inbound":
        """What other systems announce: taken in, kept, and handled by the workers."""
        from higherself.app.inbound import Inbound

        return Inbound(self)

    @cached_property
    def outbound(self) -> "Outbound":
        """What goes out to people and systems: once each, kept, and sent later if it must."""
        from higherself.app.outbound import Outbound

        return Outbound(self)

    def _webhook_work(self) -> "Subscription":
        return self.webhooks.subscription()

    @cached_property
    def notion_workflows(self) -> "NotionWorkflows":
        """The pages of instances and definitions in Notion, and what people ask for there."""
        from higherself.app.notion_workflows import NotionWorkflows

        return NotionWorkflows(self)

    @property
    def hosted_skills(self) -> "HostedSkills":
        """The skills that are installed, with what is kept of their results and counted of runs."""
        if self._skills is None and self._hosted is not None:
            self._skills = self._hosted.skills
        if self._skills is None:
            from higherself.app.extensions import load_extensions
            from higherself.app.skills import build_skills

            found = load_extensions(self.settings.extensions)
            cards = found.agents.cards
            self._skills = build_skills(found.skills, self.database, self._clock, cards=cards.get)
            self.provide(self._skills.invoker)
        return self._skills

    @property
    def skills(self) -> "SkillInvoker":
        """Runs skills by name."""
        return self.hosted_skills.invoker

    def provide(self, skills: "SkillInvoker") -> None:
        """Let ``skills`` find what they work with: see `SkillCall.resource`."""
        skills.provide("language_model", lambda: self.language_model.model)
        skills.provide("notion", self._notion_pages)
        skills.provide("records", lambda: self.records)
        skills.provide("collaborations", lambda: self.collaborations)
        skills.provide("shelf", self._shelf)
        skills.provide("knowledge_store", self._knowledge_store)
        skills.provide("contacts", lambda: self.contacts)
        skills.provide("happenings", lambda: self.happenings)
        skills.provide("outbound", lambda: self.outbound)
        skills.provide("human_tasks", lambda: self.human_tasks)

    def _shelf(self) -> "Shelf":
        from higherself.services.shelf import Shelf

        return Shelf(self.database)

    def _knowledge_store(self) -> "HubKnowledge":
        from higherself.services.agent_knowledge import HubKnowledge

        return HubKnowledge(self.knowledge, self._clock)

    def _notion_pages(self) -> "NotionDatabasePages":
        from higherself.app.notion import notion_pages

        return notion_pages(self.notion, self.settings, self.database, self._clock)

    async def close(self) -> None:
        """Release what was opened on the way."""
        if self._hosted is not None:
            await self._hosted.skills.close()
        elif self._skills is not None:
            await self._skills.close()
        if self._language_model is not None:
            await self._language_model.close()
        if self._notion is not None:
            await self._notion.close()

    @property
    def has_workflows(self) -> bool:
        """Whether it was opened with the engine, the bus and what is installed for them."""
        return self._hosted is not None

    @property
    def hosted(self) -> "Hosted":
        """The engine, with what is installed for it and what its workers need."""
        if self._hosted is None:
            raise AssertionError("this was opened with workflows=False")
        return self._hosted

    @property
    def bus(self) -> "Bus":
        """Sends and publishes messages, asks and is told: as the operator, for the business `default`."""
        if self._bus is None:
            raise AssertionError("this was opened with workflows=False")
        return self._bus

    @property
    def collaborations(self) -> "Collaborations":
        """Has agents work together in a pattern: starts that, waits for it, shows it."""
        return self.hosted.collaborations

    @cached_property
    def agents(self) -> "Agents":
        """The agents: who there is, work for them, and what they ask of people."""
        from higherself.app.agents import agents_of

        if self.hosted.directory is None:
            raise AssertionError("this was opened without a directory")
        return agents_of(self, self.hosted.directory, self._clock)

    async def drain_nats(self) -> None:
        """Bring messages that NATS keeps to PostgreSQL, for ever; without NATS, do nothing."""
        if self._nats is not None:
            await self._nats.drain(self.hosted.workflows.channel.outbox, self.database).run()

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
            hosted = bus = nats = None
            if workflows:
                from higherself.app.agents import build_directory
                from higherself.app.bus import open_roads
                from higherself.app.nats import opened_nats
                from higherself.app.workflows import open_hosted
                from higherself.messaging.bus import bus_of
                from higherself.messaging.protocol import OPERATOR

                opening = open_hosted(
                    url, database, clock=clock, folders=settings.extensions, secrets=load_secrets()
                )
                hosted = await stack.enter_async_context(opening)
                directory = build_directory(database, clock, hosted.extensions.agents.cards)
                hosted.directory = directory
                hosted.collaborations.knows(directory)
                await stack.enter_async_context(in_background(directory.log.run()))
                nats = await stack.enter_async_context(opened_nats(settings, database, clock))
                roads = open_roads(
                    settings, database, hosted.workflows.channel, clock, book=directory, nats=nats
                )
                bus = bus_of(await stack.enter_async_context(roads), OPERATOR, entity="default")
            hs = cls(
                settings=settings,
                database=database,
                knowledge=knowledge,
                tiers=tiers,
                reranker=reranker,
                hosted=hosted,
                bus=bus,
                nats=nats,
                clock=clock,
            )
            stack.push_async_callback(hs.close)
            if hosted is not None:
                hs.provide(hosted.skills.invoker)
                hosted.also.append(hs._webhook_work)
                hosted.engine.prepare = hs.setups.prepared
            yield hs


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
