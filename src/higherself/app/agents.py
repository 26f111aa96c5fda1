"""Agents as the program offers them: who there is, work for them, and what they ask of people."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from higherself.agents.agent import AgentRegistry
from higherself.agents.context import Surroundings
from higherself.agents.conversations import Conversations
from higherself.agents.directory import Directory
from higherself.agents.errors import AgentUnknown
from higherself.agents.escalations import Escalations
from higherself.agents.model import AgentCard, Citation, Handoff, Known
from higherself.agents.roster import Roster
from higherself.agents.routing import Need, Routing
from higherself.agents.routings import Decision, RoutingLog
from higherself.agents.runtime import DESK, AgentRuntime
from higherself.app.network_answer import asked_of_network
from higherself.app.wiring import HigherSelf
from higherself.db.pool import Database
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.tasks import raise_if_cancelled
from higherself.messaging.bus import Bus, Receipt, Reply
from higherself.messaging.envelope import Attribute
from higherself.services.agent_knowledge import HubKnowledge
from higherself.services.agent_router import ModelRouter
from higherself.services.collaboration.collaborations import Collaborations

UPKEEP = timedelta(minutes=5)


def build_directory(
    database: Database, clock: Clock, installed: Mapping[str, AgentCard]
) -> Directory:
    """Return the directory of all agents, of which ``installed`` are known here."""
    return Directory(Roster(database), RoutingLog(database, clock), clock, installed=installed)


@dataclass(frozen=True, slots=True)
class Agents:
    """The agents of this installation. Obtained as ``hs.agents``."""

    directory: Directory
    registry: AgentRegistry
    around: Surroundings
    clock: Clock
    collaborations: Collaborations

    @property
    def bus(self) -> Bus:
        """Sends as the operator."""
        return self.around.bus

    @property
    def escalations(self) -> Escalations:
        """What agents ask people to see to."""
        return self.around.escalations

    async def list(self) -> Sequence[Known]:
        """Return every agent that is installed here or was ever run, as it is now."""
        return await self.directory.agents()

    async def show(self, name: str) -> Known:
        """Return one agent as it is now.

        Raises
            AgentUnknown: there is none of this name.
        """
        return await self.directory.agent(name)

    async def send(
        self,
        type_: str,
        data: JsonValue = None,
        *,
        to: str = f"topic:{DESK}",
        entity: str | None = None,
        key: str | None = None,
        pattern: str | None = None,
    ) -> Receipt:
        """Send work to an agent (``agent:nyra``, ``capability:X``, ``role:X``), or to whoever it is for.

        Without ``to``, a worker routes it by its type. The same ``key`` counts once.

        Raises
            UnknownRecipient, MessageMalformed, ...: see `Bus.send`.
        """
        named: dict[str, Attribute] = {} if pattern is None else {"pattern": pattern}
        return await self.bus.send(
            to, type_, data, entity=entity, idempotency_key=key, extensions=named
        )

    async def ask(
        self,
        type_: str,
        data: JsonValue = None,
        *,
        to: str = f"topic:{DESK}",
        timeout: timedelta = timedelta(seconds=30),  # noqa: ASYNC109  it goes along as the expiry
        entity: str | None = None,
        pattern: str | None = None,
    ) -> Reply:
        """The same, and wait for the answer.

        Raises
            RequestTimedOut, RequestRefused, RequestFailed, ...: see `Bus.request`.
        """
        named: dict[str, Attribute] = {} if pattern is None else {"pattern": pattern}
        return await self.bus.request(
            to, type_, data, timeout=timeout, entity=entity, extensions=named
        )

    async def run(
        self,
        type_: str,
        data: JsonValue = None,
        *,
        pattern: str | None = None,
        timeout: timedelta = timedelta(seconds=30),  # noqa: ASYNC109  it goes along as the expiry
        entity: str = "default",
    ) -> JsonObject:
        """Have the network see to something, and return what all who took part made of it.

        ``pattern`` names a sequence of several agents. It is told who was asked, what each answered
        and how far a sequence is: ``status``, ``message``, ``tracking_id``, ``agent_results``,
        ``workflow_info``, ``business_entity`` and ``processing_time`` (seconds).
        """
        return await asked_of_network(
            self, type_, data, pattern=pattern, timeout=timeout, entity=entity
        )

    async def route(self, need: Need) -> Routing:
        """Return who would get some work, and why."""
        return await self.directory.route(need)

    async def routings(
        self, *, entity: str | None = None, agent: str | None = None, limit: int = 50
    ) -> Sequence[Decision]:
        """Return where work went lately, and why, newest first."""
        await self.directory.log.flush()
        return await self.directory.log.latest(entity=entity, agent=agent, limit=limit)

    async def handoffs(self, conversation: str) -> Sequence[Handoff]:
        """Return how a conversation went from hand to hand."""
        return await self.around.conversations.history(conversation)

    async def cited(self, message: UUID) -> Sequence[Citation]:
        """Return what an agent was shown when it handled a message."""
        return await self.around.conversations.cited(message)

    def worker(self, *names: str) -> AgentRuntime:
        """Return what runs the installed agents (or those named) here, until it is cancelled.

        Raises
            AgentUnknown: one of them is not installed here.
        """
        for name in names:
            if name not in self.registry:
                raise AgentUnknown(name, self.registry)
        chosen = [each for name, each in self.registry.items() if not names or name in names]
        return AgentRuntime(chosen, self.around, self.directory, clock=self.clock)

    async def work(self) -> None:
        """Run the installed agents until cancelled; without any, return at once."""
        if self.registry:
            await self.worker().run()

    async def upkeep(self) -> None:
        """Delete what is old, for ever. Any number of processes may do so."""
        while True:
            try:
                await self.directory.prune()
                await self.around.conversations.prune()
                await self.escalations.prune()
            except HigherSelfError as error:
                telemetry.warning("agents.upkeep.failed", error=str(error))
            raise_if_cancelled()
            await self.clock.sleep(UPKEEP)


def agents_of(hs: HigherSelf, directory: Directory, clock: Clock) -> Agents:
    """Return the agents of an open server."""
    conversations = Conversations(hs.database)
    knowledge = HubKnowledge(hs.knowledge, clock)
    registry = hs.hosted.extensions.agents
    around = Surroundings(
        database=hs.database,
        bus=hs.bus,
        conversations=conversations,
        escalations=Escalations(hs.database, conversations, hs.bus),
        skills=hs.skills,
        search=knowledge,
        store=knowledge,
        model=lambda: hs.language_model.model,
        catalogue=hs.hosted.extensions.skills,
    )
    if hs.language_model.endpoint is not None:  # templates would only guess
        directory.router = ModelRouter(lambda: hs.language_model.model)
    return Agents(directory, registry, around, clock, hs.collaborations)
