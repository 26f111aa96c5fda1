from datetime import UTC, datetime
from typing import Any

import pytest

from higherself.business.insight.segments import SegmentRejected, segmented

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def test_a_contact_may_be_in_several_segments_or_in_doubt() -> None:
    contacts: list[Any] = [
        {"visits": 5, "tags": ["art"]},
        {"visits": 1, "tags": []},
        {"tags": ["art"]},
    ]
    found = segmented(
        contacts,
        {
            "regulars": "contact.visits > 2",
            "art": "'art' in contact.tags",
            "counted": "has(contact.visits)",
        },
        now=NOW,
    )
    assert [(each.name, each.members, each.unclear) for each in found] == [
        ("regulars", (0,), (2,)), ("art", (0, 2), ()), ("counted", (0, 1), ()),
    ]  # fmt: skip


def test_a_wrong_condition_names_the_segment() -> None:
    with pytest.raises(SegmentRejected, match="segment vip:"):
        segmented([], {"vip": "contact.visits >"}, now=NOW)
    with pytest.raises(SegmentRejected, match="100 are allowed"):
        segmented([], {str(n): "true" for n in range(101)}, now=NOW)
