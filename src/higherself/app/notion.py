"""The Notion that the settings name: the connection, what the skills need of it, and the doctor."""

from collections.abc import AsyncIterator
from datetime import timedelta
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from higherself.app.notion_pages import NotionDatabasePages
from higherself.app.settings import Settings
from higherself.db.pool import Database
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.kernel.errors import HigherSelfError, Misconfigured
from higherself.notion.errors import NotionForbidden
from higherself.notion.gateway.budget import for_plan
from higherself.notion.gateway.connection import NotionConnection, connect
from higherself.notion.gateway.explaining import WHERE_TOKENS_ARE
from higherself.notion.gateway.gateway import Patience
from higherself.notion.reading.api import Notion

if TYPE_CHECKING:
    from higherself.notion.databases.declaration import Declaration

FREE_UPLOAD = 5_242_880
"""Bytes of a file at most, in a workspace of the plan Free."""

PATIENCE = Patience(live=timedelta(seconds=20))
"""How long the doctor waits."""


def build_notion(
    settings: Settings,
    database: Database,
    *,
    clock: Clock = SYSTEM_CLOCK,
    patience: Patience | None = None,
) -> NotionConnection:
    """Return the connection to Notion. Nothing is loaded or sent yet.

    Raises
        Misconfigured: there is no token.
    """
    if settings.notion_token is None:
        raise Misconfigured(
            f"NOTION_TOKEN is not set; make a connection at {WHERE_TOKENS_ARE}, copy its token, and "
            "share the pages with it"
        )
    return connect(
        settings.notion_token.get_secret_value(),
        settings.notion_base_url,
        for_plan(settings.notion_plan),
        database,
        clock,
        patience=patience,
    )


def notion_pages(
    notion: NotionConnection, settings: Settings, database: Database, clock: Clock
) -> NotionDatabasePages:
    """Return what the skills need of Notion."""
    from higherself.notion.databases.lookup import Databases

    return NotionDatabasePages(
        notion, Databases(database, clock), declared, loose_belong_to=settings.notion_entity
    )


@cache
def declared() -> "Declaration":
    """Return the databases that the business declares."""
    from higherself.notion.databases.declaring import read_databases

    name = "notion_databases.yaml"
    return read_databases(files("higherself.business").joinpath(name).read_text("utf-8"), name)


async def probed(settings: Settings, database: Database) -> list[Check]:
    """Ask Notion who we are, what the connection may do, and how the budget stands."""
    notion = build_notion(settings, database, patience=PATIENCE)
    try:
        me = await notion.api.me()
        checks = [Check("notion", True, _described(me, settings)), _plan(me, settings)]
        checks += [check async for check in _capabilities(notion.api)]
        if settings.notion_parent_page is not None:
            checks.append(await _parent(notion.api, settings.notion_parent_page))
        return [*checks, await _budget(notion)]
    except HigherSelfError as error:
        return [_wrong("notion", error)]
    finally:
        await notion.close()


def _described(me: dict[str, Any], settings: Settings) -> str:
    workspace = (me.get("bot") or {}).get("workspace_name")
    return f"the connection {me.get('name')!r} in the workspace {workspace!r}, {settings.notion_base_url}"


def _plan(me: dict[str, Any], settings: Settings) -> Check:
    allowed = for_plan(settings.notion_plan).requests
    limits = (me.get("bot") or {}).get("workspace_limits") or {}
    upload = limits.get("max_file_upload_size_in_bytes")
    if allowed > for_plan("free").requests and upload == FREE_UPLOAD:
        return Check(
            "notion plan",
            False,
            f"NOTION_PLAN is {settings.notion_plan}, but the workspace has the limits of Free",
            "set NOTION_PLAN=free, or Notion refuses requests",
        )
    return Check("notion plan", True, f"{settings.notion_plan}: {allowed} requests a minute")


async def _capabilities(api: Notion) -> AsyncIterator[Check]:
    """See what the connection may read. What it may write shows only when it writes."""
    name = "notion capabilities"
    page: str | None = None
    try:
        async for found in api.search(object="page"):
            page = found["id"]
            break
    except NotionForbidden as error:
        yield _wrong(name, error)
        return
    if page is None:
        yield Check(
            "notion pages",
            False,
            "nothing is shared with the connection",
            "share a page with it: on the page, menu ..., Connections",
        )
    lacking = []
    for what, listing in (("comments", page and api.comments(page)), ("users", api.users())):
        try:
            async for _ in listing or _none():
                break
        except NotionForbidden:
            lacking.append(what)
    if lacking:
        fix = f"give it 'Read comments' and 'Read user information' at {WHERE_TOKENS_ARE}"
        yield Check(name, False, f"the connection may not read {' and '.join(lacking)}", fix)
    else:
        yield Check(name, True, "reads pages, comments and users")


async def _none() -> AsyncIterator[dict[str, Any]]:
    return
    yield {}


async def _parent(api: Notion, page: str) -> Check:
    try:
        await api.page(page)
    except HigherSelfError as error:
        return Check(
            "notion parent page",
            False,
            f"NOTION_PARENT_PAGE: {error}",
            "share the page with the connection, or correct NOTION_PARENT_PAGE",
        )
    return Check("notion parent page", True, "is shared with the connection")


async def _budget(notion: NotionConnection) -> Check:
    standing = await notion.budget.now()
    detail = f"{standing['used']} of {standing['limit']} requests used in the last minute"
    if standing["reason"] is not None:
        seconds = standing["paused_for"].total_seconds()
        detail += f"; Notion has asked for a pause of {seconds:.0f} s more ({standing['reason']})"
    return Check("notion budget", True, detail)


def _wrong(name: str, error: HigherSelfError) -> Check:
    wrong, _, fix = str(error).rpartition("; ")
    return Check(name, False, wrong or fix, fix if wrong else "see the message")
