"""Declared views as Notion's requests for them. Pure."""

from collections.abc import Mapping

from higherself.notion.databases.declaration import DeclaredDatabase, View
from higherself.notion.databases.schema import Mappings
from higherself.notion.ports import JsonObject

_GROUPED = {"select", "multi_select", "status", "relation", "people", "date", "checkbox"}


def view_body(
    view: View, declared: DeclaredDatabase, mapping: Mappings, *, database: str, data_source: str
) -> JsonObject:
    """Return the body of POST /views. Properties are named by their ids, which renaming keeps."""
    named = _Named(declared, mapping)
    body: JsonObject = {
        "database_id": database,
        "data_source_id": data_source,
        "name": view.name,
        "type": view.type,
        "configuration": {"type": view.type, **named.configuration(view)},
    }
    if view.where:
        body["filter"] = named.filter(view)
    if view.sort:
        body["sorts"] = [
            {"property": named.id(name), "direction": "descending" if down else "ascending"}
            for name, down in view.sort
        ]
    return body


def needed(view: View) -> set[str]:
    """Return the properties without which there can be no such view."""
    named = {view.group_by, view.date, view.end, *(name for name, _ in view.sort)}
    named |= {name for alternative in view.where for name, _ in alternative}
    return {name for name in named if name is not None}


class _Named:
    def __init__(self, declared: DeclaredDatabase, mapping: Mappings) -> None:
        self.declared, self.mapping = declared, mapping

    def id(self, name: str) -> str:
        return self.mapping[name].id

    def group(self, name: str) -> JsonObject:
        kind = self.mapping[name].type
        kind = {"people": "person"}.get(kind, kind) if kind in _GROUPED else "text"
        return {"type": kind, "property_id": self.id(name), "sort": {"type": "manual"}}

    def configuration(self, view: View) -> JsonObject:
        config: JsonObject = {}
        if view.type == "chart":
            return {
                "chart_type": view.chart,
                "x_axis": self.group(view.group_by or ""),
                "y_axis": {"aggregator": "count"},
            }
        if view.group_by is not None and view.type in ("table", "board"):
            config["group_by"] = self.group(view.group_by)
        if view.date is not None:
            config["date_property_id"] = self.id(view.date)
        if view.end is not None:
            config["end_date_property_id"] = self.id(view.end)
        return config

    def filter(self, view: View) -> JsonObject:
        alternatives = [self._all(each) for each in view.where]
        return alternatives[0] if len(alternatives) == 1 else {"or": alternatives}

    def _all(self, conditions: tuple[tuple[str, tuple[str, ...]], ...]) -> JsonObject:
        parts = [self._any(name, values) for name, values in conditions]
        return parts[0] if len(parts) == 1 else {"and": parts}

    def _any(self, name: str, values: tuple[str, ...]) -> JsonObject:
        parts = [self._condition(name, value) for value in values]
        return parts[0] if len(parts) == 1 else {"or": parts}

    def _condition(self, name: str, value: str) -> JsonObject:
        kind = self.mapping[name].type
        return {"property": self.id(name), kind: _test(kind, value)}


_PERIODS = ("past_week", "past_month", "past_year", "this_week", "next_week", "next_month", "next_year")  # fmt: skip
_COMPARED = {"<": "less_than", ">": "greater_than", "=": "equals"}


def _test(kind: str, value: str) -> Mapping[str, object]:
    """Return the test of a condition.

    >>> _test("date", "before today"), _test("number", "< 5"), _test("multi_select", "VIP")
    ({'before': 'today'}, {'less_than': 5.0}, {'contains': 'VIP'})
    """
    if value in ("empty", "filled"):
        return {"is_empty" if value == "empty" else "is_not_empty": True}
    match kind:
        case "date":
            if value in _PERIODS:
                return {value: {}}
            how, _, day = value.rpartition(" ")
            return {how or "equals": day}
        case "number":
            sign, _, number = value.rpartition(" ")
            return {_COMPARED[sign or "="]: float(number)}
        case "multi_select" | "people" | "relation":
            return {"contains": value}
        case "checkbox":
            return {"equals": value == "true"}
        case _:
            return {"equals": value}
