"""Signatures: what a vendor has signed is taken; a byte of it changed, another secret, another time is not."""

import base64
import hmac
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.inbound.deliveries import NOON, SAMPLES, SECRET, Sample, sample, signed

from higherself.inbound.errors import BadSignature, Malformed, StaleDelivery, UnknownSource
from higherself.inbound.model import Arrived
from higherself.inbound.signing import standard_signature
from higherself.inbound.sources import SOURCES, source_named, stripe, woocommerce

ONE_OF_EACH = tuple({each.source: each for each in SAMPLES}.values())
TIMED = {"stripe": "stripe-signature", "beehiiv": "svix-timestamp", "generic": "webhook-timestamp"}
UNSIGNED_HEADERS = {"x-wc-webhook-topic", "x-wc-webhook-delivery-id"}
OTHER = "another-secret-of-the-account"


@pytest.mark.parametrize("of", SAMPLES, ids=str)
def test_what_a_vendor_signed_is_taken(of: Sample) -> None:
    of.of.verify(signed(of), [SECRET], NOON)


@pytest.mark.parametrize("of", ONE_OF_EACH, ids=str)
def test_any_of_several_secrets_may_have_signed_while_one_replaces_another(of: Sample) -> None:
    of.of.verify(signed(of), [OTHER, SECRET], NOON)
    of.of.verify(signed(of, secret=OTHER), [OTHER, SECRET], NOON)
    with pytest.raises(BadSignature):
        of.of.verify(signed(of), [OTHER], NOON)
    with pytest.raises(BadSignature):
        of.of.verify(signed(of), [], NOON)


@pytest.mark.parametrize("of", ONE_OF_EACH, ids=str)
def test_without_its_header_nothing_is_taken(of: Sample) -> None:
    for name in ("", None):
        headers = {} if name is None else dict.fromkeys(signed(of).headers, "")
        with pytest.raises(BadSignature):
            of.of.verify(Arrived(headers, of.body), [SECRET], NOON)


_SIGNED = [each for each in ONE_OF_EACH if not each.of.secret_headers]


@given(data=st.data())
@pytest.mark.parametrize("of", _SIGNED, ids=str)
def test_a_changed_byte_of_the_body_is_refused(of: Sample, data: st.DataObject) -> None:
    arrived = signed(of)
    at = data.draw(st.integers(0, len(arrived.body) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda each: each != arrived.body[at]))
    body = arrived.body[:at] + bytes([byte]) + arrived.body[at + 1 :]
    with pytest.raises(BadSignature):
        of.of.verify(replace(arrived, body=body), [SECRET], NOON)


@given(data=st.data())
@pytest.mark.parametrize("of", ONE_OF_EACH, ids=str)
def test_a_changed_character_of_signature_secret_or_timestamp_is_refused(
    of: Sample, data: st.DataObject
) -> None:
    arrived = signed(of)
    name = data.draw(st.sampled_from(sorted(set(arrived.headers) - UNSIGNED_HEADERS)))
    value = arrived.headers[name]
    at = data.draw(st.integers(0, len(value) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126))
    if other == value[at] or (name == "stripe-signature" and other == "," == value[at]):
        return
    headers = {**arrived.headers, name: value[:at] + other + value[at + 1 :]}
    with pytest.raises(BadSignature):
        of.of.verify(replace(arrived, headers=headers), [SECRET], NOON)


@pytest.mark.parametrize("name", TIMED)
@pytest.mark.parametrize(
    ("seconds", "is_taken"),
    [(0, True), (300, True), (-300, True), (301, False), (-301, False), (86_400 * 400, False)],
)
def test_a_signature_counts_for_five_minutes_on_either_side(
    name: str, seconds: int, is_taken: bool
) -> None:
    of = next(each for each in ONE_OF_EACH if each.source == name)
    arrived, now = signed(of), NOON + timedelta(seconds=seconds)
    if is_taken:
        of.of.verify(arrived, [SECRET], now)
        return
    with pytest.raises(StaleDelivery, match="seconds"):
        of.of.verify(arrived, [SECRET], now)


