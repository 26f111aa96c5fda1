"""The bus as documents: JSON Schema of an envelope, and AsyncAPI of who is told what."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from higherself.messaging.model import LONGEST_NAME, MOST_HOPS
from higherself.messaging.patterns import GROUPS, group_topic
from higherself.messaging.protocol import AGENTS, PERFORMATIVES, REPLIES
from higherself.messaging.subscribing import Told

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_name = {"type": "string", "minLength": 1, "maxLength": LONGEST_NAME}
_instant = {"type": "string", "format": "date-time"}
_amount = {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^[0-9]+$"}]}


def envelope_schema() -> dict[str, Any]:
    """Return the JSON Schema of an envelope in CloudEvents' structured mode."""
    properties: dict[str, Any] = {
        "specversion": {"const": "1.0", "description": "The version of CloudEvents."},
        "id": {"type": "string", "format": "uuid", "description": "The same on every road."},
        "source": {
            **_name,
            "description": "Who speaks: urn:higherself:agent:NAME, or operator, workflow, service. "
            "The bus sets it.",
        },
        "type": {**_name, "description": "What happened or is asked: words with dots between."},
        "subject": {**_name, "description": "What it is about."},
        "time": {**_instant, "description": "When it was sent."},
        "datacontenttype": {"const": "application/json"},
        "dataschema": {"type": "string", "format": "uri"},
        "data": {"description": "Any JSON value, of up to 1,000,000 bytes."},
        "correlationid": {**_name, "description": "The same throughout a conversation."},
        "causationid": {**_name, "description": "The message that caused this one."},
        "partitionkey": {**_name, "description": "What has one is handled in order."},
        "expirytime": {**_instant, "description": "After that it is not handled any more."},
        "entity": {**_name, "description": "The business it belongs to."},
        "hopcount": {
            "type": "integer",
            "minimum": 0,
            "maximum": MOST_HOPS,
            "description": "How many messages caused each other before this one.",
        },
        "performative": {
            "enum": sorted(PERFORMATIVES),
            "description": "What is done by saying it.",
        },
        "to": {
            "type": "string",
            "pattern": "^(agent|topic|capability|role):.+$",
            "description": "Who it is for; events have none.",
        },
        "replyto": {
            "type": "string",
            "pattern": "^[a-z][a-z0-9_.-]{0,47}$",
            "description": "The topic for answers.",
        },
        "budgetmicrousd": {
            **_amount,
            "description": "Millionths of a US dollar that all it causes may cost.",
        },
        "budgettokens": {**_amount, "description": "Tokens that all it causes may take."},
        "spentmicrousd": {**_amount, "description": "What handling its cause had cost so far."},
        "spenttokens": {**_amount, "description": "Tokens that handling its cause took so far."},
        "traceparent": {
            "type": "string",
            "pattern": "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
            "description": "The trace context of W3C; the span is the message.",
        },
        "requestid": {
            "type": "string",
            "description": "What an answer is to answer, where its cause passed that on.",
        },
        "road": {"type": "string", "description": "By which road it came, if not straight."},
    }
    return {
        "$schema": DIALECT,
        "$id": "urn:higherself:schema:envelope:1",
        "title": "A message of the HigherSelf network",
        "description": "A CloudEvents 1.0 event in structured mode, with what the bus adds.",
        "type": "object",
        "required": ["specversion", "id", "source", "type", "time"],
        "properties": properties,
        "propertyNames": {"anyOf": [{"const": "data"}, {"pattern": "^[a-z0-9]{1,20}$"}]},
        "not": {"required": ["data_base64"]},
        "additionalProperties": {"type": ["string", "integer", "boolean"]},
    }


def asyncapi(
    *,
    version: str,
    told: Sequence[Told],
    topics: Iterable[str],
    accepted: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, Any]:
    """Return the AsyncAPI 3.0 document of what is known now.

    ``told``: the groups and their patterns. ``topics``: those with messages. ``accepted``: the types
    that are handled on a topic, where somebody has declared them.
    """
    declared = dict(accepted or {})
    addresses = {
        *(
            topic
            for topic in topics
            if not topic.startswith((REPLIES, GROUPS)) and topic != "event"
        ),
        *declared,
    }
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for address in sorted(addresses):
        key = _key(address)
        channels[key] = _channel(address, declared.get(address, ()), _about(address))
        operations[f"handle_{key}"] = {
            "action": "receive",
            "channel": _to("channels", key),
            "reply": {"address": {"location": "$message.payload#/replyto"}},
            "summary": f"Handles what is sent to {address}.",
        }
    for each in told:
        key = _key(f"event.{each.pattern}")
        channels.setdefault(
            key, _channel(each.pattern, (each.pattern,), f"Events whose type fits {each.pattern}.")
        )
        name = f"tell_{_key(each.group)}_{key}" + (f"_{_key(each.entity)}" if each.entity else "")
        whose = f" of the business {each.entity}" if each.entity else ""
        operations[name] = {
            "action": "receive",
            "channel": _to("channels", key),
            "summary": f"The group {each.group} is told of events that fit {each.pattern}{whose}.",
            "description": each.described
            or f"Its copies lie on the topic {group_topic(each.group)}.",
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "HigherSelf Network Server",
            "version": version,
            "description": "The messages that agents, workflows and services exchange: made from "
            "the groups, topics and declared types that are known at this moment.",
        },
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": {
                "envelope": {
                    "name": "envelope",
                    "title": "Any message",
                    "contentType": "application/cloudevents+json",
                    "correlationId": {"location": "$message.payload#/correlationid"},
                    "payload": {
                        "schemaFormat": "application/schema+json;version=draft-2020-12",
                        "schema": envelope_schema(),
                    },
                }
            }
        },
    }


def _channel(address: str, types: Sequence[str], description: str) -> dict[str, Any]:
    listed = f" Types: {', '.join(types)}." if types else ""
    return {
        "address": address,
        "description": description + listed,
        "messages": {"envelope": _to("components/messages", "envelope")},
    }


def _about(topic: str) -> str:
    if topic.startswith(AGENTS):
        return f"The inbox of the agent {topic.removeprefix(AGENTS)}."
    return f"The topic {topic}."


def _key(address: str) -> str:
    """Return ``address`` as a key that AsyncAPI allows: letters, digits, `.`, `_` and `-`."""
    words = address.replace("*", "-any-").replace(">", "-all-")
    allowed = (
        each if each.isascii() and (each.isalnum() or each in "._-") else "_" for each in words
    )
    return "".join(allowed)


def _to(where: str, key: str) -> dict[str, str]:
    return {"$ref": f"#/{where}/{key}"}
