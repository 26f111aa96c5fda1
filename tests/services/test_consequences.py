"""What follows from what happens: decided without a database, for whatever comes in."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.app.happenings import installed_triggers
from higherself.services.consequences import (
    Known,
    Log,
    RecordChange,
    Send,
    Skip,
    Start,
    decide,
    happened_to,
    person_of,
)
from higherself.services.outcomes import source_option
from higherself.services.triggers import Happening, TriggersRejected, read_triggers

TRIGGERS = installed_triggers()
AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
CONTACT: dict[str, Any] = {
    "record_id": "0198c0de-0000-7000-8000-000000000001", "email": "ana@example.org",
    "may_be_contacted": True, "phone": None,
}  # fmt: skip
JSON: Any = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(
                ["contact", "order", "id", "email", "request", "support", "record", "interest"]
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


def happening(type: str, data: Any = None, **more: Any) -> Happening:
    given = {
        "type": type, "entity": "the_7_space", "data": data or {}, "id": "h1", "at": AT,
        "source": "typeform", "correlation": "c1", **more,
    }  # fmt: skip
    return Happening(**given)


@given(
    st.sampled_from(TRIGGERS.types),
    st.dictionaries(st.sampled_from(["contact", "order", "id", "request", "support"]), JSON),
    st.sampled_from([None, CONTACT]),
    st.sampled_from([None, "h0"]),
)
def test_whatever_happens_every_trigger_is_decided_on_and_a_repetition_starts_nothing(
    type: str, data: Any, contact: Any, duplicate: str | None
) -> None:
    told = happening(type, data)
    known = Known(contact=contact, duplicate_of=duplicate, now=AT)
    actions = decide(TRIGGERS, told, known)
    assert actions == decide(TRIGGERS, told, known), "it is the same again"
    decided = [each.trigger for each in actions if not isinstance(each, Log)]
    assert decided == [place for place, _ in TRIGGERS.of(told)]
    for each in actions:
        if isinstance(each, Start):
            assert duplicate is None
            assert each.context["correlation"] == "c1"
            assert each.key
        if isinstance(each, Skip):
            assert each.reason
        if isinstance(each, Send):
            assert each.id == f"happening/h1/{each.trigger}"
            assert (each.key is None) != (each.about is None)
    logs = [each for each in actions if isinstance(each, Log)]
    assert bool(logs) == (duplicate is not None and type in TRIGGERS.duplicates)


def workflows(actions: Any, kind: Any) -> list[str]:
    return [each.workflow for each in actions if isinstance(each, kind)]


def test_a_lead_is_captured_and_nurtured_unless_they_asked_not_to_be_contacted() -> None:
    lead = happening("new_lead", {"contact": {"email": "ana@example.org"}})
    assert workflows(decide(TRIGGERS, lead, Known(CONTACT)), Start) == [
        "lead_capture", "lead_nurturing"
    ]  # fmt: skip
    for contact in (None, {**CONTACT, "email": None}, {**CONTACT, "may_be_contacted": False}):
        assert workflows(decide(TRIGGERS, lead, Known(contact)), Start) == ["lead_capture"]
    refused = Known(CONTACT, refused={"lead_nurturing": "not set up"})
    (skip,) = [each for each in decide(TRIGGERS, lead, refused) if isinstance(each, Skip)]
    assert skip.reason == "not set up"
    again = Known(CONTACT, in_conversation=frozenset({"lead_capture", "lead_nurturing"}))
    assert workflows(decide(TRIGGERS, lead, again), Start) == []


def test_sequences_are_those_of_the_business_and_of_what_somebody_wants() -> None:
    def sequence(interest: str, entity: str = "the_7_space") -> list[Any]:
        told = happening("lead_captured", {"interest": interest}, entity=entity)
        actions = decide(TRIGGERS, told, Known(CONTACT))
        return [e.context["settings"]["sequence"] for e in actions if isinstance(e, Start)]  # type: ignore[index, call-overload]  # fmt: skip

    assert sequence("Artists and portfolios") == ["the_7_space_artist_discovery"]
    assert sequence("wellness") == ["the_7_space_wellness_inquiry"]
    assert sequence("prints") == []
    assert sequence("", "am_consulting") == ["am_lead_qualification"]
    assert sequence("", "higherself") == []


def test_support_is_told_by_its_case_or_by_who_writes() -> None:
    case = happening("support_replied", {"support": "s1", "request": {"text": "Thanks"}})
    (send,) = [e for e in decide(TRIGGERS, case, Known(CONTACT)) if isinstance(e, Send)]
    assert (send.key, send.about, send.event) == ("s1", None, "customer_replied")
    reply = happening("support_replied", {"text": "Thanks"})
    (send,) = [e for e in decide(TRIGGERS, reply, Known(CONTACT)) if isinstance(e, Send)]
    assert (send.key, send.about) == (None, f"contact/{CONTACT['record_id']}")
    assert not [e for e in decide(TRIGGERS, reply, Known(None)) if isinstance(e, Send)]


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ("typeform", "typeform", True),
        ("typeform", "website", True),
        ("acuity", "amelia", True),
        ("typeform", "woocommerce", False),
        ("agent:nyra", "woocommerce", True),
        ("operator", "amelia", True),
    ],
)
def test_which_sources_may_tell_of_the_same(one: str, other: str, fits: bool) -> None:
    rules = TRIGGERS.duplicates["new_lead"]
    assert rules.compatible(one, other) is fits
    assert rules.compatible(other, one) is fits


def test_a_person_is_who_has_the_address_however_it_is_written() -> None:
    one = happening("new_lead", {"contact": {"email": " Ana@Example.org"}})
    assert person_of(TRIGGERS, one, None) == "ana@example.org"
    assert person_of(TRIGGERS, happening("new_lead"), None) is None
    assert person_of(TRIGGERS, replace(one, type="order_created"), None) is None


@pytest.mark.parametrize(
    ("said", "option"),
    [("referral", "Referral"), ("instagram", "Social Media"), ("typeform", "Website"), (5, "Website")],
)  # fmt: skip
def test_where_a_contact_comes_from(said: Any, option: str) -> None:
    assert source_option(happening("new_lead", {"contact": {"source": said}})) == option


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"triggers": [{"on": "a"}]}, r"triggers\.0: .*`start` or `send`"),
        ({"triggers": [{"on": "a", "start": {"workflow": "w"}, "wen": "x"}]}, r"triggers\.0\.wen"),
        ({"triggers": [{"on": "a", "when": "evnt.x == 1", "start": {"workflow": "w"}}]}, "evnt"),
        ({"triggers": [{"on": "a", "start": {"workflow": "w", "key": "{{ happening.ide }}"}}]}, "ide"),
        ({"triggers": [{"on": "a", "send": {"workflow": "w", "event": "e", "key": "k", "about": "b"}}]}, "not two of them"),
        ({"duplicates": {"a": {"by": "{{ event.x }}", "within": "a day"}}}, r"duplicates\.a\.within"),
        ({"records": [{"database": "d", "when": "after.x ==", "happening": "h"}]}, r"records\.0\.when"),
    ],
)  # fmt: skip
def test_triggers_that_are_wrong_are_refused_with_their_place(said: Any, wrong: str) -> None:
    with pytest.raises(TriggersRejected, match=wrong):
        read_triggers(said)


@pytest.mark.parametrize(
    ("database", "before", "after", "happens"),
    [
        ("contacts_profiles", "Active Lead", "Qualified Lead", ["lead_qualified"]),
        ("contacts_profiles", "Active Lead", "Do Not Contact", ["subscriber_left"]),
        ("contacts_profiles", "Do Not Contact", "Do Not Contact", []),
        ("contacts_profiles", None, "Active Client", []),
        ("tasks", "To Do", "Done", ["task_changed"]),
        ("tasks", "Done", "Done", []),
        ("products_services", "Active", "Inactive", []),
    ],
)
def test_what_people_change_in_notion_leads_on(
    database: str, before: str | None, after: str, happens: list[str]
) -> None:
    columns: dict[str, Any] = {"email": "a@b.org", "phone": None, "task_id": "TASK-1"}
    columns |= {"related_workflow_instance": ["0198c0de-0000-7000-8000-000000000002"]}
    change = RecordChange(
        database=database, record=UUID(int=5), entity="the_7_space",
        before={**columns, "status": before}, after={**columns, "status": after},
    )  # fmt: skip
    found = list(happened_to(TRIGGERS, change, now=AT))
    assert [type_ for type_, _ in found] == happens
    for type_, data in found:
        told = happening(type_, data)
        (send, *_) = decide(TRIGGERS, told, Known(CONTACT))
        assert isinstance(send, Send)
        assert send.instances or send.about
