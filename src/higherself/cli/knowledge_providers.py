"""The command that shows the embedding tiers and the reranker."""

from typing import Any

import click

from higherself.cli.output import as_json, asynchronous, print_json, say, table
from higherself.kernel.errors import HigherSelfError


@click.command(epilog="Example: higherself knowledge providers --json")
@as_json
@asynchronous
async def providers(*, as_json: bool) -> None:
    """Show the embedding tiers in their order: their state, last error and usage of today.

    Below them the reranker, if one is set. Nothing is sent to a provider; `higherself doctor` does
    that.
    """
    tiers, reranker = await _described()
    if as_json:
        print_json({"providers": tiers, "reranker": reranker})
        return
    headers = ["tier", "state", "space", "latency", "requests", "tokens today", "reason"]
    rows = [_row(described["tier"], described["space"], described) for described in tiers]
    if reranker["name"] is not None:
        rows.append(_row(reranker["name"], reranker["model"], reranker))
    table(headers, rows)


async def _described() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return what tiers and reranker tell of themselves, with what is remembered of remote ones."""
    from higherself.app.providers import build_reranker, build_tiers
    from higherself.app.settings import load_settings
    from higherself.app.wiring import HigherSelf

    settings, _ = load_settings()
    tiers, reranker = build_tiers(settings), build_reranker(settings)
    try:
        remote = any(tier.live and not tier.on_machine for tier in tiers)
        if remote or (reranker.live and not reranker.on_machine):
            async with HigherSelf.open(settings, report=say, workflows=False) as hs:
                return [tier.described() for tier in hs.tiers], hs.reranker.described()
    except HigherSelfError as error:
        say(f"what happened before is not known: {error}")
    finally:
        for tier in tiers:
            await tier.close()
        await reranker.close()
    return [tier.described() for tier in tiers], reranker.described()


def _row(name: str, makes: str | None, described: dict[str, Any]) -> tuple[object, ...]:
    """Return a line of the table. ``makes`` is the space of a tier, or the model of a reranker."""
    latency, limit = described["latency_ms"], described["daily_tokens"]
    tokens = f"{described['tokens']:,}" + (f" of {limit:,}" if limit else "")
    reason, failed_at = described["reason"], described["last_error_at"]
    if reason is None and failed_at is not None:
        reason = f"{failed_at:%Y-%m-%d %H:%M} UTC: {described['last_error']}"
    return (
        name,
        described["state"],
        makes,
        None if latency is None else f"{latency:.0f} ms",
        described["requests"],
        None if described["on_machine"] else tokens,
        reason,
    )
