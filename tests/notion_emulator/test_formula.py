from __future__ import annotations

from typing import Any

import pytest

from notion_emulator.formula import result

NOW = "2026-07-04T09:00:00.000Z"
VALUES: dict[str, Any] = {
    "Edited": "2026-07-04T08:30:00.000Z",
    "Synced": "2026-07-04T08:00:00.000Z",
    "Started": "2026-06-20",
    "Never": None,
    "Price": 250,
    "Progress": 0.25,
    "Status": "Active",
    "Agents": ["a", "b"],
    "Done": False,
}


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ('if(empty(prop("Synced")), true, dateBetween(prop("Edited"), prop("Synced"), "minutes") > 1)', True),
        ('if(empty(prop("Never")), true, dateBetween(prop("Edited"), prop("Never"), "minutes") > 1)', True),
        ('dateBetween(now(), prop("Started"), "days")', 14),
        ('if(empty(prop("Never")), 0, dateBetween(now(), prop("Never"), "days"))', 0),
        ('if(prop("Price") < 100, "Budget", if(prop("Price") < 500, "Standard", "Premium"))', "Standard"),
        ('ifs(prop("Price") > 900, "a", prop("Price") > 200, "b", "c")', "b"),
        ('if(prop("Status") == "Completed", "Met", if(dateBetween(now(), prop("Started"), "days") > 7, "Overdue", "Within SLA"))', "Overdue"),
        ('repeat("▓", round(prop("Progress") * 10)) + repeat("░", 10 - round(prop("Progress") * 10))', "▓▓▓░░░░░░░"),
        ('or(prop("Status") == "Active", prop("Nowhere"))', True),
        ('prop("Price") > 1 and not prop("Done")', True),
        ('prop("Done") ? 1 : 2', 2),
        ('length(prop("Agents"))', 2),
        ('prop("Agents").join(", ").upper()', "A, B"),
        ('concat("a", format(2 ^ 3), format(7 / 2))', "a83.5"),
        ('-7 % 3', -1),
        ('prop("Never") + 1', 1),
        ('prop("Never") > 1', False),
        ('formatDate(prop("Started"), "MMM D, YYYY")', "Jun 20, 2026"),
        ('dateAdd(prop("Started"), 2, "weeks")', {"start": "2026-07-04", "end": None, "time_zone": None}),
        ('dateAdd(prop("Started"), 14, "days") == today()', True),
        ('[1, 2, 3].map(current + 1)', {}),
        ('prop("Nowhere")', {}),
        ('1 / 0', {}),
        ('1 +', {}),
    ],
)  # fmt: skip
def test_formulas(expression: str, value: Any) -> None:
    found = result(expression, VALUES.__getitem__, NOW)
    assert found[found["type"]] == value
