"""Each pattern: who is asked what, in which order, and what it comes to."""

from typing import Any

import pytest
from tests.agents.coordination.world import World

from higherself.agents.coordination import (
    Answered,
    Bid,
    Cancelled,
    Failed,
    HandedOff,
    PersonAnswered,
    Refused,
    Reject,
    Target,
    TimerDue,
    Unreachable,
    plan_of,
)


def world(pattern: str, *steps: dict[str, Any], **more: Any) -> World:
    return World(plan_of({"pattern": pattern, "steps": list(steps), **more}))


DRAFT = {"capability": "content", "task": "draft"}
SEND = {"role": "marketing", "task": "send"}


# Request.


def test_a_request_is_answered() -> None:
    seen = world("request", {**DRAFT, "input": {"words": 200}}, input={"brief": "b"}).start()
    assert seen.types() == ["draft>capability content"]
    assert seen.asked[0].data == {"brief": "b", "words": 200}
    seen.answer("draft/1", {"text": "x"}, "elan")
    assert seen.end.status == "completed"
    assert seen.end.outcome == {"result": {"text": "x"}, "steps": {"draft": {"text": "x"}}}


def test_who_fails_is_asked_again_after_waits_that_double() -> None:
    seen = world("request", {**DRAFT, "attempts": 3, "backoff": "10s"}).start()
    for number, wait in ((1, 10), (2, 20)):
        seen.happens_to(f"draft/{number}", lambda task: Failed(task, "boom"))
        assert not seen.open
        began = seen.now
        assert seen.next_timer() == f"ask:draft/{number + 1}"
        assert (seen.now - began).total_seconds() == wait
        assert seen.asked[-1].attempt == number + 1
    seen.happens_to("draft/3", lambda task: Failed(task, "boom"))
    assert (seen.end.status, seen.end.reason) == ("failed", "draft (capability content): boom")


def test_who_refuses_is_not_asked_again_but_the_next_one_is() -> None:
    step = {**DRAFT, "attempts": 3, "substitute": [{"name": "liora"}, {"name": "zevi"}]}
    seen = world("request", step).start()
    seen.happens_to("draft/1", lambda task: Refused(task, "no"))
    seen.happens_to("draft/2", lambda task: Failed(task, "never", again=False))
    seen.answer("draft/3", 7, "zevi")
    assert seen.types() == ["draft>capability content", "draft>liora", "draft>zevi"]
    assert seen.end.status == "completed"


def test_what_takes_too_long_is_cancelled_and_its_late_answer_counts_for_nothing() -> None:
    seen = world("request", {**DRAFT, "timeout": "30s"}).start()
    assert seen.next_timer() == "timeout:draft/1"
    assert (seen.end.status, seen.end.type) == ("failed", "Timeout")
    assert seen.happens(Answered("draft/1", "late")) == ()


def test_nobody_there_is_waited_for_until_the_deadline() -> None:
    seen = world("request", DRAFT, timeout="1h").start()
    looks = 0
    while not seen.ends:
        if seen.open:
            looks += 1
            seen.asked.clear()
            seen.happens_to("draft/1", lambda task: Unreachable(task, "nobody is there"))
        else:
            seen.next_timer()
    assert 10 < looks < 30
    assert (seen.end.type, seen.end.reason) == ("Timeout", "its deadline has passed")


def test_a_slow_answer_is_hedged_and_the_first_counts() -> None:
    seen = world("request", {**DRAFT, "hedge": "5s"}).start()
    assert seen.next_timer() == "hedge:draft/1"
    assert list(seen.open) == ["draft/1", "draft/2"]
    seen.happens_to("draft/1", lambda task: Failed(task, "boom"))  # the other is still at it
    assert not seen.ends
    seen.answer("draft/2", "fast")
    assert seen.end.status == "completed"


# Publish.


def test_everybody_is_told_and_who_reacts_in_time_is_heard() -> None:
    seen = world("publish", {"role": "sales", "task": "lead.new"}, window="10s")
    seen.start(**{"lead.new": ("nyra", "solari", "ruvo")})
    assert seen.types() == ["lead.new>nyra", "lead.new>solari", "lead.new>ruvo"]
    seen.answer("lead.new/2", "mine", "solari")
    seen.happens_to("lead.new/3", Refused)
    seen.open.clear()  # what was told stays told: it is not cancelled
    assert seen.next_timer() == "window"
    assert seen.end.outcome == {
        "result": [{"agent": "solari", "step": "lead.new", "result": "mine"}],
        "steps": {},
        "told": 3,
    }


