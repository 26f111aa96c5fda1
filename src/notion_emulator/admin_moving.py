"""The admin requests about what moves by itself: the clock, webhooks, the random editor."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from notion_emulator import passing
from notion_emulator.errors import ApiError, Json, invalid
from notion_emulator.webhooks import Subscription, Trouble

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

PARTS = frozenset({"clock", "webhooks", "editor"})


async def answer(app: Emulated, method: str, part: str, rest: str, given: Json) -> Json:
    """Answer a request under ``clock``, ``webhooks`` or ``editor``."""
    match part:
        case "clock":
            if rest == "advance":
                await passing.advance(app, float(given["seconds"]))
            return {"now": app.clock.now().isoformat()}
        case "webhooks":
            return await _webhooks(app, method, rest, given)
        case _:
            return _editor(app, method, rest, given)


async def _webhooks(app: Emulated, method: str, rest: str, given: Json) -> Json:
    hooks = app.webhooks
    match rest:
        case "":
            return await _subscriptions(app, method, given)
        case "flush":
            sent = await hooks.deliver(app, everything=given.get("everything", True))
            return {"sent": sent, "waiting": len(hooks.queue) + len(hooks.gathering)}
        case "deliveries":
            return {"deliveries": hooks.log}
        case "faults":
            if method != "GET":
                hooks.trouble = Trouble(**(given if method == "POST" else {}))
            return asdict(hooks.trouble)
        case _:
            return await _subscription(app, method, rest, given)


async def _subscriptions(app: Emulated, method: str, given: Json) -> Json:
    hooks = app.webhooks
    if method == "POST":
        return await _challenged(app, hooks.subscribe(app, given))
    if method == "DELETE":
        hooks.subscriptions.clear()
        hooks.gathering.clear()
        hooks.queue.clear()
    hooks.next_due(app)
    waiting = len(hooks.queue) + len(hooks.gathering)
    return {"subscriptions": [s.shown() for s in hooks.subscriptions.values()], "waiting": waiting}


async def _subscription(app: Emulated, method: str, rest: str, given: Json) -> Json:
    """Answer a request about one subscription.

    Raises
        ApiError: there is no such subscription, or nothing of that name can be done with it.
    """
    hooks = app.webhooks
    name, _, how = rest.partition("/")
    subscription = hooks.subscriptions.get(name)
    if subscription is None:
        raise ApiError(404, "object_not_found", f"there is no subscription {name}")
    if method == "GET":
        return subscription.shown()
    if method == "DELETE":
        del hooks.subscriptions[name]
        return {"ok": True}
    if how == "resend":
        return await _challenged(app, subscription)
    hooks.next_due(app)  # what happened until now counts under the state until now
    hooks.changed(subscription, how, given)
    return subscription.shown()


async def _challenged(app: Emulated, subscription: Subscription) -> Json:
    status = await app.webhooks.challenge(app, subscription)
    return subscription.shown() | {"challenge_status": status}


def _editor(app: Emulated, method: str, rest: str, given: Json) -> Json:
    editor = app.editor
    match rest, method:
        case "", "POST":
            editor.start(app, given)
        case "", "DELETE":
            editor.stop()
        case "edit", "POST":
            pages = [given.get("page")] * int(given.get("times", 1))
            return {"done": [editor.edit(app, page) for page in pages]}
        case "done", "GET":
            return {"done": editor.done}
        case "", "GET":
            pass
        case _:
            raise invalid("choose one of editor, editor/edit, editor/done")
    shown = {"running": editor.next_at is not None, "per_minute": editor.per_minute}
    return shown | {"done": len(editor.done), "marks": len(editor.marks), "lost": editor.lost(app.store)}  # fmt: skip
