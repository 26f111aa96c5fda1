"""Every switch of the emulator. What the specification marks as a guess is one of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

VERSIONS = ("2022-06-28", "2025-09-03", "2026-03-11")


@dataclass(frozen=True)
class Settings:
    """How the emulator behaves."""

    plan: str = "plus"
    rate_limit: int | None = None  # None: 180 a minute, 600 on business and enterprise
    rate_mode: str = "window"  # or legacy_3rps, or off
    refused_requests_count: bool = False
    workspace_rate_limit: int | None = None
    workspace_window_s: float = 60.0  # its Retry-After may be longer than a minute
    endpoint_rate_limits: Mapping[str, int] = field(default_factory=dict)  # by "POST /v1/search"
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
    clock_skew_s: float = 0.0  # how far this server's clock is ahead
    computed_changes_bump: bool = False  # a change that a rollup shows edits the page that shows it
    comment_bumps_page: bool = False
    update_content_is_atomic: bool = True  # else the edits before the one that does not fit stay
    markdown_keeps_ids: bool = True  # blocks a markdown edit leaves alone are the same blocks
    archived_edit_message: str = (
        "Can't edit {noun} that is archived. You must unarchive the {noun} before editing."
    )
    unsupported_version_code: str = "validation_error"
    locked_refuses_api: bool = False  # a lock is for the app only
    child_page_changes_parent: bool = True  # a new or trashed child raises the parent's event
    title_changes_content: bool = True  # a title raises content_updated as well
    own_writes_raise_events: bool = True  # a connection is told of what it wrote itself
    authors_are_integrations: bool = False  # authors[].id is the integration's, not the bot's
    created_absorbs_updates: bool = False  # what follows in the window is part of created
    async_queue_s: float = 1.0
    async_run_s: float = 2.0
    async_outcome: str = "succeeded"  # or failed, failed_after (it was done), retrying
    async_expiry_s: float = 3_600.0
    signed_url_s: int = 3_600
    import_s: float = 2.0  # how long a file from an external_url takes
    import_succeeds: bool = True
    free_block_limit: int = 1_000  # of a free workspace with more than one member, for ever
    block_grace_s: float = 259_200.0  # three days
    search_order_shifts: bool = False  # a result jumps ahead of the cursor between two pages
    webhook_window_s: float = 30.0  # how long changes of one object are gathered
    webhook_timeout_s: float = 10.0
    webhook_attempts: int = 8
    webhook_first_retry_s: float = 15.0  # then four times as long each time: 22.7 hours in all

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
