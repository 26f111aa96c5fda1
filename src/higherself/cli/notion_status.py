"""Commands that show how Notion and the server stand, and decide what waits for a person."""

from typing import Any, Literal

import click

from higherself.cli.output import as_json, asynchronous, facts, plain, print_json, say, table


@click.command(epilog="Example: higherself notion status --json")
@as_json
@asynchronous
async def status(*, as_json: bool) -> None:
    """Show how far Notion is read, how long changes take, what waits, and what to do about it."""
    from higherself.app.notion_standing import standing
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        found = await standing(hs)
    if as_json:
        print_json(found)
        return
    _show(found)


@click.command(epilog="Example: higherself notion resume --deletes")
@click.option("--deletes", is_flag=True, help="Delete the pages that are held.")
@click.option("--webhook", is_flag=True, help="Accept a new verification token from Notion.")
@as_json
@asynchronous
async def resume(*, deletes: bool, webhook: bool, as_json: bool) -> None:
    """Go on with what was paused: deletions that were held, a webhook that is set up anew.

    What is alive again in Notion is not deleted, whatever was held.
    """
    from higherself.app.notion_standing import accept_new_token, release_deletes
    from higherself.app.wiring import HigherSelf

    if not (deletes or webhook):
        raise click.UsageError("say what: --deletes or --webhook")
    done: dict[str, Any] = {}
    async with HigherSelf.open(report=say) as hs:
        if deletes:
            done["released"] = await release_deletes(hs)
        if webhook:
            await accept_new_token(hs)
            done["webhook"] = "the next verification token is accepted"
    if as_json:
        print_json(done)
        return
    if "released" in done:
        click.echo(f"{done['released']} pages are deleted with the next sync")
    if "webhook" in done:
        click.echo(done["webhook"])


def _show(found: dict[str, Any]) -> None:
    lag = found["lag"]
    told = "no changes in the last day"
    if lag["changes"]:
        told = f"p50 {lag['p50']:.0f} s, p95 {lag['p95']:.0f} s, of {lag['changes']} changes"
    pages = ", ".join(f"{number} {name}" for name, number in found["pages"].items() if number)
    facts(
        {
            "last cycle": found["last"] and found["last"].get("at"),
            "pages": pages or "none yet",
            "lag": told,
            "backlog": ", ".join(f"{n} {name}" for name, n in found["backlog"].items() if n)
            or "nothing waits",
            "budget": f"{found['budget']['used']} of {found['budget']['limit']} requests a minute",
            "webhook": found["webhook"]["state"],
        }
    )
    if found["webhook"].get("verification_token") and not found["webhook"]["verified"]:
        click.echo(f"paste this into Notion: {found['webhook']['verification_token']}")
    for each in found["paused"]:
        click.echo(click.style(plain(f"paused: {each['what']}"), fg="yellow"))
        click.echo(f"    do: {each['do']}")
    if found["sources"]:
        rows = [
            (plain(s["title"]), s["state"], s["watermark"] or "", plain(s["problem"] or ""))
            for s in found["sources"]
        ]
        table(("data source", "state", "read up to", "problem"), rows)
    if found["troubled"]:
        table(
            ("page", "state", "problem"),
            [
                (plain(p["title"] or p["page_id"]), p["state"], plain(p["problem"] or "held"))
                for p in found["troubled"]
            ],
        )


@click.command(epilog="Example: higherself notion conflicts --json")
@as_json
@asynchronous
async def conflicts(*, as_json: bool) -> None:
    """List what was changed here and in Notion at once: both versions are kept until you decide."""
    from higherself.app.notion_standing import open_conflicts
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        found = await open_conflicts(hs)
    if as_json:
        print_json({"conflicts": found})
    elif not found:
        click.echo("no conflicts")
    else:
        table(
            ("conflict", "page", "part", "since"),
            [(c["conflict"], plain(c["title"]), plain(c["part"]), c["since"]) for c in found],
        )


@click.command(epilog="Example: higherself notion resolve 0198c0de --keep notion")
@click.argument("conflict")
@click.option(
    "--keep", type=click.Choice(["notion", "store"]), required=True, help="Whose version stays."
)
@as_json
@asynchronous
async def resolve(*, conflict: str, keep: Literal["notion", "store"], as_json: bool) -> None:
    """Decide CONFLICT: keep the version of Notion, or ours. The other one stays in the record."""
    from higherself.app.notion_standing import resolve_conflict
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say) as hs:
        done = await resolve_conflict(hs, conflict, keep)
    if as_json:
        print_json(done)
    else:
        click.echo(f"kept the version of {keep}")
