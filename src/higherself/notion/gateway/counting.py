"""Counting what is asked of Notion, for reports."""

from typing import Any

from higherself.notion.gateway.gateway import Gateway
from higherself.notion.gateway.lanes import Lane
from higherself.notion.ports import JsonObject


class Counted:
    """A gateway that counts; used in place of it where a report tells how many requests it took.

    ``lane`` is that of the work it is used for now: a first sync lets everything else go first.
    """

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self.requests = 0
        self.lane: Lane = "webhook"

    async def request(
        self, method: str, path: str, *, lane: Lane = "live", **more: Any
    ) -> JsonObject:
        """Send a request; see `Gateway.request`."""
        self.requests += 1
        return await self._gateway.request(method, path, lane=self.pace(lane), **more)

    def pace(self, lane: Lane) -> Lane:
        """Return the lane of a request: what is announced goes with the present work."""
        return self.lane if lane == "webhook" else lane
