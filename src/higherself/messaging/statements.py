"""The statements on the tables of messages, and what their rows mean in Python."""

import json
from contextlib import AbstractAsyncContextManager

from higherself.db.pool import Database, Row, Transaction
from higherself.db.queryfile import read_queries
from higherself.messaging.envelope import Envelope
from higherself.messaging.model import Claimed

QUERIES = read_queries("higherself.messaging")

encoded = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode
"""Returns a value as the JSON that is stored."""


def alone(database: Database) -> AbstractAsyncContextManager[Transaction]:
    """Open ``database`` for a single statement, which is a transaction by itself.

    It is sent in one round trip wherever that is possible; whether it reads or writes is the same.
    """
    return database.reading()


def envelope_of(row: Row) -> Envelope:
    """Return the envelope that a row holds."""
    return Envelope(
        id=row["message_id"],
        source=row["source"],
        type=row["type"],
        time=row["time"],
        correlation_id=row["correlation_id"],
        data=row["data"],
        subject=row["subject"],
        entity=row["entity"],
        partition_key=row["partition_key"],
        causation_id=row["causation_id"],
        expires_at=row["expires_at"],
        hop_count=row["hop_count"],
        extensions=row["extensions"] or {},
    )


def claimed_of(row: Row) -> Claimed:
    """Return the message that a row of a claim holds."""
    return Claimed(
        envelope=envelope_of(row),
        topic=row["topic"],
        sequence=row["sequence"],
        lane=row["lane"],
        attempt=row["attempt"],
        lapses=row["lapses"],
        lease=row["lease"],
    )
