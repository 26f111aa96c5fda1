"""What other systems announce, over HTTP. Each is checked by its own signature."""

from typing import Any

from fastapi import APIRouter, Request, Response

from higherself.api.problems import PROBLEM_RESPONSES, problem
from higherself.app.wiring import HigherSelf
from higherself.kernel.jsonvalue import shown
from higherself.notion.following.postgres import FollowStore
from higherself.notion.following.webhooks import BadSignature, EventRefused, Webhooks

_ANSWER = {"ok": True, "received": "stored"}


def webhook_routes(hs: HigherSelf) -> APIRouter:
    """Return the routes that take announcements for ``hs``."""
    router = APIRouter(prefix="/webhooks", tags=["webhooks"], responses=PROBLEM_RESPONSES)
    token = hs.settings.notion_webhook_token
    webhooks = Webhooks(
        FollowStore(hs.database, hs.clock),
        hs.clock,
        None if token is None else token.get_secret_value(),
    )

    @router.post("/notion", responses=_example(_ANSWER))
    async def notion(request: Request) -> Response:
        """Take an event of Notion's, or its verification token (`higherself notion status` shows it).

        The body is checked with the header `X-Notion-Signature`; the same event counts once.
        """
        signature = request.headers.get("x-notion-signature")
        try:
            received = await webhooks.receive(await request.body(), signature)
        except BadSignature as error:
            return problem(request, 401, str(error), slug="bad-signature", title="Not Notion's")
        except EventRefused as error:
            return problem(request, 400, str(error), slug="event-refused", title="No event")
        body = shown({"ok": True, "received": received}, indent=None)
        return Response(body, media_type="application/json")

    return router


def _example(value: Any) -> dict[int | str, dict[str, Any]]:
    return {200: {"content": {"application/json": {"example": value}}}}
