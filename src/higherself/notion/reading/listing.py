"""Walking a list of Notion's: page after page, whatever happens to its cursor."""

from collections.abc import AsyncIterator, Awaitable, Callable

from higherself.notion.errors import NotionRejected, NotionUnavailable
from higherself.notion.ports import JsonObject

PAGE = 100
RESTARTS = 5
"""How often a list is begun again: a cursor that is never valid would keep us for ever."""

Ask = Callable[[JsonObject], Awaitable[JsonObject]]
"""Asks for one page of a list, given its size and cursor."""


async def listed(ask: Ask) -> AsyncIterator[JsonObject]:
    """Yield every item once.

    Raises
        NotionUnavailable: cursors are refused again and again, or come back.
    """
    seen: set[str] = set()
    async for answer in pages(ask):
        for item in answer["results"]:
            if (one := item.get("id")) is None or one not in seen:
                seen.add(str(one))
                yield item


async def pages(ask: Ask) -> AsyncIterator[JsonObject]:
    """Yield the pages of a list, from the beginning again when a cursor is refused."""
    cursor: str | None = None
    used: set[str] = set()
    restarts = 0
    while True:
        more: JsonObject = {"page_size": PAGE}
        if cursor is not None:
            more["start_cursor"] = cursor
        try:
            answer = await ask(more)
        except NotionRejected as error:
            if cursor is None or not invalid_cursor(error):
                raise
            restarts += 1
            if restarts > RESTARTS:
                raise NotionUnavailable(
                    f"Notion refuses its own cursors again and again ({error}); try again later"
                ) from error
            cursor, used = None, set()
            continue
        yield answer
        cursor = answer.get("next_cursor") if answer.get("has_more") else None
        if cursor is None:
            return
        if cursor in used:
            raise NotionUnavailable("a list of Notion's goes in a circle; try again later")
        used.add(cursor)


def invalid_cursor(error: NotionRejected) -> bool:
    """Return whether Notion refuses a cursor that it gave itself."""
    return "cursor" in str(error)
