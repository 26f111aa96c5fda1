"""The skills of the library, run as everybody runs them: by name, with JSON."""

import json
from importlib import import_module
from typing import Any

import pytest

from higherself.agents.skills import InputRejected, Skill, SkillCall, skills_in

MODULES = ("communication", "data", "insight")
SKILLS: dict[str, Skill] = {
    each.name: each
    for name in MODULES
    for each in skills_in(vars(import_module(f"higherself.business.skills.{name}")))
}
CALL = SkillCall(key="instance/3/mail", entity="am_consulting")


async def run(name: str, **given: Any) -> Any:
    result = await SKILLS[name].run(given, CALL)
    return json.loads(json.dumps(result))


@pytest.mark.parametrize("name", sorted(SKILLS))
def test_every_skill_says_what_it_does_and_takes(name: str) -> None:
    skill = SKILLS[name]
    assert skill.description.endswith(".")
    assert skill.schema["type"] == "object"
    assert skill.schema["required"]


async def test_an_email_is_composed_from_a_template() -> None:
    given = {
        "to": "ana@example.org",
        "sender": "The 7 Space <hello@the7space.com>",
        "template": "quote",
        "facts": {"client": {"name": "Ana"}, "amount": "$45"},
        "at": "2026-03-01T09:00:00Z",
    }
    mail = await run("compose_email", **given)
    assert mail["subject"] == "Your quote from The 7 Space"
    assert "our offer: $45." in mail["text"]
    assert "<strong>$45</strong>" in mail["html"]
    assert mail["message_id"] in mail["mime"]
    assert await run("compose_email", **given) == mail


async def test_an_email_from_ones_own_text() -> None:
    mail = await run(
        "compose_email",
        to=["a@x.org"],
        sender="b@x.org",
        subject="Hi {{ n }}",
        body="*{{ n }}*",
        facts={"n": "A*"},
    )
    assert (mail["subject"], mail["text"]) == ("Hi A*", "A*\n")


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("compose_email", {"to": "a@x.org", "sender": "b@x.org"}, "either `template`, or"),
        (
            "compose_email",
            {"to": "a@x.org", "sender": "b@x.org", "template": "quot"},
            "did you mean 'quote'",
        ),
        ("format_message", {"markdown": "a" * 800, "channel": "sms"}, "shorten it"),
        ("format_message", {"markdown": "a", "channel": "fax"}, "channel: "),
        ("map_records", {"records": [], "mapping": {"a": 1}}, "a: say where"),
        (
            "find_availability",
            {
                "hours": {},
                "zone": "Lisbon",
                "first": "2026-03-02",
                "last": "2026-03-02",
                "minutes": 60,
            },
            "no time zone",
        ),
        ("quote_price", {"lines": [{"name": "x", "price": "-1"}], "currency": "USD"}, "lines: x"),
        ("score_lead", {"client": {}, "rules": {}}, "rules"),
    ],
)
async def test_wrong_input_names_the_field(name: str, given: dict[str, Any], said: str) -> None:
    with pytest.raises(Exception, match=said) as raised:
        await run(name, **given)
    assert isinstance(raised.value, InputRejected) or type(raised.value).__mro__[1].__name__ in (
        "Rejected",
        "NotFound",
    )


@pytest.mark.parametrize(
    ("channel", "key"),
    [
        ("email", "html"),
        ("slack", "blocks"),
        ("sms", "segments"),
        ("notion", "blocks"),
        ("plain", "text"),
    ],
)
async def test_a_text_in_the_form_of_a_channel(channel: str, key: str) -> None:
    shown = await run(
        "format_message", markdown="**Hello** {{ name }}", channel=channel, facts={"name": "Ana"}
    )
    assert shown[key]
    assert shown["text"].strip() == "Hello Ana"


async def test_records_in_order() -> None:
    listed = await run("csv_to_records", text="name;tel;paid\nAna;(917) 555-0142;$1,200\nBo;x;\n")
    treated = await run(
        "map_records",
        records=listed["records"],
        mapping={
            "name": "name",
            "phone": {"from": "tel", "as": "phone", "country": "US"},
            "paid": {"from": "paid", "as": "money"},
        },
    )
    assert treated["records"] == [
        {"name": "Ana", "phone": "+19175550142", "paid": {"amount": "1200.00", "currency": "USD"}}
    ]
    assert [(each["record"], each["field"]) for each in treated["problems"]] == [(1, "phone")]
    assert (await run("records_to_csv", records=[{"a": "=1"}]))["csv"] == "a\r\n'=1\r\n"
    people = await run(
        "deduplicate_contacts", contacts=[{"email": "a@x.org"}, {"email": "A@x.org", "name": "Ana"}]
    )
    assert people["merged"] == 1
    assert people["people"][0]["contact"] == {"email": "a@x.org", "name": "Ana"}
    assert (await run("validate_records", records=[{}], schema={"required": ["a"]}))["problems"]
    assert (await run("clean_records", records=[{"a": " x "}]))["records"] == [{"a": "x"}]
    assert (await run("normalise_date", text="3 May 2026"))["date"] == "2026-05-03"
    assert (await run("normalise_phone", text="+19175550142"))["shown"] == "+1 917-555-0142"
    assert (await run("normalise_money", text="12", currency="EUR")) == {
        "amount": "12.00",
        "currency": "EUR",
    }


async def test_judgements() -> None:
    lead = await run("score_lead", client={"budget": 60_000, "source": "referral"})
    assert (lead["score"], lead["level"]) == (70, "warm")  # by the rules of am_consulting
    found = await run(
        "segment_contacts", contacts=[{"visits": 3}], definitions={"regulars": "contact.visits > 2"}
    )
    assert found["segments"] == [{"name": "regulars", "members": [0], "unclear": []}]
    free = await run(
        "find_availability", hours={"mon": "09:00-11:00"}, zone="Europe/Lisbon", first="2026-03-02", last="2026-03-02", minutes=60,
        booked=[{"start": "2026-03-02T09:00:00Z", "end": "2026-03-02T10:00:00Z"}], now="2026-03-01T00:00:00Z",
    )  # fmt: skip
    assert free["slots"] == [
        {
            "start": "2026-03-02T10:00:00+00:00",
            "end": "2026-03-02T11:00:00+00:00",
            "local": "Monday 02 March 2026, 10:00",
            "places": 1,
        }
    ]
    bill = await run(
        "quote_price",
        lines=[{"name": "Sound bath", "price": "45", "quantity": 2}],
        currency="USD",
        tax_percent="8.875",
    )
    assert (bill["total"], bill["lines"][0]) == (
        "97.99",
        {"name": "2 x Sound bath", "amount": "90.00"},
    )
    assert (await run("analyse_sentiment", text="I will sue you"))["alarms"] == ["legal"]
