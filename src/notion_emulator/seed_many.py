"""Many pages of one table, for figures: ``pages:10000``."""

from __future__ import annotations

from notion_emulator import markdown_parse, page_calls, table_calls, writing
from notion_emulator.call import Call
from notion_emulator.errors import Json

_STAGES = ("New", "Doing", "Done")


def fill(call: Call, count: int) -> None:
    """Make a page with a table ``Rows`` of so many pages, each with three blocks."""
    outer = page_calls.create(_with(call, {"parent": {"workspace": True}, "properties": {"title": _rich("Many")}}))  # fmt: skip
    options = [{"name": stage} for stage in _STAGES]
    properties: Json = {"Name": {"title": {}}, "Number": {"number": {}}, "Stage": {"select": {"options": options}}}  # fmt: skip
    body = {"parent": {"page_id": outer["id"]}, "title": _rich("Rows"), "initial_data_source": {"properties": properties}}  # fmt: skip
    source = table_calls.create_database(_with(call, body))["data_sources"][0]["id"]
    for number in range(count):
        values: Json = {"Name": {"title": _rich(f"Page {number}")}, "Number": {"number": number}, "Stage": {"select": {"name": _STAGES[number % 3]}}}  # fmt: skip
        made = page_calls.create(_with(call, {"parent": {"data_source_id": source}, "properties": values}))  # fmt: skip
        text = f"# Page {number}\nIt is the {number}th of {count}.\n- and it has a list"
        writing.add_blocks(call, call.store.nodes[made["id"]], markdown_parse.parse(text))


def _rich(text: str) -> list[Json]:
    return [{"text": {"content": text}}]


def _with(call: Call, body: Json) -> Call:
    return Call(call.store, call.clock, call.settings, call.connection, call.version, {}, body)
