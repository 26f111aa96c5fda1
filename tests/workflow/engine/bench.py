"""An engine on a real database, with workers whose skills are plain functions of a test."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from higherself.db.pool import Database
from higherself.kernel.tasks import in_background
from higherself.workflow.definition import load_text
from higherself.workflow.engine.activities import ActivityCall, Ran
from higherself.workflow.engine.engine import Engine
from higherself.workflow.engine.errors import CannotRun
from higherself.workflow.engine.model import Instance
from higherself.workflow.engine.wiring import Workflows, open_workflows
from higherself.workflow.machine import HistoryEntry

PATIENCE = 15.0


@dataclass
class Skills:
    """Runs the functions that it has; remembers every call. What it has not, it cannot run."""

    functions: dict[str, Callable[[ActivityCall], Any]] = field(default_factory=dict)
    calls: list[ActivityCall] = field(default_factory=list)

    async def run(self, call: ActivityCall) -> Ran:
        function = self.functions.get(call.skill or "")
        if function is None:
            raise CannotRun(f"nobody has the skill {call.skill}")
        self.calls.append(call)
        result = function(call)
        return Ran(await result if inspect.isawaitable(result) else result)

    def named(self, skill: str) -> list[ActivityCall]:
        return [call for call in self.calls if call.skill == skill]


@dataclass
class Bench:
    """An engine and its workers."""

    workflows: Workflows
    skills: Skills
    database: Database
    url: str

    @property
    def engine(self) -> Engine:
        return self.workflows.engine

    async def define(self, states: str, *, head: str = "", version: int = 1) -> None:
        """Make the workflow ``under_test`` known."""
        first = next(line for line in states.splitlines() if line.strip()).strip()
        initial = first.partition(":")[0]
        text = f"workflow: under_test\nversion: {version}\ninitial: {initial}\n{head}\nstates:\n"
        await self.engine.add(load_text(text + states, file="under_test.yaml").definition)

    @asynccontextmanager
    async def working(self, *, workers: int = 1, concurrency: int = 16) -> AsyncIterator[None]:
        """Have workers run while the block does."""
        if not workers:
            yield
            return
        consumer = self.workflows.consumer(self.skills, concurrency=concurrency)
        async with in_background(consumer.run()), self.working(workers=workers - 1):
            yield

    async def start(self, **options: Any) -> UUID:
        return (await self.engine.start("under_test", **options)).instance

    async def until(self, instance: UUID, *, patience: float = PATIENCE, **facts: Any) -> Instance:
        """Wait until the instance is so."""
        try:
            async with asyncio.timeout(patience):
                while True:
                    found = (await self.engine.get(instance)).instance
                    if all(getattr(found, name) == value for name, value in facts.items()):
                        return found
                    await asyncio.sleep(0.01)
        except TimeoutError:
            found = (await self.engine.get(instance)).instance
            raise AssertionError(f"it never came to {facts}; it is {found}") from None

    async def ways(self, instance: UUID) -> list[tuple[str | None, str | None]]:
        return [(each.source, each.target) for each in await self.history(instance)]

    async def history(self, instance: UUID) -> list[HistoryEntry]:
        found = list(await self.engine.history(instance))
        assert [each.sequence for each in found] == list(range(1, len(found) + 1))
        return found

    async def asked(self, statement: str, parameters: Mapping[str, Any] | None = None) -> Any:
        """Return the rows of a statement of the test's own."""
        async with self.database.transaction() as tx:
            cursor = await tx.connection.execute(statement.encode(), parameters)
            return await cursor.fetchall() if cursor.description else []


@asynccontextmanager
async def opened(url: str, database: Database, **options: Any) -> AsyncIterator[Bench]:
    async with open_workflows(url, database, **options) as workflows:
        yield Bench(workflows, Skills(), database, url)
