"""Properties of data sources and pages: schemas, values sent, values answered."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from notion_emulator.errors import Json, invalid, invalid_body
from notion_emulator.ids import IdSource, dashed, same_property
from notion_emulator.richtext import TitleOf, completed, units

COMPUTED = frozenset({"formula", "rollup", "created_time", "created_by", "last_edited_time", "last_edited_by", "unique_id", "button", "verification", "location", "last_visited_time"})  # fmt: skip
PLAIN = frozenset({"title", "rich_text", "date", "people", "files", "checkbox", "url", "email", "phone_number", "created_time", "created_by", "last_edited_time", "last_edited_by", "place", "button", "verification", "location", "last_visited_time"})  # fmt: skip
TYPES = PLAIN | {"number", "select", "multi_select", "status", "relation", "rollup", "formula", "unique_id"}  # fmt: skip
OPTION_COLORS = ("default", "gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")  # fmt: skip
_STATUS = (("Not started", "default", "To-do"), ("In progress", "blue", "In progress"), ("Done", "green", "Complete"))  # fmt: skip
_GROUPS = (("To-do", "gray"), ("In progress", "blue"), ("Complete", "green"))
_LONGEST = {"url": 2000, "email": 200, "phone_number": 200}


def find(schema: dict[str, Json], key: str) -> Json | None:
    """Return the property of a name or id; names win."""
    by_name = next((p for p in schema.values() if p["name"] == key), None)
    return by_name or next((p for p in schema.values() if same_property(p["id"], key)), None)


def need(schema: dict[str, Json], key: str) -> Json:
    """Return the property of a name or id.

    Raises
        ApiError: there is none.
    """
    prop = find(schema, key)
    if prop is None:
        raise invalid(f"Could not find property with name or id: {key}")
    return prop


def new_property(name: str, given: Any, ids: IdSource, path: str) -> Json:
    """Return the schema of a new property.

    Raises
        ApiError: a type nobody knows.
    """
    if not isinstance(given, dict):
        raise invalid_body(f"{path}.{name}", "an object", given)
    kind = given.get("type") or next((k for k in given if k in TYPES), None)
    if kind not in TYPES:
        raise invalid_body(f"{path}.{name}.type", "a property type", kind)
    property_id = "title" if kind == "title" else ids.property_id()
    return {
        "id": property_id,
        "name": name,
        "description": given.get("description"),
        "type": kind,
        kind: configuration(kind, given.get(kind) or {}, ids),
    }


def configuration(kind: str, given: Json, ids: IdSource, old: Json | None = None) -> Json:
    """Return what a schema holds under its type."""
    if kind == "number":
        return {"format": given.get("format") or "number"}
    if kind in ("select", "multi_select"):
        return {"options": _options(given.get("options") or [], ids, (old or {}).get("options", []))}  # fmt: skip
    if kind == "status":
        return _status(given, ids, old)
    if kind == "formula":
        return {"expression": given.get("expression", "")}
    if kind == "unique_id":
        return {"prefix": given.get("prefix")}
    return dict(given) if kind in ("relation", "rollup") else {}


def _options(given: list[Json], ids: IdSource, old: list[Json]) -> list[Json]:
    made: list[Json] = []
    for item in given:
        before = next((o for o in old if o["id"] == item.get("id") or o["name"] == item.get("name")), {})  # fmt: skip
        name = str(item.get("name", before.get("name", "")))
        _check_option(name)
        made.append(
            {
                "id": before.get("id") or item.get("id") or ids.uuid(),
                "name": name,
                "color": item.get("color") or before.get("color") or "default",
                "description": item.get("description", before.get("description")),
            }
        )
    return made


def _check_option(name: str) -> None:
    if "," in name:
        raise invalid(f'Invalid select option, commas not allowed: "{name}"')
    if units(name) > 100:
        raise invalid(f"Select option name must be at most 100 characters: {name[:20]}…")


def _status(given: Json, ids: IdSource, old: Json | None) -> Json:
    before = (old or {}).get("options", [])
    listed = given.get("options") or [{"name": n, "color": c, "group": g} for n, c, g in _STATUS]
    options = _options(listed, ids, before)
    groups = (old or {}).get("groups") or [
        {"id": ids.uuid(), "name": n, "color": c, "option_ids": []} for n, c in _GROUPS
    ]
    groups = [g | {"option_ids": []} for g in groups]
    for item, option in zip(listed, options, strict=True):
        wanted = item.get("group") or next((g["name"] for g in (old or {}).get("groups", []) if option["id"] in g["option_ids"]), "To-do")  # fmt: skip
        next((g for g in groups if g["name"] == wanted), groups[0])["option_ids"].append(option["id"])  # fmt: skip
    return {"options": options, "groups": groups}


def value(prop: Json, given: Any, path: str, ids: IdSource, title_of: TitleOf, *, strict_status: bool = True) -> Any:  # fmt: skip  # noqa: C901 - one case per type
    """Return the value to store for what a request sent.

    May add an option to ``prop`` when a select names one that is new.

    Raises
        ApiError: it does not fit the property, or the property is computed.
    """
    kind = prop["type"]
    if kind in COMPUTED:
        raise invalid(f'Property "{prop["name"]}" of type {kind} cannot be set: it is read only.')
    if isinstance(given, dict):
        named = given.get("type") or kind
        if kind not in given or named != kind:
            other = next((k for k in given if k in TYPES), None)
            if other is not None and other != kind:
                raise invalid(f"{prop['name']} is expected to be {kind}.")
            raise invalid_body(f"{path}.{kind}", "defined", None)
        given = given[kind]
    match kind:
        case "title" | "rich_text":
            return completed(given or [], f"{path}.{kind}", title_of)
        case "number":
            if given is not None and (isinstance(given, bool) or not isinstance(given, int | float)):  # fmt: skip
                raise invalid_body(f"{path}.number", "a number or `null`", given)
            return given
        case "checkbox":
            if not isinstance(given, bool):
                raise invalid_body(f"{path}.checkbox", "a boolean", given)
            return given
        case "select" | "status":
            return _chosen(prop, given, ids, strict_status)
        case _:
            return _several(prop, kind, given, path, ids)


def _several(  # noqa: C901 - one case per type
    prop: Json, kind: str, given: Any, path: str, ids: IdSource
) -> Any:
    if kind in ("multi_select", "people", "relation", "files"):
        if not isinstance(given, list):
            raise invalid_body(f"{path}.{kind}", "an array", given)
        if len(given) > 100:
            raise invalid_body(f"{path}.{kind}.length", "≤ `100`", len(given))
    match kind:
        case "multi_select":
            return [_chosen(prop, item, ids, False) for item in given]
        case "people":
            return [{"object": "user", "id": dashed(item.get("id"))} for item in given]
        case "relation":
            return [{"id": dashed(item.get("id"))} for item in given]
        case "files":
            return [_file(item) for item in given]
        case "date":
            return _date(given, path)
        case "url" | "email" | "phone_number":
            if given is not None and not isinstance(given, str):
                raise invalid_body(f"{path}.{kind}", "a string or `null`", given)
            if given is not None and units(given) > _LONGEST[kind]:
                raise invalid_body(f"{path}.{kind}.length", f"≤ `{_LONGEST[kind]}`", units(given))
            return given or None
        case _:
            return given


def _chosen(prop: Json, given: Any, ids: IdSource, strict: bool) -> Json | None:
    if given is None:
        return None
    options = prop[prop["type"]]["options"]
    for option in options:
        if given.get("id") == option["id"] or given.get("name") == option["name"]:
            return {k: option[k] for k in ("id", "name", "color")}
    name = given.get("name")
    if not name or (prop["type"] == "status" and strict):
        raise invalid(f'{prop["type"].capitalize()} option "{name or given.get("id")}" not found for property "{prop["name"]}".')  # fmt: skip
    _check_option(name)
    color = given.get("color") or OPTION_COLORS[len(options) % len(OPTION_COLORS)]
    option = {"id": ids.uuid(), "name": name, "color": color, "description": None}
    options.append(option)
    return {k: option[k] for k in ("id", "name", "color")}


def _file(item: Json) -> Json:
    kind = item.get("type") or next((k for k in ("external", "file_upload", "file") if k in item), "external")  # fmt: skip
    return {"name": item.get("name", ""), "type": kind, kind: item.get(kind)}


_DAY = re.compile(r"\d{4}-\d\d-\d\d$")


def _date(given: Any, path: str) -> Json | None:
    if given is None:
        return None
    if not isinstance(given, dict) or not isinstance(given.get("start"), str):
        raise invalid_body(f"{path}.date.start", "a string", None)
    zone = given.get("time_zone")
    return {
        "start": date_text(given["start"], f"{path}.date.start", zone),
        "end": date_text(given["end"], f"{path}.date.end", zone) if given.get("end") else None,
        "time_zone": None,  # recorded: a zone becomes the offset
    }


def date_text(text: str, path: str, zone: str | None = None) -> str:
    """Return a date as answered: days as they are, times with milliseconds and offset.

    Raises
        ApiError: it is no ISO 8601 date.

    >>> date_text("2026-06-27T18:01:15.377824+01:00", "x")
    '2026-06-27T18:01:00.000+01:00'
    """
    if _DAY.match(text):
        return text
    try:
        instant = datetime.fromisoformat(text)
        if zone is not None and instant.tzinfo is None:
            instant = instant.replace(tzinfo=ZoneInfo(zone))
    except (ValueError, KeyError):
        raise invalid_body(path, "a valid ISO 8601 date string", text) from None
    offset = instant.strftime("%z")
    offset = f"{offset[:3]}:{offset[3:5]}" if offset else "+00:00"
    return instant.strftime("%Y-%m-%dT%H:%M:00.000") + offset


def empty(prop: Json) -> Any:
    """Return the value of a property nobody has set."""
    match prop["type"]:
        case "title" | "rich_text" | "people" | "files" | "relation" | "multi_select":
            return []
        case "checkbox":
            return False
        case "status":
            options = prop["status"]["options"]
            first = options[0] if options else None
            return {k: first[k] for k in ("id", "name", "color")} if first else None
        case "button":
            return {}
        case "verification":
            return {"state": "unverified", "verified_by": None, "date": None}
        case _:
            return None
