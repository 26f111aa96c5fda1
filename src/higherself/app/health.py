"""Does everything we depend on answer? For ``doctor`` and the readiness route."""

import shutil
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack

from higherself.app.providers import build_reranker, build_tiers
from higherself.app.settings import Settings, described, load_settings
from higherself.app.wiring import HigherSelf, database_url
from higherself.db.inspection import Inspection, inspect
from higherself.db.migrate import require_current, status
from higherself.db.pool import open_database
from higherself.db.supabase import connection_kind, row_security_check, version_check
from higherself.kernel.check import Check as Check  # also for who asks here
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import HigherSelfError
from higherself.knowledge.ledger_postgres import PostgresLedger
from higherself.knowledge.reranking import GuardedReranker
from higherself.knowledge.tiers import Tier

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
    checks += [_room(settings), _extensions(settings)]
    tiers: list[Check] = []
    try:
        async with database_url(settings, report=report) as url:
            async for check in _database(url, settings):
                checks.append(check)
            tiers = await _tiers(settings, url)
            checks += await _nats(settings, url)
            checks += await _notion(settings, url)
            checks += await _in_and_out(settings, url)
    except HigherSelfError as error:
        checks.append(Check("database", False, *_explained(error)))
    return [*checks, *(tiers or await _tiers(settings)), await _language_model(settings)]


def _extensions(settings: Settings) -> Check:
    from higherself.app.extensions import load_extensions

    try:
        found = load_extensions(settings.extensions)
    except HigherSelfError as error:
        fix = "correct it, or take its folder out of HIGHERSELF_EXTENSIONS"
        return Check("extensions", False, str(error), fix)
    return Check(
        "extensions", True, f"{found.skills.brought} skills, {len(found.workflows)} workflows"
    )


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


async def _in_and_out(settings: Settings, url: str) -> list[Check]:
    from higherself.app import inbound, outbound

    try:
        await require_current(url)
        async with open_database(url, connections=1) as database:
            return [
                *await inbound.checked(settings, database, SYSTEM_CLOCK),
                *await outbound.checked(settings, database, SYSTEM_CLOCK),
            ]
    except HigherSelfError:
        return []  # the schema says so above


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


async def _tiers(settings: Settings, url: str | None = None) -> list[Check]:
    """Ask every tier, and the reranker. What comes of it is kept if there is a database for it."""
    async with AsyncExitStack() as stack:
        ledger = None
        if url is not None:
            try:
                await require_current(url)
                database = await stack.enter_async_context(open_database(url, connections=1))
                ledger = PostgresLedger(database)
            except HigherSelfError:
                ledger = None  # why was told among the checks of the database
        tiers = build_tiers(settings, ledger=ledger)
        reranker = build_reranker(settings, ledger=ledger)
        guarded: list[Tier | GuardedReranker] = [*tiers, reranker]
        for each in guarded:
            stack.push_async_callback(each.close)
            await each.recall()
        checks = [await _provider(f"embedding tier {tier.name}", tier) for tier in tiers]
        if settings.reranker is not None and not reranker.live:
            fix = "correct that, or unset HIGHERSELF_RERANKER"
            return [*checks, Check("reranker", False, f"off: {reranker.reason}", fix)]
        return [*checks, await _provider("reranker", reranker)]


async def _nats(settings: Settings, url: str) -> list[Check]:
    """Ask NATS, if it is set up. What signs its messages is in the database."""
    if settings.nats_url is None:
        return []
    from higherself.app.nats import examined

    try:
        await require_current(url)
    except HigherSelfError:
        return []  # why was told among the checks of the database
    async with open_database(url, connections=1) as database:
        return await examined(settings, database, SYSTEM_CLOCK)


async def _notion(settings: Settings, url: str) -> list[Check]:
    """Ask Notion, if there is a token. What it allows is counted in the database."""
    from higherself.app.notion import probed
    from higherself.app.notion_drift import database_checks
    from higherself.app.notion_standing import sync_checks

    if settings.notion_token is None:
        return [Check("notion", True, "not used: NOTION_TOKEN is not set")]
    try:
        await require_current(url)
    except HigherSelfError:
        return []  # why was told among the checks of the database
    async with open_database(url, connections=1) as database:
        return [
            *await probed(settings, database),
            *await database_checks(database),
            *await sync_checks(database),
        ]


async def _language_model(settings: Settings) -> Check:
    """Ask the language model for a word, if there is one."""
    from higherself.app.language_model import probed

    return await probed(settings)


async def _provider(name: str, provider: Tier | GuardedReranker) -> Check:
    """Ask the provider, though it be left alone: whoever asks the doctor wants to know."""
    if not provider.live:
        # One that is off is a choice: the local tier always can, and there need be no reranker.
        return Check(name, True, f"off: {provider.reason}")
    try:
        await provider.probe()
    except HigherSelfError as error:
        return Check(name, False, *_explained(error))
    row = provider.described()
    ready = f"ready: {row['space'] if isinstance(provider, Tier) else provider.name}"
    if provider.on_machine:
        return Check(name, True, ready)
    limit = f" of {row['daily_tokens']:,}" if row["daily_tokens"] else ""
    told = [
        f"{ready}, model {row['model']}, {row['latency_ms']:.0f} ms, "
        f"{row['tokens']:,}{limit} tokens today"
    ]
    if row["last_error"]:
        told.append(f"last error {row['last_error_at']:%Y-%m-%d %H:%M} UTC: {row['last_error']}")
    return Check(name, True, "; ".join(told))


def _explained(error: HigherSelfError) -> tuple[str, str]:
    """Return what is wrong and what to do, which our errors say after the last semicolon."""
    wrong, _, fix = str(error).rpartition("; ")
    return (wrong, fix) if wrong else (fix, "see the message")
