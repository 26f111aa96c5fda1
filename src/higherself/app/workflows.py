"""Workflows as the program offers them: the engine, the definitions and skills that are installed."""

import hashlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from higherself.agents.directory import Directory
from higherself.agents.routing import Candidate
from higherself.app.extensions import Extensions, WorkflowText, load_extensions
from higherself.app.skills import HostedSkills, build_skills
from higherself.db.pool import Database
from higherself.kernel.clock import Clock
from higherself.kernel.errors import NotFound, Rejected
from higherself.kernel.tasks import in_background
from higherself.messaging.care import PostgresMessageCare
from higherself.messaging.consumer import Consumer
from higherself.messaging.ports import Subscription
from higherself.messaging.upkeep import MessageUpkeep
from higherself.services.activities import SkillRunner
from higherself.services.collaboration.collaborations import Collaborations
from higherself.services.collaboration.workflows import CollaboratingRunner
from higherself.workflow.definition import WorkflowDefinition, load_text
from higherself.workflow.engine.engine import Engine
from higherself.workflow.engine.wiring import Workflows, open_workflows
from higherself.workflow.engine.worker import CONCURRENCY
from higherself.workflow.errors import DefinitionChanged


@dataclass(slots=True)
class Installed:
    """What came of installing definitions; ``problems`` has a text for each that could not be."""

    added: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)


@dataclass
class Hosted:
    """The engine with everything that a process needs to work for it.

    ``secrets`` are named as definitions name them, in capitals.
    """

    workflows: Workflows
    extensions: Extensions
    database: Database
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    directory: Directory | None = None
    also: list[Callable[[], Subscription]] = field(default_factory=list)
    """What workers handle besides: made when one begins."""

    @property
    def engine(self) -> Engine:
        """Starts instances, moves them on, and shows them."""
        return self.workflows.engine

    @cached_property
    def collaborations(self) -> Collaborations:
        """Has agents work together, moves that on, and shows it."""
        outbox, clock = self.workflows.channel.outbox, self.workflows.clock
        return Collaborations(self.database, outbox, clock, book=self.directory)

    @cached_property
    def skills(self) -> HostedSkills:
        """Runs skills, for workflows and for whoever asks by name."""
        agents = self.extensions.agents
        return build_skills(
            self.extensions.skills,
            self.database,
            self.workflows.clock,
            cards=lambda name: agents[name].card if name in agents else None,
        )

    def worker(self, *, concurrency: int = CONCURRENCY) -> Consumer:
        """Return what runs activities here, until it is cancelled."""
        runner = SkillRunner(
            self.skills.invoker,
            candidates=self._candidates,
            secrets=lambda name: self.secrets.get(name.upper()),
        )
        return self.workflows.consumer(
            CollaboratingRunner(runner, self.collaborations),
            self.collaborations.subscription(),
            *(make() for make in self.also),
            concurrency=concurrency,
        )

    async def _candidates(self) -> Sequence[Candidate]:
        return () if self.directory is None else await self.directory.candidates()

    async def upkeep(self) -> None:
        """Tell what is waiting where, and tidy up behind the messages, for ever."""
        care = PostgresMessageCare(self.database)
        async with (
            in_background(self.workflows.watch.keep_telling()),
            in_background(self.skills.upkeep.keep_up()),
        ):
            await MessageUpkeep(care, self.workflows.clock).keep_up()

    async def install(self) -> Installed:
        """Make the installed definitions known that are not yet."""
        installed = Installed()
        known = await self.engine.known_sources()
        ours = {each.text: each.file for each in self.extensions.workflows}
        for each in self.extensions.workflows:
            if hashlib.sha256(each.text.encode()).digest() in known:
                continue
            try:
                definition = load_text(each.text, file=each.file).definition
                await self._refuse_twins(definition, each, ours)
                if await self.engine.add(definition, source=each.text):
                    installed.added.append(str(definition))
            except DefinitionChanged as changed:
                installed.problems[each.file] = f"{each.file}: {changed}"
            except Rejected as error:
                installed.problems[each.file] = str(error)
        return installed

    async def _refuse_twins(
        self, definition: WorkflowDefinition, text: WorkflowText, ours: Mapping[str, str]
    ) -> None:
        """Refuse what another file defines: each would take the other's place at every start."""
        try:
            stored = await self.engine.definition(definition.name, definition.version)
        except NotFound:
            return
        other = ours.get(stored.source, text.file)
        if other != text.file and stored.definition != definition:
            raise Rejected(
                f"{text.file}: {definition} is defined in {other} already; give one of them "
                "another name or version"
            )


@asynccontextmanager
async def open_hosted(
    url: str,
    database: Database,
    *,
    clock: Clock,
    folders: Sequence[Path],
    secrets: Mapping[str, str],
) -> AsyncIterator[Hosted]:
    """Yield the engine on a database, with what the ``folders`` and packages bring."""
    async with open_workflows(url, database, clock=clock) as workflows:
        yield Hosted(workflows, load_extensions(folders), database, secrets)
