"""Small endpoints: custom emojis, meeting notes, OAuth, and forgetting a view's query.

A workspace here has no custom emojis and no meeting notes. OAuth answers whoever asks with the
token of the first connection, so that a client's flow can run; nothing is checked.
"""

from __future__ import annotations

from notion_emulator.call import Call, body_id, listing, page_size, path_id
from notion_emulator.errors import ApiError, Json

OAUTH = "/v1/oauth/"


def custom_emojis(call: Call) -> Json:
    """Answer GET /custom_emojis."""
    page_size(call.query.get("page_size", [None])[0], "query")
    answer = listing([], "custom_emoji")
    del answer["custom_emoji"]
    return answer


def meeting_notes(call: Call) -> Json:
    """Answer POST /blocks/meeting_notes/query."""
    return {"results": [], "has_more": False}


def delete_view_query(call: Call, view_id: str, query_id: str) -> Json:
    """Answer DELETE /views/{id}/queries/{query}."""
    path_id("view_id", view_id)
    found = call.store.cursors.pop(path_id("query_id", query_id), None)
    if found is None or found.get("view") != body_id({"view": view_id}, "view", ""):
        raise call.missing("view query", query_id)
    return {"object": "view_query", "id": path_id("query_id", query_id), "deleted": True}


def token(call: Call) -> Json:
    """Answer POST /oauth/token.

    Raises
        ApiError: neither a code nor a refresh token is given.
    """
    if not (call.body.get("code") or call.body.get("refresh_token")):
        raise ApiError(400, "invalid_grant", "Invalid code.")
    return {
        "access_token": call.connection.token,
        "token_type": "bearer",
        "refresh_token": "refresh_" + call.connection.token,
        "bot_id": call.connection.bot_id,
        "workspace_icon": None,
        "workspace_name": call.store.workspace_name,
        "workspace_id": call.store.workspace_id,
        "owner": {"type": "workspace", "workspace": True},
        "duplicated_template_id": None,
    }


def introspect(call: Call) -> Json:
    """Answer POST /oauth/introspect."""
    known = call.store.connections.get(str(call.body.get("token")))
    if known is None or known.revoked:
        return {"active": False}
    return {"active": True, "scope": " ".join(sorted(known.capabilities)), "iat": 0}


def revoke(call: Call) -> Json:
    """Answer POST /oauth/revoke."""
    known = call.store.connections.get(str(call.body.get("token")))
    if known is not None:
        known.revoked = True
    return {}
