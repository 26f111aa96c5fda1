"""What Notion announces by itself: checked, stored once, and answered. An event says only where to look."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic_core import from_json

from higherself.kernel import telemetry
from higherself.kernel.clock import Clock
from higherself.kernel.errors import Conflict, Rejected
from higherself.notion.errors import NotionRejected
from higherself.notion.following.postgres import Event, FollowStore
from higherself.notion.ids import notion_id

MARK = "webhook"
"""The checkpoint of the subscription."""

REFUSALS = "webhook_refused"

OLDEST = timedelta(days=1)
NOTED_EVERY = timedelta(seconds=30)

Received = Literal["token", "stored", "known"]


class BadSignature(Rejected):
    """The body was not signed with the token of our subscription: it is not Notion's."""


class EventRefused(Rejected):
    """It is signed, but it is no event that counts; the text says why."""


class TokenKept(Conflict):
    """A verification token came while another one is in use."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is known of the subscription. ``verified``: an event with a good signature has come."""

    token: str | None
    verified: bool
    given: bool
    at: datetime | None = None


def signature_of(body: bytes, token: str) -> str:
    """Return the signature that Notion sends with ``body``, as its header has it.

    >>> token = "secret_tMrlL1qK5vuQAh1b6cZGhFChZTSYJlce98V0pYn7yBl"
    >>> signature_of(b'{"verification_token":"' + token.encode() + b'"}', token)[:23]
    'sha256=461e8cbcba8a75c3'
    """
    return "sha256=" + hmac.new(token.encode(), body, hashlib.sha256).hexdigest()


class Webhooks:
    """Takes what is posted. ``token`` is that of the settings; without one, the first that comes is kept."""

    def __init__(self, store: FollowStore, clock: Clock, token: str | None = None) -> None:
        self._store, self._clock, self._given = store, clock, token
        self._noted: datetime | None = None
        self._refused = 0

    async def receive(self, body: bytes, signature: str | None) -> Received:
        """Take one request; when this returns, what it says is stored.

        Raises
            BadSignature: it was not signed with the token of the subscription.
            EventRefused: it is no event, or older than a day.
            TokenKept: a token is in use, and this brings another.
        """
        value = _object(body)
        if isinstance(value.get("verification_token"), str):
            return await self._take_token(body, signature, value["verification_token"])
        subscription = await self.subscription()
        if subscription.token is None:
            await self._refuse("no verification token is known yet")
            raise BadSignature("no verification token is known yet: let Notion send it again")
        if not _signed(body, signature, subscription.token):
            await self._refuse("the signature is wrong")
            raise BadSignature("the signature does not fit the verification token")
        event, sent_at = _event(value, self._clock.now())
        if self._clock.now() - sent_at > OLDEST:
            await self._refuse("the event is older than a day")
            raise EventRefused(f"the event is of {sent_at:%Y-%m-%d %H:%M} UTC: older than a day")
        fresh = await self._store.receive(event, sent_at)
        if not subscription.verified:
            await self._verified(subscription)
        telemetry.count("notion.webhook.received", fresh=str(fresh).lower())
        return "stored" if fresh else "known"

    async def subscription(self) -> Subscription:
        """Return what is known of the subscription."""
        noted = await self._store.checkpoint(MARK)
        at = noted.get("at")
        known = self._given or noted.get("token")
        same = noted.get("token") == known
        return Subscription(
            token=known,
            verified=bool(noted.get("verified")) and same,
            given=self._given is not None,
            at=None if at is None else datetime.fromisoformat(at),
        )

    async def forget(self) -> None:
        """Forget the token, so that the next one that comes is kept."""
        await self._store.note(MARK, None)

    async def _take_token(self, body: bytes, signature: str | None, token: str) -> Received:
        if signature is not None and not _signed(body, signature, token):
            await self._refuse("the signature is wrong")
            raise BadSignature("the signature does not fit the token that it came with")
        subscription = await self.subscription()
        if subscription.token == token:
            return "token"
        if subscription.given or subscription.verified:
            await self._refuse("another verification token came")
            raise TokenKept(
                "another verification token is in use; to accept a new one, unset "
                "NOTION_WEBHOOK_TOKEN and run `higherself notion resume --webhook`"
            )
        now = self._clock.now().isoformat()
        await self._store.note(MARK, {"token": token, "verified": False, "at": now})
        return "token"

    async def _verified(self, subscription: Subscription) -> None:
        now = self._clock.now().isoformat()
        await self._store.note(MARK, {"token": subscription.token, "verified": True, "at": now})

    async def _refuse(self, reason: str) -> None:
        """Note that something was refused; not each, so that nobody fills the disk with it."""
        telemetry.count("notion.webhook.refused")
        self._refused += 1
        now = self._clock.now()
        if self._noted is not None and now - self._noted < NOTED_EVERY:
            return
        self._noted = now
        before = await self._store.checkpoint(REFUSALS)
        count = int(before.get("count", 0)) + self._refused
        self._refused = 0
        await self._store.note(REFUSALS, {"count": count, "reason": reason, "at": now.isoformat()})


def _signed(body: bytes, signature: str | None, token: str) -> bool:
    return signature is not None and hmac.compare_digest(
        signature.strip().encode(), signature_of(body, token).encode()
    )


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        value = from_json(body)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise EventRefused("the body is no JSON object")
    return value


def _event(value: Mapping[str, Any], now: datetime) -> tuple[Event, datetime]:
    try:
        entity = value["entity"]
        sent_at = datetime.fromisoformat(value["timestamp"])
        if sent_at.tzinfo is None:
            raise EventRefused("its timestamp has no offset")
        event = Event(
            event_id=_text(value["id"]),
            type=_text(value["type"]),
            subject_kind=_text(entity["type"]),
            subject_id=notion_id(_text(entity["id"])),
            received_at=now,
        )
    except (KeyError, TypeError, ValueError, NotionRejected) as error:
        raise EventRefused(f"the body is no event of Notion's ({error})") from error
    parent = (value.get("data") or {}).get("page_id") if event.subject_kind == "comment" else None
    if isinstance(parent, str):  # a comment: what to look at is its page
        event = Event(event.event_id, event.type, "page", notion_id(parent), now)
    return event, sent_at


def _text(value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200 or "\0" in value:
        raise ValueError("a field is no short text")
    return value
