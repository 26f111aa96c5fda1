"""Deliveries as vendors send them, at a time that stands still."""

import json
from datetime import UTC, datetime
from typing import Any

from higherself.flows import deliveries
from higherself.flows.deliveries import SAMPLES, SECRET, Sample, sample
from higherself.inbound.model import Arrived

__all__ = ["NOON", "SAMPLES", "SECRET", "Sample", "changed", "sample", "signed"]

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)


def signed(
    of: Sample, body: bytes | None = None, *, secret: str = SECRET, now: datetime = NOON
) -> Arrived:
    """Return a delivery as its vendor sends it at noon."""
    return deliveries.signed(of, body, secret=secret, now=now)


def changed(of: Sample, **fields: Any) -> bytes:
    """Return the body of a fixture with other values at dotted paths (``__`` for a dot)."""
    value = json.loads(of.body)
    for path, each in fields.items():
        *parents, last = path.split("__")
        inner = value
        for part in parents:
            inner = inner[int(part)] if isinstance(inner, list) else inner[part]
        inner[last] = each
    return json.dumps(value).encode()
