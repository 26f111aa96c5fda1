"""WooCommerce: orders, customers, products of a shop. Signed with ``X-WC-Webhook-Signature``, base64.

Neither the topic nor the identifier of a delivery is signed, so nothing is made of the identifier,
and of the topic only what the body bears out. Source: WooCommerce's REST API documentation,
"Webhooks", and its class WC_Webhook (the ping, the headers).
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from higherself.inbound.bodies import instant, listed, name_of, read_object, require
from higherself.inbound.errors import Malformed
from higherself.inbound.model import Announcement, Arrived, Reading, Source
from higherself.inbound.signing import base64_digest, verify_base64

HEADER = "x-wc-webhook-signature"
TOPIC = "x-wc-webhook-topic"
DELIVERY = "x-wc-webhook-delivery-id"
_PING = re.compile(rb"webhook_id=[0-9]{1,19}")
_TOPIC = re.compile(r"[a-z_]{1,40}\.[a-z_]{1,40}")
_BORNE_OUT_BY = {"order": "line_items", "customer": "email", "product": "sku", "coupon": "code"}


def is_ping(arrived: Arrived) -> bool:
    """Return whether it is what a shop sends when a webhook is saved: unsigned, and says nothing."""
    return HEADER not in arrived.headers and _PING.fullmatch(arrived.body) is not None


def verify(arrived: Arrived, secrets: Sequence[str], now: datetime) -> None:
    """Raise unless the shop signed this."""
    verify_base64(arrived, secrets, HEADER)


def sign(body: bytes, secret: str, now: datetime) -> Mapping[str, str]:
    """Return the headers with which a shop would send ``body``."""
    return {
        HEADER: base64_digest(body, secret),
        TOPIC: "order.updated",
        DELIVERY: base64_digest(body, "delivery")[:12],
    }


def read(arrived: Arrived) -> Reading:
    """Return what happened to which thing of the shop.

    Raises
        Malformed: the topic is none, or the body is of something else.
    """
    topic = arrived.headers.get(TOPIC, "")
    if not _TOPIC.fullmatch(topic):
        raise Malformed(f"header {TOPIC}", "it is missing, or no topic such as order.updated")
    body = read_object(arrived.body)
    resource, _, verb = topic.partition(".")
    thing = name_of(require(body, "id", (int, str)), "id")
    _require_borne_out(body, resource, deleted=verb == "deleted")
    announcement = Announcement(
        event=topic,
        data=body,
        subject=f"{resource}:{thing}",
        occurred_at=instant(body.get("date_modified_gmt")) or instant(body.get("date_created_gmt")),
        places=_places(body, resource),
    )
    delivery = arrived.headers.get(DELIVERY, "")[:100] or None
    return Reading(announcements=(announcement,), delivery=delivery, delivery_is_signed=False)


def _require_borne_out(body: Mapping[str, Any], resource: str, *, deleted: bool) -> None:
    """Refuse a topic that the signed body does not bear out."""
    field = _BORNE_OUT_BY.get(resource)
    if deleted:
        if set(body) - {"id"}:
            raise Malformed(f"header {TOPIC}", "what is deleted has an id and nothing else")
    elif field is not None and field not in body:
        raise Malformed(field, f"it is missing, so this is no {resource}")


def _places(body: Mapping[str, Any], resource: str) -> tuple[str, ...]:
    if resource == "product":
        return (f"product:{body.get('id')}",)
    items = [each for each in listed(body.get("line_items")) if isinstance(each, dict)]
    products = [f"product:{each['product_id']}" for each in items if each.get("product_id")]
    skus = [f"sku:{each['sku']}" for each in items if each.get("sku")]
    return tuple(dict.fromkeys([*products, *skus]))


WOOCOMMERCE = Source(
    name="woocommerce",
    title="WooCommerce",
    setting="WOOCOMMERCE_WEBHOOK_SECRET",
    verify=verify,
    read=read,
    sign=sign,
    content=("json", "form"),
    pings=is_ping,
)
