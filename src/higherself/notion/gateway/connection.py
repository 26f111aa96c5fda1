"""Everything that works with one token, put together."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from higherself.db.pool import Database
from higherself.kernel.breaker import BreakerPolicy
from higherself.kernel.clock import Clock
from higherself.notion.gateway.budget import BudgetPolicy
from higherself.notion.gateway.echoes import Echoes
from higherself.notion.gateway.exchange import LONGEST, Exchange
from higherself.notion.gateway.gateway import Gateway, Patience
from higherself.notion.gateway.postgres import PostgresBudget, PostgresEchoes, PostgresIntents
from higherself.notion.reading.api import Notion
from higherself.notion.writing.once import SETTLE, Once
from higherself.notion.writing.writes import Writes

NOTION = "https://api.notion.com"


@dataclass(frozen=True, slots=True)
class NotionConnection:
    """Notion by one token: the door, what can be read, and what can be written."""

    gateway: Gateway
    api: Notion
    writes: Writes
    echoes: Echoes
    budget: PostgresBudget
    intents: PostgresIntents

    async def close(self) -> None:
        """Give back what is left of the budget, and release the connections."""
        await self.gateway.close()

    async def described(self) -> dict[str, Any]:
        """Return how the budget and this process's gateway stand."""
        return {**await self.budget.now(), **self.gateway.described()}


def connect(
    token: str,
    base_url: str,
    policy: BudgetPolicy,
    database: Database,
    clock: Clock,
    *,
    patience: Patience | None = None,
    breaker: BreakerPolicy | None = None,
    settle: timedelta = SETTLE,
    longest: timedelta = LONGEST,
) -> NotionConnection:
    """Return the connection. Nothing is loaded or sent yet."""
    budget = PostgresBudget(database, token, policy)
    exchange = Exchange(token, base_url, longest)
    gateway = Gateway(exchange, budget, clock, patience=patience, breaker=breaker)
    api = Notion(gateway)
    intents = PostgresIntents(database, clock)
    echoes = Echoes(PostgresEchoes(database, clock), intents)
    scope = "" if base_url == NOTION else f"{base_url} "
    writes = Writes(api, Once(intents, clock, settle=settle), echoes, scope=scope)
    return NotionConnection(gateway, api, writes, echoes, budget, intents)
