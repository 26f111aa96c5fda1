"""Webhooks as the program takes them: the secrets that are set, the transformations, the handling."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import yaml

from higherself.app.notion import declared
from higherself.app.settings import Settings
from higherself.business.data.dates import read_instant
from higherself.business.data.money import decimals, read_money
from higherself.business.data.phones import read_phone
from higherself.db.pool import Database
from higherself.inbound.model import Source
from higherself.inbound.receiving import Webhooks
from higherself.inbound.sources import SOURCES
from higherself.inbound.store import Deliveries
from higherself.inbound.transformation import Transformations, read_transformations
from higherself.kernel.check import Check
from higherself.kernel.clock import SYSTEM_CLOCK, Clock
from higherself.services.inbound.lookups import AcuityAppointments
from higherself.services.inbound.processing import Lookup, Processing, Surroundings
from higherself.services.inbound.rules import Conditions, Rules
from higherself.services.notion.records import Records

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf
    from higherself.messaging.ports import Subscription
    from higherself.services.outcomes import Outcome
    from higherself.services.triggers import Happening

_BETWEEN = re.compile(r"[\s,]+")


class WrittenReaders:
    """Reads numbers, money and times as people and systems write them; the first that fails says why."""

    def phone(self, text: str, country: str | None) -> str:
        """Return a telephone number as E.164."""
        return read_phone(text, country=country)

    def money(self, text: str, currency: str | None) -> tuple[float, str]:
        """Return an amount and its currency."""
        read = read_money(text, currency=currency)
        return float(read.amount), read.currency

    def instant(self, text: str, zone: str | None) -> str:
        """Return an instant as ISO 8601 in UTC."""
        return read_instant(text, zone=zone).isoformat().replace("+00:00", "Z")

    def digits(self, currency: str) -> int:
        """Return how many digits a currency has after the point."""
        return decimals(currency)


def secrets_of(settings: Settings, source: Source) -> tuple[str, ...]:
    """Return the secrets that are set for a source, the newest first; none, if it is not used."""
    field = {name: field for field, name in Settings.names().items()}[source.setting]
    secret = getattr(settings, field)
    if secret is None:
        return ()
    return tuple(each for each in _BETWEEN.split(secret.get_secret_value()) if each)


@cache
def installed_transformations() -> Transformations:
    """Return the transformations that come with the program.

    Raises
        TransformationMistaken: they are not as they have to be.
    """
    text = files("higherself.business").joinpath("transformations.yaml").read_text("utf-8")
    said: Any = yaml.safe_load(text)
    return read_transformations(said, Conditions(SYSTEM_CLOCK), where="transformations.yaml")


class Inbound:
    """Everything about webhooks on an open server. Obtained as ``hs.webhooks``."""

    def __init__(self, hs: "HigherSelf") -> None:
        self._hs = hs
        self.deliveries = Deliveries(hs.database, hs.hosted.workflows.channel.outbox, hs.clock)
        secrets = {each.name: secrets_of(hs.settings, each) for each in SOURCES.values()}
        self.receiving = Webhooks(self.deliveries, secrets, hs.clock)
        self.rules = Rules(installed_transformations(), hs.records, hs.clock)
        self.processing = Processing(
            Surroundings(
                database=hs.database,
                deliveries=self.deliveries,
                rules=self.rules,
                businesses=hs.settings.webhook_businesses,
                records=hs.records,
                readers=WrittenReaders(),
                lookups=_lookups(hs.settings),
                happened=self._happened,
                clock=hs.clock,
            )
        )

    async def _happened(self, happening: "Happening") -> "Outcome":
        return await self._hs.happenings.happened(happening)

    def subscription(self) -> "Subscription":
        """Return what workers run to handle deliveries."""
        return self.processing.subscription()

    async def keep_up(self) -> None:
        """Forget what is old, for ever."""
        await self.processing.keep_up()


async def checked(settings: Settings, database: Database, clock: Clock) -> list[Check]:
    """Say of each source in use when it was heard of last, and what failed; and which rules are mistaken."""
    standing = await _standing(database)
    used = {
        each.name: standing.get(each.name, {})
        for each in SOURCES.values()
        if secrets_of(settings, each) or standing.get(each.name, {}).get("received_at")
    }
    found = [_check(settings, SOURCES[name], known) for name, known in used.items()]
    if not found:
        found = [Check("webhooks", True, "not used: no secret of a source is set")]
    records = Records(declared(), database, clock)
    rules = Rules(installed_transformations(), records, clock)
    return [*found, *(_mistaken(each) for each in (await rules.in_force()).mistakes)]


async def _standing(database: Database) -> Mapping[str, Mapping[str, Any]]:
    from higherself.inbound.store import QUERIES

    async with database.reading() as tx:
        rows = await tx.many(QUERIES["sources_standing"], {"sources": list(SOURCES)})
    return {row["source"]: row for row in rows}


def _check(settings: Settings, source: Source, known: Mapping[str, Any]) -> Check:
    name = f"webhooks {source.name}"
    secrets = len(secrets_of(settings, source))
    received = known.get("received_at")
    told = f"last received {received:%Y-%m-%d %H:%M} UTC" if received else "nothing received yet"
    if known.get("refused"):
        told += (
            f"; {known['refused']} refused, last {known['refused_at']:%Y-%m-%d %H:%M} UTC: "
            f"{known['reason']}"
        )
    if not secrets:
        if received is None:
            return Check(name, True, f"not used: {source.setting} is not set")
        fix = f"set {source.setting}, or take the webhook away there"
        return Check(name, False, f"refused, as {source.setting} is not set; {told}", fix)
    keys = "a secret is set" if secrets == 1 else f"{secrets} secrets are set"
    if failed := known.get("failed"):
        fix = (
            f"see `higherself webhooks list --source {source.name} --status failed`, mend what it "
            "says, then `higherself webhooks replay`"
        )
        return Check(name, False, f"{keys}; {told}; {failed} failed", fix)
    return Check(name, True, f"{keys}; {told}")


def _mistaken(text: str) -> Check:
    return Check("webhooks transformations", False, text, "correct the row in Data Transformations")


def _lookups(settings: Settings) -> dict[str, Lookup]:
    keys = secrets_of(settings, SOURCES["acuity"])
    if settings.acuity_user_id is None or not keys:
        return {}
    asking = AcuityAppointments(settings.acuity_base_url, settings.acuity_user_id, keys[0])
    return {"acuity_appointment": asking.of}
