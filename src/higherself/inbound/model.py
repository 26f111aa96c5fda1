"""What arrives, what a source says with it, and what has to be known of a source."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from higherself.kernel.jsonvalue import JsonObject

TOLERANCE_SECONDS = 300
"""How far the time in a signature may be from ours, before or after."""

Content = Literal["json", "form"]


@dataclass(frozen=True, slots=True)
class Arrived:
    """A request as it came: headers by their names in lower case, and the bytes of the body.

    ``event`` is what its address named beyond the source; it is no part of what is signed.
    """

    headers: Mapping[str, str]
    body: bytes = field(repr=False)
    event: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One thing that a source says has happened.

    ``subject`` is what it happened to (``booking:17``), ``occurred_at`` when, by the source's own
    clock, if it says. ``places`` are what may decide whose it is: ``form:lT4Z3j``, ``calendar:5``.
    """

    event: str
    data: JsonObject
    subject: str | None = None
    occurred_at: datetime | None = None
    places: tuple[str, ...] = ()
    entity: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a delivery says. ``delivery`` is the identifier that the source gave it.

    ``delivery_is_signed``: nobody else can have changed that. ``ping``: it says nothing but that
    the source can reach us.
    """

    announcements: tuple[Announcement, ...] = ()
    delivery: str | None = None
    delivery_is_signed: bool = True
    ping: bool = False


Verify = Callable[[Arrived, Sequence[str], datetime], None]
Read = Callable[[Arrived], Reading]
Sign = Callable[[bytes, str, datetime], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A system that announces things here.

    ``verify`` raises `BadSignature` unless one of the secrets signed the request; ``sign`` gives
    the headers that the system itself would send. ``secret_headers`` are never stored.
    """

    name: str
    title: str
    setting: str
    verify: Verify
    read: Read
    sign: Sign
    content: tuple[Content, ...] = ("json",)
    secret_headers: frozenset[str] = frozenset()
    takes_event: bool = False
    acknowledged: int = 202
    pings: Callable[[Arrived], bool] = lambda arrived: False
