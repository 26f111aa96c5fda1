"""Feedback, summed up: what is no rating counts for nothing, and nothing is lost."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from higherself.business.events.feedback import opinion

answers = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "rating": st.one_of(
                st.integers(-3, 9), st.floats(), st.text(max_size=4), st.none(), st.booleans()
            ),
            "text": st.one_of(st.text(max_size=30), st.none()),
        },
    ),
    max_size=12,
)


@given(answers)
def test_the_average_is_of_ratings_alone(said: list[dict[str, Any]]) -> None:
    found = opinion(said)
    assert found.answers == len(said)
    assert (found.average is None) == (found.rated == 0)
    if found.average is not None and found.satisfied is not None:
        assert 1 <= found.average <= 5
        assert 0 <= found.satisfied <= 1
    assert sum(found.feelings.values()) == sum(bool(str(e.get("text") or "").strip()) for e in said)


def test_who_is_unhappy_is_read_by_a_person() -> None:
    found = opinion(
        [
            {"rating": "5", "text": "Wonderful, thank you!"},
            {"rating": 1, "text": "Cold."},
            {"text": "This is outrageous, I am furious"},
        ]
    )
    assert found.concerns == ("Cold.", "This is outrageous, I am furious")
    assert (found.rated, found.average) == (2, 3.0)
