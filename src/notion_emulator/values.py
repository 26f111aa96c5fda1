"""The value of a property of a page, computed when it is asked for."""

from __future__ import annotations

from typing import Any

from notion_emulator import formula, props
from notion_emulator.call import Call
from notion_emulator.clock import minute
from notion_emulator.errors import Json
from notion_emulator.formula_functions import Unsupported
from notion_emulator.ids import same_property
from notion_emulator.query import scalar
from notion_emulator.store import Node


def value_of(call: Call, node: Node, prop: Json, depth: int = 0) -> Any:
    """Return what an answer holds under the property's type."""
    stored = node.data["values"]
    match prop["type"]:
        case "created_time":
            return minute(node.created_at)
        case "last_edited_time":
            return minute(node.edited_at)
        case "created_by":
            return {"object": "user", "id": node.created_by}
        case "last_edited_by":
            return {"object": "user", "id": node.edited_by}
        case "unique_id":
            return {"prefix": prop["unique_id"].get("prefix"), "number": stored.get(prop["id"])}
        case "formula" if "computed" not in node.data:
            return _formula(call, node, prop, depth)
        case "rollup" if "computed" not in node.data:
            return _rollup(call, node, prop, depth)
        case "formula" | "rollup":
            return node.data["computed"].get(prop["id"])
        case "relation":
            return [r for r in stored.get(prop["id"], []) if _lives(call, r["id"])]
        case _:
            return stored.get(prop["id"], props.empty(prop))


def _lives(call: Call, page_id: str) -> bool:
    page = call.store.nodes.get(page_id)
    return page is None or not call.store.trashed(page)


def _schema(call: Call, node: Node) -> dict[str, Json]:
    source = call.store.nodes.get(node.parent[1])
    schema: dict[str, Json] = source.data.get("schema", {}) if source else {}
    return schema


def _formula(call: Call, node: Node, prop: Json, depth: int) -> Json:
    if depth > 10:
        return {"type": "unsupported", "unsupported": {}}

    def read(name: str) -> Any:
        other = props.find(_schema(call, node), name)
        if other is None:
            raise Unsupported(name)
        found = value_of(call, node, other, depth + 1)
        return scalar({"type": other["type"], other["type"]: found})

    return formula.result(prop["formula"].get("expression", ""), read, minute(call.now))


def _rollup(call: Call, node: Node, prop: Json, depth: int) -> Json:
    config = prop["rollup"]
    how = config.get("function", "show_original")
    shown = [] if depth > 5 else list(_related(call, node, config, depth))
    return rolled_up(shown, how)


def _related(call: Call, node: Node, config: Json, depth: int) -> list[Json]:
    schema = _schema(call, node)
    relation = props.find(schema, config.get("relation_property_name") or config.get("relation_property_id", ""))  # fmt: skip
    shown = []
    for reference in value_of(call, node, relation, depth) if relation else []:
        page = call.store.nodes.get(reference["id"])
        if page is None:
            continue
        wanted = config.get("rollup_property_id") or config.get("rollup_property_name", "title")
        target = next((p for p in _schema(call, page).values() if same_property(p["id"], wanted) or p["name"] == config.get("rollup_property_name")), None)  # fmt: skip
        if target is not None:
            found = value_of(call, page, target, depth + 1)
            shown.append({"type": target["type"], target["type"]: found})
    return shown


def rolled_up(shown: list[Json], how: str) -> Json:
    """Return the value of a rollup over the shown values of related pages."""
    found = [scalar(item) for item in shown]
    filled = [v for v in found if v not in (None, "", [], False)]
    if how in ("show_original", "show_unique"):
        return {"type": "array", "array": shown, "function": how}
    if how in ("earliest_date", "latest_date"):
        dates = sorted(str(v) for v in filled)
        date = dates[0 if how == "earliest_date" else -1] if dates else None
        value = {"start": date, "end": None, "time_zone": None} if date else None
        return {"type": "date", "date": value, "function": how}
    return {"type": "number", "number": _number(how, found, filled), "function": how}


def _number(how: str, found: list[Any], filled: list[Any]) -> float | None:
    total, hits = len(found), len(filled)
    numbers = sorted(v for v in filled if isinstance(v, int | float) and not isinstance(v, bool))
    counts: dict[str, float] = {
        "count": total,
        "count_all": total,
        "count_values": hits,
        "not_empty": hits,
        "checked": hits,
        "empty": total - hits,
        "unchecked": total - hits,
        "unique": len({str(v) for v in filled}),
        "count_unique_values": len({str(v) for v in filled}),
        "sum": sum(numbers),
    }
    if how in counts:
        return counts[how]
    if how.startswith("percent_"):
        part = total - hits if how in ("percent_empty", "percent_unchecked") else hits
        return part / total if total else 0
    return _statistic(how, numbers)


def _statistic(how: str, numbers: list[float]) -> float | None:
    if not numbers:
        return None
    middle = len(numbers) // 2
    median = numbers[middle] if len(numbers) % 2 else (numbers[middle - 1] + numbers[middle]) / 2
    return {
        "average": sum(numbers) / len(numbers),
        "median": median,
        "min": numbers[0],
        "max": numbers[-1],
        "range": numbers[-1] - numbers[0],
    }.get(how)
