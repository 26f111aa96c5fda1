"""What stands on NATS: any CloudEvents library reads it, and nobody else can have written it."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from higherself.kernel.jsonvalue import NotJson
from higherself.messaging.envelope import Envelope, MessageId
from higherself.messaging.errors import MessageMalformed, MessageTooLarge
from higherself.messaging.model import Message, Priority
from higherself.messaging.nats.writing import Forged, Seal, packed, read, unpacked, written

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SEAL = Seal(b"k" * 32)

texts = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=20)
instants = st.datetimes(
    datetime.fromisoformat("2000-01-01"),
    datetime.fromisoformat("2100-01-01"),
    timezones=st.sampled_from([UTC, timezone(timedelta(hours=2))]),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
names = st.from_regex(r"x[a-z0-9]{1,15}", fullmatch=True)
envelopes = st.builds(
    Envelope,
    id=st.uuids().map(MessageId),
    source=texts,
    type=texts,
    time=instants,
    correlation_id=texts,
    data=values,
    subject=st.none() | texts,
    entity=st.none() | texts,
    partition_key=st.none() | texts,
    causation_id=st.none() | texts,
    expires_at=st.none() | instants,
    hop_count=st.integers(0, 16),
    extensions=st.dictionaries(names, texts | st.booleans() | st.integers(0, 9), max_size=3),
)


@given(envelopes)
def test_what_is_written_is_read_as_it_was(envelope: Envelope) -> None:
    assert read(written(envelope)) == envelope
    assert Envelope.read(json.loads(written(envelope))) == envelope


def test_the_sdk_of_cloudevents_reads_it() -> None:
    envelope = an_envelope(partition_key="p", entity="gallery", expires_at=NOON, data={"a": [1]})
    header = {"content-type": "application/cloudevents+json"}
    event = from_structured_event(HTTPMessage(header, written(envelope)), JSONFormat())
    seen = event.get_attributes()
    assert (seen["id"], seen["source"], seen["type"]) == (str(envelope.id), "urn:a", "t")
    assert (seen["partitionkey"], seen["correlationid"]) == ("p", "c")
    assert (seen["entity"], seen["hopcount"], seen["time"]) == ("gallery", 0, NOON)
    assert event.get_data() == {"a": [1]}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"specversion": "0.3"}, "specversion"),
        ({"id": "7"}, "id"),
        ({"id": None}, "id"),
        ({"source": ""}, "source"),
        ({"type": 7}, "type"),
        ({"time": "yesterday"}, "time"),
        ({"time": "2026-11-23T12:00:00"}, "time"),
        ({"expirytime": "2026-11-23T12:00:00"}, "expirytime"),
        ({"hopcount": -1}, "hopcount"),
        ({"hopcount": True}, "hopcount"),
        ({"subject": 7}, "subject"),
        ({"entity": ""}, "entity"),
        ({"Shouted": "x"}, "Shouted"),
        ({"nested": {}}, "nested"),
        ({"data_base64": "AA=="}, "data_base64"),
    ],
)
def test_what_is_no_envelope_is_refused_by_name(change: dict[str, Any], named: str) -> None:
    event = json.loads(written(an_envelope())) | change
    with pytest.raises(MessageMalformed, match=named):
        read(json.dumps(event).encode())


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b"\xff", b'{"data": NaN}'])
def test_what_is_no_object_is_refused(text: bytes) -> None:
    with pytest.raises(MessageMalformed):
        read(text)


def test_an_envelope_of_another_program_is_read() -> None:
    event = {"specversion": "1.0", "id": str(UUID(int=1)), "source": "s", "type": "t"}
    text = json.dumps(event | {"time": "2026-11-23T12:00:00Z"}).encode()
    assert read(text).correlation_id == str(UUID(int=1))


def test_a_durable_message_comes_with_how_it_is_to_be_delivered() -> None:
    message = replace(
        a_message(),
        partition_key="p",
        priority=Priority.HIGH,
        not_before=timedelta(hours=1),
        expires=timedelta(hours=2),
        extensions={"to": "agent:nyra"},
    )
    came = unpacked(packed(message, NOON))
    later = {"not_before": NOON + timedelta(hours=1), "expires": NOON + timedelta(hours=2)}
    assert came == replace(message, correlation_id=str(message.id), **later)  # type: ignore[arg-type]


def test_what_cannot_be_sent_is_refused_before_it_is() -> None:
    with pytest.raises(NotJson):
        packed(replace(a_message(), data=float("nan")), NOON)
    with pytest.raises(MessageTooLarge, match="1,000,00"):
        packed(replace(a_message(), data="x" * 1_000_001), NOON)
    packed(replace(a_message(), data="x" * 999_000), NOON)


@pytest.mark.parametrize("change", [{"hstopic": None}, {"hspriority": 9}, {"hsdue": "soon"}])
def test_a_durable_message_without_its_manner_is_refused(change: dict[str, Any]) -> None:
    event = json.loads(packed(a_message(), NOON)) | change
    with pytest.raises(MessageMalformed):
        unpacked(json.dumps(event).encode())


def test_only_the_same_key_and_purpose_make_the_same_signature() -> None:
    header = SEAL.of("message").header(b"text")
    SEAL.of("message").check(header, b"text")
    with pytest.raises(Forged):
        SEAL.of("message").check(header, b"another text")
    with pytest.raises(Forged):
        SEAL.of("request work").check(header, b"text")
    with pytest.raises(Forged):
        Seal(b"another").of("message").check(header, b"text")
    with pytest.raises(Forged):
        SEAL.of("message").check(b"NATS/1.0\r\n\r\n", b"text")


def test_an_answer_is_signed_for_what_it_answers() -> None:
    header = SEAL.of("answer").header(b"yes", answers=b"one question")
    SEAL.of("answer").check(header, b"yes", answers=b"one question")
    with pytest.raises(Forged):
        SEAL.of("answer").check(header, b"yes", answers=b"another question")


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_it_is_the_hmac_of_the_standard(key: bytes, payload: bytes) -> None:
    import hmac

    expected = hmac.digest(key, b"message\n" + payload, "sha256").hex().encode()
    assert Seal(key).of("message").signature(payload) == expected


def an_envelope(**more: Any) -> Envelope:
    known = {"id": MessageId(UUID(int=5)), "source": "urn:a", "type": "t", "correlation_id": "c"}
    return Envelope(**{**known, "time": NOON, **more})


def a_message() -> Message:
    known = {"topic": "work", "type": "t", "source": "urn:a", "data": {"a": 1}}
    return Message(**known, id=MessageId(UUID(int=5)), time=NOON)  # type: ignore[arg-type]
