"""`higherself happenings`: what happened is told, listed and shown with what followed."""

from tests.cli.conftest import Higherself

LEAD = '{"contact": {"email": "ana@example.org", "first_name": "Ana"}}'


def test_a_lead_is_told_of_once_and_shown_with_what_followed(higherself: Higherself) -> None:
    tell = ("happenings", "tell", "new_lead", "--entity", "the_7_space", "--id", "l/1", "--json")
    first = higherself(*tell, "--data", LEAD).json
    assert [each["workflow"] for each in first["started"]] == ["lead_capture"]
    (left,) = [each for each in first["left"] if each["workflow"] == "lead_nurturing"]
    assert "booking_link: it has to be set" in left["reason"]
    assert higherself(*tell, "--data", LEAD).json == first
    shown = higherself("happenings", "show", "l/1", "--entity", "the_7_space")
    assert "lead_capture" in shown.out
    assert "booking_link: it has to be set" in shown.out
    (listed,) = higherself("happenings", "list", "--json").json["happenings"]
    assert (listed["id"], listed["source"], listed["status"]) == ("l/1", "manual", "handled")
    assert "lead_capture" in higherself("happenings", "list", "--type", "new_lead").out


def test_what_cannot_be_told_is_refused_by_name(higherself: Higherself) -> None:
    tell = ("happenings", "tell", "new_lead", "--entity")
    wrong = higherself(*tell, "the_7_space", "--data", "[1]")
    assert (wrong.code, "--data" in wrong.err) == (5, True)
    assert higherself(*tell, "No Business!").code == 5
    none = higherself("happenings", "show", "l/9", "--entity", "the_7_space")
    assert (none.code, "l/9" in none.err) == (3, True)
