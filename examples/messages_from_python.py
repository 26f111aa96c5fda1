"""A service that is asked and a group that is told, over the bus: `python examples/messages_from_python.py`."""

import asyncio
from datetime import timedelta

from higherself import HigherSelf
from higherself.errors import Rejected
from higherself.kernel.jsonvalue import JsonValue
from higherself.messaging.bus import Bus, RequestRefused
from higherself.messaging.ports import Delivery
from higherself.messaging.protocol import Identity

SCORING = Identity("service", "scoring")
SOON = timedelta(seconds=5)


async def converse(bus: Bus) -> list[str]:
    """Let the service be asked and the group be told; return what happened."""
    happened: list[str] = []
    welcomed = asyncio.Event()
    scoring = bus.speaking_as(SCORING)

    async def score(delivery: Delivery) -> JsonValue:
        if not isinstance(delivery.data, dict) or "email" not in delivery.data:
            raise Rejected("the field `email` is missing")
        mine = scoring.about(delivery.envelope)  # what it sends belongs to the conversation
        await mine.publish("lead.scored", {"email": delivery.data["email"], "score": 72})
        return {"score": 72}

    async def welcome(delivery: Delivery) -> None:
        happened.append(f"told of {delivery.envelope.type}")
        welcomed.set()

    told = await bus.subscribe("lead.*", welcome, group="welcoming")
    async with bus.consuming(scoring.serving("topic:lead.scoring", score), told):
        lead: JsonValue = {"email": "ana@example.org"}
        reply = await bus.request("topic:lead.scoring", "lead.score", lead, timeout=SOON)
        happened.append(f"answered {reply.data} by {reply.road}")
        try:
            await bus.request("topic:lead.scoring", "lead.score", {}, timeout=SOON)
        except RequestRefused as error:
            happened.append(str(error))
        await welcomed.wait()
    return sorted(happened)


async def main() -> None:
    """Run it on this installation."""
    async with HigherSelf.open() as hs:
        for line in await converse(hs.bus):
            print(line)  # noqa: T201  it is what this prints


if __name__ == "__main__":
    asyncio.run(main())