def test_too_few_reactions_are_a_failure() -> None:
    seen = world("publish", {"role": "sales", "task": "t"}, least=1).start(t=())
    assert seen.end.reason == "0 of 0 reacted, and 1 are needed"


# Delegate.


BIDDERS = {"translate": ("ana", "bo", "cy")}


def auction(**more: Any) -> World:
    seen = world("delegate", {"capability": "words", "task": "translate"}, **more)
    seen.start(**BIDDERS)
    return seen


def test_the_best_bid_has_the_task_and_the_next_one_if_that_fails() -> None:
    seen = auction()
    assert {each.kind for each in seen.asked} == {"bid"}
    seen.happens_to("translate/1", lambda task: Bid(task, "ana", price=10, seconds=60))
    seen.happens_to("translate/2", lambda task: Bid(task, "bo", price=5, seconds=60))
    seen.happens_to("translate/3", lambda task: Refused(task, "no time"))
    assert (seen.asked[-1].kind, seen.asked[-1].to) == ("work", Target(name="bo"))
    seen.happens_to("translate/4", lambda task: Failed(task, "boom"))
    seen.answer("translate/5", "hola", "ana")
    assert isinstance(seen.end.outcome, dict)
    assert seen.end.outcome["agent"] == "ana"
    assert [each["agent"] for each in seen.end.outcome["bids"]] == ["bo", "ana"]
    assert seen.rejected == []


def test_who_bid_and_was_not_chosen_is_told_once_nobody_may_need_it() -> None:
    seen = auction()
    for number, (agent, price) in enumerate({"ana": 10, "bo": 5, "cy": 7}.items(), start=1):
        bid = Bid(f"translate/{number}", agent, price=price, seconds=60)
        seen.happens_to(bid.task, lambda task, bid=bid: bid)  # type: ignore[misc]
    seen.happens_to("translate/4", lambda task: Failed(task, "boom"))
    assert seen.rejected == []
    seen.answer("translate/5", "hola", "cy")
    assert seen.rejected == [Reject("translate/1", "ana", "translate", "cy was chosen")]


@pytest.mark.parametrize(
    ("prefer", "winner"),
    [
        pytest.param({"price": 1, "time": 0, "confidence": 0}, "cheap", id="price"),
        pytest.param({"price": 0, "time": 1, "confidence": 0}, "fast", id="time"),
        pytest.param({"price": 0, "time": 0, "confidence": 1}, "sure", id="confidence"),
        pytest.param({"price": 0, "time": 0, "confidence": 0}, "cheap", id="ties go by name"),
    ],
)
def test_what_counts_is_said_by_the_plan(prefer: dict[str, float], winner: str) -> None:
    seen = world("delegate", {"role": "r", "task": "t"}, prefer=prefer)
    seen.start(t=("cheap", "fast", "sure"))
    seen.happens_to("t/1", lambda task: Bid(task, "cheap", 1, 100, 0.5))
    seen.happens_to("t/2", lambda task: Bid(task, "fast", 9, 10, 0.5))
    seen.happens_to("t/3", lambda task: Bid(task, "sure", 9, 100, 0.9))
    assert seen.asked[-1].to == Target(name=winner)


def test_bids_after_the_window_are_too_late_and_everybody_failing_is_the_end() -> None:
    seen = auction(window="10s")
    seen.happens_to("translate/1", lambda task: Bid(task, "ana", 1))
    assert seen.next_timer() == "window"
    assert list(seen.open) == ["translate/4"]
    assert seen.happens(Bid("translate/2", "bo", 0)) == ()
    seen.happens_to("translate/4", lambda task: Refused(task, "changed my mind"))
    assert seen.end.reason == "everybody who bid has failed; the last one: changed my mind"


def test_no_bid_is_a_failure() -> None:
    seen = auction(window="10s")
    seen.next_timer()
    assert seen.end.reason == "0 of 3 agents that were asked made a bid"


# Concurrent.


def branches(*names: str, **more: Any) -> World:
    steps = [{"name": each, "task": each} for each in names]
    return world("concurrent", *steps, **more).start()


