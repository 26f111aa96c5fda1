"""Messages over HTTP: Slack-style notices, signed webhooks, texts by a gateway."""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx

from higherself.kernel.clock import Clock
from higherself.outbound.errors import (
    NotCarried,
    NotSetUp,
    OutcomeUnknown,
    OutOfReach,
    ParcelRejected,
    Refused,
)
from higherself.outbound.model import Delivery, Parcel, one_word
from higherself.outbound.policy import Mode, is_this_machine
from higherself.outbound.ports import HandOver

SECONDS = httpx.Timeout(20.0, connect=5.0)
AGAIN = frozenset([408, 425, 429, 503])
"""Answers by which a server says that it has not done it, and may later. After other failures of its
own (500, 502, 504) nobody knows what it had done by then."""

MOST_OF_AN_ANSWER = 500


def host_of(url: str) -> str:
    """Return the host of an address."""
    return urlsplit(url).hostname or ""


def slack_signature(secret: str, timestamp: int, body: bytes) -> str:
    """Return the header ``X-Slack-Signature`` of a request (api.slack.com, Verifying requests)."""
    base = b"v0:%d:" % timestamp + body
    return "v0=" + hmac.new(secret.encode(), base, hashlib.sha256).hexdigest()


def standard_signature(secret: str, name: str, timestamp: int, body: bytes) -> str:
    """Return the header ``webhook-signature`` of a request (standardwebhooks.com).

    A secret that begins with ``whsec_`` is base64, as there; any other is taken as it is.
    """
    content = f"{name}.{timestamp}.".encode() + body
    made = hmac.new(_key(secret), content, hashlib.sha256).digest()
    return "v1," + base64.b64encode(made).decode()


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            pass
    return secret.encode()


@dataclass(frozen=True, slots=True)
class Targets:
    """Addresses by the names that workflows use, so that none of them is in a workflow."""

    setting: str
    named: Mapping[str, str] = field(repr=False)

    def of(self, entity: str, name: str) -> str:
        """Return the address of a name: that of the business, or the one for all.

        Raises
            NotSetUp: there is none at all. ParcelRejected: there is none of this name.
        """
        for each in (f"{entity}.{name}", name):
            if each in self.named:
                return self.named[each]
        if name in self.named.values():
            return name
        if not self.named:
            raise NotSetUp(f"nothing is set to send to: set {self.setting}={name}=https://...")
        there = ", ".join(sorted(self.named))
        raise ParcelRejected(
            f"to: {name!r} is none of the targets in {self.setting}; there are {there}"
        )


@dataclass(frozen=True, slots=True)
class _Request:
    url: str
    body: bytes
    headers: Mapping[str, str]


