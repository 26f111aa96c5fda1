"""How far a listing of Notion has come, and when it may end. Pure.

Notion tells the time of a page's last edit by the minute, rounded down. So a page may change again
without showing it, as long as that minute lasts; and a listing "since" has to overlap the one before.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)
OVERLAP = timedelta(minutes=2)
SETTLING = timedelta(seconds=5)
"""How long after a minute an edit of it may still appear."""

AT_ONCE = 100
"""What Notion lists in one answer."""

ENOUGH = 50
"""Pages of the overlap, one after the other without news, after which no more of it is asked for."""


def closed(minute: datetime, now: datetime) -> bool:
    """Return whether an edit at ``minute`` can no longer be followed by another of that minute."""
    return now >= minute + MINUTE + SETTLING


def until_closed(minute: datetime, now: datetime) -> timedelta:
    """Return how long that takes: never longer than the minute itself, whatever the clocks say."""
    return max(timedelta(), min(minute + MINUTE + SETTLING - now, MINUTE + SETTLING))


@dataclass(slots=True)
class Reading:
    """A listing, newest edit first, that goes back until nothing new can follow.

    ``watermark`` is the newest edit of the listing before, None if there was none: then everything
    is read. ``settled`` says that its minute was over when that listing began.
    """

    watermark: datetime | None
    settled: bool = True
    newest: datetime | None = None
    same: int = 0

    @property
    def since(self) -> datetime | None:
        """From when on edits are asked for; None: all."""
        return None if self.watermark is None else self.watermark - OVERLAP

    @property
    def certain(self) -> datetime | None:
        """From when on everything has to be read; before it, the overlap is looked at."""
        if self.watermark is None:
            return None
        return self.watermark + MINUTE if self.settled else self.watermark

    def note(self, edited: datetime | None, *, news: bool) -> bool:
        """Take the next page of the listing; return whether the listing has gone back far enough."""
        if edited is not None and (self.newest is None or edited > self.newest):
            self.newest = edited
        self.same = 0 if news else self.same + 1
        if self.certain is None or edited is None or self.since is None:
            return False
        if edited < self.since:
            return True
        return edited < self.certain and self.same >= ENOUGH

    @property
    def reached(self) -> datetime | None:
        """The watermark of the next listing."""
        if self.newest is None or (self.watermark is not None and self.watermark > self.newest):
            return self.watermark
        return self.newest
