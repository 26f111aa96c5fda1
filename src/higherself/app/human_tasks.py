"""What people are asked, as the program keeps it: with the rows among the tasks, and who is who in Notion."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from higherself.services.human_tasks import HumanTasks

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf


def human_tasks_of(hs: "HigherSelf") -> HumanTasks:
    """Return what keeps what is asked of people."""
    return HumanTasks(
        hs.database, hs.bus, hs.workflows, hs.records.of("tasks"), _Members(hs), hs.clock
    )


class _Members:
    def __init__(self, hs: "HigherSelf") -> None:
        self._hs = hs

    async def who(self, person: str) -> tuple[str, Collection[str]]:
        if self._hs.settings.notion_token is None:
            return f"user {person}", ()
        return await self._hs.notion_workflows.steering.who(person)
