"""The mail server lets in whom it knows, over a connection that nobody else reads, or nothing goes."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from higherself.outbound import mail
from higherself.outbound.errors import NotCarried
from higherself.outbound.mail import MailServer, SmtpCarrier
from higherself.outbound.model import Delivery, Origin, Parcel
from higherself.testing.clock import NOON

pytestmark = pytest.mark.anyio

DELIVERY = Delivery(
    id=UUID(int=1),
    parcel=Parcel(
        channel="email",
        to=("Ana <ana@example.org>",),
        content=b"Subject: x\r\n\r\nx\r\n",
        about="x",
        sender="hello@example.org",
    ),
    origin=Origin(entity="gallery", key="k"),
    status="sending",
    reason="",
    attempts=1,
    created_at=NOON,
    due_at=None,
    sent_at=None,
    answer="",
)


@dataclass
class Site:
    """A mail server that takes letters only over TLS, from one user."""

    port: int = 0
    passwords: list[bytes] = field(default_factory=list)
    taken: list[Envelope] = field(default_factory=list)

    def authenticated(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: Any
    ) -> AuthResult:
        assert isinstance(given, LoginPassword)
        self.passwords.append(given.password)
        return AuthResult(success=given.password == b"p@ss/word", handled=False)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        self.taken.append(envelope)
        return "250 taken"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(NOON - timedelta(days=7_000))
        .not_valid_after(NOON + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate is one that this machine trusts."""
    context = ssl.create_default_context(cafile=str(certificate))
    monkeypatch.setattr(mail, "_trusted", lambda: context)


@asynccontextmanager
async def server(certificate: Path, *, at_once: bool = False) -> AsyncIterator[Site]:
    site = Site()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)

    def talk() -> SMTP:
        return SMTP(
            site,
            hostname="localhost",
            tls_context=None if at_once else context,
            require_starttls=not at_once,
            auth_require_tls=not at_once,
            auth_required=not at_once,
            authenticator=site.authenticated,
        )

    listening = await asyncio.get_running_loop().create_server(
        talk, "127.0.0.1", 0, ssl=context if at_once else None
    )
    site.port = listening.sockets[0].getsockname()[1]
    async with listening:
        yield site


async def carried(url: str) -> tuple[str, int]:
    """Return what the server said, and how often it was said that it may have arrived."""
    handed_over = 0

    async def hand_over() -> None:
        nonlocal handed_over
        handed_over += 1

    carrier = SmtpCarrier(MailServer.read(url), mode="live", seconds=20)
    return await carrier.carry(DELIVERY, hand_over), handed_over


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.usefixtures("trusted")
async def test_a_letter_goes_encrypted_with_the_password(certificate: Path, scheme: str) -> None:
    async with server(certificate, at_once=scheme == "smtps") as site:
        said = await carried(f"{scheme}://me:p%40ss%2Fword@localhost:{site.port}")
    assert said == ("250 taken", 1)
    assert (site.passwords, len(site.taken)) == ([b"p@ss/word"], 1)
    assert site.taken[0].rcpt_tos == ["ana@example.org"]


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_certificate_that_nobody_vouches_for_gets_nothing(
    certificate: Path, scheme: str
) -> None:
    async with server(certificate, at_once=scheme == "smtps") as site:
        with pytest.raises(NotCarried, match=r"(?i)certificate"):
            await carried(f"{scheme}://me:p%40ss%2Fword@localhost:{site.port}")
    assert (site.passwords, site.taken) == ([], [])


@pytest.mark.parametrize("login", ["me:wrong@", ""])
@pytest.mark.usefixtures("trusted")
async def test_a_wrong_password_loses_no_letter(certificate: Path, login: str) -> None:
    async with server(certificate) as site:
        with pytest.raises(NotCarried, match=r"53[05]"):
            await carried(f"smtp://{login}localhost:{site.port}")
    assert site.taken == []


@pytest.mark.parametrize(
    ("url", "encrypted"),
    [
        ("smtp://me:secret@mail.example.org", True),
        ("smtp://me:secret@127.0.0.1", None),
        ("smtp://mail.example.org", None),
        ("smtps://me:secret@mail.example.org", False),
    ],
)
def test_a_password_leaves_this_machine_only_encrypted(url: str, encrypted: bool | None) -> None:
    found = MailServer.read(url)
    assert found.start_tls is encrypted
    assert found.tls == url.startswith("smtps")
    assert "secret" not in repr(found) + str(found)
