"""Tasks from templates, and sequences of contact over time: laws, and what is refused by its name."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.business import contact_sequences as sequences
from higherself.business import tasks

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
DAYS = st.lists(st.integers(0, 60), min_size=1, max_size=20)


@pytest.mark.parametrize("name", tasks.templates())
def test_every_task_template_makes_a_task(name: str) -> None:
    facts = {"who": "Ana", "subject": None, "order": None}
    made = tasks.wanted(tasks.template(name), facts, now=NOW)
    assert made.name
    assert "{{" not in made.name + made.description
    assert made.due > NOW
    assert made.remind is None or NOW < made.remind < made.due
    assert made.priority in tasks.PRIORITIES


@given(
    st.sampled_from(tasks.PRIORITIES),
    st.timedeltas(timedelta(0), timedelta(days=30)),
    st.booleans(),
    st.none() | st.integers(1, 4),
)
def test_more_presses_never_less(
    usual: Any, due_in: timedelta, vip: bool, severity: int | None
) -> None:
    rank = tasks.PRIORITIES.index
    found = tasks.priority_of(usual, due_in=due_in, vip=vip, severity=severity)
    assert rank(found) >= rank(usual)
    assert rank(tasks.priority_of(usual, due_in=due_in, vip=True, severity=severity)) >= rank(found)
    assert tasks.priority_of(usual, due_in=due_in, vip=vip, severity=4) == "Urgent"
    if due_in <= timedelta(hours=4):
        assert rank(found) >= rank("High")


@given(st.text(max_size=60), st.text(max_size=60))
def test_what_comes_from_outside_is_never_filled_in(name: str, who: str) -> None:
    said = f"{name}{{{{ who }}}}"
    made = tasks.wanted(tasks.ad_hoc(said), {"who": who}, now=NOW)
    assert "{ { who }}" in " ".join(made.name.split()) or len(made.name) == tasks.LONGEST_NAME


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"templates": {"a": {"name": "A", "categry": "Admin"}}}, r"templates\.a\.categry"),
        ({"templates": {"a": {"name": "A", "category": "Admn"}}}, "did you mean 'Admin'"),
        ({"templates": {"a": {"name": "A", "due_in": "soon"}}}, r"templates\.a\.due_in"),
        ({"templates": {"a": {}}}, r"templates\.a\.name"),
    ],
)
def test_a_template_that_is_wrong_is_refused_by_its_field(said: Any, wrong: str) -> None:
    with pytest.raises(tasks.TaskRejected, match=wrong):
        tasks.read_templates(said)


def test_a_fact_that_a_task_needs_is_told_and_so_is_a_wrong_due_time() -> None:
    with pytest.raises(tasks.TaskRejected, match=r"a fact is missing: .*who"):
        tasks.wanted(tasks.template("lead_followup"), {}, now=NOW)
    with pytest.raises(tasks.TaskRejected, match="due: 'tomorrow' is no time"):
        tasks.due_of("tomorrow", NOW)
    assert tasks.due_of("2d", NOW) == NOW + timedelta(days=2)
    assert tasks.due_of("2026-03-04T12:00:00", NOW) == NOW + timedelta(days=2)


# --- Sequences.


@given(DAYS)
def test_every_step_comes_once_in_its_order_and_then_it_is_over(days: list[int]) -> None:
    steps = sequences.steps_on_days(days)
    taken, times = 0, []
    while (due := sequences.next_step(steps, taken, NOW)) is not None:
        assert due.number == taken + 1
        assert due.left == len(steps) - due.number
        times.append(due.at)
        taken = due.number
    assert times == sorted(NOW + timedelta(days=each) for each in days)


@given(DAYS, st.integers(0, 20), st.integers(0, 100))
def test_nobody_gets_what_is_long_overdue(days: list[int], taken: int, later: int) -> None:
    now = NOW + timedelta(days=later)
    due = sequences.next_step(sequences.steps_on_days(days), taken, NOW, now=now)
    if due is not None:
        assert due.at >= now - sequences.GRACE
        assert due.number > taken


@pytest.mark.parametrize(
    ("wanted", "wrong"),
    [
        ({}, "one of them"),
        ({"sequence": "event_lead", "days": [1]}, "one of them"),
        ({"sequence": "event_led"}, "did you mean 'event_lead'"),
        ({"steps": [{"after": "1d", "do": "fax"}]}, r"steps\.0\.do"),
        ({"steps": [{"after": "1d", "do": "email"}]}, r"steps\.0: email needs `template`"),
        ({"steps": [{"after": "soon", "do": "notify"}]}, r"steps\.0\.after"),
        ({"steps": [{"after": "1d", "do": "notify"}] * 51}, "50 are the most"),
        ({"days": [1, -1]}, r"days\.1"),
    ],
)
def test_a_sequence_that_is_wrong_is_refused_by_its_step(wanted: Any, wrong: str) -> None:
    with pytest.raises((sequences.SequenceRejected, sequences.SequenceUnknown), match=wrong):
        sequences.Wanted(**wanted).read()
