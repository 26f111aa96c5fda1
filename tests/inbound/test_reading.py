"""Reading: what the vendors' payloads say, in our words, by the declared transformations."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inbound.deliveries import SAMPLES, Sample, changed, sample, signed

from higherself.app.inbound import WrittenReaders, installed_transformations
from higherself.inbound.businesses import Businesses, BusinessUnknown
from higherself.inbound.errors import Malformed, TransformationMistaken
from higherself.inbound.model import Announcement, Arrived
from higherself.inbound.transformation import News, at_path, read_transformations, transformed
from higherself.kernel.clock import SYSTEM_CLOCK
from higherself.services.inbound.rules import Conditions

CONDITIONS = Conditions(SYSTEM_CLOCK)


def news_of(of: Sample, body: bytes | None = None) -> list[News]:
    found = []
    for announcement in of.of.read(signed(of, body)).announcements:
        rule = installed_transformations().rule(of.source, announcement)
        assert rule is not None, announcement.event
        found.append(transformed(announcement, rule.said, WrittenReaders()))
    return found


def only(of: str, **fields: Any) -> News:
    chosen = sample(of)
    (news,) = news_of(chosen, changed(chosen, **fields) if fields else None)
    return news


EXPECTED: Mapping[str, tuple[str | None, Mapping[str, Any]]] = {
    "typeform_form_response.json": (
        "new_lead",
        {
            "contact.email": "laura@example.com",
            "contact.first_name": "Laura",
            "contact.phone": "+14155552671",
            "lead.interests": ["Art", "Wellness", "Sound baths"],
            "lead.message": "I would like to book the gallery for a small exhibition in May.",
            "lead.score": 9,
            "lead.form": "Gallery enquiry",
            "lead.payment.amount": "120.00",
            "submission_date": "2026-05-04T18:17:02Z",
            "additional_data.readable_ref_shoes": "39",
            "additional_data.readable_ref_multiple_choice": "Barcelona",
            "additional_data.readable_ref_email": None,
        },
    ),
    "woocommerce_order.json": (
        "order_changed",
        {
            "contact.email": "john.doe@example.com",
            "order.id": "727",
            "order.total": 1229.35,
            "order.items.0.sku": "ART-93",
            "order.items.1.quantity": 6,
            "order.shipping.city": "San Francisco",
            "order.paid_at": "2026-05-04T14:15:55Z",
            "payment.amount": 1229.35,
        },
    ),
    "amelia_new_booking.json": (
        "booking_status_update",
        {
            "contact.email": "mara@example.org",
            "booking.id": "bk_1007",
            "booking.service_id": "service_001",
            "booking.starts_at": "2026-06-12T17:00:00Z",
            "payment.amount": 450,
        },
    ),
    "amelia_appointment.form": (
        "booking_status_update",
        {"contact.first_name": "Mara", "booking.id": "1007", "booking.status": "canceled"},
    ),
    "circle_new_member.json": (
        "new_member",
        {
            "member.level": "Premium",
            "member.interests": ["Art", "Spirituality"],
            "member.id": "2884",
        },
    ),
    "circle_member_activity.json": (
        "member_activity",
        {"activity.type": "post", "contact.email": "ivy@example.org"},
    ),
    "circle_event.json": ("community_event", {"event.date": "2026-06-01T19:00:00Z"}),
    "beehiiv_subscription_created.json": (
        "subscriber_joined",
        {"subscriber.utm.source": "Twitter", "subscriber.at": "2026-05-04T13:06:40Z"},
    ),
    "stripe_checkout_session_completed.json": (
        "payment_received",
        {
            "payment.amount": 450,
            "payment.currency": "USD",
            "payment.id": "pi_1GszsK2eZvKYlo2CfhZyoZLp",
            "booking.id": "bk_1007",
            "contact.full_name": "Mara Lind",
        },
    ),
    "stripe_charge_refunded.json": (
        "payment_refunded",
        {"payment.amount": 20000, "payment.currency": "JPY"},
    ),
    "userfeedback.json": (
        "feedback_received",
        {"feedback.sentiment": "Negative", "additional_data.browser": "Safari"},
    ),
    "tutorlm.json": ("learning_activity", {"learning.score": 94}),
    "snovio.json": ("new_lead", {"contact.company": "Voss & Co", "lead.list": "Consulting leads"}),
    "generic_new_lead.json": ("new_lead", {"anything_else.kept": True}),
}


@pytest.mark.parametrize("file", EXPECTED)
def test_what_a_payload_says(file: str) -> None:
    happening, expected = EXPECTED[file]
    news = only(file)
    assert news.happening == happening
    assert {path: at_path(news.data, path) for path in expected} == expected
    assert not news.problems


def test_an_appointment_with_several_bookings_is_several_announcements() -> None:
    paid, pending = news_of(sample("amelia_appointment.json"))
    assert (paid.subject, paid.state) == ("booking:1007", "payment_confirmed")
    assert (pending.subject, pending.state) == ("booking:1008", "new_booking")
    assert at_path(paid.data, "booking.additional.customFields.1.value") == "vegan"


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", "new_booking"),
        ("approved", "payment_pending"),
        ("paid", "payment_confirmed"),
        ("canceled", "canceled"),
        ("no_show", "canceled"),
        ("Rejected", "canceled"),
        ("on the moon", None),
    ],
)
def test_the_states_of_amelia(status: str, state: str | None) -> None:
    assert only("amelia_status_update.json", status=status).state == state


@pytest.mark.parametrize("action", ["scheduled", "rescheduled", "canceled"])
def test_the_actions_of_acuity(action: str) -> None:
    of = sample("acuity_scheduled.form")
    (news,) = news_of(of, of.body.replace(b"scheduled", action.encode()))
    assert (news.state, news.subject, news.rule.lookup) == (
        *(action, "booking:54321"),
        "acuity_appointment",
    )


def test_a_missing_address_leaves_the_contact_out() -> None:
    news = only("typeform_without_email.json")
    assert not news.has_contact
    assert news.rule.contact == "required"


def test_what_cannot_be_read_is_said_and_the_rest_is_kept() -> None:
    at = sample("woocommerce_order.json")
    (news,) = news_of(at, changed(at, billing__email="nobody", total="a lot"))
    assert [each.partition(":")[0] for each in news.problems[:1]] == ["contact.email"]
    assert at_path(news.data, "order.number") == "727"
    assert "problems" in news.data


def test_two_tellings_of_one_payment_have_one_subject() -> None:
    one = only("stripe_checkout_session_completed.json")
    other = only("stripe_payment_intent_succeeded.json")
    assert one.subject == other.subject == "payment:pi_1GszsK2eZvKYlo2CfhZyoZLp"


@pytest.mark.parametrize(
    ("file", "fields", "field"),
    [
        ("typeform_form_response.json", {"event_id": ""}, "event_id"),
        ("typeform_form_response.json", {"form_response__token": None}, "form_response.token"),
        ("amelia_new_booking.json", {"booking_id": {}}, "booking_id"),
        ("amelia_status_update.json", {"status": 7}, "status"),
        ("circle_new_member.json", {"event": None}, "event"),
        ("stripe_charge_refunded.json", {"data__object": []}, "data.object"),
        ("generic_new_lead.json", {"data": [1]}, "data"),
        ("generic_new_lead.json", {"timestamp": "yesterday"}, "timestamp"),
        ("generic_new_lead.json", {"data__entity": "No Slug"}, "data.entity"),
        ("userfeedback.json", {"feedback__id": None}, "feedback.id"),
        ("tutorlm.json", {"student_id": "x" * 500}, "student_id"),
    ],
)
def test_what_a_source_leaves_out_is_named(file: str, fields: dict[str, Any], field: str) -> None:
    of = sample(file)
    with pytest.raises(Malformed) as refused:
        of.of.read(Arrived(signed(of).headers, changed(of, **fields)))
    assert refused.value.field == field


def test_a_topic_that_the_body_does_not_bear_out_is_refused() -> None:
    order = sample("woocommerce_order.json")
    for topic in ("order.deleted", "customer.created", "", "order"):
        with pytest.raises(Malformed):
            order.of.read(Arrived({"x-wc-webhook-topic": topic}, order.body))


@given(st.dictionaries(st.text(max_size=20), st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
), max_size=8))  # fmt: skip
@pytest.mark.parametrize("of", SAMPLES, ids=str)
def test_any_other_field_of_any_kind_is_no_error(of: Sample, more: dict[str, Any]) -> None:
    if not of.file.endswith(".json") or of.file == "woocommerce_deleted.json":
        return
    body = json.loads(of.body)
    merged = {**more, **body}
    if "form_response" in body:
        answer = {"type": "text", "text": "x", "field": {"id": "new", "ref": "brand_new"}, **more}
        merged["form_response"] = {
            **body["form_response"], "answers": [*body["form_response"]["answers"], answer],
        }  # fmt: skip
    news = news_of(of, json.dumps(merged).encode())
    assert news


# Whose it is


def announcement(*places: str, entity: str | None = None) -> Announcement:
    return Announcement(event="e", data={}, places=places, entity=entity)


def test_whose_it_is_is_what_is_set() -> None:
    set_ = Businesses.read("typeform:form:a=gallery, typeform=practice\n*=rest")
    assert set_.of("typeform", announcement("form:a")) == "gallery"
    assert set_.of("typeform", announcement("form:b")) == "practice"
    assert set_.of("acuity", announcement("form:a")) == "rest"
    assert set_.of("acuity", announcement("type:1"), {"acuity:type:1": "claimed"}) == "claimed"
    assert set_.of("generic", announcement(entity="signed")) == "signed"
    with pytest.raises(BusinessUnknown, match=r"acuity:type:1=BUSINESS"):
        Businesses({}).of("acuity", announcement("type:1"))
    for wrong in ("gallery", "=x", "typeform=No Slug", "nobody=x"):
        with pytest.raises(ValueError, match=r"is not|no webhooks|slug"):
            Businesses.read(wrong)


# What is declared


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"happening": "x", "data": {"a": {"of": "b", "do": "lowr"}}}, "did you mean 'lower'"),
        ({"data": {}}, "say what it means"),
        ({"happening": "x", "opens": "y"}, "need a state"),
        ({"happening": "x", "dat": {}}, "dat"),
        ({"happening": "x", "data": {"a": 7}}, "a path is needed"),
        ({"happening": "x", "data": {"a": {"of": "b", "do": "map"}}}, "needs an argument"),
        ({"happening": "x", "when": "event.a ="}, "when:"),
    ],
)
def test_a_mistake_in_a_rule_is_named(rule: Any, said: str) -> None:
    with pytest.raises(TransformationMistaken, match=said):
        read_transformations({"typeform": {"*": rule}}, CONDITIONS)


def test_a_condition_chooses_the_rule_and_one_that_cannot_be_told_does_not_hold() -> None:
    rules = read_transformations(
        {"s": {"e": [{"when": "event.a.b > 1", "happening": "one"}, {"happening": "other"}]}},
        CONDITIONS,
    )

    def chosen(data: Any) -> str | None:
        rule = rules.rule("s", Announcement(event="e", data=data))
        return None if rule is None else rule.said.happening

    assert (chosen({"a": {"b": 2}}), chosen({"a": {"b": 1}}), chosen({})) == (
        "one",
        "other",
        "other",
    )
    assert rules.rule("s", Announcement(event="x", data={})) is None
