"""Notion as it is installed here: the connection, the databases, and the rows that it shows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property

from higherself.app.notion import build_notion, declared
from higherself.app.settings import Settings, load_notion_databases
from higherself.db.pool import Database
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.tasks import raise_if_cancelled
from higherself.notion.databases.declaration import Declaration
from higherself.notion.databases.lookup import Databases
from higherself.notion.databases.schema import SchemaPlan
from higherself.notion.databases.setup import SetUp, SetupReport, SetupStep
from higherself.notion.gateway.connection import NotionConnection
from higherself.services.notion.links import InstanceLinks, LinkBook
from higherself.services.notion.pulling import RecordWatcher
from higherself.services.notion.pushing import Pushed, RecordPusher
from higherself.services.notion.records import Records, RecordTable
from higherself.services.notion.workspace import Changed, Workspace

LOOK_AGAIN = timedelta(seconds=2)
AFTER_TROUBLE = timedelta(seconds=30)


@dataclass(frozen=True)
class InstalledNotion(NotionConnection):
    """Notion by the token that is set, with the databases that the business declares."""

    settings: Settings
    database: Database
    clock: Clock
    changed: Changed | None = None

    @cached_property
    def databases(self) -> Databases:
        """Where the declared databases are."""
        return Databases(self.database, self.clock)

    @property
    def declaration(self) -> Declaration:
        """The databases that the business declares."""
        return declared()

    @cached_property
    def workspace(self) -> Workspace:
        """What carrying rows over works with."""
        return Workspace(
            self.declaration,
            self.database,
            self.databases,
            self.api,
            LinkBook({"workflow_instances": InstanceLinks()}),
            self.clock,
            self.settings.notion_entity,
            self.changed,
        )

    @cached_property
    def watcher(self) -> RecordWatcher:
        """Brings what people do in the databases here, for the follower."""
        return RecordWatcher(self.workspace)

    @cached_property
    def pusher(self) -> RecordPusher:
        """Brings changed rows to Notion."""
        return RecordPusher(self.workspace, self.writes)

    @cached_property
    def rows(self) -> Records:
        """The rows of all databases; and what both sides do not agree on."""
        return Records(self.declaration, self.database, self.clock)

    def records(self, database: str) -> RecordTable:
        """Return the rows of one database: ``hs.notion.records("contacts_profiles")``.

        Raises
            UnknownDatabase: none of this name is declared, or it has no rows.
        """
        return self.rows.of(database)

    async def setup(
        self,
        parent: str | None = None,
        *,
        anew: Sequence[str] = (),
        adopt: Mapping[str, str] | None = None,
        progress: Callable[[SetupStep], None] = lambda step: None,
    ) -> SetupReport:
        """Make the databases under a page (that of the settings), or extend them; see `SetUp.run`.

        ``adopt`` names databases that are there already, instead of NOTION_..._DB.
        """
        report = await self._set_up(adopt).run(
            parent or self.settings.notion_parent_page, anew=anew, progress=progress
        )
        await self.pusher.wake()
        return report

    async def check(self, parent: str | None = None) -> tuple[SchemaPlan, SetupReport]:
        """Compare the databases with their declaration; see `SetUp.plan`."""
        return await self._set_up().plan(parent or self.settings.notion_parent_page)

    async def push(self, *, limit: int = 1_000) -> Pushed:
        """Bring changed rows to Notion, until none is due or ``limit`` were looked at."""
        total = Pushed()
        while total.handled < limit:
            raise_if_cancelled()
            pushed = await self.pusher.push()
            total.add(pushed)
            if not pushed.handled:
                break
        return total

    async def release(self, database: str) -> Pushed:
        """Let the pages go whose rows are deleted, however many they are.

        Raises
            UnknownDatabase: none of this name is declared.
        """
        name = self.declaration[database].name
        await self.pusher.wake_held(name)
        return await self.pusher.push(limit=10_000, release=[name])

    async def keep_pushing(self, told: Callable[[str], None] = lambda line: None) -> None:
        """Bring changed rows to Notion for ever; what is wrong is told once, until it changes."""
        trouble = ""
        while True:
            raise_if_cancelled()
            wait = LOOK_AGAIN
            try:
                pushed = await self.push()
                said = "; ".join(dict.fromkeys(pushed.failed.values()))
            except HigherSelfError as error:
                said, wait = str(error), AFTER_TROUBLE
            if said and said != trouble:
                told(f"rows do not reach Notion: {said}")
            trouble = said
            await self.clock.sleep(wait)

    def _set_up(self, adopt: Mapping[str, str] | None = None) -> SetUp:
        named = load_notion_databases()
        chosen = {
            each.name: named[each.env] for each in self.declaration.values() if each.env in named
        }
        return SetUp(
            self.declaration,
            notion=self.api,
            writes=self.writes,
            databases=self.databases,
            adopt=chosen if adopt is None else adopt,
        )


def installed(
    settings: Settings, database: Database, clock: Clock, *, changed: Changed | None = None
) -> InstalledNotion:
    """Return Notion as it is installed; ``changed`` is told of what people change in rows.

    Raises
        Misconfigured: there is no token.
    """
    made = build_notion(settings, database, clock=clock)
    return InstalledNotion(
        made.gateway,
        made.api,
        made.writes,
        made.echoes,
        made.budget,
        made.intents,
        settings,
        database,
        clock,
        changed,
    )
