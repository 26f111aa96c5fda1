"""Processes that send are killed in the middle of it: nothing is there twice, nothing is lost silently."""

import asyncio
import os
import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.outbound.rig import ENTITY, due_now, run, sending

from higherself.flows.mail import mail_server
from higherself.outbound.errors import OutcomeUnknown

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

LETTERS = 8
KILLED_AFTER = (2, 5)


async def test_nothing_is_there_twice_after_kills(database_url: str, tmp_path: Path) -> None:
    async with mail_server() as mailbox:
        for least in KILLED_AFTER:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.outbound.killed_process",
                database_url, str(tmp_path), mailbox.url, str(LETTERS),
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )  # fmt: skip
            try:
                await mailbox.count(least)
            finally:
                process.kill()
                await process.wait()
        async with sending(database_url, tmp_path, SMTP_URL=mailbox.url) as hs:
            await due_now(hs)
            await hs.outbound.postman.round()
            uncertain = set()
            for number in range(LETTERS):
                try:
                    await run(hs, "send_email", key=str(number), to="ana@example.org",
                              subject=str(number), body="x")  # fmt: skip
                except OutcomeUnknown:
                    uncertain.add(str(number))
            known = await hs.outbound.ledger.list(entity=ENTITY)
        came = Counter(each.subject for each in mailbox.letters)
    assert max(came.values()) == 1
    assert set(came) | uncertain == {str(number) for number in range(LETTERS)}
    assert len(uncertain) <= len(KILLED_AFTER)
    assert Counter(each.status for each in known) == {
        "sent": LETTERS - len(uncertain),
        **({"uncertain": len(uncertain)} if uncertain else {}),
    }