def test_all_have_to_end() -> None:
    seen = branches("a", "b")
    seen.answer("b/1", 2)
    seen.answer("a/1", 1)
    assert isinstance(seen.end.outcome, dict)
    assert list(seen.end.outcome["result"].items()) == [("a", 1), ("b", 2)]


def test_one_failure_ends_all_and_cancels_the_others() -> None:
    seen = branches("a", "b")
    seen.happens_to("a/1", lambda task: Failed(task, "boom"))
    assert (seen.end.status, seen.end.reason) == ("failed", "a (a): boom")


def test_the_first_answer_is_the_outcome() -> None:
    seen = branches("a", "b", "c", join="first")
    seen.happens_to("a/1", lambda task: Failed(task, "boom"))
    seen.answer("c/1", 3)
    assert seen.end.outcome == {"result": 3, "steps": {"c": 3}, "lost": {"a": "boom"}}


def test_a_quorum_that_cannot_be_met_any_more_fails_at_once() -> None:
    seen = branches("a", "b", "c", join=2)
    seen.happens_to("a/1", lambda task: Failed(task, "no"))
    assert not seen.ends
    seen.happens_to("b/1", lambda task: Refused(task, "never"))
    assert seen.end.reason == "0 of 2 ended well, and no more can (a: no; b: never)"


def test_a_branch_that_may_fail_is_ignored() -> None:
    seen = world(
        "concurrent", {"name": "a", "task": "a", "on_failure": "ignore"}, {"name": "b", "task": "b"}
    ).start()
    seen.happens_to("a/1", lambda task: Failed(task, "boom"))
    seen.answer("b/1", 2)
    assert seen.end.outcome == {"result": {"b": 2}, "steps": {"b": 2}, "lost": {"a": "boom"}}


def test_so_many_are_under_way_at_a_time() -> None:
    seen = branches("a", "b", "c", at_once=2)
    assert list(seen.open) == ["a/1", "b/1"]
    seen.answer("b/1")
    assert list(seen.open) == ["a/1", "c/1"]


# Chain.


def test_what_one_came_to_is_given_to_the_next() -> None:
    seen = world("chain", DRAFT, SEND, input={"brief": "b"}).start()
    seen.answer("draft/1", "text")
    assert seen.asked[-1].data == {"brief": "b", "previous": "text"}
    seen.answer("send/1", {"sent": 3})
    assert seen.end.outcome == {
        "result": {"sent": 3},
        "steps": {"draft": "text", "send": {"sent": 3}},
    }


def booking() -> World:
    return world(
        "chain",
        {"name": "room", "task": "book", "id": "room", "compensate": "cancel"},
        {"name": "van", "task": "rent", "id": "van"},
        {
            "name": "cook", "task": "hire", "id": "cook",
            "compensate": {"task": "dismiss", "name": "boss", "input": {"kindly": True}},
        },
        {"name": "guest", "task": "invite", "id": "guest"},
    ).start()  # fmt: skip


def test_what_was_done_is_undone_backwards() -> None:
    seen = booking()
    for step in ("room", "van", "cook"):
        seen.answer(f"{step}/1", f"{step} it is", step)
    seen.happens_to("guest/1", lambda task: Failed(task, "no time"))
    assert seen.asked[-1].type == "dismiss"
    assert seen.asked[-1].to == Target(name="boss")
    assert seen.asked[-1].data == {"kindly": True, "result": "cook it is"}
    seen.answer("cook/2")
    assert (seen.asked[-1].type, seen.asked[-1].to) == ("cancel", Target(name="room"))
    seen.answer("room/2")
    assert seen.end.status == "failed"
    assert isinstance(seen.end.outcome, dict)
    assert seen.end.outcome["undone"] == ["cook", "room"]


def test_what_cannot_be_undone_does_not_stop_the_rest() -> None:
    seen = booking()
    seen.answer("room/1")
    seen.answer("van/1")
    seen.answer("cook/1")
    seen.happens(Cancelled("changed our minds"))
    assert seen.happens(Cancelled("again")) == ()
    for number in (2, 3, 4):
        seen.happens_to(f"cook/{number}", lambda task: Failed(task, "boom"))
        if number < 4:
            seen.next_timer()
    seen.answer("room/2")
    assert seen.end.status == "cancelled"
    assert isinstance(seen.end.outcome, dict)
    assert seen.end.outcome["undone"] == ["room"]
    assert seen.end.outcome["lost"] == {"cook": "it could not be undone: boom"}


