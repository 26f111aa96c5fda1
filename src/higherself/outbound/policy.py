"""Who may be written to, and what becomes of what may not be sent. Pure."""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from higherself.kernel.backoff import exponential
from higherself.outbound.model import REPEATABLE, Channel, Parcel, Status

Mode = Literal["live", "sandbox", "testing"]
"""``live``: everybody; ``sandbox``: those on the allow-list; ``testing``: servers on this machine."""

Wish = Literal["nothing", "no_contact", "no_marketing"]
"""What somebody has asked for: to get nothing from us; not to be contacted, but for what belongs to
their order, booking or request; or no marketing."""

FIRST_WAIT = timedelta(seconds=5)
LONGEST_WAIT = timedelta(minutes=15)
PATIENCE = timedelta(hours=48)
"""For how long something is tried that does not arrive, as mail servers do."""


@dataclass(frozen=True, slots=True)
class AllowList:
    """Who may be written to in the sandbox: addresses, domains (also as ``@domain``), numbers, hosts.

    >>> AllowList.read("ana@example.org, @gallery.example, hooks.slack.com").allows("Bo@gallery.example")
    True
    """

    entries: tuple[str, ...] = ()

    @classmethod
    def read(cls, given: object) -> "AllowList":
        """Return what is written with commas between.

        Raises
            ValueError: an entry can be neither an address, nor a domain, a number or a host.
        """
        if isinstance(given, AllowList):
            return given
        entries = [each.strip() for each in str(given).split(",") if each.strip()]
        for each in entries:
            if set(each) & set(" <>\"'/*"):
                raise ValueError(
                    f"{each!r} is neither an address, nor @domain, a number or the name of a host"
                )
        return cls(tuple(dict.fromkeys(each.lower() for each in entries)))

    def allows(self, place: str) -> bool:
        """Return whether an address, a number or a host is on the list."""
        whole = place.strip().lower()
        _, at, domain = whole.rpartition("@")
        if whole in self.entries:
            return True
        return bool(at) and (f"@{domain}" in self.entries or domain in self.entries)

    def __str__(self) -> str:
        return ",".join(self.entries)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done: send it, keep it until a person releases it, or leave it."""

    status: Literal["sending", "held", "dropped"]
    reason: str = ""


SEND = Verdict("sending")


def decide(
    parcel: Parcel,
    *,
    mode: Mode,
    allowed: AllowList,
    places: Sequence[str],
    wishes: Mapping[str, Wish],
) -> Verdict:
    """Return what is to be done with ``parcel``.

    ``places`` is where it would go: addresses, numbers, or the host of a target. ``wishes`` are
    those of the people it is for, by address. What somebody has asked for counts in every mode.
    """
    if not who_wants_it(parcel, wishes):
        each = parcel.to[0]
        why = "has unsubscribed" if wishes[each] == "no_marketing" else "asked not to be contacted"
        return Verdict("dropped", f"{each} {why}")
    if parcel.channel == "file" or mode != "sandbox":
        return SEND
    others = [each for each in places if not allowed.allows(each)]
    if others:
        return Verdict(
            "held",
            f"the sandbox holds what is for {', '.join(others[:3])}: add it to "
            "HIGHERSELF_ALLOW_LIST, or set HIGHERSELF_DELIVERY=live",
        )
    return SEND


def who_wants_it(parcel: Parcel, wishes: Mapping[str, Wish]) -> tuple[str, ...]:
    """Return those of the people it is for who have not asked for none of its kind."""
    return tuple(each for each in parcel.to if _wants(parcel, wishes.get(each)))


def _wants(parcel: Parcel, wish: Wish | None) -> bool:
    match wish:
        case None:
            return True
        case "nothing":
            return False
        case "no_contact":
            return parcel.strict and parcel.purpose == "transactional"
        case "no_marketing":
            return parcel.purpose != "marketing"


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine whatever a name server says."""
    if host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def next_try(
    attempts: int, *, created_at: datetime, now: datetime, jitter: float = 0.0
) -> datetime | None:
    """Return when something that did not arrive is tried again, or None if it has been long enough."""
    if now - created_at >= PATIENCE:
        return None
    return now + exponential(attempts, base=FIRST_WAIT, ceiling=LONGEST_WAIT, jitter=jitter)


def after_a_break(channel: Channel, *, handed_over: bool) -> Status:
    """Return the status of what was being sent when its process, or its connection, went away."""
    if not handed_over or channel in REPEATABLE:
        return "queued"
    return "uncertain"
