from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.insight.leads import (
    Rule,
    Scorecard,
    ScorecardRejected,
    read_scorecard,
    score,
    scorecard,
)

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FACTS = st.dictionaries(
    st.sampled_from(
        [
            "budget",
            "employees",
            "industry",
            "timeline",
            "source",
            "decision_maker",
            "interests",
            "local",
        ]
    ),
    st.one_of(
        st.integers(), st.booleans(), st.text(max_size=5), st.lists(st.text(max_size=3)), st.none()
    ),
)


def test_a_consultancys_lead_by_its_rules() -> None:
    lead: dict[str, Any] = {
        "employees": 250,
        "budget": 60_000,
        "industry": "finance",
        "timeline": "month",
        "source": "referral",
        "decision_maker": True,
    }
    found = score(lead, scorecard("am_consulting"), now=NOW)
    assert found.score == 100  # 30 + 15 + 20 + 15 + 15 + 20 + 15 = 130, capped
    assert found.level == "hot"
    small = score(
        {
            "employees": 5,
            "budget": 5_000,
            "industry": "retail",
            "timeline": "year",
            "source": "x",
            "decision_maker": False,
        },
        scorecard("am_consulting"),
        now=NOW,
    )
    assert (small.score, small.level, small.unknown) == (30, "cold", ())


def test_of_a_group_the_best_counts() -> None:
    found = score({"budget": 120_000}, scorecard("am_consulting"), now=NOW)
    assert [each.points for each in found.reasons] == [30, 30]
    assert found.score == 60


def test_a_gallerys_lead() -> None:
    found = score(
        {"interests": ["artist"], "exhibitions": 3, "local": True},
        scorecard("the_7_space"),
        now=NOW,
    )
    assert found.score == 100
    assert {each.because for each in found.reasons} == {
        "to begin with",
        "an artist",
        "has exhibited",
        "lives nearby",
    }


@given(FACTS, st.sampled_from(["am_consulting", "the_7_space", "elsewhere"]))
def test_a_score_is_in_range_and_explained(lead: dict[str, Any], entity: str) -> None:
    card = scorecard(entity)
    found = score(lead, card, now=NOW)
    assert found.score == min(card.cap, sum(each.points for each in found.reasons))
    assert 0 <= found.score <= 100


def test_what_is_not_known_is_told() -> None:
    assert "decides" in score({}, scorecard("am_consulting"), now=NOW).unknown


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"rules": []}, "rules"),
        ({"rules": [{"when": "lead.x >", "points": 1, "because": "x"}]}, "rules.0.when"),
        ({"rules": [{"when": "lead.x", "points": "many", "because": "x"}]}, "rules.0.points"),
        ({"rule": []}, "rules"),
    ],
)
def test_a_wrong_scorecard_names_the_field(said: dict[str, object], field: str) -> None:
    with pytest.raises(ScorecardRejected, match=field):
        read_scorecard(said)


def test_points_can_be_taken_away_but_not_below_nothing() -> None:
    card = Scorecard(base=10, rules=(Rule(when="lead.spam", points=-50, because="spam"),))
    assert score({"spam": True}, card, now=NOW).score == 0
