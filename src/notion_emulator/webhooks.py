"""Webhooks: subscriptions, and events on their way to them, signed and sent again when refused."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from notion_emulator import hook_events
from notion_emulator.dice import Dice
from notion_emulator.errors import Json, invalid
from notion_emulator.hook_events import Change
from notion_emulator.ids import IdSource
from notion_emulator.store import Store

if TYPE_CHECKING:
    from notion_emulator.app import Emulated

_KEPT = 5_000  # deliveries in the log


def signature(secret: str, body: bytes) -> str:
    """Return the value of ``X-Notion-Signature``.

    >>> signature("secret", b"{}")
    'sha256=77325902caca812dc259733aacd046b73817372c777b8d95b402647474516e13'
    """
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


@dataclass
class Subscription:
    """Where the events of a connection go."""

    id: str
    token: str
    url: str
    secret: str
    state: str = "unverified"  # then active, or paused
    types: frozenset[str] | None = None  # None: all
    old_secret: str = ""
    api_version: str = "2026-03-11"

    def shown(self) -> Json:
        """Return it as the admin API answers it."""
        return {
            "id": self.id,
            "token": self.token,
            "url": self.url,
            "verification_token": self.secret,
            "state": self.state,
            "event_types": None if self.types is None else sorted(self.types),
        }


@dataclass
class Delivery:
    """An event on its way."""

    subscription: str
    event: Json
    due: datetime
    number: int
    attempt: int = 1
    fault: str | None = None


@dataclass
class Trouble:
    """What goes wrong on the way (F13): each a probability from 0 to 1."""

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: float = 0.0
    bad_signature: float = 0.0
    unknown_type: float = 0.0
    old_token: float = 0.0
    delay_s: float = 300.0
    reorder_s: float = 60.0


@dataclass
class Webhooks:
    """The subscriptions, the changes being gathered, and the events on their way."""

    subscriptions: dict[str, Subscription] = field(default_factory=dict)
    trouble: Trouble = field(default_factory=Trouble)
    transport: httpx.AsyncBaseTransport | None = None  # None: over the network
    gathering: dict[tuple[str, str], list[Change]] = field(default_factory=dict)
    queue: list[Delivery] = field(default_factory=list)
    log: list[Json] = field(default_factory=list)
    ids: IdSource = field(default_factory=lambda: IdSource("webhooks"))
    dice: Dice = field(default_factory=lambda: Dice("webhooks"))
    numbered: int = 0
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    _store: Store | None = None
    _seen: int = 0

    def subscribe(self, app: Emulated, given: Json) -> Subscription:
        """Make a subscription; its token goes to the address with the next delivery.

        Raises
            ApiError: there is no such connection, or no address.
        """
        token = given.get("token") or next(iter(app.store.connections))
        if token not in app.store.connections or not isinstance(given.get("url"), str):
            raise invalid("a subscription needs url, and a token that is known")
        self._gather(app)
        types = given.get("event_types")
        secret = given.get("verification_token") or f"secret_{self.ids.secret()}"
        made = Subscription(self.ids.uuid(), token, given["url"], secret, types=None if types is None else frozenset(types))  # fmt: skip
        self.subscriptions[made.id] = made
        return made

    async def challenge(self, app: Emulated, subscription: Subscription) -> int | str:
        """Send the verification token, signed with itself; return the status or the failure."""
        body = json.dumps({"verification_token": subscription.secret}, separators=(",", ":"))
        async with self._client(app) as http:
            return await _post(http, subscription.url, body.encode(), subscription.secret)

    def changed(self, subscription: Subscription, how: str, given: Json) -> None:
        """Verify, pause, resume or rotate.

        Raises
            ApiError: the verification token is not the one that was sent.
        """
        match how:
            case "verify":
                if given.get("verification_token") != subscription.secret:
                    raise invalid("verification_token is not the one that was sent")
                subscription.state = "active"
            case "pause":
                subscription.state = "paused"
            case "resume":
                subscription.state = "active"
            case "rotate":
                subscription.old_secret = subscription.secret
                subscription.secret = f"secret_{self.ids.secret()}"
            case _:
                raise invalid("choose one of verify, pause, resume, resend, rotate")

    def next_due(self, app: Emulated) -> datetime | None:
        """Return when there is something to do next."""
        self._gather(app)
        times = [d.due for d in self.queue]
        window = timedelta(seconds=app.settings.webhook_window_s)
        times += [changes[0].at + window for changes in self.gathering.values()]
        return min(times, default=None)

    async def deliver(self, app: Emulated, *, everything: bool = False) -> list[Json]:
        """Send what is due, or all there is; return what was sent, as in the log."""
        async with self.busy:
            self._gather(app)
            self._close(app, everything=everything)
            now = app.clock.now()
            sent: list[Json] = []
            due = sorted((d for d in self.queue if everything or d.due <= now), key=lambda d: (d.due, d.number))  # fmt: skip
            if not due:
                return []
            async with self._client(app) as http:
                for delivery in due:
                    self.queue.remove(delivery)
                    line = await self._send(app, http, delivery)
                    if line is not None:
                        sent.append(line)
            self.log.extend(sent)
            del self.log[:-_KEPT]
            return sent

    def _client(self, app: Emulated) -> httpx.AsyncClient:
        timeout = app.settings.webhook_timeout_s
        return httpx.AsyncClient(transport=self.transport, timeout=timeout, trust_env=False)

    def _gather(self, app: Emulated) -> None:
        """Take what happened since the last time from the event log."""
        events = app.store.events
        if self._store is not app.store or self._seen > len(events):
            self._store, self._seen = app.store, len(events)  # another workspace: from now on
        fresh, self._seen = events[self._seen :], len(events)
        if not fresh or not self.subscriptions:
            return
        for change in map(hook_events.change_of, fresh):
            for subscription in self.subscriptions.values():
                connection = app.store.connections.get(subscription.token)
                if connection is None or subscription.state != "active":
                    continue
                if change.actor == connection.bot_id and not app.settings.own_writes_raise_events:
                    continue
                if change.at_once:
                    self._emit(app, subscription, [change], change.at)
                else:
                    self.gathering.setdefault((subscription.id, change.entity), []).append(change)

    def _close(self, app: Emulated, *, everything: bool) -> None:
        """Turn what was gathered long enough into events."""
        window = timedelta(seconds=app.settings.webhook_window_s)
        now = app.clock.now()
        for key, changes in list(self.gathering.items()):
            due = changes[0].at + window
            if due > now and not everything:
                continue
            del self.gathering[key]
            subscription = self.subscriptions.get(key[0])
            if subscription is None or subscription.state != "active":
                continue
            for group in hook_events.gathered(changes, absorb=app.settings.created_absorbs_updates):
                self._emit(app, subscription, group, min(due, now))

    def _emit(self, app: Emulated, subscription: Subscription, group: list[Change], due: datetime) -> None:  # fmt: skip
        connection = app.store.connections.get(subscription.token)
        if connection is None or not hook_events.visible(app.store, group[-1], connection):
            return
        if subscription.types is not None and group[-1].type not in subscription.types:
            return
        body = hook_events.envelope(app.store, app.settings, connection, group, self.ids.uuid())
        body |= {"subscription_id": subscription.id, "api_version": subscription.api_version}
        self._put(subscription, body, due)

    def _put(self, subscription: Subscription, body: Json, due: datetime) -> None:
        """Put an event on its way, or lose, double, hold back or spoil it."""
        trouble, dice = self.trouble, self.dice
        if _hit(dice, trouble.drop):
            return
        if _hit(dice, trouble.delay):
            due += timedelta(seconds=trouble.delay_s * dice.throw())
        if _hit(dice, trouble.reorder):
            due += timedelta(seconds=trouble.reorder_s * dice.throw())
        fault = next((name for name in ("bad_signature", "old_token", "unknown_type") if _hit(dice, getattr(trouble, name))), None)  # fmt: skip
        if fault == "unknown_type":
            body = body | {"type": f"{body['entity']['type']}.not_known_yet"}
        for _ in range(2 if _hit(dice, trouble.duplicate) else 1):
            self.numbered += 1
            self.queue.append(Delivery(subscription.id, body, due, self.numbered, fault=fault))

    async def _send(self, app: Emulated, http: httpx.AsyncClient, delivery: Delivery) -> Json | None:  # fmt: skip
        subscription = self.subscriptions.get(delivery.subscription)
        if subscription is None or subscription.state != "active":
            return None
        body = json.dumps(delivery.event | {"attempt_number": delivery.attempt}, ensure_ascii=False, separators=(",", ":")).encode()  # fmt: skip
        secret = {"bad_signature": "of somebody else", "old_token": subscription.old_secret}.get(delivery.fault or "", subscription.secret)  # fmt: skip
        status = await _post(http, subscription.url, body, secret)
        now = app.clock.now()
        well = isinstance(status, int) and 200 <= status < 300
        if not well and delivery.attempt < app.settings.webhook_attempts:
            wait = timedelta(seconds=app.settings.webhook_first_retry_s * 4 ** (delivery.attempt - 1))  # fmt: skip
            again = Delivery(subscription.id, delivery.event, now + wait, delivery.number, delivery.attempt + 1, delivery.fault)  # fmt: skip
            self.queue.append(again)
        entity = delivery.event["entity"]
        line: dict[str, Any] = {"at": now.isoformat(), "subscription_id": subscription.id, "event_id": delivery.event["id"]}  # fmt: skip
        line |= {"type": delivery.event["type"], "entity": entity, "attempt": delivery.attempt}
        return line | {"status": status, "fault": delivery.fault}


def _hit(dice: Dice, probability: float) -> bool:
    return probability > 0 and dice.throw() < probability


async def _post(http: httpx.AsyncClient, url: str, body: bytes, secret: str) -> int | str:
    headers = {
        "content-type": "application/json",
        "x-notion-signature": signature(secret, body),
        "user-agent": "notion-emulator",
    }
    try:
        answer = await http.post(url, content=body, headers=headers)
    except httpx.HTTPError as error:
        return type(error).__name__
    return answer.status_code
