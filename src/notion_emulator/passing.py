"""Time passing: events are delivered and the random editor edits when their time has come."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from notion_emulator import persistence, tasks, upload_calls
from notion_emulator.clock import RealClock, VirtualClock
from notion_emulator.errors import invalid

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

_LOOK_EVERY = timedelta(milliseconds=50)
_SAVE_EVERY = timedelta(seconds=1)


async def tick(app: Emulated) -> None:
    """Do what is due now."""
    tasks.work(app)
    upload_calls.sweep(app)
    app.editor.act(app)
    await app.webhooks.deliver(app)


async def run(app: Emulated) -> None:
    """Do what is due, for ever; a virtual clock stands still, so there it is ``advance`` that does."""
    saved, saved_at, pause = -1, app.clock.now(), _SAVE_EVERY
    while isinstance(app.clock, RealClock):
        await tick(app)
        now = app.clock.now()
        state = app.revision + len(app.store.events)
        if app.store_file is not None and state != saved and now - saved_at >= pause:
            persistence.save(app, app.store_file)
            saved, saved_at = state, app.clock.now()
            pause = max(_SAVE_EVERY, (saved_at - now) * 10)  # a large workspace is saved less often
        await app.clock.sleep(_LOOK_EVERY)


async def advance(app: Emulated, seconds: float) -> None:
    """Move the virtual clock, stopping at everything that is due on the way.

    Raises
        ApiError: the clock is real.
    """
    clock = app.clock
    if not isinstance(clock, VirtualClock):
        raise invalid("the clock is real; start with --clock virtual")
    if seconds < 0:
        clock.advance(timedelta(seconds=seconds))
        return
    target = clock.now() + timedelta(seconds=seconds)
    while True:
        times = (app.editor.next_due(), app.webhooks.next_due(app), tasks.next_due(app))
        due = [t for t in times if t is not None]
        if not due or min(due) > target:
            break
        clock.instant = max(clock.instant, min(due))
        await tick(app)
    clock.instant = max(clock.instant, target)
    await tick(app)
