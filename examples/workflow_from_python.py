"""Start an instance of a workflow, send it an event, and see what became of it.

Run it with ``.venv/bin/python examples/workflow_from_python.py``.
"""
# ruff: noqa: T201  an example prints

import asyncio

from higherself import HigherSelf

GREETING = """
workflow: greeting
version: 1
initial: expecting
states:
  expecting:
    on: {guest.came: {to: greeted, when: event.name != '', set: {guest: event.name}}}
    after: {1d: {to: nobody_came}}
  greeted: {final: true}
  nobody_came: {final: true}
"""


async def main() -> None:
    """Make a workflow known, and have one guest come."""
    async with HigherSelf.open() as hs:
        await hs.workflows.add_text(GREETING, file="greeting.yaml")
        started = await hs.workflows.start("greeting")
        print(f"{started.status} in {started.state}")
        came = {"name": "Ana"}
        ended = await hs.workflows.send(started.instance, "guest.came", came, id="bell-1")
        print(f"{ended.status} in {ended.state}")
        for entry in await hs.workflows.history(ended.instance):
            print(f"{entry.sequence}. {entry.cause}: {entry.source} -> {entry.target}")


if __name__ == "__main__":
    asyncio.run(main())
