"""Puts agents on the bus: each has an inbox, and handles what is in it, in any number of workers."""

import asyncio
import os
import secrets
import socket
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

from higherself.agents.agent import Agent, Installed
from higherself.agents.context import AgentContext, Surroundings
from higherself.agents.directory import Directory, require, why
from higherself.agents.errors import BusinessRefused, TypeRefused
from higherself.agents.forwarding import (
    CAPABILITY,
    FAILED_AGENTS,
    ask_instead,
    capability_of,
    failed_agents,
    forward,
)
from higherself.agents.model import AgentCard, Task
from higherself.agents.presence import Heart, Vitals
from higherself.agents.routing import Need, Selector
from higherself.db.pool import Transaction
from higherself.kernel import telemetry
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError, Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.kernel.tasks import in_background, raise_if_cancelled, side_by_side
from higherself.messaging.bus import Bus
from higherself.messaging.consumer import GRACE
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.model import DONE, Cancelled, Claimed, Done, Failed, Snoozed
from higherself.messaging.ports import Delivery, Ended, HandledBefore
from higherself.messaging.protocol import ANSWERS, PERFORMATIVE, Identity
from higherself.messaging.serving import Served
from higherself.messaging.settlement import End

DESK = "agents"
"""The topic of messages for whichever agent it may be: they are routed by their type."""

LOST = "error_notification"
"""The type of the note to operations about a message that no agent is for."""

PATTERN = "pattern"
"""The extension of such a message that names a pattern of several agents."""

Result = JsonValue | Done | Failed | Snoozed | Cancelled
"""What a handler returns: the answer, or how the message is to end."""

STARTS_WITHIN = timedelta(seconds=60)
STOPS_WITHIN = timedelta(seconds=10)
"""How long `Agent.on_start` and `Agent.on_stop` may take."""


