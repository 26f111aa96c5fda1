"""Addresses in content: Notion's own in one form, signed ones without their signature. Pure."""

import re

_QUOTED = {ord(sign): f"%{ord(sign):02X}" for sign in ' "()<>\\`[]{}|^'} | dict.fromkeys(range(32))
_UNSAFE = re.compile(r'[\x00-\x20"()<>\\`\[\]{}|^]')
_SIGNED = re.compile(
    r"[?&](?:X-Amz-(?:Signature|Credential|Security-Token)|Signature|signature|sig|token|expirationTimestamp)=",
)
_NOTION = re.compile(
    r"(?:https?://(?:[a-z0-9-]+\.)*notion\.(?:so|com|site))?/(?!/)[^\s?#]*?"
    r"(?<![0-9a-fA-F])([0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12})/?"
    r"(?:\?[^#]*)?(?:#([0-9a-fA-F]{32}|[0-9a-fA-F-]{36}))?$"
)
_ID = re.compile(
    r"(?<![0-9a-fA-F])[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}"
    r"(?![0-9a-fA-F])"
)


def address(url: str) -> str:
    """Return an address in its normal form.

    Pages of Notion become ``https://app.notion.com/p/`` and 32 digits, whatever host, title or view
    they were written with; signs that would end an address in markdown are quoted.

    >>> address("https://www.notion.so/acme/Plan-0123456789abcdef0123456789abcdef?pvs=4")
    'https://app.notion.com/p/0123456789abcdef0123456789abcdef'
    >>> address("https://example.com/a (b)")
    'https://example.com/a%20%28b%29'
    """
    if ("notion." in url or url.startswith("/")) and (found := _NOTION.match(url)):
        block = f"#{_digits(found[2])}" if found[2] else ""
        return page_address(found[1]) + block
    return url.translate(_QUOTED) if _UNSAFE.search(url) else url


def page_address(page: str) -> str:
    """Return the address of a page, a database or a block, given its id."""
    return f"https://app.notion.com/p/{_digits(page)}"


def unsigned(url: str) -> str:
    """Return the address of a file without the signature it was lent with.

    >>> unsigned("https://prod-files-secure.s3.us-west-2.amazonaws.com/a/b.png?X-Amz-Signature=1&x=2")
    'https://prod-files-secure.s3.us-west-2.amazonaws.com/a/b.png'
    """
    return url.partition("?")[0] if _SIGNED.search(url) else url


def reference(text: str) -> str:
    """Return the id in an address or an id, with dashes; without one, ``text`` in its normal form.

    In an address it is the block after ``#``, or else the last of the path.

    >>> reference("user://0123456789abcdef0123456789abcdef")
    '01234567-89ab-cdef-0123-456789abcdef'
    """
    for part in reversed(text.split("?")[0].split("#") if "?" not in text else _parts(text)):
        if found := _ID.findall(part):
            return dashed(found[-1])
    return address(text)


def dashed(identifier: str) -> str:
    """Return an id of 32 digits with its dashes, in small letters."""
    digits = _digits(identifier)
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _parts(url: str) -> list[str]:
    path, _, rest = url.partition("?")
    return [path, rest.partition("#")[2]]


def _digits(identifier: str) -> str:
    return identifier.replace("-", "").lower()