def test_a_step_that_may_fail_is_passed_over() -> None:
    seen = world("chain", DRAFT, {**SEND, "on_failure": "ignore"}, {**DRAFT, "task": "file"})
    seen.start()
    seen.answer("draft/1", "text")
    seen.happens_to("send/1", lambda task: Failed(task, "boom"))
    assert seen.asked[-1].data == {"previous": "text"}
    seen.answer("file/1", "filed")
    assert seen.end.status == "completed"


# Handoff.


def test_ownership_passes_on() -> None:
    seen = world("handoff", {"name": "nyra", "task": "care"}, input={"lead": 7}).start()
    seen.happens_to(
        "care/1", lambda task: HandedOff(task, Target(name="grace"), "legal", {"seen": 1}, "nyra")
    )
    assert seen.asked[-1].to == Target(name="grace")
    assert seen.asked[-1].data == {
        "lead": 7,
        "handed": {"from": "nyra", "reason": "legal", "data": {"seen": 1}},
    }
    seen.answer("care/2", "settled", "grace")
    assert isinstance(seen.end.outcome, dict)
    assert seen.end.outcome["owners"] == ["nyra", "grace"]


def test_nothing_is_handed_on_for_ever() -> None:
    seen = world("handoff", {"name": "a", "task": "t"}, hops=3).start()
    for number in range(1, 5):
        to = Target(name="b" if number % 2 else "a")
        seen.happens_to(f"t/{number}", lambda task, to=to: HandedOff(task, to))  # type: ignore[misc]
    assert (seen.end.type, len(seen.asked)) == ("TooManyHops", 4)


def test_who_may_own_it_is_said_by_a_plan_that_names_several() -> None:
    steps = [{"name": each, "task": "t", "id": each} for each in ("a", "b")]
    seen = world("handoff", *steps).start()
    seen.happens_to("a/1", lambda task: HandedOff(task, None, "too hard"))
    assert seen.asked[-1].to == Target(name="b")
    seen.happens_to("b/1", lambda task: HandedOff(task, Target(name="mallory")))
    assert seen.end.reason == "b handed it on to mallory, who is not in the plan"


def test_only_a_handoff_lets_an_agent_hand_on() -> None:
    seen = world("chain", DRAFT, SEND).start()
    seen.happens_to("draft/1", lambda task: HandedOff(task, Target(name="mallory")))
    assert "which chain does not allow" in seen.end.reason


# Escalation.


def test_agents_in_order_then_a_person() -> None:
    people = {"roles": ["owner"], "question": "Refund?", "timeout": "2h"}
    steps = [{"name": each, "task": "solve", "id": each} for each in ("sage", "grace")]
    seen = world("escalation", *steps, people=people, input={"order": 1}).start()
    seen.happens_to("sage/1", lambda task: Refused(task, "too much"))
    seen.happens_to("grace/1", lambda task: Unreachable(task, "away"))
    (asked,) = seen.escalated
    assert asked.data == {"order": 1, "tried": {"sage": "too much", "grace": "away"}}
    assert (asked.expires_at - seen.now).total_seconds() == 7200
    assert seen.state.asks_people
    seen.happens(PersonAnswered("approved", "ana", {"refund": 50}))
    assert isinstance(seen.end.outcome, dict)
    assert (seen.end.outcome["result"], seen.end.outcome["by"]) == ({"refund": 50}, "ana")


def test_a_person_may_reject_or_be_too_late() -> None:
    people = {"roles": ["owner"]}
    for event, type_ in ((PersonAnswered("rejected", "ana"), "Rejected"), (None, "Timeout")):
        seen = world("escalation", {"name": "a", "task": "t"}, people=people).start()
        assert seen.happens(PersonAnswered("approved", "ana")) == ()  # nobody has asked yet
        seen.happens_to("t/1", Refused)
        if event is None:
            seen.next_timer()
        else:
            seen.happens(event)
        assert (seen.end.status, seen.end.type) == ("failed", type_)


def test_without_people_the_last_failure_is_the_end() -> None:
    seen = world("escalation", {"name": "a", "task": "t"}).start()
    seen.happens_to("t/1", lambda task: Failed(task, "boom"))
    assert seen.end.reason == "t (a): boom"


def test_a_timer_that_nobody_set_changes_nothing() -> None:
    seen = world("request", DRAFT).start()
    assert seen.happens(TimerDue("timeout:draft/1")) == ()
