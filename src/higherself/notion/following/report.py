"""What a cycle of the follower did, or would do. Pure."""

from dataclasses import dataclass, field
from typing import Any

from higherself.notion.following.sightings import Seen

PAGES = ("created", "updated", "unchanged", "deleted", "failed")


@dataclass(slots=True)
class CycleReport:
    """Pages that were looked at, by what became of them, and what it took.

    ``listing`` counts the requests for finding out what has changed; ``requests`` all of them.
    ``held`` pages would be deleted and wait for a person; ``partial``: the search has more to show,
    which the next cycles ask for. ``found`` pages were, or are to be, handed on; ``saved`` texts did
    not have to be embedded again.
    """

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    failed: int = 0
    lost: int = 0
    held: int = 0
    restored: int = 0
    listing: int = 0
    requests: int = 0
    embedded: int = 0
    saved: int = 0
    seconds: float = 0.0
    partial: bool = False
    dry_run: bool = False
    found: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, seen: list[Seen]) -> None:
        """Count a batch that several watchers may have seen, each page once."""
        for name in ("created", "updated", "unchanged", "deleted"):
            most = max((getattr(each, name) for each in seen), default=0)
            setattr(self, name, getattr(self, name) + most)
        for each in seen:
            self.embedded += each.embedded
            self.saved += each.saved
        self.failed += len({page for each in seen for page in each.failed})

    @property
    def changes(self) -> int:
        """How many pages were handed on."""
        return self.created + self.updated + self.deleted

    @property
    def handed(self) -> int:
        """How many pages watchers have seen."""
        return self.changes + self.unchanged + self.failed + self.lost

    def shown(self) -> dict[str, Any]:
        """Return it as commands print it."""
        return {
            "pages": {name: getattr(self, name) for name in PAGES},
            "lost": self.lost,
            "restored": self.restored,
            "held": self.held,
            "requests": self.requests,
            "listing": self.listing,
            "embedded": self.embedded,
            "reused": self.saved,
            "partial": self.partial,
            "dry_run": self.dry_run,
            "problems": self.problems,
            "seconds": round(self.seconds, 3),
        }
