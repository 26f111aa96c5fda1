"""What must go to a person does; the rest is answered in time."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business.support.triage import (
    ANSWER_WITHIN,
    ROLES,
    Category,
    amount_in,
    category_of,
    refund,
    tier_of,
    triage,
)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("I was charged twice for my order, please send the invoice again", "billing_order"),
        ("I cannot log in, the website shows an error", "technical_support"),
        ("My lawyer will look at this invoice", "legal_compliance"),
        ("What are your prices? I am interested in a consultation", "lead_management"),
        ("How do I join the community circle?", "community_engagement"),
        ("Good morning", "general"),
    ],
)
def test_what_it_is_about(text: str, category: Category) -> None:
    assert category_of(text) == category


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("I will sue you", "the law"),
        ("You will hear from my attorney", "the law"),
        ("I want a refund of $501", "over the limit"),
        ("This was awful. I will write a one star bad review", "in public"),
        ("I have a panic attack and can't go on", "distress"),
        ("Somebody has hacked my account", "security"),
        ("I see someone else's booking in my account", "security"),
        ("Everyone in our group is very disappointed", "several clients"),
        ("Nothing works: there is an outage", "systems are down"),
    ],
)
def test_what_a_person_must_see(text: str, why: str) -> None:
    found = triage(text)
    assert found.must_escalate
    assert any(why in each for each in found.reasons), found.reasons
    assert (found.severity, found.answer_within) == (4, timedelta(hours=2))


@pytest.mark.parametrize(
    "text",
    [
        "Where do I park?",
        "Thank you for the wonderful evening!",
        "I would like my $40 back, I am ill on Friday",
        "I posted about you on social media, it was lovely",
    ],
)
def test_what_nobody_has_to_see(text: str) -> None:
    found = triage(text)
    assert not found.must_escalate, found.reasons
    assert found.severity <= 2


def test_an_unhappy_vip_goes_to_a_person() -> None:
    unhappy = "I am disappointed by the massage"
    assert not triage(unhappy).must_escalate
    found = triage(unhappy, tags=["VIP"])
    assert (found.must_escalate, found.tier, found.category) == (True, "vip", "vip_service")
    assert not triage("Where do I park?", tags=["VIP"]).must_escalate


def test_what_was_tried_in_vain_or_is_open_for_long_goes_to_a_person() -> None:
    assert not triage("Where do I park?", failed_attempts=2).must_escalate
    assert triage("Where do I park?", failed_attempts=3).must_escalate
    assert triage("Where do I park?", open_for=timedelta(hours=25)).must_escalate


@given(st.floats(0, 2000), st.floats(0, 1000), st.none() | st.floats(0, 20_000))
def test_a_refund_goes_to_a_person_over_the_limit_or_a_tenth_of_what_was_paid(
    amount: float, limit: float, paid: float | None
) -> None:
    found = refund("", amount=amount, limit=limit, lifetime_value=paid)
    assert found.asked
    assert found.over_limit == (amount > limit or (paid is not None and amount > 0.1 * paid))


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("I paid $45.50", 45.5),
        ("give me 1,200 dollars", 1200),
        ("€30 please", 30),
        ("I paid $45, then $30", None),
        ("on the 3rd at 5", None),
    ],
)
def test_an_amount_is_read_where_there_is_one(text: str, amount: float | None) -> None:
    assert amount_in(text) == amount


@given(st.text(max_size=300), st.text(max_size=50), st.lists(st.text(max_size=10), max_size=3))
def test_any_text_is_triaged(text: str, subject: str, tags: list[str]) -> None:
    found = triage(text, subject=subject, tags=tags)
    assert found.role == ROLES[found.category]
    assert found.answer_within == ANSWER_WITHIN[found.severity]
    assert found.must_escalate == bool(found.reasons) == (found.severity == 4)


def test_tiers() -> None:
    assert [tier_of(each) for each in (["vip"], ["Founding Member"], [" Premium"], ["x"], [])] == [
        "vip", "vip", "premium", "standard", "standard",
    ]  # fmt: skip
