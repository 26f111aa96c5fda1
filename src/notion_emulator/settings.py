"""Every switch of the emulator. What the specification marks as a guess is one of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

VERSIONS = ("2025-09-03", "2026-03-11")


@dataclass(frozen=True)
class Settings:
    """How the emulator behaves."""

    plan: str = "plus"
    rate_limit: int | None = None  # None: 180 a minute, 600 on business and enterprise
    rate_mode: str = "window"  # or legacy_3rps, or off
    refused_requests_count: bool = False
    workspace_rate_limit: int | None = None
    lenient: bool = False  # accept unknown keys in bodies
    bump_page_on_api_content_edit: bool = True
    utf16_limits: bool = True  # count limits in UTF-16 code units
    index_lag_s: float = 5.0
    search_words: bool = True  # any word of the query, as recorded; else the text as it is
    search_miss_rate: float = 0.0
    short_pages: bool = False
    shuffle_unsorted: bool = False
    max_markdown_blocks: int = 20_000
    query_cap: int = 10_000
    default_version: str | None = None  # None: a missing version is an error
    unknown_status_is_error: bool = True
    large_body_is_413: bool = True

    def changed(self, **changes: Any) -> Settings:
        """Return the settings with some changed.

        Raises
            TypeError: there is no such setting.
        """
        return replace(self, **changes)

    @property
    def per_minute(self) -> int:
        """How many requests a connection may make in one minute."""
        if self.rate_limit is not None:
            return self.rate_limit
        return 600 if self.plan in ("business", "enterprise") else 180
