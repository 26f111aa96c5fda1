"""Approvals: who may decide, where a decision leads, and what happens when nobody decides."""

from datetime import timedelta

import pytest
from tests.workflow.world import NOON, World, run_through

from higherself.workflow.errors import EventRefused, NotEntitled, NothingToDecide
from higherself.workflow.machine import AskApproval, Decided, Retried

REVIEW = """
  review:
    approval:
      roles: [owner, curator]
      question: "Shall we show {{ context.title }}?"
      timeout: 2d
      save: verdict
      approved: {to: shown}
      rejected: {to: dropped, set: {why: event.comment}}
      expired: {to: forgotten}
  shown: {final: true}
  dropped: {final: true}
  forgotten: {final: true}
"""


def under_review() -> World:
    return World(REVIEW).start(title="Tea bowls")


def test_somebody_is_asked_and_told_until_when() -> None:
    world = under_review()
    (command,) = world.approvals.values()
    assert command == AskApproval(
        f"{world.snapshot.instance}/1/review/approval",
        "review",
        ("owner", "curator"),
        "Shall we show Tea bowls?",
        NOON + timedelta(days=2),
    )
    assert world.status == "waiting"
    assert (
        world.reason == "waits for the approval of owner or curator until 2026-03-04 12:00:00 UTC"
    )


@pytest.mark.parametrize(("outcome", "state"), [("approved", "shown"), ("rejected", "dropped")])
def test_a_decision_leads_where_the_definition_says(outcome: str, state: str) -> None:
    world = under_review()
    world.decide(outcome, "ann", "curator", comment="too fragile")
    assert world.state == state
    assert world.context["verdict"] == {"outcome": outcome, "by": "ann", "comment": "too fragile"}
    assert world.history[-1].data == world.context["verdict"]


def test_who_has_none_of_the_roles_is_told_whom_to_ask() -> None:
    world = under_review()
    before = world.snapshot
    with pytest.raises(NotEntitled, match="bob has intern; this approval is for owner or curator"):
        world.decide("approved", "bob", "intern")
    assert world.snapshot is before


def test_of_two_people_who_decide_at_once_the_second_is_told() -> None:
    world = World(REVIEW.replace("{final: true}", "{on: {go: {to: shown}}}")).start(title="Tea")
    decision = Decided("approved", "ann", ("owner",), approval=next(iter(world.approvals)))
    world.send(decision)
    with pytest.raises(NothingToDecide, match="given already, has expired, or was never asked"):
        world.send(Decided("rejected", "bob", ("owner",), approval=decision.approval))


def test_nobody_has_to_know_the_key_if_only_one_waits() -> None:
    world = under_review()
    world.send(Decided("approved", "ann", ("owner",)))
    assert world.state == "shown"


def test_when_nobody_decides_it_expires() -> None:
    world = under_review()
    world.pass_time(timedelta(days=2))
    assert (world.state, world.approvals) == ("forgotten", {})
    assert (world.history[-1].cause, world.history[-1].event) == ("approval", "expired")


def test_expired_without_a_way_goes_where_timeouts_and_errors_go_or_fails() -> None:
    states = REVIEW.replace("      expired: {to: forgotten}\n", "")
    world = World(states).start(title="Tea")
    world.pass_time(timedelta(days=2))
    assert world.reason == "failed in review: nobody decided on review in time"
    states = states.replace("  shown:", "    on_error: {to: forgotten}\n  shown:")
    world = World(states).start(title="Tea")
    world.pass_time(timedelta(days=2))
    assert world.state == "forgotten"


def test_a_decision_without_a_way_of_its_own_tries_the_transitions_of_the_state() -> None:
    world = World("""
  review:
    approval: {roles: [owner]}
    transitions: [{to: done, when: event.outcome == 'approved'}, {to: again}]
  done: {final: true}
  again: {final: true}
""").start()
    world.decide("rejected")
    assert world.state == "again"


def test_the_ways_of_an_outcome_may_have_guards() -> None:
    world = World("""
  review:
    approval:
      roles: [owner]
      approved: [{to: small, when: context.amount < 500}, {to: large}]
      rejected: {to: small}
  small: {final: true}
  large: {final: true}
""").start(amount=900)
    world.decide("approved")
    assert world.state == "large"


def test_a_guard_that_fails_refuses_the_decision() -> None:
    world = World("""
  review:
    approval: {roles: [owner], approved: {to: done, when: context.amount < 500}, rejected: {to: done}}
  done: {final: true}
""").start()
    with pytest.raises(EventRefused, match=r"context\.amount"):
        world.decide("approved")
    assert world.status == "waiting"


TWO = """
  both:
    parallel:
      branches:
        legal: {approval: {roles: [legal], save: legal}}
        money: {approval: {roles: [finance], save: money}}
    transitions: {to: done}
  done: {final: true}
"""


def test_of_several_that_wait_one_is_named() -> None:
    world = World(TWO).start()
    with pytest.raises(EventRefused, match=r"several approvals wait; name one: .*legal.*money"):
        world.send(Decided("approved", "ann", ("legal",)))
    for key, command in list(world.approvals.items()):
        world.send(Decided("approved", "ann", command.roles, approval=key))
    assert world.status == "completed"


def test_leaving_the_state_withdraws_the_question() -> None:
    world = World(REVIEW.replace("    approval:", "    on: {title.changed: {to: review, set: {title: event.title}}}\n    approval:")).start(title="Tea")  # fmt: skip
    world.receive("title.changed", title="Cups")
    (command,) = world.approvals.values()
    assert command.question == "Shall we show Cups?"
    run_through(world)


def test_a_decision_that_was_kept_is_about_the_question_that_was_asked_then() -> None:
    """A retry asks anew; what somebody said to the old question is no answer to the new one."""
    world = World(REVIEW.replace("    approval:", "    timeout: 1h\n    approval:")).start(
        title="Tea"
    )
    world.next_timer()
    assert world.status == "failed"
    assert world.send(Decided("approved", "ann", ("owner",))).outcome == "kept"
    world.send(Retried())
    assert (world.state, world.status) == ("review", "waiting")
    assert world.history[-1].error is not None
    assert "has no such approval to give" in world.history[-1].error
    world.decide("approved")
    assert world.state == "shown"
