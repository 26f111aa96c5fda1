"""How Notion and the server stand: what is read, what waits, what is wrong and what to do about it."""

from typing import TYPE_CHECKING, Any
from uuid import UUID

from higherself.app.notion_drift import databases_standing, paused_databases
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.errors import NotFound
from higherself.notion.following.postgres import FollowStore
from higherself.notion.following.webhooks import REFUSALS, Webhooks
from higherself.services.notion.conflicts import Keep, PageConflicts
from higherself.services.notion.generated import decide
from higherself.services.notion.status_store import StatusStore

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf
    from higherself.db.pool import Database


async def standing(hs: "HigherSelf") -> dict[str, Any]:
    """Return everything that `higherself notion status` shows.

    Raises
        Misconfigured: there is no token.
    """
    budget = await hs.notion.described()
    budget["paused_for"] = budget["paused_for"].total_seconds()
    store = FollowStore(hs.database, hs.clock)
    counted = await store.count()
    events = await store.count_events()
    sources = await store.sources()
    conflicts = await open_conflicts(hs)
    loose = await store.checkpoint("loose")
    found: dict[str, Any] = {
        "pages": {k: counted[k] for k in ("known", "live", "archived", "gone", "lost", "held", "failing")},
        "lag": await store.lag(),
        "backlog": {
            "pages due": counted["due"],
            "events": events["waiting"],
            "conflicts": len(conflicts),
            "pages failing": counted["failing"],
        },
        "conflicts": conflicts,
        "budget": budget,
        "webhook": await _webhook(hs, store, events),
        "sources": [
            {
                "id": s.data_source_id,
                "title": s.title,
                "state": s.state,
                "watermark": s.watermark and s.watermark.isoformat(),
                "problem": s.problem,
            }
            for s in sources.values()
        ],
        "searching": bool(loose.get("debt")),
        "last": await store.checkpoint("cycle") or None,
        "trouble": await store.checkpoint("trouble") or None,
        "troubled": await store.troubled(),
        "instances": await StatusStore(hs.database, hs.clock).standing(),
    }  # fmt: skip
    found |= await databases_standing(hs.notion)
    found["paused"] = [*_paused(found, counted), *paused_databases(found)]
    return found


def _paused(found: dict[str, Any], counted: dict[str, int]) -> list[dict[str, str]]:
    """Return what does not go on by itself, each with what to do."""
    paused = []
    if counted["held"]:
        paused.append(
            {
                "what": f"deleting: {counted['held']} pages would go",
                "do": "share them again in Notion, or run `higherself notion resume --deletes`",
            }
        )
    paused += [
        {
            "what": f"the data source {source['title'] or source['id']!r}: {source['problem']}",
            "do": "share it with the connection again; its pages are kept meanwhile",
        }
        for source in found["sources"]
        if source["state"] == "lost"
    ]
    if counted["resting"]:
        paused.append(
            {
                "what": f"{counted['resting']} pages that failed eight times",
                "do": "see their problems below; an edit or `higherself notion sync --full` tries again",
            }
        )
    if found["conflicts"]:
        paused.append(
            {
                "what": f"{len(found['conflicts'])} conflicts",
                "do": "see `higherself notion conflicts`, then `higherself notion resolve`",
            }
        )
    if found["budget"].get("reason"):
        paused.append({"what": f"all requests: {found['budget']['reason']}", "do": "wait"})
    if found["trouble"]:
        paused.append({"what": f"following: {found['trouble']['error']}", "do": "see the message"})
    return paused


async def _webhook(hs: "HigherSelf", store: FollowStore, events: dict[str, Any]) -> dict[str, Any]:
    subscription = await _webhooks(hs, store).subscription()
    refused = await store.checkpoint(REFUSALS)
    if subscription.token is None:
        state = "none: changes are found by looking every 30 seconds"
    elif subscription.verified:
        state = f"verified, {events['received']} events in the last day"
    elif subscription.given:
        state = "NOTION_WEBHOOK_TOKEN is set; no event has come yet"
    else:
        state = "a verification token has come: paste it into Notion"
    if refused:
        state += f"; {refused['count']} refused, last at {refused['at'][:16]}: {refused['reason']}"
    shown = subscription.token
    if shown is not None and (subscription.verified or subscription.given):
        shown = f"{shown[:9]}..."
    return {
        "state": state,
        "verified": subscription.verified,
        "verification_token": shown,
        "events": events["received"],
        "waiting": events["waiting"],
        "refused": refused.get("count", 0),
    }


