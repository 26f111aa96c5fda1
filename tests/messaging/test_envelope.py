"""Envelopes are CloudEvents, and come back from JSON as they went."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.messaging.envelope import RESERVED, Envelope, MessageId
from higherself.messaging.errors import MessageMalformed, TooManyHops
from higherself.messaging.model import MOST_HOPS, Message, identifier_of_key

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
IDENTIFIER = MessageId(UUID("0198c0de-0000-7000-8000-000000000001"))
FULL = Envelope(
    id=IDENTIFIER,
    source="urn:hs:agent:nova",
    type="com.higherself.lead.captured.v1",
    subject="lead-7",
    time=NOON,
    entity="the_7_space",
    correlation_id="talk-1",
    causation_id="0198c0de-0000-7000-8000-000000000000",
    partition_key="lead-7",
    expires_at=NOON + timedelta(hours=1),
    hop_count=2,
    data={"name": "Ana", "score": 71.5, "tags": ["new", None]},
    extensions={"traceparent": "00-0af7-b7ad-01", "performative": "request", "budgettokens": 100},
)
EVENT = {
    "specversion": "1.0",
    "id": "0198c0de-0000-7000-8000-000000000001",
    "source": "urn:hs:agent:nova",
    "type": "com.higherself.lead.captured.v1",
    "subject": "lead-7",
    "time": "2026-11-22T12:00:00.123456Z",
    "datacontenttype": "application/json",
    "correlationid": "talk-1",
    "causationid": "0198c0de-0000-7000-8000-000000000000",
    "partitionkey": "lead-7",
    "expirytime": "2026-11-22T13:00:00.123456Z",
    "entity": "the_7_space",
    "hopcount": 2,
    "traceparent": "00-0af7-b7ad-01",
    "performative": "request",
    "budgettokens": 100,
    "data": {"name": "Ana", "score": 71.5, "tags": ["new", None]},
}

names = st.from_regex(r"[a-z0-9]{1,20}", fullmatch=True).filter(lambda name: name not in RESERVED)
texts = st.text(min_size=1)
instants = st.datetimes(timezones=st.just(UTC))
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
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
    hop_count=st.integers(0, 100),
    extensions=st.dictionaries(
        names.filter(lambda name: name != "datacontenttype"),
        st.text() | st.integers() | st.booleans(),
    ),
)


def test_it_is_written_in_the_words_of_cloudevents() -> None:
    assert FULL.cloudevent() == EVENT


@given(envelopes)
def test_an_envelope_comes_back_from_json_as_it_went(envelope: Envelope) -> None:
    event = json.loads(json.dumps(envelope.cloudevent()))
    assert Envelope.read(event) == envelope


def test_attributes_that_we_do_not_know_are_passed_on() -> None:
    event = {**EVENT, "datacontenttype": "text/plain", "comexampleother": "kept", "data": "hello"}
    assert Envelope.read(event).cloudevent() == event


def test_without_a_correlation_a_message_begins_a_conversation() -> None:
    event = {name: value for name, value in EVENT.items() if name != "correlationid"}
    assert Envelope.read(event).correlation_id == EVENT["id"]


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        pytest.param({"specversion": "0.3"}, "specversion", id="an old version"),
        pytest.param({"id": None}, "id", id="no identifier"),
        pytest.param({"id": "7"}, "id", id="an identifier that is no UUID"),
        pytest.param({"source": ""}, "source", id="an empty source"),
        pytest.param({"type": 7}, "type", id="a type that is no text"),
        pytest.param({"time": "yesterday"}, "time", id="no instant"),
        pytest.param({"time": "2026-11-22T12:00:00"}, "time", id="an instant without a zone"),
        pytest.param({"expirytime": 7}, "expirytime", id="an expiry that is no text"),
        pytest.param({"hopcount": -1}, "hopcount", id="a count below zero"),
        pytest.param({"hopcount": True}, "hopcount", id="a count that is no number"),
        pytest.param({"data_base64": "aGk="}, "data_base64", id="data that are no JSON"),
        pytest.param({"Trace": "x"}, "extension 'Trace'", id="a name in capitals"),
        pytest.param({"a" * 21: "x"}, f"extension '{'a' * 21}'", id="a long name"),
        pytest.param({"nested": {}}, "extension 'nested'", id="a value that is an object"),
    ],
)
def test_a_malformed_event_is_refused_by_name(change: dict[str, Any], attribute: str) -> None:
    with pytest.raises(MessageMalformed) as raised:
        Envelope.read({**EVENT, **change})
    assert raised.value.attribute == attribute


def a_message(**more: Any) -> Message:
    return Message(**{"topic": "mail.send", "type": "com.test.v1", "source": "urn:test", **more})


def test_an_answer_belongs_to_the_conversation() -> None:
    answer = a_message().caused_by(FULL)
    assert (answer.correlation_id, answer.causation_id, answer.hop_count) == (
        "talk-1",
        str(IDENTIFIER),
        3,
    )


def test_two_that_answer_each_other_stop() -> None:
    a_message(hop_count=MOST_HOPS).check()
    with pytest.raises(TooManyHops, match="hop 17"):
        a_message(hop_count=MOST_HOPS + 1).check()


@pytest.mark.parametrize(
    ("change", "attribute"),
    [
        pytest.param({"topic": ""}, "topic", id="no topic"),
        pytest.param({"topic": "Mail"}, "topic", id="a topic in capitals"),
        pytest.param({"topic": "t" * 49}, "topic", id="a long topic"),
        pytest.param({"source": ""}, "source", id="no source"),
        pytest.param({"type": "a\nb"}, "type", id="a type of two lines"),
        pytest.param({"subject": "s" * 201}, "subject", id="a long subject"),
        pytest.param({"partition_key": "\0"}, "partition_key", id="a key with a NUL"),
        pytest.param({"partition_key": ""}, "partition_key", id="an empty key"),
        pytest.param({"idempotency_key": "\ud800"}, "idempotency_key", id="half a character"),
        pytest.param({"not_before": NOON.replace(tzinfo=None)}, "not_before", id="no time zone"),
        pytest.param({"extensions": {"id": "x"}}, "extension 'id'", id="a taken name"),
        pytest.param({"id": IDENTIFIER, "idempotency_key": "k"}, "id", id="two identities"),
    ],
)
def test_a_malformed_message_is_refused_by_name(change: dict[str, Any], attribute: str) -> None:
    with pytest.raises(MessageMalformed) as raised:
        a_message(**change).check()
    assert raised.value.attribute == attribute


@given(st.none() | texts, texts, texts)
def test_a_key_makes_the_same_identifier_always(entity: str | None, topic: str, key: str) -> None:
    made = identifier_of_key(entity, topic, key)
    assert made == identifier_of_key(entity, topic, key)
    assert (made.version, made.variant) == (8, "specified in RFC 4122")
    assert made != identifier_of_key(f"{entity}x", topic, key)
    assert made != identifier_of_key(entity, f"{topic}x", key)
    assert made != identifier_of_key(entity, topic, f"{key}x")
