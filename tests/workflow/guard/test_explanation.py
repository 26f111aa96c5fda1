"""Why a guard is what it is, for the people who wait for it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from higherself.workflow.guard import Part, compile_guard, compile_value

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SCOPE: dict[str, Any] = {
    "context": {
        "score": 41,
        "vip": False,
        "tags": ["new"],
        "lines": [{"price": 3}],
        "asked_at": "2026-11-19T12:00:00Z",
        "long": "x" * 1_000,
    },
}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("context.score >= 70", "false because context.score = 41"),
        ("context.score < 70", "true because context.score = 41"),
        ("context.vip", "false because context.vip = false"),
        ("not context.vip", "true because context.vip = false"),
        # Of several conditions, those that decided.
        ("context.score > 40 and 'vip' in context.tags", 'false because context.tags = ["new"]'),
        ("context.score > 50 and context.missing", "false because context.score = 41"),
        (
            "context.score > 50 or context.vip",
            "false because context.score = 41, context.vip = false",
        ),
        ("context.vip or context.score > 40", "true because context.score = 41"),
        (
            "context.score > 40 and context.score < 50",
            "true because context.score = 41",
        ),
        ("not (context.vip or context.score > 50)", "true because context.vip = false, context.score = 41"),
        # Functions.
        ("has(context.email) and context.email != ''", "false because has(context.email) is false"),
        ("len(context.tags) > 1", 'false because context.tags = ["new"]'),
        (
            "any_of(context.lines, item.price > 100)",
            "false because any_of(context.lines, item.price > 100) is false",
        ),
        ("default(context.email, '') != ''", "false because default(context.email, '') = \"\""),
        (
            "now() - context.asked_at > 4d",
            'false because now() = "2026-11-22T12:00:00+00:00", context.asked_at = "2026-11-19T12:00:00Z"',
        ),
        ("false", "false"),
        # Failures.
        ("context.scor > 70", "failed: there is no field 'context.scor'; did you mean 'context.score'?"),
        ("context.tags > 1", "failed: > compares two numbers or two texts, not a list and a number"),
    ],
)  # fmt: skip
def test_why(text: str, why: str) -> None:
    assert compile_guard(text).explain(SCOPE, NOW).why == why


def test_every_part_has_its_value_its_problem_or_was_not_reached() -> None:
    text = "context.score > 50 and context.missing == 'a' or lower(context.vip) == context.x"
    explanation = compile_guard(text).explain(SCOPE, NOW)
    assert explanation.value is None
    assert explanation.error is not None
    assert [_summary(part) for part in explanation.parts] == [
        (0, text, "lower() needs a text, not true or false"),
        (1, "context.score > 50 and context.missing == 'a'", False),
        (2, "context.score > 50", False),
        (3, "context.score", 41),
        (2, "context.missing == 'a'", "not reached"),
        (3, "context.missing", "not reached"),
        (1, "lower(context.vip) == context.x", "lower() needs a text, not true or false"),
        (2, "lower(context.vip)", "lower() needs a text, not true or false"),
        (3, "context.vip", False),
        (2, "context.x", "not reached"),
    ]
    assert all(text[part.start : part.end] == part.text for part in explanation.parts)


def _summary(part: Part) -> tuple[int, str, Any]:
    outcome = (part.problem or part.value) if part.reached else "not reached"
    return part.depth, part.text, outcome


def test_what_is_kept_is_short_json() -> None:
    scope = {
        "context": {"lines": [{"deep": [[[["x" * 1_000]]]]}] * 500}
        | {f"k{i}": i for i in range(99)}
    }
    explanation = compile_guard("context == context.lines").explain(scope, NOW)
    kept = explanation.as_json()
    assert len(json.dumps(kept)) < 6_000
    assert kept["value"] is False
    assert len(explanation.why) < 300


def test_a_place_outside_ascii() -> None:
    text = "'größe' in context.tags or context.ä"
    parts = compile_guard(text).explain(SCOPE, NOW).parts
    assert [text[part.start : part.end] for part in parts] == [part.text for part in parts]


def test_a_value_is_explained_too() -> None:
    explanation = compile_value("context.score + 1").explain(SCOPE, NOW)
    assert explanation.value == 42
    assert explanation.why == "42 because context.score = 41"


def test_explaining_says_what_evaluating_says() -> None:
    for text in (
        "context.score > 50",
        "context.vip or 'new' in context.tags",
        "now() > context.asked_at",
    ):
        guard = compile_guard(text)
        assert guard.explain(SCOPE, NOW).value == guard(SCOPE, NOW)
