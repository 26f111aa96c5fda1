"""E-mail over SMTP, to the one server that takes it from us."""

import re
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parseaddr
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from higherself.outbound.errors import (
    NotCarried,
    NotCarriedForThem,
    NotSetUp,
    OutcomeUnknown,
    OutOfReach,
    Refused,
)
from higherself.outbound.model import Delivery, Parcel
from higherself.outbound.policy import Mode, is_this_machine
from higherself.outbound.ports import HandOver

if TYPE_CHECKING:
    import aiosmtplib

SECONDS = 30.0
"""How long one answer of the server may take."""

_NOT_LET_IN = frozenset([530, 534, 535, 538])
"""It wants another password, or encryption (RFC 4954): about us, not about the letter."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """Where e-mail goes out: ``smtp://`` (STARTTLS if the server has it) or ``smtps://``."""

    host: str
    port: int
    tls: bool
    user: str = ""
    password: str = field(default="", repr=False)

    @classmethod
    def read(cls, url: str) -> "MailServer":
        """Return what a URL says.

        Raises
            ValueError: it is none of a mail server.
        """
        parts = urlsplit(url)
        if parts.scheme not in ("smtp", "smtps") or not parts.hostname:
            raise ValueError("it has to be smtp://HOST:PORT or smtps://HOST:PORT")
        tls = parts.scheme == "smtps"
        return cls(
            parts.hostname,
            parts.port or (465 if tls else 587),
            tls,
            unquote(parts.username or ""),
            unquote(parts.password or ""),
        )

    @property
    def start_tls(self) -> bool | None:
        """Whether to ask for TLS on the way; None: if the server has it.

        A password goes over the network under TLS or not at all.
        """
        if self.tls:
            return False
        return True if self.user and not is_this_machine(self.host) else None

    def __str__(self) -> str:
        return f"{'smtps' if self.tls else 'smtp'}://{self.host}:{self.port}"


class SmtpCarrier:
    """Hands letters to the mail server, each on a connection of its own."""

    def __init__(self, server: MailServer | None, *, mode: Mode, seconds: float = SECONDS) -> None:
        self._server, self._mode, self._seconds = server, mode, seconds

    def places(self, parcel: Parcel) -> Sequence[str]:
        """Return the addresses it is for.

        Raises
            NotSetUp: there is no mail server. OutOfReach: it is not on this machine, in a test.
        """
        self._reachable()
        return [parseaddr(each)[1] for each in parcel.to]

    async def carry(self, delivery: Delivery, hand_over: HandOver) -> str:
        """Hand a letter over; return what the server said when it had taken it.

        Raises
            NotCarried, Refused, OutcomeUnknown, NotSetUp, OutOfReach: see `Carrier`.
        """
        import aiosmtplib

        server = self._reachable()
        client = self._client(server, self._seconds)
        try:
            await self._introduced(client, delivery.parcel)
        except aiosmtplib.SMTPResponseException as error:
            client.close()
            raise _said(error.code, error.message) from error
        except (NotCarried, Refused):
            client.close()
            raise
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            client.close()
            raise NotCarried(f"{server} does not take letters now: {_text(error)}") from error
        try:
            return await self._handed_over(client, delivery.parcel, hand_over, server)
        finally:
            client.close()

    async def probe(self, *, seconds: float = 10.0) -> None:
        """Ask whether the server answers and takes the password; nothing is sent.

        Raises
            NotCarried: it does not. NotSetUp, OutOfReach: it cannot be asked.
        """
        import aiosmtplib

        server = self._reachable()
        client = self._client(server, seconds)
        try:
            await client.connect()
            with suppress(aiosmtplib.SMTPException, OSError):
                await client.quit()
        except aiosmtplib.SMTPResponseException as error:
            raise NotCarried(f"{server} answers {error.code} {error.message}") from error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            raise NotCarried(f"{server} does not answer: {_text(error)}") from error
        finally:
            client.close()

    def _client(self, server: MailServer, seconds: float) -> "aiosmtplib.SMTP":
        import aiosmtplib

        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls,
            start_tls=server.start_tls,
            local_hostname=_own_name(),
            username=server.user or None,
            password=server.password or None,
            timeout=seconds,
            tls_context=_trusted(),
        )

    def _reachable(self) -> MailServer:
        if self._server is None:
            raise NotSetUp("no mail server is set: set SMTP_URL=smtp://USER:PASSWORD@HOST:587")
        if self._mode == "testing" and not is_this_machine(self._server.host):
            raise OutOfReach(
                f"HIGHERSELF_DELIVERY=testing reaches servers on this machine alone, and SMTP_URL "
                f"names {self._server.host}"
            )
        return self._server

    async def _introduced(self, client: "aiosmtplib.SMTP", parcel: Parcel) -> None:
        """Say who it is from and for; until then, nothing has been taken."""
        import aiosmtplib

        try:
            await client.connect()
        except aiosmtplib.SMTPResponseException as error:
            # A password that is wrong, or a server that is closed, says nothing of this letter.
            raise NotCarried(
                f"{self._server} does not let us in: {error.code} {error.message}"
            ) from error
        sender = parseaddr(parcel.sender)[1]
        await client.mail(sender, encoding="utf-8")
        for address in self.places(parcel):
            try:
                await client.rcpt(address, encoding="utf-8")
            except aiosmtplib.SMTPResponseException as error:
                said = _said(error.code, f"{address}: {error.message}")
                if isinstance(said, NotCarried):
                    raise NotCarriedForThem(str(said)) from error
                raise said from error

    async def _handed_over(
        self, client: "aiosmtplib.SMTP", parcel: Parcel, hand_over: HandOver, server: MailServer
    ) -> str:
        import aiosmtplib

        await hand_over()
        try:
            answer = await client.data(parcel.content)  # with the line ends of the wire
        except aiosmtplib.SMTPResponseException as error:
            raise _said(error.code, error.message) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise OutcomeUnknown(
                f"the connection to {server} broke while it took the letter ({_text(error)}): it "
                "may have arrived"
            ) from error
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit()
        return f"{answer.code} {answer.message}"


def _own_name() -> str:
    """Return how this machine names itself, if mail servers take that for a name."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?", name) else "localhost"


@cache
def _trusted() -> ssl.SSLContext:
    return ssl.create_default_context()


def _said(code: int, message: str) -> NotCarried | Refused:
    """Return what an answer of the server means: below 500 it may take it later (RFC 5321, 4.2.1)."""
    text = f"{code} {message}"
    if 500 <= code < 600 and code not in _NOT_LET_IN:
        return Refused(f"the mail server refuses it: {text}")
    return NotCarried(f"the mail server does not take it now: {text}")


def _text(error: BaseException) -> str:
    return str(error) or type(error).__name__
