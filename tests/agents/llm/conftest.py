"""A local server, and models that ask it through pydantic-ai and the vendors' own SDKs."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any
from uuid import uuid4

import pytest

from higherself.agents.llm.asking import AskedModel
from higherself.agents.llm.ports import Reservation, Spending
from higherself.agents.llm.usage import UNLIMITED, Allowance, Price, Usage
from higherself.agents.llm.vendor import ModelChoice, VendorEndpoint
from higherself.testing.clock import ManualClock
from higherself.testing.llm import ModelServer, model_server

PRICE = Price(input=3_000_000, output=15_000_000)
KEY = "sk-secret-key"
NAMES = ("anthropic:claude-sonnet-5", "openai:gpt-5-mini", "openai-responses:gpt-5-mini")


@dataclass
class Pocket:
    """A ledger in memory: what was set aside, and what each request was settled for."""

    limit_left: Allowance = UNLIMITED
    reserved: list[Reservation] = field(default_factory=list)
    settled: list[tuple[Usage, bool]] = field(default_factory=list)

    async def reserve(
        self, entity: str, day: date, model: str, need: Usage, limit: Allowance
    ) -> Reservation | Allowance:
        left = limit.within(self.limit_left)
        if left.lacks(need):
            return left
        self.reserved.append(
            Reservation(id=uuid4(), entity=entity, day=day, model=model, need=need)
        )
        return self.reserved[-1]

    async def settle(self, reservation: Reservation, used: Usage, *, failed: bool) -> None:
        self.settled.append((used, failed))

    async def spent(self, day: date, *, entity: str | None = None) -> Sequence[Spending]:
        raise NotImplementedError


@dataclass
class Desk:
    """A model, what it asks, and what it pays from."""

    model: AskedModel
    server: ModelServer
    pocket: Pocket
    clock: ManualClock


Make = Callable[..., Desk]


@pytest.fixture(scope="session")
def running() -> Iterator[ModelServer]:
    with model_server() as server:
        yield server


@pytest.fixture
def vendor(running: ModelServer) -> ModelServer:
    """The server as if it had just started."""
    fresh = ModelServer(0)
    running.recover()
    running.requests.clear()
    running.behave, running.wait, running.late = fresh.behave, fresh.wait, fresh.late
    return running


def choice(name: str, server: ModelServer) -> ModelChoice:
    urls = {"ANTHROPIC_BASE_URL": server.anthropic_url, "OPENAI_BASE_URL": server.openai_url}
    return ModelChoice.read(name, urls=urls)


@pytest.fixture
async def make(vendor: ModelServer) -> AsyncIterator[Make]:
    made: list[VendorEndpoint] = []

    def desk(name: str = NAMES[0], **more: Any) -> Desk:
        made.append(VendorEndpoint(choice(name, vendor), key=KEY, price=PRICE))
        pocket, clock = Pocket(), ManualClock()
        given = {
            "ledger": pocket,
            "day_limit": lambda entity: UNLIMITED,
            "clock": clock,
            "draw": lambda: 0.0,
            **more,
        }
        return Desk(AskedModel(made[-1], **given), vendor, pocket, clock)

    yield desk
    for endpoint in made:
        await endpoint.close()


@pytest.fixture(params=NAMES, ids=lambda name: name.partition(":")[0])
def desk(request: pytest.FixtureRequest, make: Make) -> Desk:
    """A model of each protocol."""
    made: Desk = make(request.param)
    return made
