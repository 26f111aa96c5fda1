"""The command that shows the language model, and what businesses spend on it."""

from typing import TYPE_CHECKING, Any

import click

from higherself.cli.output import as_json, asynchronous, print_json, say, table

if TYPE_CHECKING:
    from higherself.agents.llm.ports import Spending
    from higherself.app.settings import Settings


@click.command(epilog="Example: higherself models --json")
@click.option("--entity", help="Only what this business spends.")
@as_json
@asynchronous
async def models(*, entity: str | None, as_json: bool) -> None:
    """Show the language model, and what each business has spent on it today, of how much.

    Nothing is sent to the model; `higherself doctor` does that.
    """
    from higherself.agents.llm.ledger_postgres import PostgresSpendingLedger
    from higherself.app.wiring import HigherSelf
    from higherself.kernel.clock import SYSTEM_CLOCK

    async with HigherSelf.open(report=say, workflows=False) as hs:
        described = hs.language_model.described()
        ledger = PostgresSpendingLedger(hs.database, SYSTEM_CLOCK)
        today = SYSTEM_CLOCK.now().date()
        spent = await ledger.spent(today, entity=entity)
        rows = [_row(each, hs.settings) for each in spent]
    if as_json:
        print_json({"model": described, "day": str(today), "spending": rows})
        return
    _show(described, rows)


def _row(spent: "Spending", settings: "Settings") -> dict[str, Any]:
    from higherself.app.language_model import day_limit

    limit = day_limit(settings, spent.entity)
    return {
        "entity": spent.entity,
        "model": spent.model,
        "requests": spent.usage.requests,
        "failures": spent.failures,
        "input_tokens": spent.usage.input_tokens,
        "output_tokens": spent.usage.output_tokens,
        "micro_usd": spent.usage.micro_usd,
        "unsettled_tokens": spent.reserved.tokens,
        "unsettled_micro_usd": spent.reserved.micro_usd,
        "limit_tokens": limit.tokens,
        "limit_micro_usd": limit.micro_usd,
    }


def _show(described: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    from higherself.agents.llm.usage import dollars

    where = "on this machine" if described["on_machine"] else "elsewhere"
    click.echo(f"model: {described['model']} ({described['state']}, {where})")
    if described["reason"]:
        click.echo(f"why: {described['reason']}")
    if described["input_price"] is not None:
        click.echo(
            f"price: ${described['input_price']:g} a million tokens of input, "
            f"${described['output_price']:g} of output"
        )

    def of(limit: int | None, written: str) -> str:
        return "" if limit is None else f" of {written}"

    table(
        ["business", "model", "requests", "failed", "tokens today", "spent today", "on the way"],
        [
            (
                row["entity"],
                row["model"],
                row["requests"],
                row["failures"],
                f"{row['input_tokens'] + row['output_tokens']:,}"
                + of(row["limit_tokens"], f"{row['limit_tokens'] or 0:,}"),
                dollars(row["micro_usd"])
                + of(row["limit_micro_usd"], dollars(row["limit_micro_usd"] or 0)),
                dollars(row["unsettled_micro_usd"]),
            )
            for row in rows
        ],
    )