def _webhooks(hs: "HigherSelf", store: FollowStore) -> Webhooks:
    token = hs.settings.notion_webhook_token
    return Webhooks(store, hs.clock, None if token is None else token.get_secret_value())


async def release_deletes(hs: "HigherSelf") -> int:
    """Say that the pages that are held now may be deleted; return how many."""
    store = FollowStore(hs.database, hs.clock)
    pages = [known.page_id for known in await store.held()]
    if pages:
        at = hs.clock.now().isoformat()
        await store.note("deletes", {"released": True, "pages": pages, "at": at})
    return len(pages)


async def accept_new_token(hs: "HigherSelf") -> None:
    """Forget the verification token, so that the next one that comes is kept."""
    await _webhooks(hs, FollowStore(hs.database, hs.clock)).forget()


async def open_conflicts(hs: "HigherSelf") -> list[dict[str, Any]]:
    """Return what was changed on both sides at once and waits for a decision: texts, then fields."""
    texts = [
        {
            "conflict": str(each.conflict_id),
            "entity": each.entity,
            "page": each.page_id,
            "title": each.title,
            "part": each.part,
            "ours": each.ours,
            "theirs": each.theirs,
            "since": each.opened_at.isoformat(),
        }
        for each in await PageConflicts(hs.database, hs.clock).all()
    ]
    fields = [
        {
            "conflict": f"{each['database']}/{each['record_id']}/{each['column']}",
            "entity": each["entity"],
            "page": each["page_id"],
            "title": each["database"],
            "part": each["column"],
            "ours": each.get("here"),
            "theirs": each.get("there"),
            "since": each.get("at"),
        }
        for each in await hs.notion.rows.conflicts()
        if each.get("open")
    ]
    return texts + fields


async def resolve_conflict(hs: "HigherSelf", conflict: str, keep: Keep) -> dict[str, Any]:
    """Decide a conflict: of a text, or of a field (``DATABASE/ROW/COLUMN``).

    Raises
        NotFound, Conflict: there is none, or it was decided before.
    """
    database, _, rest = conflict.partition("/")
    record, _, column = rest.partition("/")
    if column:
        take = "server" if keep == "store" else "notion"
        try:
            row = UUID(record)
        except ValueError:
            raise NotFound(f"there is no conflict {conflict!r}") from None
        await hs.notion.rows.resolve(database, row, column, take=take)
        return {"conflict": conflict, "kept": keep}
    conflicts = PageConflicts(hs.database, hs.clock)
    found = await conflicts.one(conflict)
    await decide(hs.database, hs.clock, found, keep)
    return {"conflict": conflict, "kept": keep}


async def sync_checks(database: "Database") -> list[Check]:
    """Return what `doctor` says of following Notion."""
    store = FollowStore(database, SYSTEM_CLOCK)
    last, counted = await store.checkpoint("cycle"), await store.count()
    if not last:
        return [Check("notion sync", True, "not yet", "run `higherself notion sync`")]
    lost = [s.title for s in (await store.sources()).values() if s.state == "lost"]
    detail = f"{counted['live']} pages, last looked at {last['at'][:16]}"
    trouble = await store.checkpoint("trouble")
    see = "see `higherself notion status`"
    if trouble:
        return [Check("notion sync", False, f"{detail}; {trouble['error']}", see)]
    if counted["held"]:
        held = f"{detail}; {counted['held']} pages would be deleted and wait"
        return [Check("notion sync", False, held, f"{see}; `higherself notion resume --deletes`")]
    if lost:
        return [Check("notion sync", False, f"{detail}; out of reach: {', '.join(lost)}", see)]
    if counted["resting"]:
        return [Check("notion sync", False, f"{detail}; {counted['resting']} pages failed", see)]
    return [Check("notion sync", True, detail)]
