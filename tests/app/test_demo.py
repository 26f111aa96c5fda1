"""The Notion of the demo: a process that never stays behind. The demo itself: tests/cli/test_demo.py."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from higherself.app.demo_workspace import Workspace, emulated
from higherself.business import sample
from higherself.kernel.errors import Misconfigured, Unavailable


async def test_the_workspace_ends_with_the_block() -> None:
    async with emulated(sample.NOTION) as workspace:
        assert await workspace.page_called("The tall ladder")
        with pytest.raises(Misconfigured, match="no page 'The short ladder'"):
            await workspace.page_called("The short ladder")
        with pytest.raises(Misconfigured, match="unknown action"):
            await workspace.act("sing")
    with pytest.raises(Unavailable):
        await workspace.requests()


async def test_what_cannot_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"cannot read the seed .*none\.json"):
        async with emulated(tmp_path / "none.json"):
            pass


WAITING = """
import asyncio
from higherself.app.demo_workspace import emulated
from higherself.business import sample

async def main():
    async with emulated(sample.NOTION) as workspace:
        print(workspace.base_url, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_the_workspace_ends_with_who_started_it_however_that_ends(
    number: signal.Signals,
) -> None:
    demo = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WAITING,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert demo.stdout is not None
    workspace = Workspace((await demo.stdout.readline()).decode().strip())
    assert await workspace.requests() == 0
    demo.send_signal(number)
    await demo.wait()
    async with asyncio.timeout(10):
        while await answers(workspace):
            pass


async def answers(workspace: Workspace) -> bool:
    try:
        await workspace.requests()
    except Unavailable:
        return False
    return True
