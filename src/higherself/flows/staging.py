"""Setting the stage: the program in a home of its own, with a mail server and a Notion beside it."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from socket import socket
from typing import Any, Protocol

import httpx
from pydantic import SecretStr

from higherself.app.demo import notion_of
from higherself.app.demo_workspace import Workspace, emulated
from higherself.app.settings import Settings
from higherself.app.wiring import HigherSelf
from higherself.business import sample as businesses
from higherself.db.embedded import stop
from higherself.flows.deliveries import SECRET
from higherself.flows.mail import Mailbox, mail_server
from higherself.flows.stage import BUSINESS, PATIENCE, SOON, Stage
from higherself.inbound.businesses import Businesses
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.kernel.tasks import task_group

WORKFLOWS = """\
workflow: flow_complex
version: 1
description: Two things side by side, one of which works at its second try; a timer; an approval
context: {name: "", count: 0, sum: 0}
initial: side_by_side
states:
  side_by_side:
    parallel:
      branches:
        words: {activity: {skill: flow_words, input: {text: "{{ context.name }}"}, save: words}}
        shaky: {activity: {skill: flow_shaky, input: {name: "{{ context.name }}"}, save: shaky, retry: {attempts: 4, backoff: 50ms}}}
      join: all
    transitions: {to: resting}
  resting:
    after: {200ms: {to: deciding}}
  deciding:
    approval:
      roles: [owner]
      question: "Shall {{ context.name }} go on?"
      timeout: 1h
      approved: {to: counting}
      rejected: {to: stopped}
      expired: {to: stopped}
  counting:
    on:
      one_more:
        - {to: done, when: "context.count >= 2", set: {count: "context.count + 1", sum: "context.sum + event.number"}}
        - {set: {count: "context.count + 1", sum: "context.sum + event.number"}}
  done: {final: true}
  stopped: {final: true}
"""
SKILLS = '''\
"""Skills of the flows."""

from higherself import SkillCall, skill
from higherself.agents.skills import NotStarted

_TRIED: set[str] = set()


@skill(description="Count the words of a text.", effects="pure")
def flow_words(text: str) -> dict[str, int]:
    return {"words": len(text.split())}


@skill(description="Works at the second try.", idempotent=True)
def flow_shaky(name: str, call: SkillCall) -> dict[str, int]:
    if call.key not in _TRIED:
        _TRIED.add(call.key)
        raise NotStarted("not yet")
    return {"attempt": call.attempt}
'''


class Serve(Protocol):
    """Runs the API, the dashboard and a worker until told to stop (`cli.serve`)."""

    def __call__(
        self,
        hs: HigherSelf,
        *,
        listener: socket,
        stop: asyncio.Event,
        quiet: bool,
        notion: bool,
    ) -> Awaitable[None]:
        """Serve ``hs``."""
        ...


@asynccontextmanager
async def staged(
    given: Settings,
    serve: Serve,
    listen: Callable[[], socket],
    *,
    notion: bool,
    told: Callable[[str], None],
) -> AsyncIterator[Stage]:
    """Yield a stage: the program in a home of its own, serving, with everything it talks to beside it.

    Raises
        Misconfigured: a part does not start; the text says why.
    """
    given.home.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="flows-", dir=given.home))
    try:
        async with AsyncExitStack() as stack:
            mail = await stack.enter_async_context(mail_server())
            workspace = None
            if notion:
                workspace = await stack.enter_async_context(emulated(businesses.NOTION))
            _write(home)
            settings = await stage_settings(given, home, mail, workspace)
            hs = await stack.enter_async_context(HigherSelf.open(settings))
            yield await stack.enter_async_context(
                on_stage(hs, serve, listen, mail, workspace, told)
            )
    finally:
        await asyncio.to_thread(stop, home)
        await asyncio.to_thread(shutil.rmtree, home, ignore_errors=True)


@asynccontextmanager
async def on_stage(
    hs: HigherSelf,
    serve: Serve,
    listen: Callable[[], socket],
    mail: Mailbox,
    workspace: Workspace | None,
    told: Callable[[str], None],
) -> AsyncIterator[Stage]:
    """Yield a stage on an open server, which serves while the block runs."""
    with listen() as listener:
        base = f"http://127.0.0.1:{listener.getsockname()[1]}"
        async with (
            _serving(serve, hs, listener),
            httpx.AsyncClient(base_url=base, timeout=30) as http,
        ):
            await _ready(http)
            yield Stage(hs, http, mail, workspace, f"{hs.clock.now():%d%H%M%S}", told)


def outward(mail: Mailbox) -> dict[str, Any]:
    """Return the settings by which everything goes out to ``mail`` alone, and webhooks come in."""
    secrets = {
        name: SecretStr(SECRET)
        for name in Settings.model_fields
        if name.endswith("webhook_secret") or name == "acuity_api_key"
    }
    return {
        "delivery": "testing",
        "smtp_url": SecretStr(mail.url),
        "mail_from": {"*": "The 7 Space <hello@the7space.example>"},
        "slack_webhook_url": None,
        "webhook_targets": None,
        "sms_url": None,
        "acuity_user_id": None,
        "webhook_businesses": Businesses.read(f"*={BUSINESS}"),
        **secrets,
    }


async def stage_settings(
    given: Settings, home: Path, mail: Mailbox, workspace: Workspace | None
) -> Settings:
    """Return ``given`` for a stage: nothing of the real business, and nobody outside to be reached."""
    notion = {"notion_token": None} if workspace is None else await notion_of(workspace)
    update: dict[str, Any] = {
        "home": home,
        "database_url": None,
        "embedding_tiers": ("local",),
        "reranker": None,
        "llm": "template",
        "extensions": (home / "extensions",),
        "drop_folder": home / "dropped",
        "url": None,
        **outward(mail),
        **notion,
    }
    return given.model_copy(update=update)


def _write(home: Path) -> None:
    extensions = home / "extensions"
    (extensions / "workflows").mkdir(parents=True)
    (extensions / "workflows" / "flow_complex.yaml").write_text(WORKFLOWS, encoding="utf-8")
    (extensions / "flow_skills.py").write_text(SKILLS, encoding="utf-8")


@asynccontextmanager
async def _serving(serve: Serve, hs: HigherSelf, listener: socket) -> AsyncIterator[None]:
    """Serve while the block runs; then as if it were told to stop."""
    ending = asyncio.Event()
    async with task_group() as group:
        serving = group.create_task(
            _served(serve(hs, listener=listener, stop=ending, quiet=True, notion=False))
        )
        try:
            yield
        finally:
            ending.set()
            await asyncio.wait([serving])


async def _served(serving: Awaitable[None]) -> None:
    await serving


async def _ready(http: httpx.AsyncClient) -> None:
    async with asyncio.timeout(PATIENCE):
        while True:
            try:
                if (await http.get("/readyz")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass
            await SYSTEM_CLOCK.sleep(SOON)
