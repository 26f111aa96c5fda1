"""The page and the one click by which somebody ends a subscription."""

from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from tests.outbound.rig import ANA, ENTITY, run, sending

from higherself.api.unsubscribe import unsubscribe_routes
from higherself.flows.mail import mail_server

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

NEWS = {"to": ANA, "subject": "News", "body": "x", "purpose": "marketing"}


async def test_one_click_ends_it_and_looking_does_not(database_url: str, tmp_path: Path) -> None:
    url = f"https://{'network.' * 12}example.org"  # an address stays whole, however long
    async with (
        mail_server() as mailbox,
        sending(database_url, tmp_path, SMTP_URL=mailbox.url, HIGHERSELF_URL=url) as hs,
    ):
        await run(hs, "send_email", key="1", **NEWS)
        link = mailbox.letters[0].message["List-Unsubscribe"].strip("<>")
        app = FastAPI()
        app.include_router(unsubscribe_routes(hs))
        assert app.openapi()["paths"] == {}, "it is for people, not for programs"
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport) as client:
            page = await client.get(link)
            assert (page.status_code, "<form method" in page.text) == (200, True)
            assert await hs.outbound.ledger.wishes(ENTITY, [ANA]) == {}
            done = await client.post(link, content="List-Unsubscribe=One-Click")
            assert (done.status_code, "Done" in done.text) == (200, True)
            assert (await client.post(link)).status_code == 200
            unknown = f"{url}/unsubscribe/{'x' * 32}"
            assert (await client.post(unknown)).status_code == 404
            assert (await client.post(f"{url}/unsubscribe/a b")).status_code == 422
        assert (await run(hs, "send_email", key="2", **NEWS))["status"] == "dropped"
