"""Signatures: made and compared as the schemes in use want it. Pure, and in constant time."""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from higherself.inbound.errors import BadSignature, StaleDelivery
from higherself.inbound.model import TOLERANCE_SECONDS, Arrived

_SECONDS = re.compile(r"[0-9]{1,12}")
MOST_SIGNATURES = 10
"""Signatures in one header that are looked at."""

SECRET_HEADER = "x-webhook-secret"  # noqa: S105  the name of a header


def digest(body: bytes, key: bytes) -> bytes:
    """Return the HMAC-SHA256 of ``body``."""
    return hmac.new(key, body, hashlib.sha256).digest()


def base64_digest(body: bytes, secret: str) -> str:
    """Return the HMAC-SHA256 of ``body`` as most shops and forms send it."""
    return base64.b64encode(digest(body, secret.encode())).decode()


def require_match(given: Iterable[str], expected: Iterable[str], name: str) -> None:
    """Raise unless one of ``given`` is one of ``expected``. Every pair is compared, to its end.

    Raises
        BadSignature: none is, or none was given.
    """
    wanted = [each.encode() for each in expected]
    came = [each.encode(errors="replace") for each in given][:MOST_SIGNATURES]
    if not any(came):
        raise BadSignature(f"the header {name} is missing")
    matches = 0
    for one in came:
        for other in wanted:
            matches |= hmac.compare_digest(one, other)
    if not matches:
        raise BadSignature(f"the signature in {name} does not fit the body and any secret of ours")


def verify_base64(
    arrived: Arrived, secrets: Sequence[str], header: str, *, prefix: str = ""
) -> None:
    """Raise unless ``header`` is the base64 HMAC-SHA256 of the body, after ``prefix``.

    Raises
        BadSignature: it is not.
    """
    expected = [prefix + base64_digest(arrived.body, each) for each in secrets]
    require_match([arrived.headers.get(header, "")], expected, header)


def verify_shared(arrived: Arrived, secrets: Sequence[str]) -> None:
    """Raise unless the request carries the secret itself: X-Webhook-Secret, or a bearer token.

    Raises
        BadSignature: it does not.
    """
    given = arrived.headers.get(SECRET_HEADER, "")
    scheme, _, token = arrived.headers.get("authorization", "").partition(" ")
    if not given and scheme.lower() == "bearer":
        given = token.strip()
    # Hashes are of one length, so that the time tells nothing of the secret's.
    hashed = hashlib.sha256(given.encode(errors="replace")).hexdigest() if given else ""
    wanted = [hashlib.sha256(each.encode()).hexdigest() for each in secrets]
    try:
        require_match([hashed], wanted, SECRET_HEADER)
    except BadSignature:
        wrong = "is not ours" if given else "is missing"
        raise BadSignature(f"the secret in {SECRET_HEADER} {wrong}") from None


def require_recent(seconds: str, now: datetime, name: str) -> None:
    """Raise unless a Unix time is within five minutes of ``now``, on either side.

    Raises
        BadSignature: it is no time.
        StaleDelivery: it is too far away.
    """
    if not _SECONDS.fullmatch(seconds):
        raise BadSignature(f"{name} has no time in whole seconds")
    off = now.timestamp() - int(seconds)
    if abs(off) > TOLERANCE_SECONDS:
        side = "old" if off > 0 else "ahead of our clock"
        raise StaleDelivery(
            f"the signature is {abs(off):.0f} seconds {side}; at most 300 are taken"
        )


def standard_key(secret: str) -> bytes:
    """Return the key that a Standard Webhooks secret stands for: base64 after ``whsec_``.

    What is no base64 is the key itself, as those sign that know nothing of the prefix.
    """
    text = secret.removeprefix("whsec_")
    try:
        return base64.b64decode(text, validate=True) or secret.encode()
    except (binascii.Error, ValueError):
        return secret.encode()


def standard_signature(body: bytes, secret: str, identifier: str, seconds: str) -> str:
    """Return the signature of the Standard Webhooks specification, version 1.

    >>> standard_signature(b'{"test": 2432232314}', "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ...     "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330")
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE='
    """
    content = f"{identifier}.{seconds}.".encode() + body
    return "v1," + base64.b64encode(digest(content, standard_key(secret))).decode()


def verify_standard(
    arrived: Arrived, secrets: Sequence[str], now: datetime, *prefixes: str
) -> None:
    """Raise unless the request is signed as Standard Webhooks, whose headers begin with a prefix.

    Raises
        BadSignature, StaleDelivery: it is not, or not lately.
    """
    headers = arrived.headers
    prefix = next((each for each in prefixes if f"{each}-id" in headers), prefixes[0])
    identifier = headers.get(f"{prefix}-id", "")
    seconds = headers.get(f"{prefix}-timestamp", "")
    if not identifier:
        raise BadSignature(f"the header {prefix}-id is missing")
    require_recent(seconds, now, f"{prefix}-timestamp")
    expected = [standard_signature(arrived.body, each, identifier, seconds) for each in secrets]
    given = headers.get(f"{prefix}-signature", "").split()
    require_match(given, expected, f"{prefix}-signature")


def sign_standard(
    body: bytes, secret: str, now: datetime, *, prefix: str, identifier: str
) -> Mapping[str, str]:
    """Return the three headers of Standard Webhooks for ``body``."""
    seconds = str(int(now.timestamp()))
    return {
        f"{prefix}-id": identifier,
        f"{prefix}-timestamp": seconds,
        f"{prefix}-signature": standard_signature(body, secret, identifier, seconds),
    }
