"""The users endpoints."""

from __future__ import annotations

from notion_emulator import present
from notion_emulator.call import Call, bad_cursor, listing, page_size, path_id, window
from notion_emulator.errors import ApiError, Json


def me(call: Call) -> Json:
    """Answer GET /users/me."""
    return present.user(call, call.actor, whole=True)


def all_users(call: Call) -> Json:
    """Answer GET /users."""
    call.may("read_user")
    size = page_size(call.query.get("page_size", [None])[0], "query")
    known = list(call.store.users)
    cursor = call.query.get("start_cursor", [None])[0]
    if cursor is not None and cursor not in known:
        raise bad_cursor(cursor)
    start = known.index(cursor) if cursor else 0
    some, more = window(known, start, size)
    shown = [present.user(call, u, whole=u == call.actor) for u in some]
    return listing(shown, "user", known[start + size] if more else None)


def one(call: Call, user_id: str) -> Json:
    """Answer GET /users/{id}."""
    found = path_id("user_id", user_id)
    call.may("read_user")
    if found not in call.store.users:
        raise ApiError(
            404,
            "object_not_found",
            f"Could not find user with ID: {found}. Make sure your integration has capabilities "
            "to read user information.",
            additional={"integration_id": call.connection.integration_id},
        )
    return present.user(call, found, whole=found == call.actor)
