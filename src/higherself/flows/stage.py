"""What flows act with: the whole program on a stage, and what they note there."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from uuid import UUID

import httpx

from higherself.app.demo_workspace import Workspace
from higherself.app.wiring import HigherSelf
from higherself.db.queryfile import read_queries
from higherself.flows.deliveries import SECRET, Sample, signed
from higherself.flows.mail import Mailbox
from higherself.flows.model import Arrow, StepFailed, StepResult
from higherself.inbound.model import Arrived
from higherself.services.outcomes import Outcome
from higherself.services.triggers import Happening
from higherself.workflow.view import run_of, svg

QUERIES = read_queries("higherself.flows")

BUSINESS = "the_7_space"
PATIENCE = 60.0
"""Seconds that something may take before its step fails."""

MOST_PICTURES = 6

SOON = timedelta(milliseconds=20)
"""How long is waited until something is looked at again."""

ENDED = ("completed", "failed", "cancelled")


@dataclass
class Stage:
    """Everything a flow acts with, and what it has noted. One flow at a time."""

    hs: HigherSelf
    http: httpx.AsyncClient
    mail: Mailbox
    workspace: Workspace | None
    mark: str
    """Tells this run's people and things apart from those of others."""

    told: Callable[[str], None]
    steps: list[StepResult] = field(default_factory=list)
    conversations: list[str] = field(default_factory=list)
    instances: list[UUID] = field(default_factory=list)
    began: float = 0.0

    def begin(self) -> None:
        """Forget what the flow before has noted."""
        self.steps, self.conversations, self.instances = [], [], []
        self.began = self.hs.clock.monotonic()

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Do a step; whatever goes wrong in it is noted, and ends the flow.

        Raises
            StepFailed: it did not come to what was expected.
        """
        self.told(name)
        began = self.hs.clock.monotonic()
        detail = ""
        try:
            yield
        except asyncio.CancelledError:
            detail = "it was stopped"
            raise
        except StepFailed as error:
            detail = str(error)
            raise
        except TimeoutError:
            detail = f"nothing came of it within {PATIENCE:g} s"
            raise StepFailed(detail) from None
        except Exception as error:  # whatever it is, it is how this step went, and no other
            detail = f"{type(error).__name__}: {error}"
            raise StepFailed(detail) from error
        finally:
            ended = self.hs.clock.monotonic()
            self.steps.append(
                StepResult(name, not detail, began - self.began, ended - began, detail)
            )

    # --- What flows do.

    async def deliver(
        self, of: Sample, body: bytes | None = None, *, secret: str = SECRET
    ) -> httpx.Response:
        """Send a webhook as its vendor does, and return the answer."""
        return await self.post(of, signed(of, body, secret=secret, now=self.hs.clock.now()))

    async def post(self, of: Sample, arrived: Arrived) -> httpx.Response:
        """Send a webhook that is signed, perhaps again, and return the answer."""
        form = of.file.endswith(".form")
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        headers = {"content-type": kind, **arrived.headers}
        return await self.http.post(of.path, content=arrived.body, headers=headers)

    async def handled(self, delivery: str) -> Mapping[str, Any]:
        """Wait until a delivery of a webhook has been handled; return what became of it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                row = await self.hs.webhooks.deliveries.show(UUID(delivery))
                if row["status"] != "received":
                    self.conversations.append(delivery)  # which is what it is called throughout
                    return row
                await self.hs.clock.sleep(SOON)

    async def happens(self, type: str, id: str, **data: Any) -> Outcome:
        """Tell that something has happened, once for ``id``; return what followed."""
        named = f"{id}-{self.mark}"
        correlation = f"flow-{named}"
        self.conversations.append(correlation)
        outcome = await self.hs.happenings.happened(
            Happening(
                type=type, entity=BUSINESS, data=data, id=named, at=self.hs.clock.now(),
                source="api", correlation=correlation,
            )
        )  # fmt: skip
        self.instances += [each.instance for each in outcome.started]
        return outcome

    async def until(self, instance: UUID, *states: str) -> dict[str, Any]:
        """Wait until an instance waits in one of ``states``, or has ended there; return what it knows.

        Raises
            StepFailed: it went elsewhere, or failed.
        """
        async with asyncio.timeout(PATIENCE):
            while True:
                found = await self.hs.workflows.get(instance)
                state, status = found.snapshot.state, found.instance.status
                if state in states and status in (*ENDED, "waiting"):
                    return dict(found.snapshot.context)
                if status in ENDED:
                    raise StepFailed(
                        f"expected it in {' or '.join(states)}; it ended in {state}, {status}: "
                        f"{found.instance.reason or found.snapshot.context.get('reason', '')}"
                    )
                await self.hs.clock.sleep(SOON)

    async def letter(self, address: str, subject: str, saying: str = "") -> str:
        """Wait for a letter to somebody that has these words in its subject and text; return its text."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for each in self.mail.to(address):
                    if subject.lower() in each.subject.lower() and saying in each.text:
                        return each.text
                await self.hs.clock.sleep(SOON)

    async def start(self, workflow: str, key: str, **context: Any) -> UUID:
        """Start a workflow of the business."""
        named = f"{key}-{self.mark}"
        self.conversations.append(f"flow-{named}")
        begun = await self.hs.workflows.start(
            workflow, key=named, entity=BUSINESS,
            context={**context, "correlation": f"flow-{named}"},
        )  # fmt: skip
        self.instances.append(begun.instance)
        return begun.instance

    # --- What it leaves.

    async def arrows(self) -> tuple[Arrow, ...]:
        """Return what went to and fro in the conversations of the flow, in order."""
        given = {"correlations": self.conversations}
        async with self.hs.database.reading() as tx:
            messages = await tx.many(QUERIES["messages_of"], given)
            letters = await tx.many(QUERIES["letters_of"], given)
        found = [
            (row["at"], _name(row["source"]), _place(row["topic"]), row["type"]) for row in messages
        ]
        for instance in self.instances:
            name = (await self.hs.workflows.get(instance)).instance.workflow
            found += [
                (entry.at, name, name, f"→ {entry.target}")
                for entry in await self.hs.workflows.history(instance)
                if entry.target and entry.target != entry.source and not entry.region
            ]
        found += [
            (row["at"], "outbound", _first(row["recipients"]), f"{row['channel']}: {row['about']}")
            for row in letters
        ]
        found.sort(key=lambda each: each[0])
        if not found:
            return ()
        first = found[0][0]
        return tuple(
            Arrow((at - first).total_seconds(), source, target, label)
            for at, source, target, label in found
        )

    async def pictures(self) -> tuple[tuple[str, str], ...]:
        """Return the states that the instances of the flow went through, each with its title."""
        found = []
        for number, identifier in enumerate(dict.fromkeys(self.instances)):
            stored = await self.hs.workflows.get(identifier)
            definition = await self.hs.workflows.pinned(stored.snapshot)
            history = await self.hs.workflows.history(identifier)
            run = run_of(definition, stored.snapshot, history)
            drawn = svg(definition, run=run, heading=False, name=f"p{self.mark}{number}")
            title = f"{stored.instance.workflow.replace('_', ' ')}: {stored.instance.state}"
            found.append((title, drawn))
        return tuple(found[:MOST_PICTURES])


def expect(found: Any, wanted: Any, what: str) -> None:
    """Fail the step unless ``found`` is ``wanted``.

    Raises
        StepFailed: it is not.
    """
    if found != wanted:
        raise StepFailed(f"{what}: expected {_short(wanted)}, found {_short(found)}")


def require(holds: object, what: str) -> None:
    """Fail the step unless something holds.

    Raises
        StepFailed: it does not.
    """
    if not holds:
        raise StepFailed(f"expected {what}")


def _name(source: str) -> str:
    """Return who sent something, of ``urn:higherself:agent:nyra``."""
    return source.rpartition(":")[2] or source


def _place(topic: str) -> str:
    """Return where something went, of ``agents.nyra``."""
    return topic.removeprefix("agents.").removeprefix("agent.")


def _first(recipients: list[str]) -> str:
    return recipients[0] if recipients else "nobody"


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:297]}..."
