"""What came of what: the messages of a conversation as a tree, with who, when, how and at what cost."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from higherself.db.pool import Database, Row
from higherself.db.queryfile import read_queries
from higherself.messaging.care import Status
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.errors import MessageNotFound
from higherself.messaging.protocol import ROAD, SPENT_MICRO_USD, SPENT_TOKENS, amount
from higherself.messaging.statements import alone, envelope_of

QUERIES = read_queries("higherself.messaging", "bus.sql")

MOST = 2000
"""Messages of a tree that are shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A message and what it caused, in the order in which that was stored.

    ``took``: from when it was due until it ended. ``micro_usd`` and ``tokens``: what its handling
    cost, as far as what it caused says so. ``groups``: who was told, if it is an event.
    """

    envelope: Envelope
    topic: str
    status: Status
    reason: str | None
    road: str
    attempt: int
    lapses: int
    due_at: datetime
    finished_at: datetime | None
    took: timedelta | None
    groups: tuple[str, ...] | None
    errors: tuple[str, ...]
    micro_usd: int = 0
    tokens: int = 0
    caused: tuple["Node", ...] = ()

    @property
    def id(self) -> MessageId:
        """The message's identifier."""
        return self.envelope.id

    def all(self) -> Iterator["Node"]:
        """Yield this and everything below it."""
        yield self
        for each in self.caused:
            yield from each.all()


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """The tree that a message is in. ``asked``: that message. ``cut``: there is more than is shown."""

    asked: UUID
    root: Node
    cut: bool

    @property
    def micro_usd(self) -> int:
        """What all of it cost, in millionths of a US dollar."""
        return sum(each.micro_usd for each in self.root.all())

    @property
    def tokens(self) -> int:
        """How many tokens all of it took."""
        return sum(each.tokens for each in self.root.all())

    @property
    def took(self) -> timedelta | None:
        """From its beginning to the last end; None while something goes on."""
        ends = [each.finished_at for each in self.root.all()]
        known = [end for end in ends if end is not None]
        return max(known) - self.root.envelope.time if len(known) == len(ends) else None


async def explain(database: Database, message: UUID, *, most: int = MOST) -> Conversation:
    """Return the tree that ``message`` is in, as far as it is kept and ``database`` may see it.

    Raises
        MessageNotFound: there is no such message.
    """
    wanted = {"message_id": message, "limit": most + 1}
    async with alone(database) as tx:
        rows = await tx.many(QUERIES["find_conversation"], wanted)
    if not rows:
        raise MessageNotFound(str(message))
    return Conversation(asked=message, root=tree(rows[:most]), cut=len(rows) > most)


def tree(rows: Sequence[Row]) -> Node:
    """Return the tree of ``rows``, of which the one of least depth is the root."""
    caused: dict[str | None, list[Row]] = {}
    for row in rows:
        caused.setdefault(row["causation_id"], []).append(row)
    return _node(min(rows, key=lambda row: row["depth"]), caused)


def _node(row: Row, caused: dict[str | None, list[Row]]) -> Node:
    children = tuple(_node(each, caused) for each in caused.get(str(row["message_id"]), ()))
    own = _leaf(row)
    # The copies of an event say what it says, also of costs; nobody has handled the event itself.
    found = [each.envelope.extensions for each in children if own.groups is None]
    return replace(
        own,
        caused=children,
        micro_usd=max((amount(each, SPENT_MICRO_USD) or 0 for each in found), default=0),
        tokens=max((amount(each, SPENT_TOKENS) or 0 for each in found), default=0),
    )


def _leaf(row: Row) -> Node:
    envelope = envelope_of(row)
    ended = row["finished_at"]
    return Node(
        envelope=envelope,
        topic=row["topic"],
        status=row["status"],
        reason=row["reason"],
        road=str(envelope.extensions.get(ROAD, "postgres")),
        attempt=row["attempt"],
        lapses=row["lapses"],
        due_at=row["due_at"],
        finished_at=ended,
        took=None if ended is None else ended - row["due_at"],
        groups=None if row["told"] is None else tuple(row["told"]),
        errors=tuple(row["errors"]),
    )
