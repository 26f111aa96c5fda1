"""Does everything we depend on answer? For ``doctor`` and the readiness route."""

import shutil
import sys
from collections.abc import AsyncIterator, Callable

from higherself.app.providers import Tier, build_tiers
from higherself.app.settings import Settings, described, load_settings
from higherself.app.wiring import HigherSelf, database_url
from higherself.db.inspection import Inspection, inspect
from higherself.db.migrate import status
from higherself.db.supabase import connection_kind, row_security_check, version_check
from higherself.kernel.check import Check as Check  # also for who asks here
from higherself.kernel.errors import HigherSelfError

ENOUGH_ROOM = 1_000_000_000


async def examine(*, report: Callable[[str], None] = lambda line: None) -> list[Check]:
    """Check settings, disk, database, schema, providers; return every finding, never raise."""
    version = ".".join(map(str, sys.version_info[:3]))
    checks = [Check("python", True, f"{version} on {sys.platform}")]
    try:
        settings, sources = load_settings()
    except HigherSelfError as error:
        return [*checks, Check("settings", False, str(error), "correct the settings named")]
    checks += [
        Check(f"setting {row['name']}", True, f"{row['value'] or 'not set'} ({row['source']})")
        for row in described(settings, sources)
    ]
    checks.append(_room(settings))
    try:
        async with database_url(settings, report=report) as url:
            async for check in _database(url, settings):
                checks.append(check)
    except HigherSelfError as error:
        checks.append(Check("database", False, *_explained(error)))
    for tier in build_tiers(settings):
        checks.append(await _tier(tier))
        tier.close()
    return checks


async def ready(hs: HigherSelf) -> list[Check]:
    """Check what an open server needs to answer requests."""
    try:
        async with hs.database.transaction():
            return [Check("database", True, "answers")]
    except HigherSelfError as error:
        return [Check("database", False, str(error), "see `higherself doctor`")]


async def _database(url: str, settings: Settings) -> AsyncIterator[Check]:
    found = await inspect(url)
    kind = "embedded" if settings.database_url is None else "DATABASE_URL"
    version = version_check(found)
    detail = f"{version.detail} ({kind}), role {found.role}"
    yield Check("database", version.ok, detail, version.fix)
    try:
        found.require_vector()
        yield Check("pgvector", True, found.vector_installed or "available, not yet installed")
    except HigherSelfError as error:
        yield Check("pgvector", False, *_explained(error))
    yield _writable(found)
    yield Check("connection", True, connection_kind(found))
    yield row_security_check(found)
    try:
        schema = await status(url)
    except HigherSelfError as error:
        yield Check("schema", False, *_explained(error))
        return
    pending = ", ".join(str(migration) for migration in schema.pending)
    detail = f"version {schema.version}" + (f"; pending: {pending}" if pending else "")
    if pending and settings.database_url is None:
        yield Check("schema", True, f"{detail} (the next command that needs it does it)")
        return
    yield Check("schema", not pending, detail, "run `higherself db migrate`" if pending else "")


def _writable(found: Inspection) -> Check:
    if found.read_only:
        return Check(
            "writes",
            False,
            "the database is read-only",
            "connect to the primary, or lift default_transaction_read_only",
        )
    return Check("writes", True, "the database takes writes")


def _room(settings: Settings) -> Check:
    folder = settings.home
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    detail = f"{free / 1e9:.1f} GB free for {settings.home}"
    fix = "" if free > ENOUGH_ROOM else "free some space, or move HIGHERSELF_HOME"
    return Check("disk", free > ENOUGH_ROOM, detail, fix)


async def _tier(tier: Tier) -> Check:
    name = f"embedding tier {tier.name}"
    if tier.provider is None:
        # A tier that is off is a choice; the local one always can.
        return Check(name, True, f"off: {tier.reason}")
    try:
        await tier.provider.embed(["Does it work?"], purpose="query")
    except HigherSelfError as error:
        return Check(name, False, *_explained(error))
    return Check(name, True, f"ready: {tier.provider.space.name}")


def _explained(error: HigherSelfError) -> tuple[str, str]:
    """Return what is wrong and what to do, which our errors say after the last semicolon."""
    wrong, _, fix = str(error).rpartition("; ")
    return (wrong, fix) if wrong else (fix, "see the message")
