"""The statements on the tables of messages, and what their rows mean in Python."""

import json
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json

from higherself.db.pool import Database, Row, Transaction
from higherself.db.queryfile import Slots, read_queries
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.model import Claimed

QUERIES = read_queries("higherself.messaging")

PARTS: Slots = {
    name: QUERIES[name] for name in ("insert_messages", "told_at_once", "deliver_messages")
}
"""What statements of several parts are made of."""

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


def claimed_of(row: tuple[Any, ...]) -> Claimed:
    """Return the message that a row of a claim holds, which has its columns in this order."""
    (
        message_id, topic, entity, source, type_, subject, time, partition_key, correlation_id,
        causation_id, expires_at, hop_count, extensions, data, sequence, lane, attempt, lapses,
        lease,
    ) = row  # fmt: skip
    envelope = Envelope(
        id=message_id,
        source=source,
        type=type_,
        time=time,
        correlation_id=correlation_id,
        data=data,
        subject=subject,
        entity=entity,
        partition_key=partition_key,
        causation_id=causation_id,
        expires_at=expires_at,
        hop_count=hop_count,
        extensions=extensions or {},
    )
    return Claimed(
        envelope=envelope,
        topic=topic,
        sequence=sequence,
        lane=lane,
        attempt=attempt,
        lapses=lapses,
        lease=lease,
    )


def said_at_once(row: str) -> Claimed:
    """Return the message that a notification holds (`told_at_once`): the row as JSON."""
    said: dict[str, Any] = from_json(row)
    expires_at = said["expires_at"]
    envelope = {
        **said,
        "message_id": MessageId(UUID(said["message_id"])),
        "time": datetime.fromisoformat(said["time"]),
        "expires_at": None if expires_at is None else datetime.fromisoformat(expires_at),
    }
    return Claimed(
        envelope=envelope_of(envelope),
        topic=said["topic"],
        sequence=said["sequence"],
        lane=said["lane"],
        attempt=said["attempt"],
        lapses=said["lapses"],
        lease=said["lease"],
    )
