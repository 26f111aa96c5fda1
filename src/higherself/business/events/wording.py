"""Facts as people read them: instants as the clock on the wall shows them. Pure."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from higherself.kernel.jsonvalue import JsonValue

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:?\d\d)?")


def readable(facts: Mapping[str, JsonValue], zone: ZoneInfo) -> dict[str, JsonValue]:
    """Return ``facts`` with every text that is an instant as somebody in ``zone`` would say it.

    >>> readable({"date": "2026-03-09T13:00:00Z", "seats": 3}, ZoneInfo("America/New_York"))
    {'date': 'Monday, 9 March 2026, 9:00 am', 'seats': 3}
    """
    return {name: _said(value, zone) for name, value in facts.items()}


def _said(value: JsonValue, zone: ZoneInfo) -> JsonValue:
    if not isinstance(value, str) or not _INSTANT.fullmatch(value.strip()):
        return value
    try:
        instant = datetime.fromisoformat(value.strip())
    except ValueError:
        return value
    local = (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).astimezone(zone)
    hour = local.hour % 12 or 12
    return f"{local:%A}, {local.day} {local:%B %Y}, {hour}:{local:%M} {'am' if local.hour < 12 else 'pm'}"
