"""What Notion's error answers mean, in our words, with what to do next. Pure."""

from datetime import timedelta

from higherself.kernel.errors import HigherSelfError
from higherself.notion.errors import (
    Committed,
    EditConflict,
    NotAuthorised,
    NotionForbidden,
    NotionRejected,
    NotionThrottled,
    NotionUnavailable,
    PageNotFound,
)
from higherself.notion.gateway.exchange import Call, Failure

LONGEST = 300
WHERE_TOKENS_ARE = "https://www.notion.so/profile/integrations"


def explained(call: Call, failure: Failure, retry_after: timedelta | None) -> HigherSelfError:
    """Return our error for what came back in place of an answer."""
    said = shown(failure.message)
    match failure.status:
        case 401:
            return NotAuthorised(
                "Notion does not know the token in NOTION_TOKEN (401); copy the connection's token "
                f"from {WHERE_TOKENS_ARE}"
            )
        case 403:
            return NotionForbidden(_forbidden(call, failure))
        case 404:
            return PageNotFound(
                f"{call.name}: {said or 'not found'} If it is there, share it with the connection: "
                "on the page, menu ..., Connections"
            )
        case 409 if failure.code == "conflict_error":
            return EditConflict(f"{call.name}: somebody else is writing it ({said}); read it again")
        case 429 if failure.facts.get("rate_limit_reason") == "public_api_request_blocked":
            return NotionForbidden(
                "Notion has blocked the requests of this connection (public_api_request_blocked); "
                "trying again makes it worse: ask Notion's support"
            )
        case 429:
            return NotionThrottled(
                f"{call.name}: Notion asks to wait; NOTION_PLAN may name a larger plan than there is",
                retry_after=retry_after,
            )
        case 503 if _committed(failure):
            return _landed(call, failure)
        case None | 200 | 500 | 502 | 503 | 504 | 529:
            return _unavailable(call, failure, retry_after)
        case _:
            code = failure.code or f"http_{failure.status}"
            told = f"Notion refuses {call.name} ({failure.status}, {code}): {said}"
            return NotionRejected(told, code=code)


def shown(text: str) -> str:
    """Return what Notion said as part of a line."""
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 3]}..."


CAPABILITIES = (
    ("comment", "GET", "Read comments"),
    ("comment", "", "Insert comments"),
    ("user", "GET", "Read user information"),
    ("", "GET", "Read content"),
    ("", "POST", "Insert content"),
    ("", "", "Update content"),
)
"""What a request needs of the connection: part of the path, method, name on Notion's page."""


def _forbidden(call: Call, failure: Failure) -> str:
    if "block limit" in failure.message.lower() or "limit" in failure.code:
        return f"{call.name}: {shown(failure.message)}; the workspace's plan allows no more"
    if call.reads and call.method == "POST":
        wanted = "Read content"
    elif call.method == "PATCH" and call.path.endswith("/children"):
        wanted = "Insert content"
    else:
        wanted = next(
            name
            for part, method, name in CAPABILITIES
            if part in call.path and method in ("", call.method)
        )
    return (
        f"{call.name}: the connection may not do this (403: {shown(failure.message)}); give it the "
        f"capability '{wanted}' at {WHERE_TOKENS_ARE}"
    )


def _committed(failure: Failure) -> bool:
    return bool(
        failure.facts.get("committed_resource_id") or failure.facts.get("committed_child_ids")
    )


def _landed(call: Call, failure: Failure) -> Committed:
    resource = failure.facts.get("committed_resource_id")
    children = failure.facts.get("committed_child_ids") or ()
    return Committed(
        f"{call.name}: Notion has written it, but could not answer (503)",
        resource=str(resource) if resource else None,
        children=tuple(str(child) for child in children),
    )


def _unavailable(call: Call, failure: Failure, retry_after: timedelta | None) -> NotionUnavailable:
    about = f"{call.name}: " + (shown(failure.message) or "Notion is not available")
    status = "" if failure.status in (None, 200) else f" (HTTP {failure.status})"
    return NotionUnavailable(
        f"{about}{status}; try again later, see https://www.notion-status.com",
        retry_after=retry_after,
        ambiguous=failure.sent and not call.reads and failure.status != 529,
        landed=failure.status in (200, 500, 503),
    )
