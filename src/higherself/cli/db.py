"""Commands on the database."""

import sys

import click

from higherself.cli.output import as_json, asynchronous, print_json, say, show_checks


@click.group()
def db() -> None:
    """Migrate the database, look at it, roll it back."""


@db.command(epilog="Example: higherself db migrate --dry-run")
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run, and change nothing.")
@as_json
@asynchronous
async def migrate(*, dry_run: bool, as_json: bool) -> None:
    """Bring the schema up to date."""
    await _move(None, dry_run=dry_run, as_json=as_json)


@db.command(epilog="Example: higherself db rollback --to 1")
@click.option("--to", type=click.IntRange(min=0), required=True, help="The version to go back to.")
@click.option("--dry-run", is_flag=True, help="Print the SQL that would run, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask: what the newer tables hold is lost.")
@as_json
@asynchronous
async def rollback(*, to: int, dry_run: bool, yes: bool, as_json: bool) -> None:
    """Go back to an older schema. What the newer tables hold is lost."""
    if not (dry_run or yes or as_json):
        if not sys.stdin.isatty():
            raise click.UsageError("the newer tables' data will be deleted: say --yes to that")
        click.confirm("The data of the newer tables will be deleted. Go on?", abort=True, err=True)
    await _move(to, dry_run=dry_run, as_json=as_json)


@db.command(epilog="Example: higherself db status --json")
@as_json
@asynchronous
async def status(*, as_json: bool) -> None:
    """Show the schema's version and what is still to be applied."""
    from higherself.app.settings import load_settings
    from higherself.app.wiring import database_url
    from higherself.db.migrate import status as stands

    settings, _ = load_settings()
    async with database_url(settings, report=say) as url:
        found = await stands(url)
    pending = [str(migration) for migration in found.pending]
    if as_json:
        print_json({"version": found.version, "pending": pending})
        return
    click.echo(f"version {found.version}; pending: {', '.join(pending) or 'nothing'}")


@db.command(epilog='Example: psql "$(higherself db url)"')
@click.option("--hold", is_flag=True, help="Keep the embedded server running until Ctrl-C.")
@as_json
@asynchronous
async def url(*, hold: bool, as_json: bool) -> None:
    """Print a connection URL (with its password) of the database, the embedded one's too.

    The embedded server runs while a process of this home uses it; --hold is such a process.
    """
    import asyncio

    from higherself.app.settings import load_settings
    from higherself.app.wiring import database_url

    settings, _ = load_settings()
    async with database_url(settings, report=say) as found:
        if as_json:
            print_json({"url": found})
        else:
            click.echo(found)
        if hold:
            say("holding the server; Ctrl-C ends")
            await asyncio.Event().wait()


@db.command(
    "setup-supabase",
    epilog="Example: higherself db setup-supabase --url postgresql://... --migrate",
)
@click.option("--url", "address", help="The connection URL. Default: DATABASE_URL.")
@click.option("--migrate", "migrating", is_flag=True, help="Also bring the schema up to date.")
@as_json
@asynchronous
async def setup_supabase(*, address: str | None, migrating: bool, as_json: bool) -> None:
    """Check a Supabase, or any other, PostgreSQL from end to end, and say how to fix what is wrong.

    Nothing is changed without --migrate; the password is never printed. A URL in DATABASE_URL
    stays out of the shell's history.
    """
    from higherself.app.settings import load_settings
    from higherself.db.supabase import examine, example_url
    from higherself.kernel.clock import SYSTEM_CLOCK
    from higherself.kernel.errors import Misconfigured

    if address is None:
        setting = load_settings()[0].database_url
        if setting is None:
            raise Misconfigured(
                f"no database is named: set DATABASE_URL, or give --url; {example_url()}"
            )
        address = setting.get_secret_value()
    checks = await examine(
        address,
        clock=SYSTEM_CLOCK,
        migrating=migrating,
        report=lambda step: say(f"{step}: done"),
    )
    if not show_checks(checks, as_json=as_json):
        raise click.exceptions.Exit(2)


@db.command(epilog="Example: higherself db stop")
def stop() -> None:
    """Stop the embedded server, even if a process still uses it."""
    from higherself.app.settings import load_settings
    from higherself.db.embedded import stop as stop_server

    settings, _ = load_settings()
    say("stopped" if stop_server(settings.home) else "it was not running")


async def _move(to: int | None, *, dry_run: bool, as_json: bool) -> None:
    from higherself.app.settings import load_settings
    from higherself.app.wiring import database_url
    from higherself.db.migrate import Step, dry_run_steps
    from higherself.db.migrate import migrate as run_migrations
    from higherself.db.migrate import status as stands
    from higherself.kernel.clock import SYSTEM_CLOCK

    def tell(step: Step) -> None:
        say(f"{step}: done")

    settings, _ = load_settings()
    async with database_url(settings, report=say) as address:
        if dry_run:
            steps = await dry_run_steps(address, to=to)
        else:
            steps = await run_migrations(address, clock=SYSTEM_CLOCK, to=to, report=tell)
        found = await stands(address)
    if as_json:
        print_json(
            {
                "version": found.version,
                "pending": [str(migration) for migration in found.pending],
                "steps": [str(step) for step in steps],
                "dry_run": dry_run,
            }
        )
    elif dry_run:
        for step in steps:
            click.echo(f"-- {step}\n{step.script}")
    else:
        click.echo(f"version {found.version}" + ("" if steps else "; nothing to do"))
