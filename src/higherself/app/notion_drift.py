"""What is wrong with the declared databases and their rows, and what to do about it."""

from typing import TYPE_CHECKING, Any

from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.notion.databases.lookup import Databases

if TYPE_CHECKING:
    from higherself.app.notion_records import InstalledNotion
    from higherself.db.pool import Database

SETUP = "`higherself notion setup` makes it whole"
BY_HAND = "change it back in Notion, or live with it: the rest goes on"
_FIX = {
    "removed": SETUP,
    "option_removed": SETUP,
    "view_removed": SETUP,
    "retyped": BY_HAND,
    "points_elsewhere": BY_HAND,
}


async def databases_standing(notion: "InstalledNotion") -> dict[str, Any]:
    """Return how the declared databases and their rows stand: what is not as declared, what waits."""
    known = await notion.databases.load()
    standing = await notion.rows.standing()
    return {
        "databases": [
            {
                "name": each.name,
                "title": notion.declaration[each.name].title,
                "state": each.state,
                "reason": each.reason,
                "drift": [{"kind": d.kind, "property": d.property, "detail": d.detail} for d in each.drift],
            }
            for each in known.values()
            if each.name in notion.declaration
        ],
        "records": standing["records"],
        "waiting": standing["waiting"],
    }  # fmt: skip


def paused_databases(standing: dict[str, Any]) -> list[dict[str, str]]:
    """Return what does not go on by itself, each with what to do."""
    paused = []
    for each in standing["databases"]:
        if each["state"] != "ok":
            what, _, do = str(each["reason"]).rpartition("; ")
            paused.append({"what": f"the database {each['name']}: {what or do}", "do": do})
        for drift in each["drift"]:
            if drift["kind"] in _FIX:
                where = f"{each['name']}.{drift['property']}"
                paused.append({"what": f"{where}: {drift['detail']}", "do": _FIX[drift["kind"]]})
    asked = sum(row["open"] for row in standing["records"])
    if asked:
        do = "see `higherself notion decisions`, then `higherself notion decide`"
        paused.append({"what": f"{asked} rows with a field that was changed on both sides", "do": do})  # fmt: skip
    return paused


async def database_checks(database: "Database") -> list[Check]:
    """Return what `doctor` says of the declared databases. Notion is not asked."""
    known = await Databases(database, SYSTEM_CLOCK).load()
    name, see = "notion databases", "see `higherself notion status`"
    if not known:
        return [Check(name, True, "not set up", "run `higherself notion setup`")]
    wrong = [each for each in known.values() if each.state != "ok"]
    drift = [d for each in known.values() for d in each.drift if d.kind in _FIX]
    if wrong:
        told = "; ".join(f"{each.name} is {each.state}" for each in wrong)
        return [Check(name, False, told, see)]
    if drift:
        told = "; ".join(f"{d.database}.{d.property}: {d.detail}" for d in drift[:3])
        return [Check(name, False, told, "run `higherself notion setup`")]
    return [Check(name, True, f"{len(known)}, as declared")]
