"""Rate limits: fixed windows of 60 seconds, or the older three requests a second."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

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

    def check(self, token: str, now: datetime, settings: Settings) -> None:
        """Count one request.

        Raises
            ApiError: 429, with the whole seconds to wait in its additional data.
        """
        if settings.rate_mode == "off":
            return
        if settings.rate_mode == "legacy_3rps":
            self._leaky(token, now)
            return
        self._window(token, settings.per_minute, now, settings, "public_api_request_rate_limit")
        if settings.workspace_rate_limit is not None:
            self._window(
                "*workspace*",
                settings.workspace_rate_limit,
                now,
                settings,
                "public_api_space_request_rate_limit",
            )

    def _window(self, key: str, limit: int, now: datetime, settings: Settings, reason: str) -> None:
        bucket = self.buckets.get(key)
        if bucket is None or not 0 <= (now - bucket.opened).total_seconds() < 60:
            bucket = self.buckets[key] = Bucket(now)
        if bucket.used >= limit:
            self.refused += 1
            if settings.refused_requests_count:
                bucket.used += 1
            left = 60 - (now - bucket.opened).total_seconds()
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
