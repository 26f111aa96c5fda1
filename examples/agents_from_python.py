"""Run the agents of ``examples/agents``, ask them, and answer what they ask.

Run it with ``.venv/bin/python examples/agents_from_python.py``.
"""
# ruff: noqa: T201  an example prints

import asyncio
import os
from pathlib import Path

from higherself import HigherSelf
from higherself.kernel.tasks import in_background
from higherself.knowledge.model import NewDocument
from higherself.messaging.protocol import OPERATOR

os.environ["HIGHERSELF_EXTENSIONS"] = str(Path(__file__).parent / "agents")

PARKING = NewDocument(
    external_id="parking", text="The car park behind the house is free after six."
)


async def main() -> None:
    """Ask what is known, ask what is not, book a room."""
    async with HigherSelf.open() as hs, in_background(hs.agents.work()):
        await hs.knowledge.add([PARKING])
        for question in ("Is the car park free after six?", "May dogs sleep in the room?"):
            reply = await hs.agents.ask("question.asked", {"question": question})
            for name, value in reply.data.items():
                if name == "citations":
                    print(f"  from {', '.join(each['name'] for each in value)}")
                else:
                    print("a ticket" if name == "ticket" else f"{name}: {value}")
        (ticket,) = await hs.agents.escalations.list(statuses=["open"])
        print(f"{ticket.agent} asks: {ticket.reason}: {ticket.details['question']}")
        await hs.agents.escalations.answer(ticket.ticket, "They may, in room 4.", by=OPERATOR)
        for _ in range(3):
            booked = await hs.agents.ask("question.booking", {"day": "2026-06-01"})
            print(f"{booked.envelope.source.rpartition(':')[2]}: {booked.data}")


if __name__ == "__main__":
    asyncio.run(main())
