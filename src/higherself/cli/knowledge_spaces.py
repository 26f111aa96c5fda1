"""Commands on embedding spaces: what each covers, filling them, switching between them."""

from typing import TYPE_CHECKING, Any

import click

from higherself.cli.output import as_json, asynchronous, print_json, say, table
from higherself.cli.progress import backlog_progress

if TYPE_CHECKING:
    from higherself.knowledge.switching import Comparison


@click.group(
    invoke_without_command=True,
    epilog="Example: higherself knowledge spaces add --tier voyage --model voyage-4-lite "
    "--dimensions 512",
)
@as_json
@click.pass_context
def spaces(context: click.Context, *, as_json: bool) -> None:
    """Show the embedding spaces and how much of the knowledge each covers.

    To change the model of a tier without a gap: add a space, fill it with `reembed`, and activate
    it. Searches use the old one until then.
    """
    if context.invoked_subcommand is None:
        _show(as_json=as_json)


@asynchronous
async def _show(*, as_json: bool) -> None:
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        found = await hs.knowledge.spaces()
    if as_json:
        print_json({"spaces": found})
        return
    table(
        ["space", "tier", "state", "dimensions", "chunks", "coverage", "waiting"],
        [
            (s["name"], s["tier"], s["state"], s["dimensions"], s["chunks"],
             f"{s['coverage']:.1%}", s["waiting"])
            for s in found
        ],
    )  # fmt: skip


@spaces.command(epilog="Example: higherself knowledge spaces add --tier voyage --model voyage-4")
@click.option("--tier", required=True, help="The embedding tier that fills it.")
@click.option("--model", required=True, help="The model to embed with.")
@click.option("--dimensions", type=int, help="Default: as many as the model gives of itself.")
@as_json
@asynchronous
async def add(*, tier: str, model: str, dimensions: int | None, as_json: bool) -> None:
    """Add a space that a tier fills beside the one that answers."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        added = await hs.knowledge.add_space(tier, model, dimensions)
    if as_json:
        print_json({"space": added.name, "state": added.state, "waiting": added.waiting})
        return
    click.echo(f"{added.name} is {added.state}")
    if added.waiting:
        click.echo(f"fill it: higherself knowledge reembed --space {added.name}")


@spaces.command(epilog="Example: higherself knowledge spaces activate voyage-4/512")
@click.argument("space")
@click.option("--force", is_flag=True, help="Neither ask for coverage nor compare.")
@as_json
@asynchronous
async def activate(*, space: str, force: bool, as_json: bool) -> None:
    """Let a space answer for its tier, once it covers everything and finds as much as the old one."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        compared = await hs.knowledge.activate_space(space, force=force)
    if as_json:
        print_json({"space": space, "state": "active", "compared": compared})
    else:
        click.echo(f"{space} answers now{_told(compared)}")


@spaces.command(epilog="Example: higherself knowledge spaces retire voyage-4/1024")
@click.argument("space")
@as_json
@asynchronous
async def retire(*, space: str, as_json: bool) -> None:
    """Fill a space no longer. Its vectors stay until it is dropped."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        await hs.knowledge.retire_space(space)
    _told_state(space, "retired", as_json=as_json)


@spaces.command(epilog="Example: higherself knowledge spaces drop voyage-4/1024")
@click.argument("space")
@as_json
@asynchronous
async def drop(*, space: str, as_json: bool) -> None:
    """Delete a retired space with all its vectors."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        await hs.knowledge.drop_space(space)
    _told_state(space, "dropped", as_json=as_json)


@click.command(epilog="Example: higherself knowledge reembed --space voyage-4/1024")
@click.option("--space", help="The space to fill. Default: all that wait.")
@as_json
@asynchronous
async def reembed(*, space: str | None, as_json: bool) -> None:
    """Embed whatever waits for a vector. Interrupted, it goes on where it stopped."""
    from higherself.app.wiring import HigherSelf

    async with HigherSelf.open(report=say, workflows=False) as hs:
        with backlog_progress() as report:
            filled = await hs.knowledge.reembed(space, report=report)
    done: dict[str, Any] = {
        "embedded": sum(each.embedded for each in filled),
        "waiting": sum(each.waiting for each in filled),
        "spaces": filled,
    }
    if as_json:
        print_json({"space": space, **done})
    else:
        for each in filled:
            click.echo(f"{each.space}: {each.embedded} embedded, {each.waiting} wait")
            for reason in (*each.refusals, each.reason):
                if reason:
                    click.echo(f"  {reason}")
        if not filled:
            click.echo("nothing waits")
    if done["waiting"]:
        raise click.exceptions.Exit(6)


def _told(compared: "Comparison | None") -> str:
    if compared is None:
        return ""
    found = f"; it finds {compared.new_recall:.0%} of a sample of {compared.sample} passages"
    if compared.old_recall is None:
        return found
    return f"{found}, {compared.old} found {compared.old_recall:.0%}"


def _told_state(space: str, state: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"space": space, "state": state})
    else:
        click.echo(f"{space} is {state}")
