"""Where somebody who got a letter asks for no more of the kind: by one click (RFC 8058), or by a page."""

import html
from collections.abc import Sequence
from email.utils import parseaddr

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse

from higherself.app.wiring import HigherSelf
from higherself.kernel import telemetry
from higherself.kernel.errors import HigherSelfError
from higherself.kernel.jsonvalue import content_hash
from higherself.services.triggers import Happening

_TOKEN = Path(min_length=16, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")

_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{title}</title>
<link rel="stylesheet" href="../static/style.css">
</head>
<body><main><h1>{title}</h1><p>{text}</p>{form}</main></body>
</html>
"""


def unsubscribe_routes(hs: HigherSelf) -> APIRouter:
    """Return the routes by which people end a subscription of ``hs``."""
    router = APIRouter(
        prefix="/unsubscribe", default_response_class=HTMLResponse, include_in_schema=False
    )

    @router.get("/{token}")
    async def ask(token: str = _TOKEN) -> Response:
        """Ask whether they mean it: programs that open every link of a letter do not."""
        form = '<form method="post"><button>Unsubscribe</button></form>'
        return _page("Would you like to hear less from us?", "You will get no more news.", form)

    @router.post("/{token}")
    async def end(token: str = _TOKEN) -> Response:
        """End it. Letters about what they do with us, such as a booking, still come."""
        left = await hs.outbound.ledger.unsubscribe(token)
        if left is None:
            return _page(
                "We do not know this link",
                "It may be too old. Answer any letter of ours.",
                status=404,
            )
        if hs.has_workflows:
            await _tell(hs, token, *left)
        return _page("Done", "You will get no more news from us.")

    return router


async def _tell(hs: HigherSelf, token: str, entity: str, recipients: Sequence[str]) -> None:
    """Have workflows hear of it. It holds without that, so whoever asked is not told of trouble here."""
    for place, each in enumerate(recipients):
        happening = Happening(
            type="subscriber_left",
            entity=entity,
            data={"contact": {"email": parseaddr(each)[1] or each}},
            id=f"unsubscribe/{content_hash(token).hex()[:32]}/{place}",
            at=hs.clock.now(),
            source="website",
            correlation=f"unsubscribe/{content_hash(token).hex()[:32]}",
        )
        try:
            await hs.happenings.happened(happening)
        except HigherSelfError as error:
            telemetry.warning("unsubscribe.not_told", entity=entity, reason=str(error))


def _page(title: str, text: str, form: str = "", *, status: int = 200) -> Response:
    page = _PAGE.format(title=html.escape(title), text=html.escape(text), form=form)
    return HTMLResponse(page, status)
