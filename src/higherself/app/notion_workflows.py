"""Workflows in Notion, as installed: the pages of instances, what people ask for there, the library."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured, Unavailable
from higherself.notion.following.sightings import Watcher
from higherself.services.notion.commands import Roles
from higherself.services.notion.definitions import NotionDefinitions
from higherself.services.notion.setup_pages import NotionSetups
from higherself.services.notion.status import INSTANCES, NotionStatus, StatusPolicy
from higherself.services.notion.status_store import StatusStore
from higherself.services.notion.steering import NotionSteering

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf
    from higherself.db.pool import Database


@dataclass
class NotionWorkflows:
    """Everything of workflows that is in Notion. It takes half of the requests at most."""

    hs: "HigherSelf"

    @cached_property
    def status(self) -> NotionStatus:
        """Keeps the pages of instances."""
        notion, settings = self.hs.notion, self.hs.settings
        return NotionStatus(
            self.hs.workflows,
            StatusStore(self.hs.database, self.hs.clock),
            notion.api,
            notion.writes,
            notion.databases,
            notion.declaration[INSTANCES],
            self.hs.clock,
            policy=StatusPolicy(
                requests=notion.budget.policy.requests // 2,
                when_edited=settings.notion_status_edited,
                when_removed=settings.notion_status_removed,
            ),
        )

    @cached_property
    def steering(self) -> NotionSteering:
        """Does what people ask for on these pages; a watcher."""
        notion, roles = self.hs.notion, Roles.read(self.hs.settings.notion_roles)
        return NotionSteering(
            self.hs.workflows, self.status, notion.api, notion.writes, self.hs.clock, roles=roles
        )

    @cached_property
    def definitions(self) -> NotionDefinitions:
        """Loads and shows definitions in the library; a watcher."""
        notion = self.hs.notion
        return NotionDefinitions(
            self.hs.workflows,
            notion.rows,
            notion.api,
            notion.writes,
            notion.databases,
            self.hs.database,
            self.hs.clock,
            entity=self.hs.settings.notion_entity,
        )

    @cached_property
    def setups(self) -> NotionSetups:
        """Sets workflows up as pages of the library ask for; a watcher."""
        notion, hs = self.hs.notion, self.hs
        return NotionSetups(
            hs.setups, notion.api, notion.writes, notion.databases, hs.database, hs.clock
        )

    @property
    def watchers(self) -> tuple[Watcher, ...]:
        """Who wants to know of these pages, for the follower."""
        return self.steering, self.definitions, self.setups

    async def run(self, told: Callable[[str], None] = lambda line: None) -> None:
        """Keep all of it up to date for ever, if no other process does."""
        trouble = ""

        async def beside() -> None:
            nonlocal trouble
            said = []
            for tick in (self.steering.tick, self.definitions.tick):
                try:
                    await tick()
                except (Unavailable, Misconfigured):
                    raise
                except HigherSelfError as error:  # the pages of instances do not wait for it
                    said.append(str(error))
            if said and "; ".join(said) != trouble:
                told(f"Notion and workflows: {'; '.join(said)}")
            trouble = "; ".join(said)

        await self.status.run(told, beside=beside)


async def keep_workflows(hs: "HigherSelf", told: Callable[[str], None]) -> None:
    """Keep workflows in Notion up to date for ever; without a token, do nothing."""
    if hs.settings.notion_token is not None:
        await hs.notion_workflows.run(told)


async def page_of_instance(
    database: "Database", clock: Clock, instance: UUID
) -> Mapping[str, Any] | None:
    """Return the page in Notion that shows an instance, and how that stands; no request is made."""
    row = await StatusStore(database, clock).page_of(instance)
    return None if row is None or row["page_id"] is None else row
