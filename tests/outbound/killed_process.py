"""A process that sends letters one after the other, for as long as it lives."""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from tests.outbound.rig import ANA, run, sending

from higherself.outbound.errors import BeingSent, OutcomeUnknown


async def main(database_url: str, folder: Path, smtp_url: str, letters: int) -> None:
    async with sending(database_url, folder, SMTP_URL=smtp_url) as hs:
        await hs.outbound.postman.round()  # what the one before has left
        for number in range(letters):
            with suppress(BeingSent, OutcomeUnknown):  # the one before was killed within it
                await run(hs, "send_email", key=str(number), to=ANA, subject=str(number), body="x")


if __name__ == "__main__":
    url, folder, smtp_url, letters = sys.argv[1:]
    asyncio.run(main(url, Path(folder), smtp_url, int(letters)))
