"""Rate limits: fixed windows of 60 seconds, or the older three requests a second."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from notion_emulator.call import Call
from notion_emulator.errors import ApiError
from notion_emulator.settings import Settings


@dataclass
class Bucket:
    """What one token has used."""

    opened: datetime
    used: int = 0
    tokens: float = 10.0


class RateLimiter:
    """Counts requests per token and per workspace, and refuses those over the limit."""

    def __init__(self) -> None:
        self.buckets: dict[str, Bucket] = {}
        self.refused = 0

    def check(self, token: str, now: datetime, settings: Settings, route: str = "") -> None:
        """Count one request of a route, as ``POST /v1/search``.

        Raises
            ApiError: 429, with the whole seconds to wait in its additional data.
        """
        if settings.rate_mode == "off":
            return
        if settings.rate_mode == "legacy_3rps":
            self._leaky(token, now)
            return
        self._window(token, settings.per_minute, now, settings, "public_api_request_rate_limit")
        if route in settings.endpoint_rate_limits:
            limit = settings.endpoint_rate_limits[route]
            self._window(f"{token} {route}", limit, now, settings, "public_api_endpoint_rate_limit")
        if settings.workspace_rate_limit is not None:
            reason, length = "public_api_space_request_rate_limit", settings.workspace_window_s
            self._window("*", settings.workspace_rate_limit, now, settings, reason, length)

    def _window(
        self, key: str, limit: int, now: datetime, settings: Settings, reason: str, length: float = 60
    ) -> None:  # fmt: skip
        bucket = self.buckets.get(key)
        if bucket is None or not 0 <= (now - bucket.opened).total_seconds() < length:
            bucket = self.buckets[key] = Bucket(now)
        if bucket.used >= limit:
            self.refused += 1
            if settings.refused_requests_count:
                bucket.used += 1
            left = length - (now - bucket.opened).total_seconds()
            raise rate_limited(max(1, math.ceil(left)), reason)
        bucket.used += 1

    def _leaky(self, key: str, now: datetime) -> None:
        bucket = self.buckets.setdefault(key, Bucket(now))
        bucket.tokens = min(10.0, bucket.tokens + 3 * (now - bucket.opened).total_seconds())
        bucket.opened = now
        if bucket.tokens < 1:
            self.refused += 1
            raise rate_limited(1, "public_api_request_rate_limit")
        bucket.tokens -= 1


_MAKING = re.compile(r"POST /v1/(pages|databases|data_sources)/?$|PATCH /v1/blocks/[^/]+/children/?$|PATCH /v1/pages/[^/]+/markdown/?$")  # fmt: skip


def count_block(call: Call) -> None:
    """Count a block of the workspace's lifetime; the one that reaches the limit starts the grace."""
    used = call.store.counters["*blocks*"] = call.store.counters.get("*blocks*", 0) + 1
    if used >= call.settings.free_block_limit:
        call.store.moments.setdefault("blocks", call.now.isoformat())


def check_blocks(call: Call, method: str, path: str) -> None:
    """Refuse what makes blocks in a free workspace of several members, once the grace is over.

    An edit of text stays possible.

    Raises
        ApiError: 403.
    """
    reached = call.store.moments.get("blocks")
    if reached is None or call.settings.plan != "free" or not _MAKING.match(f"{method} {path}"):
        return
    members = sum(user["type"] == "person" for user in call.store.users.values())
    grace = timedelta(seconds=call.settings.block_grace_s)
    if members < 2 or call.body.get("type") == "update_content":
        return
    if call.now >= datetime.fromisoformat(reached) + grace:
        raise ApiError(403, "restricted_resource", "This workspace has reached its block limit. Upgrade the plan to add more blocks.")  # fmt: skip


def rate_limited(wait_s: int | None, reason: str) -> ApiError:
    """Return a 429; without a wait it says never to try again."""
    additional = {"rate_limit_reason": reason}
    if wait_s is not None:
        additional["retry_after"] = str(wait_s)
    return ApiError(
        429,
        "rate_limited",
        "You have been rate limited. Please try again in a few minutes.",
        additional=additional,
    )
