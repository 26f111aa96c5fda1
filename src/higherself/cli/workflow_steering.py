"""Commands that steer instances: what a person decides about them."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from uuid import UUID

import click

from higherself.cli.output import as_json, asynchronous, words
from higherself.cli.workflow_instances import instance_id, json_object, show
from higherself.cli.workflow_sources import A_NUMBER, opened

if TYPE_CHECKING:
    from higherself.workflow.engine.engine import Engine
    from higherself.workflow.engine.model import Instance

by = click.option(
    "--as", "by", type=words, default="operator", show_default=True, help="Who does it."
)


@click.command(epilog="Example: higherself workflow pause 0198...")
@instance_id
@by
@as_json
@asynchronous
async def pause(*, identifier: UUID, by: str, as_json: bool) -> None:
    """Have nothing happen to an instance until it is resumed."""
    await _steer(lambda engine: engine.pause(identifier, by=by), as_json=as_json)


@click.command(epilog="Example: higherself workflow resume 0198...")
@instance_id
@by
@as_json
@asynchronous
async def resume(*, identifier: UUID, by: str, as_json: bool) -> None:
    """Have a paused instance go on."""
    await _steer(lambda engine: engine.resume(identifier, by=by), as_json=as_json)


@click.command(epilog="Example: higherself workflow cancel 0198... --reason 'booked elsewhere'")
@instance_id
@click.option("--reason", type=words, default="cancelled by hand", show_default=True)
@by
@as_json
@asynchronous
async def cancel(*, identifier: UUID, reason: str, by: str, as_json: bool) -> None:
    """End an instance; what it did is compensated, the latest first."""
    await _steer(lambda engine: engine.cancel(identifier, reason=reason, by=by), as_json=as_json)


@click.command(epilog="""Example: higherself workflow retry 0198... --context '{"score": 80}'""")
@instance_id
@click.option("--state", type=words, help="Go on from here. Default: where it failed.")
@click.option("--context", type=words, help="JSON object, or @FILE: the whole context, edited.")
@by
@as_json
@asynchronous
async def retry(
    *, identifier: UUID, state: str | None, context: str | None, by: str, as_json: bool
) -> None:
    """Have an instance go on where it failed, or from another state."""
    given = None if context is None else json_object("--context", context)
    await _steer(
        lambda engine: engine.retry(identifier, state=state, context=given, by=by),
        as_json=as_json,
    )


@click.command(epilog="Example: higherself workflow migrate 0198... --to 4")
@instance_id
@click.option("--to", type=A_NUMBER, required=True, help="The version to move it to.")
@by
@as_json
@asynchronous
async def migrate(*, identifier: UUID, to: int, by: str, as_json: bool) -> None:
    """Move an instance to another version of its workflow, if it fits there."""
    await _steer(lambda engine: engine.migrate(identifier, to, by=by), as_json=as_json)


@click.command(epilog="Example: higherself workflow approve 0198... --as maria --role owner")
@instance_id
@click.option("--as", "by", type=words, required=True, help="Who decides: a name, or a role.")
@click.option("--role", "roles", type=words, multiple=True, help="A role that they have.")
@click.option("--reject", is_flag=True, help="Reject it instead.")
@click.option("--comment", type=words, default="", help="Goes into the history.")
@as_json
@asynchronous
async def approve(
    *,
    identifier: UUID,
    by: str,
    roles: tuple[str, ...],
    reject: bool,
    comment: str,
    as_json: bool,
) -> None:
    """Decide what an instance waits for a person to decide."""
    outcome = "rejected" if reject else "approved"
    await _steer(
        lambda engine: engine.approve(
            identifier, by=by, roles=(*roles, by), outcome=outcome, comment=comment
        ),
        as_json=as_json,
    )


async def _steer(does: "Callable[[Engine], Awaitable[Instance]]", *, as_json: bool) -> None:
    async with opened() as hs:
        steered = await does(hs.workflows)
    show(steered, as_json=as_json)


COMMANDS = (pause, resume, cancel, retry, migrate, approve)
