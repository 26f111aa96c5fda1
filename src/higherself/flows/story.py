"""The story that the demo tells: a lead becomes a client, asks, and reads what a person let go in Notion."""

from collections.abc import Callable
from socket import socket

from higherself.app.demo_workspace import Workspace
from higherself.app.wiring import HigherSelf
from higherself.flows.mail import Mailbox
from higherself.flows.model import Flow, Run
from higherself.flows.reviewing import reviewed_in_notion
from higherself.flows.running import play
from higherself.flows.scenarios import lead_nurturing, support
from higherself.flows.staging import Serve, on_stage
from higherself.kernel.clock import SYSTEM_CLOCK


async def tell(
    hs: HigherSelf,
    workspace: Workspace,
    mail: Mailbox,
    *,
    serve: Serve,
    listen: Callable[[], socket],
    told: Callable[[str], None],
) -> Run:
    """Tell it on an open server that shows ``workspace``, and return how it went."""
    at, began = SYSTEM_CLOCK.now(), SYSTEM_CLOCK.monotonic()
    flows = [
        Flow("lead", "A lead arrives by webhook, is scored, written to, and books", lead_nurturing),
        Flow(
            "support",
            "They ask, and the hub answers; what it does not know, a person does",
            support,
        ),
        Flow(
            "content",
            "A text is drafted from the hub, reviewed in Notion, published",
            reviewed_in_notion,
        ),
    ]
    async with on_stage(hs, serve, listen, mail, workspace, told) as stage:
        results = await play(stage, flows, ended=lambda result: None)
    parts = (
        ("Notion", f"its emulator at {workspace.base_url}"),
        ("mail", f"a mail server at {mail.url}"),
        ("language model", hs.settings.llm),
    )
    return Run(at, results, SYSTEM_CLOCK.monotonic() - began, parts)
