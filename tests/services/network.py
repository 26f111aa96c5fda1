"""Agents of a test: plain functions on the topics of their inboxes, and everything around them."""

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.workflow.engine.bench import Bench, opened

from higherself.db.pool import Database
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.tasks import in_background
from higherself.messaging.consumer import Consumer
from higherself.messaging.envelope import Envelope
from higherself.messaging.model import Message, Outcome
from higherself.messaging.ports import Delivery, Subscription
from higherself.messaging.protocol import REQUEST, SPENT_MICRO_USD, Found, UnknownRecipient
from higherself.services.collaboration.collaborations import Collaborations
from higherself.services.collaboration.workflows import CollaboratingRunner
from higherself.workflow.engine.activities import ActivityRunner


@dataclass(frozen=True)
class Say:
    """What an agent answers, if it is no plain result."""

    performative: str
    data: Any = None
    cost: int = 0
    times: int = 1
    source: str | None = None
    extensions: Mapping[str, Any] = field(default_factory=dict)


Behave = Callable[[Envelope], Any]


@dataclass
class Book:
    """Who is there, by role or capability."""

    groups: dict[str, list[str]] = field(default_factory=dict)

    async def find(
        self, entity: str | None, *, name: str | None = None, role: str | None = None,
        capability: str | None = None,
    ) -> Found:  # fmt: skip
        if name is not None:
            return Found(name)
        here = self.groups.get(role or capability or "", [])
        if not here:
            raise UnknownRecipient(f"role:{role or capability}", "nobody is there")
        return Found(here[0], {"routing": "first"})

    async def present(
        self, entity: str | None, *, role: str | None = None, capability: str | None = None
    ) -> list[str]:
        return self.groups.get(role or capability or "", [])


@dataclass
class Network:
    bench: Bench
    collaborations: Collaborations
    book: Book
    agents: dict[str, Behave] = field(default_factory=dict)
    heard: list[tuple[str, Envelope]] = field(default_factory=list)

    def runner(self) -> ActivityRunner:
        return CollaboratingRunner(self.bench.skills, self.collaborations)

    async def behave(self, name: str, delivery: Delivery) -> Outcome | None:
        envelope = delivery.envelope
        self.heard.append((name, envelope))
        said = self.agents[name](envelope)
        if said is None or "replyto" not in envelope.extensions:
            return None
        passed_on = {key: id for key, id in envelope.extensions.items() if key == REQUEST}
        said = said if isinstance(said, Say) else Say("response", said)
        async with delivery.once() as tx:
            for number in range(said.times):
                answer = Message(
                    topic=str(envelope.extensions["replyto"]),
                    type=f"{envelope.type}.answered",
                    source=said.source or f"urn:higherself:agent:{name}",
                    data=said.data,
                    entity=envelope.entity,
                    extensions={
                        "performative": said.performative,
                        **passed_on,
                        **said.extensions,
                        **({SPENT_MICRO_USD: said.cost} if said.cost else {}),
                    },
                    idempotency_key=f"{envelope.id}/{number}",
                ).caused_by(envelope)
                await self.bench.workflows.channel.outbox.publish(tx, answer)
        return None

    @asynccontextmanager
    async def working(
        self, agents: Mapping[str, Behave], *, workers: int = 1, engine: bool = True
    ) -> AsyncIterator[None]:
        self.agents = dict(agents)
        inboxes = [
            Subscription(
                topic=f"agent.{name}",
                handler=lambda delivery, name=name: self.behave(name, delivery),  # type: ignore[misc]
            )
            for name in agents
        ]
        more = (*inboxes, self.collaborations.subscription())
        if engine:
            consumer = self.bench.workflows.consumer(self.runner(), *more, concurrency=8)
        else:
            consumer = Consumer(
                self.bench.workflows.channel.store, *more, clock=SYSTEM_CLOCK,
                lease=timedelta(seconds=5),
            )  # fmt: skip
        if workers == 1:
            async with in_background(consumer.run()):
                yield
            return
        async with in_background(consumer.run()), self.working(agents, workers=workers - 1):
            yield

    def asked(self) -> list[str]:
        return [f"{envelope.type}>{name}" for name, envelope in self.heard]


async def until(true: Callable[[], Any], *, patience: float = 15.0) -> Any:
    """Wait until something is so, and return it."""
    async with asyncio.timeout(patience):
        while True:
            found = true()
            found = await found if inspect.isawaitable(found) else found
            if found:
                return found
            await asyncio.sleep(0.01)


@asynccontextmanager
async def network_on(url: str, database: Database) -> AsyncIterator[Network]:
    async with opened(url, database) as bench:
        book = Book()
        outbox = bench.workflows.channel.outbox
        yield Network(bench, Collaborations(database, outbox, SYSTEM_CLOCK, book=book), book)