class AgentRuntime:
    """Runs agents in this process until it is cancelled; then they finish what they have begun."""

    def __init__(
        self,
        agents: Iterable[Installed],
        around: Surroundings,
        directory: Directory,
        *,
        clock: Clock = SYSTEM_CLOCK,
        worker: str = "",
        grace: timedelta = GRACE,
    ) -> None:
        self.worker = worker or f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(2)}"
        self._around, self._directory, self._clock, self._grace = around, directory, clock, grace
        self._running = [(each, Vitals(each.card)) for each in agents]
        self.is_ready = asyncio.Event()
        self._refused: set[MessageId] = set()
        self._heart = Heart(
            directory.roster, self.worker, [vitals for _, vitals in self._running], clock
        )

    @property
    def vitals(self) -> list[Vitals]:
        """Where the agents are in this worker."""
        return [vitals for _, vitals in self._running]

    async def run(self) -> None:
        """Run the agents, until cancelled.

        One that cannot start is shown with its problem, and does not run here. While the database
        does not answer, it goes on trying.
        """
        try:
            await self._register()
            async with in_background(self._heart.keep_beating()):
                await self._live()
        finally:
            try:
                await self._directory.roster.leave(self.worker)
            except HigherSelfError as error:  # it counts as absent before long
                telemetry.warning("agents.worker.not_left", reason=str(error))

    async def _live(self) -> None:
        try:
            await side_by_side(*(self._start(*each) for each in self._running))
            ready = [self._served(*each) for each in self._running if each[1].phase == "ready"]
            async with AsyncExitStack() as stack:
                for served in ready:
                    await stack.enter_async_context(self._around.bus.hearing(served))
                consuming = self._around.bus.consuming(
                    *ready, self._desk(), direct=False, grace=self._grace
                )
                await stack.enter_async_context(consuming)
                await self._heart.beat_quietly()
                self.is_ready.set()
                telemetry.info("agents.worker.ready", worker=self.worker, agents=len(ready))
                await self._until_cancelled()
        finally:
            for each, vitals in self._running:
                await self._stop(each.agent, vitals)

    async def _until_cancelled(self) -> None:
        try:
            raise_if_cancelled()
            await asyncio.Event().wait()
        finally:
            for vitals in self.vitals:
                if vitals.phase == "ready":
                    vitals.phase = "draining"
            await self._heart.beat_quietly()

    async def _register(self) -> None:
        failures = 0
        while True:
            try:
                await self._directory.roster.register([each.card for each, _ in self._running])
                return
            except HigherSelfError as error:
                failures += 1
                telemetry.warning("agents.worker.not_registered", reason=str(error))
                raise_if_cancelled()
                await self._clock.sleep(timedelta(seconds=min(failures, 10)))

    async def _start(self, installed: Installed, vitals: Vitals) -> None:
        try:
            async with asyncio.timeout(STARTS_WITHIN.total_seconds()):
                await installed.agent.on_start()
        except Exception as error:  # noqa: BLE001  it is about this agent alone; people see it
            said = str(error) or f"it took longer than {STARTS_WITHIN}"
            vitals.phase, vitals.problem = "stopped", f"{type(error).__name__}: {said}"
            telemetry.warning(
                "agents.agent.not_started", agent=vitals.card.name, reason=vitals.problem
            )
        else:
            vitals.phase = "ready"

    async def _stop(self, agent: Agent, vitals: Vitals) -> None:
        if vitals.phase not in ("ready", "draining"):
            return
        vitals.phase = "stopped"
        try:
            async with asyncio.timeout(STOPS_WITHIN.total_seconds()):
                await agent.on_stop()
        except Exception as error:  # noqa: BLE001  it stops all the same
            telemetry.warning("agents.agent.not_stopped", agent=vitals.card.name, reason=str(error))

    # Messages.

    def _served(self, installed: Installed, vitals: Vitals) -> Served:
        card = installed.card
        bus = self._around.bus.speaking_as(Identity("agent", card.name))

        async def handle(delivery: Delivery) -> Result:
            return await self._handle(installed, vitals, bus, delivery)

        served = bus.serving(
            f"agent:{card.name}",
            handle,
            concurrency=card.concurrency,
            policy=installed.agent.policy,
        )
        return replace(served, ended=self._ended(card, served.ended))

    async def _handle(
        self, installed: Installed, vitals: Vitals, bus: Bus, delivery: Delivery
    ) -> Result:
        card, envelope = installed.card, delivery.envelope
        task = Task(envelope, delivery.key, delivery.attempt)
        if card.entities and task.entity not in card.entities:
            raise BusinessRefused(card.name, task.entity, card.entities)
        if (successor := await self._successor(task, card.name, delivery)) is not None:
            return await self._passed_on(delivery, successor)
        handler = installed.agent.handler_for(task.type)
        if handler is None:
            if envelope.extensions.get(PERFORMATIVE) in (*ANSWERS, "reject"):
                return Cancelled(f"{card.name} has no handler for this answer")
            raise TypeRefused(card.name, task.type, card.accepts)
        context = AgentContext(
            card=card,
            task=task,
            bus=bus.about(envelope),
            delivery=delivery,
            around=self._around,
        )
        with telemetry.timed("agents.task.handled", agent=card.name):
            try:
                with vitals.at_work(self._clock):
                    result: Result = await handler(task, context)
            except Rejected:
                self._refused.add(envelope.id)
                raise
            except HandledBefore:
                raise
            except Exception as error:
                if not _direct(delivery):
                    raise
                return await self._stood_in_at_once(card, envelope, error)
        return result

    async def _successor(self, task: Task, agent: str, delivery: Delivery) -> str | None:
        """Return who has the conversation if ``agent`` handed it on. What begins one has nobody.

        For what came directly, the database is only asked if the agent is known to hand on at all.
        """
        if task.envelope.correlation_id == str(task.envelope.id):
            return None
        handing = agent in self._around.conversations.handing
        if _direct(delivery) and not handing and not await self._directory.hands_on(agent):
            return None
        return await self._around.conversations.successor(task.conversation, task.entity, agent)

    async def _passed_on(self, delivery: Delivery, to: str) -> Result:
        """Give a message to the agent that has its conversation by now."""
        envelope = delivery.envelope
        if _direct(delivery) and envelope.extensions.get(PERFORMATIVE) == "request":
            return await ask_instead(self._around.bus, envelope, to)
        async with delivery.once() as tx:
            await forward(self._around.bus, tx, envelope, to)
        return DONE

    # Failure.

    def _ended(self, card: AgentCard, then: Ended | None) -> Ended:
        async def ended(tx: Transaction, message: Claimed, end: End) -> None:
            refused = message.id in self._refused
            self._refused.discard(message.id)
            failed = end.status == "dead" and not refused
            if failed and await self._stood_in(tx, card, message.envelope):
                return
            if then is not None:
                await then(tx, message, end)

        return ended

    async def _stood_in(self, tx: Transaction, card: AgentCard, envelope: Envelope) -> bool:
        """Give what the agent failed at to who may take over, if it has declared anybody."""
        if not card.fallbacks:
            return False
        found = await self._fallback(card, envelope)
        if found is None:
            return False
        failed = ",".join((*failed_agents(envelope), card.name))
        await forward(self._around.bus, tx, envelope, found, extensions={FAILED_AGENTS: failed})
        return True

    async def _stood_in_at_once(
        self, card: AgentCard, envelope: Envelope, error: Exception
    ) -> JsonValue:
        """Ask who may take over for the answer that somebody waits for on a direct road."""
        found = await self._fallback(card, envelope) if card.fallbacks else None
        if found is None or envelope.extensions.get(PERFORMATIVE) != "request":
            raise error
        failed = ",".join((*failed_agents(envelope), card.name))
        more = {FAILED_AGENTS: failed, CAPABILITY: capability_of(envelope) or ""}
        told = {name: value for name, value in more.items() if value}
        return await ask_instead(self._around.bus, envelope, found, extensions=told)

    async def _fallback(self, card: AgentCard, envelope: Envelope) -> str | None:
        need = Need(
            Selector(capability=capability_of(envelope)),
            entity=envelope.entity,
            type=envelope.type,
            failed=(*failed_agents(envelope), card.name),
            waits=True,
        )
        return (await self._directory.route(need)).agent

    # The desk.

    def _desk(self) -> Served:
        bus = self._around.bus.speaking_as(Identity("service", "router"))
        return bus.serving(f"topic:{DESK}", self._route)

    async def _route(self, delivery: Delivery) -> Done:
        """Give a message to the agent that routing finds; without one it is a dead letter."""
        envelope = delivery.envelope
        pattern = envelope.extensions.get(PATTERN)
        task = Task(envelope, delivery.key)
        need = Need(
            entity=envelope.entity,
            type=envelope.type,
            pattern=pattern if isinstance(pattern, str) else None,
            owner=await self._around.conversations.owner(task.conversation, task.entity),
            waits=True,
        )
        routing = await self._directory.route(need)
        if routing.agent is None:
            await self._note_lost(envelope, routing.reason)
        agent = require(routing, envelope.type)
        more = why(routing)
        if routing.type not in (None, envelope.type):
            more["routedtype"] = envelope.type
        async with delivery.once() as tx:
            await forward(
                self._around.bus, tx, envelope, agent, type_=routing.type, extensions=more
            )
        return DONE

    async def _note_lost(self, envelope: Envelope, reason: str) -> None:
        """Have operations told, once, of a message that is for nobody; if anybody takes such notes."""
        takers = [each for each in await self._directory.candidates() if each.takes(LOST)]
        if envelope.type == LOST or not any(each.accepts for each in takers):
            return
        bus = self._around.bus.speaking_as(Identity("service", "router")).about(envelope)
        noted = {
            "error_type": "unroutable",
            "severity": "high",
            "component": DESK,
            "type": envelope.type,
            "message_id": str(envelope.id),
            "sender": envelope.source,
            "trace_id": envelope.correlation_id,
            "reason": reason[:2_000],
        }
        await bus.send(f"topic:{DESK}", LOST, noted, idempotency_key=f"unroutable/{envelope.id}")


def _direct(delivery: Delivery) -> bool:
    """Whether it came without the table: then it is tried once, and answered at once."""
    return delivery.message.lease == 0
