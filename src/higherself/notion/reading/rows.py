"""Every row of a data source, however many there are.

A query gives 10,000 rows at most, and says so in ``request_status``. Then the rows are asked for by
when they were made: the next window begins at the time of the last row of the one before.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higherself.notion.errors import NotionUnavailable
from higherself.notion.ports import JsonObject
from higherself.notion.reading.listing import pages

Post = Callable[[str, JsonObject], Awaitable[JsonObject]]
BY_AGE = [{"timestamp": "created_time", "direction": "ascending"}]


async def every_row(
    post: Post,
    data_source: str,
    *,
    filter: Mapping[str, Any] | None,
    sorts: Sequence[Mapping[str, Any]],
    archived: bool,
) -> AsyncIterator[JsonObject]:
    """Yield every row once.

    Raises
        NotionUnavailable: more than 10,000 rows were made in one minute, which nothing can list.
    """
    seen: set[str] = set()
    window = _Window(list(sorts) or BY_AGE)
    while True:
        body = window.body(filter, archived=archived)

        def ask(more: JsonObject, body: JsonObject = body) -> Awaitable[JsonObject]:
            return post(f"data_sources/{data_source}/query", {**body, **more})

        cut, last = False, window.since or ""
        async for answer in pages(ask):
            cut = cut or incomplete(answer)
            for row in answer["results"]:
                last = max(last, row.get("created_time", ""))
                if row["id"] not in seen:
                    seen.add(row["id"])
                    yield row
        if not cut:
            return
        window = window.after(last, data_source)


@dataclass(frozen=True, slots=True)
class _Window:
    """The rows that one query is to list: in this order, not made before."""

    sorts: Sequence[Mapping[str, Any]]
    since: str | None = None

    def body(self, filter: Mapping[str, Any] | None, *, archived: bool) -> JsonObject:
        body: JsonObject = {"sorts": self.sorts}
        if archived:
            body["is_archived"] = True
        chosen = filter
        if self.since is not None:
            window = {"timestamp": "created_time", "created_time": {"on_or_after": self.since}}
            chosen = window if filter is None else within(filter, window)
        return body if chosen is None else {**body, "filter": chosen}

    def after(self, last: str, data_source: str) -> "_Window":
        """Return the window for what a query whose last row was made at ``last`` did not list."""
        if self.sorts is not BY_AGE:
            return _Window(BY_AGE)  # from the beginning, in the order in which they were made
        if last == self.since:
            raise NotionUnavailable(
                f"more than 10,000 rows of {data_source} were made at {last}; no query lists them"
            )
        return _Window(BY_AGE, last)


def incomplete(answer: JsonObject) -> bool:
    """Return whether Notion cut the list off."""
    return (answer.get("request_status") or {}).get("type") == "incomplete"


def within(filter: Mapping[str, Any], window: Mapping[str, Any]) -> JsonObject:
    """Return a filter for what both let through; no deeper than the two levels that Notion takes.

    >>> within({"or": [{"and": [{}, {}]}, {"x": 1}]}, {"w": 1})
    {'or': [{'and': [{}, {}, {'w': 1}]}, {'and': [{'x': 1}, {'w': 1}]}]}
    """
    if set(filter) == {"and"}:
        return {"and": [*filter["and"], window]}
    if set(filter) == {"or"} and any("and" in part for part in filter["or"]):
        return {"or": [within(part, window) for part in filter["or"]]}
    return {"and": [filter, window]}
