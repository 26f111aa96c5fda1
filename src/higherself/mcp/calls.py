"""One call of a tool: what comes with it is read, the skill is run, what it returns is told."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from difflib import get_close_matches
from typing import Any

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS, CallToolResult, TextContent

from higherself.agents.ports import Skills
from higherself.agents.skills import InputRejected, SkillCall
from higherself.app.telemetry import correlated
from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError, Unavailable
from higherself.kernel.ids import checked_entity, new_id
from higherself.kernel.jsonvalue import JsonValue, shown
from higherself.kernel.tasks import in_background
from higherself.mcp.offers import Offer

OURS = "network.higherself/"
IDEMPOTENCY_KEY = OURS + "idempotencyKey"
ENTITY = OURS + "entity"
PROBLEM = OURS + "problem"
"""In the ``_meta`` of a result that is an error: what was wrong, for programs."""

TRACE = "traceparent"
BEAT = timedelta(seconds=5)
"""How often somebody who wants to know hears that a call still runs."""

_TRACE = re.compile(r"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_KEY = re.compile(r"[!-~]{1,200}")

Progress = Callable[[float, str], Awaitable[None]]
"""Tells how many seconds a call has run, in words too."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What came along with a call."""

    key: str
    entity: str
    correlation: str
    trace: str | None


class Calls:
    """Runs the tools that are offered: for the business that a call names, or ``only`` for one."""

    def __init__(
        self, offers: Mapping[str, Offer], skills: Skills, clock: Clock, *, only: str | None = None
    ) -> None:
        self.offers = offers
        self.running = 0
        self._skills, self._clock, self._only = skills, clock, only

    async def call(
        self,
        name: str,
        arguments: Mapping[str, JsonValue],
        meta: Mapping[str, Any],
        progress: Progress,
    ) -> CallToolResult:
        """Return what the tool comes to; also when it fails, so that the assistant can read why.

        Raises
            MCPError: there is no such tool, or what came along is not as it should be.
        """
        offer = self._offer(name)
        asked = self._asked(meta)
        with correlated(asked.correlation):
            self.running += 1
            try:
                async with self._telling(progress):
                    return await self._ran(offer, arguments, asked)
            finally:
                self.running -= 1

    def _offer(self, name: str) -> Offer:
        if name in self.offers:
            return self.offers[name]
        near = get_close_matches(name, self.offers, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        told = (
            f"there is no tool {name[:128]!r} here{hint}; what changes something is offered only "
        )
        raise MCPError(INVALID_PARAMS, told + "by a server that was started with writes allowed")

    def _asked(self, meta: Mapping[str, Any]) -> Asked:
        key, entity = meta.get(IDEMPOTENCY_KEY), meta.get(ENTITY, self._only or "default")
        if key is not None and not (isinstance(key, str) and _KEY.fullmatch(key)):
            _wrong(IDEMPOTENCY_KEY, "it must be a text of 1 to 200 visible ASCII characters")
        try:
            entity = checked_entity(entity if isinstance(entity, str) else repr(entity))
        except HigherSelfError as error:
            _wrong(ENTITY, str(error))
        if self._only not in (None, entity):
            _wrong(ENTITY, f"this server is for {self._only} alone")
        trace = meta.get(TRACE)
        found = _TRACE.fullmatch(trace) if isinstance(trace, str) else None
        own = new_id(self._clock.now()).hex
        if found is None:
            return Asked(f"mcp {key or own}", entity, own, None)
        return Asked(f"mcp {key or own}", entity, found[1], found[0])

    async def _ran(
        self, offer: Offer, arguments: Mapping[str, JsonValue], asked: Asked
    ) -> CallToolResult:
        call = SkillCall(
            key=asked.key,
            entity=asked.entity,
            correlation=asked.correlation,
            traceparent=asked.trace,
        )
        outcome = "cancelled"
        try:
            result = await self._skills.run(offer.skill.name, arguments, call)
            outcome = "done"
        except Exception as error:  # noqa: BLE001  the assistant reads why, and the log has the rest
            outcome = "failed"
            return _failed(offer.skill.name, error, asked)
        finally:
            telemetry.count("mcp.call.ended", skill=offer.skill.name, outcome=outcome)
        return CallToolResult(
            content=[TextContent(type="text", text=_text(result))],
            structured_content=offer.structured(result),
        )

    @asynccontextmanager
    async def _telling(self, progress: Progress) -> AsyncIterator[None]:
        async def tell() -> None:
            began = self._clock.monotonic()
            while True:
                await self._clock.sleep(BEAT)
                seconds = round(self._clock.monotonic() - began, 3)
                await progress(seconds, f"it runs for {seconds:.0f} seconds")

        async with in_background(tell()):
            yield


def _text(result: JsonValue) -> str:
    return result if isinstance(result, str) else shown(result, indent=None)


def _failed(skill: str, error: Exception, asked: Asked) -> CallToolResult:
    problem: dict[str, Any] = {"type": type(error).__name__, "correlation": asked.correlation}
    if isinstance(error, HigherSelfError):
        told = str(error)
        problem["retryable"] = isinstance(error, Unavailable)
    else:
        telemetry.warning("mcp.call.failed", skill=skill, error=repr(error)[:1000])
        told = (
            f"the skill {skill} failed ({type(error).__name__}); the server's log has the details "
            f"under the correlation {asked.correlation}"
        )
    if isinstance(error, InputRejected):
        pairs = (each.partition(": ") for each in error.problems)
        problem["errors"] = [{"field": field, "reason": reason} for field, _, reason in pairs]
    return CallToolResult(
        content=[TextContent(type="text", text=told)], is_error=True, _meta={PROBLEM: problem}
    )


def _wrong(name: str, reason: str) -> None:
    raise MCPError(INVALID_PARAMS, f"_meta.{name}: {reason}", {"field": f"_meta.{name}"})
