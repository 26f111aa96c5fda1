"""`higherself templates`: what can be set, for whom it is set up, and what is wrong by its name."""

import json
from pathlib import Path

from tests.cli.conftest import Higherself

LINK = "https://the7space.example/visit"


def test_templates_are_listed_shown_set_up_and_disabled(
    higherself: Higherself, tmp_path: Path
) -> None:
    listed = higherself("templates", "list", "--json").json["templates"]
    assert {"lead_nurturing", "customer_support", "art_sale"} <= {each["name"] for each in listed}
    assert all(each["description"] and each["setup_for"] == [] for each in listed)

    refused = higherself("templates", "setup", "lead_nurturing", "--entity", "the_7_space")
    assert refused.code == 5
    assert "booking_link: it has to be set (Where a lead books" in refused.err
    wrong = higherself(
        "templates", "setup", "lead_nurturing", "--entity", "the_7_space",
        "--set", "booking_lnk=x", "--set", "follow_up_days=[1, -2]",
    )  # fmt: skip
    assert "booking_lnk: there is no such setting; did you mean 'booking_link'?" in wrong.err
    assert "follow_up_days" in wrong.err

    done = higherself(
        "templates", "setup", "lead_nurturing", "--entity", "the_7_space", "--set",
        f"booking_link={LINK}", "--set", "follow_up_days=[1, 2]", "--as", "ada", "--json",
    ).json  # fmt: skip
    assert done["settings"] == {"booking_link": LINK, "follow_up_days": [1, 2]}
    assert (done["enabled"], done["set_by"], done["origin"]) == (True, "ada", "cli")

    file = tmp_path / "nurturing.yaml"
    file.write_text("settings:\n  answer_within: 24 hours\n  follow_up_days: null\n")
    done = higherself(
        "templates", "setup", "lead_nurturing", "--entity", "the_7_space", "--file", file, "--json"
    ).json
    assert done["settings"] == {"booking_link": LINK, "answer_within": "24 hours"}
    assert done["origin"] == "file"

    shown = higherself("templates", "show", "lead_nurturing", "--json").json
    (link,) = [each for each in shown["settings"] if each["name"] == "booking_link"]
    assert (link["required"], link["default"]) == (True, None)
    assert [each["entity"] for each in shown["setups"]] == ["the_7_space"]
    said = higherself("templates", "show", "lead_nurturing").out
    assert "to be set" in said
    assert "lead_nurturing for the_7_space, by operator" in said

    started = ("workflow", "start", "lead_nurturing", "--entity", "the_7_space", "--json",
               "--context", json.dumps({"email": "ana@example.org"}))  # fmt: skip
    instance = higherself(*started).json["instance"]
    context = higherself("workflow", "instance", instance, "--json").json["context"]
    assert context["settings"]["booking_link"] == LINK
    assert context["settings"]["follow_up_days"] == [1, 3, 7, 14, 30]

    off = ("templates", "disable", "lead_nurturing", "--entity", "the_7_space")
    assert higherself(*off).code == 0
    assert higherself("templates", "list", "--json").json["templates"] == listed
    on = ("templates", "enable", "lead_nurturing", "--entity", "the_7_space", "--json")
    assert higherself(*on).json["enabled"]


def test_what_cannot_be_set_up_is_told(higherself: Higherself, tmp_path: Path) -> None:
    given = ("--entity", "am_consulting")
    unknown = higherself("templates", "setup", "lead_nurtring", *given)
    assert (unknown.code, "did you mean 'lead_nurturing'" in unknown.err) == (3, True)
    nothing = higherself("templates", "setup", "booking", *given)
    assert (nothing.code, "booking has no settings" in nothing.err) == (5, True)
    pairs = higherself("templates", "setup", "art_sale", *given, "--set", "certificate")
    assert (pairs.code, "write NAME=VALUE" in pairs.err) == (2, True)
    typed = higherself("templates", "setup", "art_sale", *given, "--set", "certificate=often")
    assert (typed.code, "certificate" in typed.err) == (5, True)
    file = tmp_path / "broken.yaml"
    file.write_text("settings: [")
    broken = higherself("templates", "setup", "art_sale", *given, "--file", file)
    assert (broken.code, "is no YAML" in broken.err) == (5, True)
    missing = higherself("templates", "disable", "lead_nurturing", *given)
    assert (missing.code, "am_consulting has not set up lead_nurturing" in missing.err) == (3, True)
    needed = higherself("workflow", "start", "lead_nurturing", *given, "--context", '{"email": "a@b.c"}')  # fmt: skip
    assert (needed.code, "booking_link: it has to be set" in needed.err) == (5, True)
