"""Customer support, played through: who answers, what goes to a person, and what happens in time."""

from typing import Any

import pytest
from tests.business.workflows.played import DAY, HOUR, Played

from higherself.kernel.errors import Rejected
from higherself.workflow.errors import NotEntitled

CONTACT: dict[str, Any] = {
    "record_id": "r1", "email": "ana@example.org", "first_name": "Ana", "full_name": "Ana Ito",
    "phone": None, "may_be_contacted": True, "tags": [],
}  # fmt: skip
REQUEST = {"id": "m1", "subject": "Float", "text": "What does a float cost?", "channel": "email"}
CALM: dict[str, Any] = {
    "severity": 1, "category": "general", "sentiment": "neutral", "tier": "standard",
    "role": "community_curator", "must_escalate": False, "reasons": [], "answer_within": "2h",
    "refund": {"asked": False, "amount": None, "over_limit": False},
}  # fmt: skip
FOUND = {
    "result": {
        "answer": "Seventy-nine dollars.",
        "confident": True,
        "citations": [{"title": "Float session", "number": 1}],
    }
}
UNKNOWN = {"result": {"answer": "", "confident": False, "citations": []}}
TICKET = {"ticket": "ESC-1", "task": "t", "due": None}


def refund(amount: float | None, *, over: bool = False, must: bool = False) -> dict[str, Any]:
    asked = {"asked": True, "amount": amount, "over_limit": over}
    return {**CALM, "must_escalate": must, "refund": asked}


def support(
    triage: Any = CALM,
    found: Any = FOUND,
    *,
    settings: dict[str, Any] | None = None,
    contact: Any = CONTACT,
    request: Any = REQUEST,
    **answers: Any,
) -> Played:
    given = {
        "triage_request": triage,
        "request": found,
        "escalate_to_person": TICKET,
        "save_feedback": {"record": "f", "rating": 5, "sentiment": "Positive", "alarms": []},
        **answers,
    }
    return Played("customer_support", given).start(
        settings, contact=contact, request=request, case="c1"
    )


def test_what_the_hub_knows_is_answered_with_its_sources_and_followed_up() -> None:
    played = support()
    assert played.state == "answered"
    (letter,) = played.asked("send_email")
    assert letter["template"] == "support_answer"
    assert letter["facts"]["answer"] == "Seventy-nine dollars."
    assert letter["facts"]["citations"] == [{"title": "Float session", "number": 1}]
    assert [each["who"] for each in played.context["history"]["items"]] == ["client", "us"]
    played.told("customer_replied", request={"text": "Thank you, that is wonderful!"})
    assert played.state == "surveyed"
    played.told("feedback_received", rating=5)
    assert (played.state, played.context["rating"]) == ("closed", 5)
    assert [each for _, each in played.letters] == ["support_answer", "satisfaction_survey"]
    (note,) = played.asked("note_history")
    assert "rating: 5" in note["text"]


def test_who_says_nothing_more_is_asked_how_it_was_and_that_is_all() -> None:
    played = support(settings={"survey_link": "https://forms.example/to/x#support="})
    played.waited(2 * DAY)
    assert played.asked("send_email")[-1]["facts"]["feedback_link"].endswith("#support=c1")
    played.waited(7 * DAY)
    assert played.state == "closed"


def test_another_question_is_answered_again_and_the_third_goes_to_a_person() -> None:
    played = support(settings={"max_answers": 2})
    for _ in range(2):
        played.told("customer_replied", request={"text": "And for two people?"})
    assert played.state == "with_person"
    (escalated,) = played.asked("escalate_to_person")
    said = [each["text"] for each in escalated["history"]]
    assert said == [
        "What does a float cost?", "Seventy-nine dollars.", "And for two people?",
        "Seventy-nine dollars.", "And for two people?",
    ]  # fmt: skip


def test_what_the_hub_does_not_know_goes_to_a_person_and_their_answer_goes_out() -> None:
    played = support(found=UNKNOWN, settings={"team_email": "team@t7s.example"})
    assert played.state == "with_person"
    assert played.letters == [
        ("team@t7s.example", "team_notice"), ("ana@example.org", "support_received")
    ]  # fmt: skip
    played.told("escalation_answered", ticket="ESC-1", answer="It is seventy-nine.", by="bo")
    assert played.asked("send_email")[-1]["facts"]["answer"] == "It is seventy-nine."
    assert played.state == "answered"


def test_what_must_be_seen_by_a_person_is_not_answered_by_the_hub() -> None:
    played = support({**CALM, "must_escalate": True, "severity": 4, "reasons": ["legal"]})
    assert (played.state, played.collaborations) == ("with_person", [])
    (escalated,) = played.asked("escalate_to_person")
    assert (escalated["severity"], escalated["attempts"]) == (4, ["legal"])


def test_what_takes_too_long_goes_to_the_owner_and_at_last_stands_open() -> None:
    played = support(found=UNKNOWN, settings={"owner_email": "owner@t7s.example"})
    played.waited(HOUR)
    assert played.state == "with_person"
    played.waited(HOUR)
    assert played.state == "with_owner"
    assert played.tasks == ["support_escalated"]
    assert played.letters[-1] == ("owner@t7s.example", "team_notice")
    answered = support(found=UNKNOWN).waited(3 * HOUR).told("escalation_answered", answer="Yes.")
    assert answered.state == "answered"
    assert support(found=UNKNOWN).waited(3 * HOUR).decided("approved").state == "surveyed"
    played.waited(2 * DAY)
    assert (played.state, played.world.status) == ("unresolved", "completed")


