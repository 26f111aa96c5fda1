"""Sending as the program does it: the carriers that are set, what people asked for, who it is from."""

import secrets
from collections.abc import Mapping, Sequence
from email.utils import parseaddr
from typing import TYPE_CHECKING

from pydantic import SecretStr

from higherself.app.named import read_named
from higherself.app.settings import Settings
from higherself.db.pool import Database
from higherself.kernel.check import Check
from higherself.kernel.clock import Clock
from higherself.kernel.errors import HigherSelfError
from higherself.outbound.errors import NotSetUp
from higherself.outbound.files import FolderCarrier
from higherself.outbound.ledger import Ledger
from higherself.outbound.mail import MailServer, SmtpCarrier
from higherself.outbound.model import Delivery, Origin, Parcel
from higherself.outbound.policy import Wish
from higherself.outbound.ports import Carriers
from higherself.outbound.postman import Postman
from higherself.outbound.web import SlackCarrier, SmsCarrier, Targets, WebhookCarrier

if TYPE_CHECKING:
    from higherself.app.wiring import HigherSelf
    from higherself.services.contacts import Contacts

NOBODY = "HigherSelf <higherself@localhost>"
"""Who e-mail is from that goes to nobody outside, as long as MAIL_FROM is not set."""


class Outbound:
    """Everything that goes out of an open server. Obtained as ``hs.outbound``."""

    def __init__(self, hs: "HigherSelf") -> None:
        self._settings = hs.settings
        self.ledger = Ledger(hs.database, hs.clock)
        self.postman = Postman(
            self.ledger,
            carriers_of(hs.settings, hs.clock),
            _Wishes(self.ledger, hs.contacts),
            hs.clock,
            mode=hs.settings.delivery,
            allowed=hs.settings.allow_list,
        )

    async def send(
        self, parcel: Parcel, origin: Origin, *, unsubscribe: str | None = None
    ) -> Delivery:
        """Send something once; see `Postman.send`."""
        return await self.postman.send(parcel, origin, unsubscribe=unsubscribe)

    def sender(self, entity: str) -> str:
        """Return who e-mail of a business is from.

        Raises
            NotSetUp: MAIL_FROM does not say, and it would go to people.
        """
        senders = self._settings.mail_from
        if found := senders.get(entity) or senders.get("*"):
            return found
        if self._settings.delivery == "live":
            raise NotSetUp(
                f"nobody is set whom e-mail of {entity} is from: set MAIL_FROM='Name <name@domain>'"
            )
        return NOBODY

    @property
    def texts_are_from(self) -> str:
        """Who texts are from."""
        return self._settings.sms_from

    def ending(self) -> tuple[str, str] | None:
        """Return a new token by which somebody ends a subscription, and the address where.

        None: nobody outside can reach this server, by HIGHERSELF_URL.

        Raises
            NotSetUp: so marketing may not go to people.
        """
        url = self._settings.url
        if url is None or not url.startswith("https://"):
            if self._settings.delivery == "live":
                raise NotSetUp(
                    "marketing has to say how to get no more of it: set HIGHERSELF_URL to the "
                    "https:// address where others reach this server"
                )
            return None
        token = secrets.token_urlsafe(24)
        return token, f"{url}/unsubscribe/{token}"


def carriers_of(settings: Settings, clock: Clock) -> Carriers:
    """Return the carriers as they are set up."""
    mode, url = settings.delivery, settings.smtp_url
    server = None if url is None else MailServer.read(url.get_secret_value())
    return {
        "email": SmtpCarrier(server, mode=mode),
        "slack": SlackCarrier(
            _targets("SLACK_WEBHOOK_URL", settings.slack_webhook_url),
            clock,
            mode=mode,
            secret=_secret(settings.slack_signing_secret),
        ),
        "webhook": WebhookCarrier(
            _targets("HIGHERSELF_WEBHOOK_TARGETS", settings.webhook_targets),
            clock,
            mode=mode,
            secret=_secret(settings.webhook_signing_secret),
        ),
        "sms": SmsCarrier(settings.sms_url, _secret(settings.sms_token), clock, mode=mode),
        "file": FolderCarrier(settings.drop_folder or settings.home / "dropped"),
    }


def _targets(setting: str, given: SecretStr | None) -> Targets:
    named = {} if given is None else read_named(given.get_secret_value(), alone="team")
    return Targets(setting, named)


def _secret(given: SecretStr | None) -> str:
    return "" if given is None else given.get_secret_value()


class _Wishes:
    """What people asked for: by the contacts of the business, and by what they were sent."""

    def __init__(self, ledger: Ledger, contacts: "Contacts") -> None:
        self._ledger, self._contacts = ledger, contacts

    async def wishes(self, entity: str, addresses: Sequence[str]) -> Mapping[str, Wish]:
        plain = {each: parseaddr(each)[1] or each for each in addresses}
        known = await self._ledger.wishes(entity, list(plain.values()))
        found: dict[str, Wish] = {}
        for each, address in plain.items():
            by = {"email": address} if "@" in address else {"phone": address}
            row = await self._contacts.find(entity, **by)
            if row is not None and not self._contacts.shown(row)["may_be_contacted"]:
                found[each] = "nothing" if known.get(address) == "nothing" else "no_contact"
            elif address in known:
                found[each] = known[address]
        return found


async def checked(settings: Settings, database: Database, clock: Clock) -> list[Check]:
    """Say how messages go out, and which of them wait for a person."""
    told = {
        "live": "live: messages go to everybody",
        "sandbox": f"sandbox: messages go to {str(settings.allow_list) or 'nobody'}, others are held",
        "testing": "testing: messages go to servers on this machine alone",
    }[settings.delivery]
    url = settings.smtp_url
    mail = "no mail server" if url is None else f"mail by {MailServer.read(url.get_secret_value())}"
    found = [Check("delivery", True, f"{told}; {mail}")]
    if settings.delivery == "live" and url is None:
        found = [Check("delivery", False, f"{told}; {mail}", "set SMTP_URL, or no letter goes out")]
    if url is not None:
        found.append(await _mail_answers(settings, MailServer.read(url.get_secret_value())))
    standing = await Ledger(database, clock).standing()
    for status, fix in (
        ("uncertain", "`higherself deliveries list --status uncertain`, then ask who got them"),
        ("failed", "`higherself deliveries list --status failed` says why"),
    ):
        if status in standing:
            count, since = standing[status]
            detail = f"{count} {status}, the oldest of {since:%Y-%m-%d %H:%M} UTC"
            found.append(Check(f"deliveries {status}", False, detail, fix))
    return found


async def _mail_answers(settings: Settings, server: MailServer) -> Check:
    try:
        await SmtpCarrier(server, mode=settings.delivery).probe()
    except HigherSelfError as error:
        fix = "correct SMTP_URL, or see that it answers; what waits is sent then"
        return Check("mail server", False, str(error), fix)
    login = ", and takes the password" if server.user else ""
    return Check("mail server", True, f"{server} answers{login}")