@pytest.mark.parametrize("time", ["", "soon", "1.5", "-5", "9" * 40, "1e9", "٣"])
def test_what_is_no_time_is_refused(time: str) -> None:
    of = sample("generic_new_lead.json")
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": time,
        "webhook-signature": standard_signature(of.body, SECRET, "m", time),
    }
    with pytest.raises(BadSignature, match="time"):
        of.of.verify(Arrived(headers, of.body), [SECRET], NOON)


def test_one_of_several_signatures_has_to_fit() -> None:
    generic = signed(sample("generic_new_lead.json"))
    good = generic.headers["webhook-signature"]
    headers = {**generic.headers, "webhook-signature": f"v1a,xxxx v1,AAAA {good}"}
    SOURCES["generic"].verify(replace(generic, headers=headers), [SECRET], NOON)
    paid = signed(sample("stripe_charge_refunded.json"))
    time, _, v1 = paid.headers["stripe-signature"].partition(",")
    for given_, fits in (
        (f"{time},v0=00,v1=1234,{v1}", True),
        (f"{time}, {v1}", True),
        (f"{time},v0={v1[3:]}", False),
        (f"{time},t=1,{v1}", False),
        (time, False),
    ):
        arrived = Arrived({"stripe-signature": given_}, paid.body)
        if fits:
            SOURCES["stripe"].verify(arrived, [SECRET], NOON)
        else:
            with pytest.raises(BadSignature):
                SOURCES["stripe"].verify(arrived, [SECRET], NOON)


def test_a_flood_of_signatures_is_not_all_compared() -> None:
    of = signed(sample("generic_new_lead.json"))
    flood = " ".join(["v1,AAAA"] * 50 + [of.headers["webhook-signature"]])
    with pytest.raises(BadSignature):
        SOURCES["generic"].verify(
            replace(of, headers={**of.headers, "webhook-signature": flood}), [SECRET], NOON
        )


def test_the_schemes_are_those_that_vendors_document() -> None:
    """By other means than ours: openssl's digest over the documented content."""
    body, key = b'{"a":1}', b"k"

    def mac(content: bytes) -> bytes:
        return hmac.digest(key, content, "sha256")

    plain = base64.b64encode(mac(body)).decode()
    assert SOURCES["typeform"].sign(body, "k", NOON) == {"typeform-signature": f"sha256={plain}"}
    assert SOURCES["acuity"].sign(body, "k", NOON) == {"x-acuity-signature": plain}
    assert SOURCES["woocommerce"].sign(body, "k", NOON)[woocommerce.HEADER] == plain
    seconds = int(NOON.timestamp())
    assert SOURCES["stripe"].sign(body, "k", NOON) == {
        stripe.HEADER: f"t={seconds},v1={mac(f'{seconds}.'.encode() + body).hex()}"
    }


def test_a_bearer_token_counts_as_the_secret() -> None:
    of = sample("tutorlm.json")
    of.of.verify(Arrived({"authorization": f"Bearer {SECRET}"}, of.body), [SECRET], NOON)
    for headers in ({"authorization": f"Basic {SECRET}"}, {"authorization": f"Bearer {SECRET}x"}):
        with pytest.raises(BadSignature):
            of.of.verify(Arrived(headers, of.body), [SECRET], NOON)


def test_the_ping_of_a_shop_is_no_delivery() -> None:
    shop = SOURCES["woocommerce"]
    assert shop.pings(Arrived({}, b"webhook_id=4"))
    assert not shop.pings(Arrived({}, b"webhook_id=4&id=7"))
    assert not shop.pings(Arrived({"x-wc-webhook-signature": "x"}, b"webhook_id=4"))


def test_sources_by_their_names() -> None:
    assert source_named("tutorLM").name == "tutorlm"
    assert source_named("circleso").name == "circle"
    assert source_named("standard").name == "generic"
    with pytest.raises(UnknownSource, match="typeform"):
        source_named("tipeform")


@pytest.mark.parametrize("of", SAMPLES, ids=str)
def test_a_source_reads_or_says_which_field_is_wrong(of: Sample) -> None:
    """Whatever is cut off or taken away: an announcement, or a field by its name."""
    for body in (b"", b"[]", b"{}", b"null", of.body[:40], b"\xff\xfe", b'{"a":' * 500, b"a=b"):
        refused: Malformed | None = None
        try:
            of.of.read(Arrived(signed(of).headers, body, of.event))
        except Malformed as error:
            refused = error
        assert refused is None or refused.field
