"""Leads, played through: captured, scored, nurtured with what the hub knows, booked, lost, left in peace."""

from datetime import timedelta
from typing import Any

import pytest
from tests.business.workflows.played import DAY, HOUR, Played

from higherself.business.skills.contacts import NotToBeContacted
from higherself.kernel.errors import Rejected
from higherself.workflow.errors import ContextRejected

SETTINGS = {"booking_link": "https://the7space.example/visit", "team_email": "team@t7s.example"}
PASSAGE = {"title": "Sound bath", "text": "Seventy minutes, thirty dollars."}


def profile(score: int, **more: Any) -> dict[str, Any]:
    level = "hot" if score >= 80 else "warm" if score >= 50 else "cold"
    return {
        "record_id": "r1", "email": "ana@example.org", "first_name": "Ana", "status": "Active Lead",
        "score": score, "level": level, "reasons": [], "interest": "sound baths",
        "may_be_contacted": True, **more,
    }  # fmt: skip


def lead(score: Any = 55, *, settings: Any = SETTINGS, **answers: Any) -> Played:
    given = {
        "enrich_contact": profile(score) if isinstance(score, int) else score,
        "research_topic": {"passages": [PASSAGE], "count": 1},
        "send_email": {"status": "sent", "delivery": "d", "message_id": "m"},
        **answers,
    }
    played = Played("lead_nurturing", given)
    return played.start(settings, email="ana@example.org", lead={"interest": "sound baths"})


def days(played: Played) -> list[int]:
    """Return on which days it was followed up."""
    sent = [entry for entry in played.world.history if entry.target == "reminding"]
    began = played.world.history[0].at
    return [round((each.at - began) / DAY) for each in sent]


# --- Nurturing.


def test_a_lead_is_welcomed_and_followed_up_on_the_days_of_the_business_until_they_are_over() -> (
    None
):
    played = lead()
    assert played.state == "nurturing"
    (letter,) = played.asked("send_email")
    assert (letter["template"], letter["facts"]["passages"]) == ("lead_welcome", [PASSAGE])
    assert letter["facts"]["interest"] == "sound baths"
    played.waited(60 * DAY)
    assert days(played) == [1, 3, 7, 14, 30]
    assert (played.state, played.world.status) == ("lost", "completed")
    assert {each["purpose"] for each in played.asked("send_email")[1:]} == {"marketing"}


def test_the_days_are_what_the_business_has_set() -> None:
    played = lead(settings={**SETTINGS, "follow_up_days": [2, 5]})
    assert days(played.waited(40 * DAY)) == [2, 5]


def test_a_promising_lead_is_offered_a_visit_at_once_and_books() -> None:
    played = lead(75)
    assert played.state == "booking"
    assert [each for _, each in played.letters] == ["lead_welcome", "booking_invitation"]
    assert played.asked("save_contact")[-1]["status"] == "Qualified Lead"
    played.told("booking_created", booking={"id": "b1"})
    assert (played.state, played.context["booking"]) == ("won", {"id": "b1"})
    assert played.asked("save_contact")[-1]["status"] == "Active Client"


def test_a_hot_lead_is_called_and_the_team_hears_of_it() -> None:
    played = lead(90)
    assert (played.state, played.tasks) == ("booking", ["qualify_lead"])
    assert ("team@t7s.example", "team_notice") in played.letters


def test_who_does_not_book_after_an_offer_is_nurtured_on_without_a_heap_of_letters() -> None:
    played = lead(75).waited(7 * DAY)
    assert played.state == "nurturing"
    assert days(played.waited(60 * DAY)) == [7, 14, 30]


def test_an_answer_is_read_and_leads_on_and_an_angry_one_goes_to_a_person() -> None:
    assert lead().told("email_replied", text="That sounds lovely").state == "booking"
    angry = lead().told("email_replied", text="This is unacceptable, my lawyer will sue you")
    assert (angry.state, angry.tasks) == ("review", ["lead_review"])
    assert lead().told("email_replied", text="awful").decided("rejected").state == "lost"
    assert lead().told("email_replied", text="awful").decided("approved").state == "booking"
    waited = lead().told("email_replied", text="awful").waited(2 * DAY)
    assert waited.state == "lost"


def test_who_asked_not_to_be_contacted_gets_nothing() -> None:
    played = lead(NotToBeContacted("ana@example.org"))
    assert (played.state, played.letters) == ("unsubscribed", [])
    assert played.asked("end_marketing") == [
        {"email": "ana@example.org", "reason": "they left the nurturing"}
    ]


@pytest.mark.parametrize("score", [55, 75])
def test_who_unsubscribes_later_gets_nothing_more(score: int) -> None:
    played = lead(score)
    before = len(played.letters)
    played.told("unsubscribed").waited(90 * DAY)
    assert (played.state, len(played.letters)) == ("unsubscribed", before)


def test_letters_that_are_dropped_end_it() -> None:
    dropped = {"status": "dropped", "delivery": "d", "message_id": None}
    played = lead(send_email=dropped).waited(DAY)
    assert played.state == "lost"


def test_a_lead_told_of_again_is_counted_and_not_welcomed_again() -> None:
    played = lead().told("lead_repeated", source="website")
    assert (played.context["repeats"], len(played.letters)) == (1, 1)
    assert played.state == "nurturing"


