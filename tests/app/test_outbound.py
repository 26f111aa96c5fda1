"""What doctor says of what goes out: the mode, the mail server, what waits for a person."""

from pathlib import Path

import pytest
from tests.outbound.rig import ANA, run, sending, settings

from higherself.app.outbound import checked
from higherself.flows.mail import mail_server
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.outbound.errors import Refused

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]


async def test_what_doctor_says(database_url: str, tmp_path: Path) -> None:
    async with mail_server() as mailbox:
        given = {"SMTP_URL": mailbox.url}
        async with sending(database_url, tmp_path, **given) as hs:

            async def said(**more: str) -> dict[str, Check]:
                found = settings(database_url, tmp_path, **{**given, **more})
                checks = await checked(found, hs.database, SYSTEM_CLOCK)
                assert all(each.fix for each in checks if not each.ok)
                return {each.name: each for each in checks}

            well = await said()
            assert well["delivery"].detail.startswith(f"sandbox: messages go to {ANA}")
            assert (well["mail server"].ok, "answers" in well["mail server"].detail) == (True, True)
            mailbox.mood = "refusing"
            with pytest.raises(Refused):
                await run(hs, "send_email", to=ANA, subject="x", body="x")
            assert not (await said())["deliveries failed"].ok
            away = await said(SMTP_URL="smtps://u:s3cr3t@127.0.0.1:1")
            assert not away["mail server"].ok
            assert "s3cr3t" not in repr(away)
            there = {"HIGHERSELF_DELIVERY": "testing", "SMTP_URL": "smtp://mail.example.org"}
            assert "this machine alone" in (await said(**there))["mail server"].detail