def test_a_refund_within_the_limit_is_paid_back_and_told() -> None:
    played = support(refund(80))
    assert played.tasks == ["make_refund"]
    (letter,) = played.asked("send_email")
    assert (letter["template"], letter["facts"]["amount"]) == ("refund_made", 80)
    assert played.state == "answered"


@pytest.mark.parametrize(
    ("outcome", "tasks", "letter"),
    [
        ("approved", ["decide_refund", "make_refund"], "refund_made"),
        ("rejected", ["decide_refund"], "refund_declined"),
    ],
)
def test_a_refund_over_the_limit_is_the_owners(outcome: str, tasks: list[str], letter: str) -> None:
    played = support(refund(900, over=True, must=True))
    assert (played.state, played.letters) == ("deciding_refund", [])
    (approval,) = played.world.approvals.values()
    assert approval.roles == ("owner",)
    assert "900" in approval.question
    with pytest.raises(NotEntitled):
        played.decided(outcome, "bo", "support")
    played.decided(outcome, "ann", "owner", comment="As agreed.")
    assert played.tasks == tasks
    assert played.asked("send_email")[-1]["template"] == letter
    assert played.asked("send_email")[-1]["facts"]["message"] == "As agreed."


def test_a_refund_that_nobody_decides_about_or_of_an_unknown_amount_goes_to_a_person() -> None:
    assert support(refund(900, over=True)).waited(2 * DAY).state == "with_person"
    assert support(refund(None)).state == "with_person"


@pytest.mark.parametrize(
    ("amount", "state"), [(80, "answered"), (900, "deciding_refund"), ("900", "deciding_refund")]
)
def test_a_person_too_pays_back_only_within_the_limit(amount: Any, state: str) -> None:
    played = support(found=UNKNOWN)
    played.told("escalation_answered", decision="refund", amount=amount)
    assert played.state == state


def test_a_person_who_says_refund_without_an_amount_is_asked_again() -> None:
    played = support(found=UNKNOWN)
    played.told("escalation_answered", decision="refund")
    assert played.state == "with_person"
    assert "how much" in played.asked("escalate_to_person")[-1]["reason"]


@pytest.mark.parametrize("contact", [None, {**CONTACT, "email": None, "phone": "+19175550142"}])
def test_without_an_address_a_person_has_it_and_nothing_is_sent(contact: Any) -> None:
    played = support(contact=contact)
    assert (played.state, played.letters) == ("with_person", [])
    played.told("escalation_answered", answer="I have called.")
    assert (played.state, played.letters) == ("closed", [])


def test_who_asked_not_to_be_written_to_is_called_by_a_person() -> None:
    played = support(send_email={"status": "dropped", "delivery": "d"})
    assert played.state == "with_person"
    assert "call them" in played.asked("escalate_to_person")[0]["reason"]
    played.told("escalation_answered", answer="I have written.")
    assert played.state == "with_person", "that did not reach them either"
    assert played.told("escalation_answered", decision="resolved").state == "surveyed"


def test_who_asked_not_to_be_contacted_is_not_asked_how_it_was() -> None:
    played = support(contact={**CONTACT, "may_be_contacted": False})
    played.told("customer_replied", request={"text": "Thank you, great"})
    assert played.state == "closed"
    assert played.letters == [("ana@example.org", "support_answer")]


@pytest.mark.parametrize("request_", [None, {}, {"text": ""}])
def test_a_request_that_says_nothing_goes_to_a_person(request_: Any) -> None:
    assert support(request=request_).state == "with_person"


def test_who_is_not_content_is_called() -> None:
    bad = {"record": "f", "rating": 2, "sentiment": "Negative", "alarms": []}
    played = support(save_feedback=bad).waited(2 * DAY).told("feedback_received", rating=2)
    assert (played.state, played.tasks) == ("closed", ["answer_feedback"])


def test_if_triage_the_hub_or_the_ticket_fails_a_person_still_gets_it() -> None:
    assert support(Rejected("no")).state == "with_person"
    assert support(escalate_to_person=Rejected("no"), found=UNKNOWN).tasks == ["support_escalated"]


def test_a_person_may_close_it_without_a_word_and_may_be_quicker_than_our_letters() -> None:
    closed = support(found=UNKNOWN).told("escalation_answered", decision="closed", notes="spam")
    assert (closed.state, closed.letters[-1][1]) == ("closed", "support_received")
    slow = support(
        found=UNKNOWN, send_email=ConnectionError("down"), settings={"team_email": "t@t7s.example"}
    )
    assert slow.state == "telling_team"
    slow.answers["send_email"] = {"status": "sent"}
    assert slow.told("escalation_answered", answer="Yes, we do.").state == "answered"


def test_who_withdraws_is_left_in_peace() -> None:
    assert support().told("request_withdrawn").state == "closed"
    assert support(found=UNKNOWN).told("request_withdrawn", reason="found it").state == "closed"
