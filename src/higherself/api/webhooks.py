"""What other systems announce, over HTTP. Each is checked by its own signature."""

from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask

from higherself.api.problems import PROBLEM_RESPONSES, problem
from higherself.api.rate import Rates
from higherself.app.wiring import HigherSelf
from higherself.inbound.bodies import LARGEST_BODY
from higherself.inbound.errors import (
    BadSignature,
    Malformed,
    SourceNotConfigured,
    StaleDelivery,
    UnknownSource,
    WrongContent,
)
from higherself.inbound.model import Arrived, Source
from higherself.inbound.receiving import Taken
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import shown
from higherself.notion.following.postgres import FollowStore
from higherself.notion.following.webhooks import BadSignature as NotNotions
from higherself.notion.following.webhooks import EventRefused
from higherself.notion.following.webhooks import Webhooks as NotionWebhooks

_ANSWER = {"ok": True, "received": "stored"}
_TAKEN = {
    "status": "success",
    "message": "stored; it is handled in the background",
    "data": {"delivery": "01a5c0de-0000-7000-8000-000000000000"},
}
_KINDS = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
REFUSED_PER_MINUTE = 120
"""How many requests a minute with a wrong signature are each told why."""


def webhook_routes(hs: HigherSelf) -> APIRouter:
    """Return the routes that take announcements for ``hs``."""
    router = APIRouter(prefix="/webhooks", tags=["webhooks"], responses=PROBLEM_RESPONSES)
    _add_notion(router, hs)
    _add_sources(router, hs)
    return router


def _add_notion(router: APIRouter, hs: HigherSelf) -> None:
    token = hs.settings.notion_webhook_token
    webhooks = NotionWebhooks(
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
        except NotNotions as error:
            return problem(request, 401, str(error), slug="bad-signature", title="Not Notion's")
        except EventRefused as error:
            return problem(request, 400, str(error), slug="event-refused", title="No event")
        body = shown({"ok": True, "received": received}, indent=None)
        return Response(body, media_type="application/json")


def _add_sources(router: APIRouter, hs: HigherSelf) -> None:
    door = Door(hs)

    @router.post("/{source}", status_code=202, responses=_example(_TAKEN, 202))
    async def webhook(source: str, request: Request) -> Response:
        """Take what a system announces; answer once it is stored, and handle it afterwards.

        The source is typeform, woocommerce, amelia, acuity, circle, beehiiv, stripe, userfeedback,
        tutorlm, snovio, or generic (Standard Webhooks). The body is checked by the signature that
        the system sends, with the secret that is set for it; the same delivery counts once.
        """
        return await door.answer(request, source, None)

    @router.post("/{source}/{event}", status_code=202, responses=_example(_TAKEN, 202))
    async def webhook_event(source: str, event: str, request: Request) -> Response:
        """Take what a system announces that does not say in the body what happened.

        Only those may that send a secret instead of a signature: circle, userfeedback, tutorlm,
        snovio.
        """
        return await door.answer(request, source, event)


class Door:
    """Takes requests of sources, within limits, and says what became of each."""

    def __init__(self, hs: HigherSelf) -> None:
        self._hs = hs
        self._taken = Rates(hs.settings.webhook_rate, hs.clock)
        self._refused = Rates(REFUSED_PER_MINUTE, hs.clock)

    async def answer(self, request: Request, name: str, event: str | None) -> Response:
        """Return the answer to one request."""
        try:
            source = self._hs.webhooks.receiving.source(name)
            if event is not None and not source.takes_event:
                raise UnknownSource(f"{name}/{event}", [source.name])
            if wait := self._taken.wait(source.name, sender_of(request)):
                return _too_many(request, wait)
            _require_content(request, source)
            body = await _body(request)
            if body is None:
                return _too_large(request)
            headers = {key.lower(): value for key, value in request.headers.items()}
            arrived = Arrived(headers, body, event)
            return self._taken_in(await self._hs.webhooks.receiving.receive(name, arrived))
        except BadSignature as error:
            # Whoever has the secret is let in whatever others send; these only are not told why.
            if wait := self._refused.wait(name, sender_of(request)):
                return _too_many(request, wait)
            return _refusal(request, error)
        except (UnknownSource, SourceNotConfigured, WrongContent, Malformed) as error:
            return _refusal(request, error)

    def _taken_in(self, taken: Taken) -> Response:
        answer: dict[str, Any] = {"status": "success", "message": "there was nothing to do"}
        background = None
        if taken.delivery is not None:
            again = "known already; it counts once"
            answer = {
                "status": "success" if taken.is_new else "duplicate",
                "message": _TAKEN["message"] if taken.is_new else again,
                "data": {"delivery": str(taken.delivery)},
            }
            if taken.is_new:
                background = BackgroundTask(self._hs.webhooks.deliveries.wake)
        return Response(
            shown(answer, indent=None),
            taken.source.acknowledged,
            media_type="application/json",
            background=background,
        )


_REFUSALS: dict[type[HigherSelfError], tuple[int, str, str]] = {
    UnknownSource: (404, "unknown-source", "No such source"),
    SourceNotConfigured: (503, "not-configured", "This source is not set up"),
    WrongContent: (415, "wrong-content-type", "The source sends another content type"),
    BadSignature: (401, "bad-signature", "Not signed with a secret of ours"),
    StaleDelivery: (401, "stale-signature", "Not signed lately"),
    Malformed: (400, "malformed-delivery", "The delivery cannot be read"),
}


def _refusal(request: Request, error: HigherSelfError) -> Response:
    status, slug, title = _REFUSALS[type(error)]
    more: dict[str, Any] = {}
    if isinstance(error, Malformed):
        more["errors"] = [{"field": error.field, "reason": error.reason}]
    return problem(request, status, str(error), slug=slug, title=title, **more)


def sender_of(request: Request) -> str:
    """Return the address that a request comes from: what the proxy before us says, if there is one.

    Of several, the last: the others are what the sender claims.
    """
    told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return told[:64] or (request.client.host if request.client else "")


async def _body(request: Request) -> bytes | None:
    """Return the body, or None if it is larger than a webhook may be."""
    announced = request.headers.get("content-length", "")
    too_large = announced.isdecimal() and int(announced) > LARGEST_BODY
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= LARGEST_BODY and not too_large:
            chunks.append(chunk)
        elif size > 4 * LARGEST_BODY:
            break  # some of what is too much is read, so that the sender gets to read why
    return None if too_large or size > LARGEST_BODY else b"".join(chunks)


def _require_content(request: Request, source: Source) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    wanted = [_KINDS[each] for each in source.content]
    is_json = given.endswith("+json") and "json" in source.content
    if given and given not in wanted and not is_json:
        raise WrongContent(f"{source.title} sends {' or '.join(wanted)}, not {given[:60]}")


def _too_many(request: Request, wait: float) -> Response:
    seconds = max(1, round(wait + 0.5))
    return problem(
        request,
        429,
        f"there were too many of this source from this address; come again in {seconds} seconds",
        slug="too-many",
        title="Too many at once",
        headers={"Retry-After": str(seconds)},
    )


def _too_large(request: Request) -> Response:
    text = f"a webhook may have {LARGEST_BODY // 1024**2} MB"
    return problem(request, 413, text, headers={"Connection": "close"})


def _example(value: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    return {status: {"content": {"application/json": {"example": value}}}}
