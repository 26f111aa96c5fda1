"""How to reach NATS, and what it has to keep."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsSettings:
    """How to reach NATS, and what it has to keep.

    ``url`` may name several servers of one cluster, with commas between, and hold a user and a
    password, or a token; ``credentials`` is a file. ``monitoring``: where the server's monitoring
    answers, for one replica; None: port 8222 of the same host. ``most_bytes``: what may wait in the
    stream before no more is taken.
    """

    url: str = field(repr=False)
    credentials: str | None = None
    monitoring: str | None = None
    replicas: int = 1
    most_bytes: int = 1_000_000_000
    most_messages: int = -1

    @property
    def servers(self) -> list[str]:
        """The servers, each with what it wants to see of us."""
        return [each.strip() for each in self.url.split(",") if each.strip()]

    @property
    def shown(self) -> str:
        """The servers as anybody may see them."""
        parts = [urlsplit(each) for each in self.servers]
        return ",".join(
            urlunsplit(each._replace(netloc=each.netloc.rpartition("@")[2])) for each in parts
        )

    @property
    def monitors(self) -> list[str]:
        """Where the server that we are connected to may be asked how it is set up."""
        if self.monitoring is not None:
            return [each.strip().rstrip("/") for each in self.monitoring.split(",")]
        return [f"http://{urlsplit(each).hostname or 'localhost'}:8222" for each in self.servers]