def test_without_the_hub_a_lead_is_welcomed_all_the_same() -> None:
    played = lead(research_topic=Rejected("the hub is closed"))
    assert [each for _, each in played.letters] == ["lead_welcome"]


def test_a_mail_server_that_is_down_for_an_hour_delays_the_welcome_and_nothing_else() -> None:
    played = Played("lead_nurturing")
    began = played.world.now

    def mail(command: Any) -> Any:
        down = played.world.now < began + HOUR
        return ConnectionError("down") if down else {"status": "sent"}

    found = {"passages": [PASSAGE], "count": 1}
    played.answers = {"enrich_contact": profile(55), "research_topic": found, "send_email": mail}
    played.start(SETTINGS, email="ana@example.org").waited(2 * HOUR)
    assert played.state == "nurturing"
    attempts = [e for e in played.world.asked if getattr(e, "skill", "") == "send_email"]
    assert len({each.key for each in attempts}) == 1
    assert len(attempts) > 3


def test_a_personal_follow_up_is_drafted_and_sent_by_a_workflow_of_its_own() -> None:
    played = lead(settings={**SETTINGS, "personal": True}).waited(DAY)
    assert played.state == "drafting"
    (child,) = played.world.children.values()
    assert (child.workflow, child.context["topic"]) == ("personal_message", "sound baths")
    played.world.child_ends("sent")
    assert played.on().state == "nurturing"
    played.waited(2 * DAY)
    played.world.child_ends("not_sent")
    assert played.on().letters[-1] == ("ana@example.org", "lead_follow_up")


def message() -> Played:
    drafted = {"result": {"title": "Sound baths", "text": "Come and lie down."}}
    played = Played("personal_message", {"request": drafted, "submit_review": {"review": "REV-1"}})
    return played.start(email="ana@example.org", topic="sound baths", name="Ana")


def test_a_personal_message_goes_out_as_its_reader_leaves_it_or_not_at_all() -> None:
    played = message()
    assert played.state == "approving"
    assert played.asked("submit_review")[0]["text"] == "Come and lie down."
    played.told("content_reviewed", decision="approved", text="Do come and lie down.")
    assert played.state == "sent"
    assert played.asked("send_email")[0]["facts"]["message"] == "Do come and lie down."
    again = message().told("content_reviewed", decision="changes_requested", notes="Shorter.")
    assert (again.state, len(again.collaborations)) == ("approving", 2)
    assert again.collaborations[-1].tasks[0].input["brief"] == "Shorter."
    for _ in range(3):
        again.told("content_reviewed", decision="changes_requested")
    assert again.state == "not_sent", "it is not written for ever"
    refused = message().told("content_reviewed", decision="rejected", notes="Too much")
    assert (refused.state, refused.letters) == ("not_sent", [])
    assert message().waited(3 * DAY).state == "not_sent"


# --- Capture (flow 1).

CONTACT = {
    "record_id": "r1",
    "email": "ana@example.org",
    "full_name": "Ana Ito",
    "first_name": "Ana",
}


def captured(contact: Any = CONTACT, score: Any = 55, **settings: Any) -> Played:
    answers = {"enrich_contact": profile(score) if isinstance(score, int) else score}
    return Played("lead_capture", answers).start(settings, contact=contact, source="typeform")


def test_every_lead_has_a_task_the_team_is_told_and_the_network_hears_of_it() -> None:
    played = captured(team_email="team@t7s.example")
    assert (played.state, played.tasks) == ("processed", ["lead_followup"])
    assert played.letters == [("team@t7s.example", "team_notice")]
    (announced,) = played.asked("announce")
    assert (announced["type"], announced["data"]["score"]) == ("lead_captured", 55)
    assert captured(team_email="t@t.example", score=20).letters == []
    assert captured(task=False).tasks == []


@pytest.mark.parametrize("contact", [None, {"full_name": "Ana", "email": None}])
def test_a_lead_without_an_address_or_a_number_goes_to_a_person(contact: Any) -> None:
    played = captured(contact)
    assert (played.state, played.tasks) == ("unclear", ["lead_review"])
    assert captured(contact).told("contact_update", contact=CONTACT).state == "processed"
    assert captured(contact).waited(5 * DAY).state == "dropped"


# --- Sequences.


def sequence(**settings: Any) -> Played:
    played = Played("contact_sequence")
    return played.start(settings, email="ana@example.org", contact=CONTACT)


def test_the_steps_of_a_sequence_are_done_in_their_time() -> None:
    played = sequence(sequence="am_lead_qualification").waited(timedelta(0))
    assert played.tasks == ["lead_followup"], "without an address the word to the team is a task"
    played.waited(timedelta(hours=1))
    assert played.tasks[-1] == "qualify_lead"
    played.waited(timedelta(hours=1))
    assert played.letters == [("ana@example.org", "consultation_offer")]
    played.waited(2 * HOUR)
    assert (played.state, played.tasks[-1]) == ("completed", "research_contact")


def test_a_sequence_of_ones_own_and_what_ends_it() -> None:
    steps = [{"after": "1d", "do": "email", "subject": "Hi", "text": "Well?"}]
    played = sequence(sequence="", steps=steps)
    assert played.waited(DAY).state == "completed"
    assert sequence(sequence="", steps=steps).told("email_replied").state == "stopped"
    assert sequence(sequence="", steps=steps).told("unsubscribed").state == "unsubscribed"
    with pytest.raises(ContextRejected, match=r"settings\.sequence"):
        sequence(sequence="no_such")