class _HttpCarrier:
    """Posts to a target."""

    def __init__(self, targets: Targets, clock: Clock, *, mode: Mode) -> None:
        self._targets, self._clock, self._mode = targets, clock, mode

    def places(self, parcel: Parcel) -> Sequence[str]:
        """Return the host it goes to.

        Raises
            NotSetUp, OutOfReach, ParcelRejected: it cannot go anywhere.
        """
        return (host_of(self._url(parcel)),)

    async def carry(self, delivery: Delivery, hand_over: HandOver) -> str:
        """Post it; return what they said.

        Raises
            NotCarried, Refused, OutcomeUnknown, NotSetUp, OutOfReach: see `Carrier`.
        """
        request = self._request(delivery)
        host = host_of(request.url)
        await hand_over()
        try:
            # Nothing but the address that is set is asked, so redirects are not followed; and in
            # the mode for tests no proxy either, which would be another machine.
            async with httpx.AsyncClient(
                timeout=SECONDS, follow_redirects=False, trust_env=self._mode != "testing"
            ) as client:
                answer = await client.post(
                    request.url, content=request.body, headers=dict(request.headers)
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotCarried(f"{host} does not answer: {_text(error)}") from error
        except httpx.HTTPError as error:
            raise OutcomeUnknown(
                f"the connection to {host} broke ({_text(error)}): it may have arrived"
            ) from error
        text = " ".join(answer.text.split())[:MOST_OF_AN_ANSWER]
        said = f"{answer.status_code} {text}".strip()
        if answer.is_success:
            return said
        if answer.status_code in AGAIN:
            raise NotCarried(f"{host} does not take it now: {said}")
        if answer.is_server_error:
            raise OutcomeUnknown(f"{host} failed while it took it ({said}): it may have arrived")
        raise Refused(f"{host} refuses it: {said}")

    def _url(self, parcel: Parcel) -> str:
        url = self._targets.of(str(parcel.headers.get("entity", "")), parcel.to[0])
        if self._mode == "testing" and not is_this_machine(host_of(url)):
            raise OutOfReach(
                "HIGHERSELF_DELIVERY=testing reaches servers on this machine alone, and "
                f"{self._targets.setting} names {host_of(url)}"
            )
        return url

    def _request(self, delivery: Delivery) -> _Request:
        raise NotImplementedError


class SlackCarrier(_HttpCarrier):
    """Posts notices to incoming webhooks as Slack has them; signed if there is a secret."""

    def __init__(self, targets: Targets, clock: Clock, *, mode: Mode, secret: str = "") -> None:
        super().__init__(targets, clock, mode=mode)
        self._secret = secret

    def _request(self, delivery: Delivery) -> _Request:
        body = delivery.parcel.content
        headers = {"content-type": "application/json; charset=utf-8"}
        if delivery.origin.correlation:
            headers["x-correlation-id"] = one_word(delivery.origin.correlation)
        if self._secret:
            stamp = int(self._clock.now().timestamp())
            headers["x-slack-request-timestamp"] = str(stamp)
            headers["x-slack-signature"] = slack_signature(self._secret, stamp, body)
        return _Request(self._url(delivery.parcel), body, headers)


class WebhookCarrier(_HttpCarrier):
    """Posts events, signed as Standard Webhooks; ``webhook-id`` is the same on every attempt."""

    def __init__(self, targets: Targets, clock: Clock, *, mode: Mode, secret: str = "") -> None:
        super().__init__(targets, clock, mode=mode)
        self._secret = secret

    def places(self, parcel: Parcel) -> Sequence[str]:
        """Return the host it goes to.

        Raises
            NotSetUp, OutOfReach, ParcelRejected: it cannot go anywhere.
        """
        if not self._secret:
            raise NotSetUp(
                "webhooks are signed, and there is no secret: set WEBHOOK_SIGNING_SECRET=whsec_..."
            )
        return super().places(parcel)

    def _request(self, delivery: Delivery) -> _Request:
        body, name = delivery.parcel.content, delivery.parcel.name
        stamp = int(self._clock.now().timestamp())
        headers = {
            "content-type": "application/json",
            "webhook-id": name,
            "webhook-timestamp": str(stamp),
            "webhook-signature": standard_signature(self._secret, name, stamp, body),
        }
        if delivery.origin.correlation:
            headers["x-correlation-id"] = one_word(delivery.origin.correlation)
        return _Request(self._url(delivery.parcel), body, headers)


class SmsCarrier(_HttpCarrier):
    """Gives texts to a gateway: a POST of JSON with ``to``, ``text``, ``from`` and ``id``."""

    def __init__(self, url: str | None, token: str, clock: Clock, *, mode: Mode) -> None:
        named = {} if url is None else {"gateway": url}
        super().__init__(Targets("SMS_URL", named), clock, mode=mode)
        self._token = token

    def places(self, parcel: Parcel) -> Sequence[str]:
        """Return the number it is for.

        Raises
            NotSetUp, OutOfReach: there is no gateway to give it to.
        """
        self._url(parcel)
        return parcel.to

    def _url(self, parcel: Parcel) -> str:
        if not self._targets.named:
            raise NotSetUp("no gateway for texts is set: set SMS_URL=https://...")
        url = self._targets.named["gateway"]
        if self._mode == "testing" and not is_this_machine(host_of(url)):
            raise OutOfReach(
                f"HIGHERSELF_DELIVERY=testing reaches servers on this machine alone, and SMS_URL "
                f"names {host_of(url)}"
            )
        return url

    def _request(self, delivery: Delivery) -> _Request:
        parcel = delivery.parcel
        said = {
            "to": parcel.to[0],
            "text": parcel.content.decode(),
            "from": parcel.sender,
            "id": parcel.name,
        }
        headers = {"content-type": "application/json", "idempotency-key": parcel.name}
        if self._token:
            headers["authorization"] = f"Bearer {self._token}"
        body = json.dumps(said, ensure_ascii=False).encode()
        return _Request(self._url(parcel), body, headers)


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
