"""Typeform: answers to a form. Signed with ``Typeform-Signature: sha256=`` and base64.

Source: Typeform's developer documentation, "Secure your webhooks" and "Example payload".
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from higherself.inbound.bodies import instant, listed, name_of, read_object, require
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import base64_digest, verify_base64
from higherself.kernel.jsonvalue import JsonValue

HEADER = "typeform-signature"
_PREFIX = "sha256="


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless Typeform signed this: it signs no time, so only the event's own identifier helps."""
    verify_base64(arrived, secrets, HEADER, prefix=_PREFIX)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the headers with which Typeform would send ``body``."""
    return {HEADER: _PREFIX + base64_digest(body, secret)}


def read(arrived: Arrived) -> Reading:
    """Return the answers by the references, types and titles of their fields.

    Raises
        Malformed: a field that every response has is missing.
    """
    body = read_object(arrived.body)
    response = require(body, "form_response", dict)
    form = name_of(require(body, "form_response.form_id"), "form_response.form_id")
    token = name_of(require(body, "form_response.token"), "form_response.token")
    event = name_of(require(body, "event_type"), "event_type")
    definition = response.get("definition")
    fields = _fields(definition if isinstance(definition, dict) else {}, response)
    data: dict[str, JsonValue] = {
        "form": {"id": form, "title": _title(definition)},
        "response": token,
        "submitted_at": response.get("submitted_at"),
        "fields": fields,
        "answers": {_key(each): each["value"] for each in fields},
        "of_type": _by_type(fields),
        "hidden": _object(response.get("hidden")),
        "variables": {
            str(each["key"]): each.get(str(each.get("type")))
            for each in listed(response.get("variables"))
            if isinstance(each, dict) and "key" in each
        },
        "score": _object(response.get("calculated")).get("score"),
    }
    announcement = Announcement(
        event=event,
        data=data,
        subject=f"response:{token}",
        occurred_at=instant(response.get("submitted_at")),
        places=(f"form:{form}",),
    )
    return Reading(
        announcements=(announcement,),
        delivery=name_of(require(body, "event_id"), "event_id"),
    )


def _fields(definition: dict[str, Any], response: dict[str, Any]) -> list[dict[str, JsonValue]]:
    """Return every answer with the field that it answers."""
    defined = {
        str(each.get("id")): each
        for each in listed(definition.get("fields"))
        if isinstance(each, dict)
    }
    fields: list[dict[str, JsonValue]] = []
    for answer in listed(response.get("answers")):
        if not isinstance(answer, dict):
            continue
        of = _object(answer.get("field"))
        known = _object(defined.get(str(of.get("id"))))
        fields.append(
            {
                "id": of.get("id"),
                "ref": of.get("ref") or known.get("ref"),
                "title": known.get("title"),
                "type": answer.get("type"),
                "value": value_of(answer),
            }
        )
    return fields


def value_of(answer: Mapping[str, Any]) -> JsonValue:
    """Return what was answered: the label of a choice, several labels, an amount with its currency.

    >>> value_of({"type": "choices", "choices": {"labels": ["Art", "Yoga"], "other": "Tea"}})
    ['Art', 'Yoga', 'Tea']
    >>> value_of({"type": "choice", "choice": {"label": "Barcelona"}})
    'Barcelona'
    """
    kind = str(answer.get("type"))
    value = answer.get(kind)
    match kind:
        case "choice" if isinstance(value, dict):
            chosen: JsonValue = value.get("label") or value.get("other")
            return chosen
        case "choices" if isinstance(value, dict):
            several = [each for each in listed(value.get("labels")) if each]
            several = several or [
                each.get("label") for each in listed(value.get("choices")) if isinstance(each, dict)
            ]
            return [*several, *([value["other"]] if value.get("other") else [])]
        case "payment" if isinstance(value, dict):
            kept = ("amount", "currency", "name", "last4", "success")
            return {name: value[name] for name in kept if name in value}
        case _ if kind in answer:
            given: JsonValue = value
            return given
        case _:
            return {k: v for k, v in answer.items() if k not in {"field", "type"}} or None


def _key(field: Mapping[str, JsonValue]) -> str:
    return str(field["ref"] or field["id"] or field["title"])


def _by_type(fields: list[dict[str, JsonValue]]) -> Mapping[str, JsonValue]:
    found: dict[str, list[JsonValue]] = {}
    for each in fields:
        found.setdefault(str(each["type"]), []).append(each["value"])
    return found


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _title(definition: Any) -> str | None:
    title = _object(definition).get("title")
    return title if isinstance(title, str) else None


TYPEFORM = Source(
    name="typeform",
    title="Typeform",
    setting="TYPEFORM_WEBHOOK_SECRET",
    verify=verify,
    read=read,
    sign=sign,
)
