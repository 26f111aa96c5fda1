"""Of what a business may spend today, no two requests get the same, in whatever processes they are."""

import asyncio
from datetime import timedelta

import pytest
from tests.agents.llm.conftest import Make

from higherself.agents.llm.errors import DayBudgetUsedUp
from higherself.agents.llm.ledger_postgres import PostgresSpendingLedger
from higherself.agents.llm.model import Ask
from higherself.agents.llm.ports import Reservation
from higherself.agents.llm.usage import UNLIMITED, Allowance, Usage
from higherself.db.pool import Database
from higherself.kernel.errors import Rejected
from higherself.testing.clock import NOON, ManualClock

pytestmark = pytest.mark.postgres

TODAY = NOON.date()
NEED = Usage(requests=1, input_tokens=60, output_tokens=40, micro_usd=10)
USED = Usage(requests=1, input_tokens=50, output_tokens=5, micro_usd=3, cached_tokens=7)


@pytest.fixture
def ledger(database: Database) -> PostgresSpendingLedger:
    return PostgresSpendingLedger(database, ManualClock())


async def reserved(ledger: PostgresSpendingLedger, entity: str = "gallery") -> Reservation:
    found = await ledger.reserve(entity, TODAY, "m", NEED, UNLIMITED)
    assert isinstance(found, Reservation)
    return found


async def test_what_is_set_aside_is_replaced_by_what_was_used(
    ledger: PostgresSpendingLedger,
) -> None:
    reservation = await reserved(ledger)
    (before,) = await ledger.spent(TODAY)
    assert (before.usage, before.reserved) == (Usage(), Allowance(tokens=100, micro_usd=10))
    await ledger.settle(reservation, USED, failed=False)
    await ledger.settle(reservation, USED, failed=False)
    await ledger.settle(await reserved(ledger), Usage(requests=1), failed=True)
    (after,) = await ledger.spent(TODAY)
    assert after.usage == USED + Usage(requests=1), "settled twice counts once"
    assert (after.failures, after.reserved) == (1, Allowance(tokens=0, micro_usd=0))


@pytest.mark.parametrize(
    "limit", [Allowance(tokens=1_050), Allowance(micro_usd=105)], ids=["tokens", "money"]
)
async def test_requests_at_the_same_time_never_get_more_than_there_is(
    ledger: PostgresSpendingLedger, limit: Allowance
) -> None:
    found = await asyncio.gather(
        *(ledger.reserve("gallery", TODAY, "m", NEED, limit) for _ in range(30))
    )
    given = [each for each in found if isinstance(each, Reservation)]
    assert len(given) == 10
    left = limit.left(sum((each.need for each in given), Usage()))
    assert {each for each in found if isinstance(each, Allowance)} == {left}


async def test_what_was_never_settled_counts_that_day_and_not_the_next(
    ledger: PostgresSpendingLedger,
) -> None:
    limit = Allowance(tokens=150)
    lost = await ledger.reserve("gallery", TODAY, "m", NEED, limit)
    assert isinstance(lost, Reservation)
    assert await ledger.reserve("gallery", TODAY, "m", NEED, limit) == Allowance(tokens=50)
    tomorrow = TODAY + timedelta(days=1)
    assert isinstance(await ledger.reserve("gallery", tomorrow, "m", NEED, limit), Reservation)
    assert isinstance(await ledger.reserve("practice", TODAY, "m", NEED, limit), Reservation)


async def test_what_was_never_settled_is_forgotten_after_a_week(
    ledger: PostgresSpendingLedger,
) -> None:
    await reserved(ledger)
    later = TODAY + timedelta(days=8)
    made = await ledger.reserve("gallery", later, "m", NEED, UNLIMITED)
    assert isinstance(made, Reservation)
    await ledger.settle(made, USED, failed=False)
    assert await ledger.spent(TODAY) == []
    assert [each.usage for each in await ledger.spent(later)] == [USED]


async def test_a_business_sees_its_own_spending_alone(ledger: PostgresSpendingLedger) -> None:
    for entity in ("gallery", "practice"):
        await ledger.settle(await reserved(ledger, entity), USED, failed=False)
    assert [each.entity for each in await ledger.spent(TODAY)] == ["gallery", "practice"]
    assert [each.entity for each in await ledger.spent(TODAY, entity="practice")] == ["practice"]


async def test_what_is_no_business_gets_nothing(ledger: PostgresSpendingLedger) -> None:
    with pytest.raises(Rejected, match="is not a slug"):
        await ledger.reserve("The Gallery", TODAY, "m", NEED, UNLIMITED)


async def test_a_model_stops_at_the_budget_of_the_day(
    make: Make, ledger: PostgresSpendingLedger
) -> None:
    """Thirty asks at once, on two connections' worth of models, with money for a few."""
    limit = Allowance(tokens=12_000)
    desks = [make(ledger=ledger, day_limit=lambda entity: limit) for _ in range(2)]
    ask: Ask[str] = Ask(prompt="Hm.", entity="gallery")
    asks = [desk.model.complete(ask) for desk in desks * 15]
    results = await asyncio.gather(*asks, return_exceptions=True)
    refused = [each for each in results if isinstance(each, DayBudgetUsedUp)]
    (spent,) = await ledger.spent(TODAY)
    assert spent.usage.requests == len(desks[0].server.requests) == 30 - len(refused)
    assert refused
    assert spent.usage.tokens <= 12_000
    assert spent.reserved == Allowance(tokens=0, micro_usd=0)
