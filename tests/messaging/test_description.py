"""The documents that describe the bus, before the judges of their formats."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cloudevents.core.bindings.http import HTTPMessage, from_structured_event, to_structured_event
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from jsonschema import Draft202012Validator, FormatChecker, validate
from jsonschema.exceptions import ValidationError
from tests.messaging.test_protocol import ID, an_envelope

from higherself.messaging.description import asyncapi, envelope_schema
from higherself.messaging.envelope import Envelope
from higherself.messaging.subscribing import Told

# From the package @asyncapi/specs 6.11.1 (Apache-2.0), without its descriptions and examples.
JUDGE = Path(__file__).with_name("asyncapi-3.0.0.json.gz")
NOW = datetime(2026, 11, 23, tzinfo=UTC)


def a_whole_envelope() -> Envelope:
    return Envelope(
        id=ID,
        source="urn:higherself:agent:nyra",
        type="lead.captured",
        time=NOW,
        correlation_id=str(ID),
        data={"näme": "Ada ✓", "n": [1, 2.5, None, True]},
        subject="lead/7",
        entity="gallery",
        partition_key="ada",
        causation_id=str(ID),
        expires_at=NOW,
        hop_count=3,
        extensions={"performative": "inform", "to": "agent:solari", "budgettokens": 5},
    )


@pytest.mark.parametrize("envelope", [a_whole_envelope(), an_envelope()])
def test_our_events_fit_our_schema(envelope: Envelope) -> None:
    schema = envelope_schema()
    Draft202012Validator.check_schema(schema)
    validate(envelope.cloudevent(), schema, format_checker=FormatChecker())


@pytest.mark.parametrize(
    "change",
    [
        {"specversion": "0.3"},
        {"id": None},
        {"hopcount": 17},
        {"hopcount": -1},
        {"performative": "shout"},
        {"to": "nyra"},
        {"traceparent": "00-1"},
        {"budgettokens": -5},
        {"Strange": "x"},
        {"strange": {"an": "object"}},
        {"data_base64": "AA=="},
    ],
    ids=str,
)
def test_what_we_would_refuse_does_not_fit(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validate({**a_whole_envelope().cloudevent(), **change}, envelope_schema())


def test_the_official_sdk_reads_what_we_write() -> None:
    """Structured mode, in both directions."""
    envelope = a_whole_envelope()
    text = json.dumps(envelope.cloudevent()).encode()
    headers = {"content-type": "application/cloudevents+json"}
    event = from_structured_event(HTTPMessage(headers, text), JSONFormat())
    assert event.get_id() == str(ID)
    assert event.get_data() == envelope.data
    assert event.get_extension("correlationid") == str(ID)
    back = to_structured_event(event, JSONFormat())
    assert Envelope.read(json.loads(back.body)) == envelope


def test_we_read_what_the_official_sdk_writes() -> None:
    theirs = CloudEvent(
        {
            "id": str(ID),
            "source": "urn:elsewhere",
            "type": "lead.captured",
            "time": NOW,
            "datacontenttype": "application/json",
            "subject": "lead/7",
            "correlationid": "order 7",
            "strange": 5,
        },
        {"a": 1},
    )
    written = to_structured_event(theirs, JSONFormat())
    envelope = Envelope.read(json.loads(written.body))
    assert (envelope.data, envelope.correlation_id) == ({"a": 1}, "order 7")
    assert envelope.extensions == {"strange": 5}
    assert envelope.time == NOW


def the_document() -> dict[str, Any]:
    return asyncapi(
        version="1.2.3",
        told=[
            Told("scoring", "lead.*", None, "Scores leads", NOW),
            Told("audit", ">", "gallery", "", NOW),
            Told("audit", "lead.*", None, "", NOW),
        ],
        topics=["agent.nyra", "mail.send", "reply.0123", "event", "group.audit"],
        accepted={"agent.nyra": ["lead.captured", "lead.>"]},
    )


def test_the_document_is_asyncapi_3() -> None:
    schema = json.loads(gzip.decompress(JUDGE.read_bytes()))
    validate(the_document(), schema)
    with pytest.raises(ValidationError):
        validate({**the_document(), "channels": {"a": {"address": 7}}}, schema)


def test_the_document_names_topics_groups_and_types_but_no_passing_topics() -> None:
    document = the_document()
    addresses = {channel["address"] for channel in document["channels"].values()}
    assert addresses == {"agent.nyra", "mail.send", "lead.*", ">"}
    inbox = next(c for c in document["channels"].values() if c["address"] == "agent.nyra")
    assert "Types: lead.captured, lead.>" in inbox["description"]
    told = [
        each["summary"] for each in document["operations"].values() if "group" in each["summary"]
    ]
    assert len(told) == 3
    assert any("audit" in text and "business gallery" in text for text in told)


def test_every_reference_in_the_document_leads_somewhere() -> None:
    document = the_document()
    found = list(references(document))
    assert found
    for reference in found:
        at: Any = document
        for part in reference.removeprefix("#/").split("/"):
            at = at[part]


def references(value: Any) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for each in value.values():
            yield from references(each)
