"""A letter from a template, or from Markdown, with its facts in their places. Pure."""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higherself.business.messages import templates
from higherself.business.messages.email import EmailRejected

MOST_ATTACHED = 10_000_000
"""Bytes of all attachments of a letter: above, many mail servers refuse it."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes along."""

    name: str
    media_type: str
    content: bytes


def filled(
    *,
    template: str | None,
    subject: str | None,
    body: str | None,
    facts: Mapping[str, Any],
    business: str,
) -> templates.Filled:
    """Return subject and Markdown of a letter: of a built-in template, or as given.

    What is given without facts stands for itself: braces in it are braces.

    Raises
        TemplateUnknown, TemplateRejected: there is no such template, or a fact is missing.
    """
    if template is not None and subject is None and body is None:
        return templates.fill(templates.built_in(template), {"business": business, **facts})
    if template is None and subject is not None and body is not None:
        if not facts:
            line = " ".join(subject.split())[: templates.LONGEST_SUBJECT]
            return templates.Filled(line, body)
        written = templates.Template("the text", subject, body)
        return templates.fill(written, {"business": business, **facts})
    raise templates.TemplateRejected("give either `template`, or `subject` and `body`")


def attached(given: Sequence[Mapping[str, Any]]) -> list[Attachment]:
    """Return the attachments of a letter: each with ``name`` and ``text``, or ``base64``.

    Raises
        EmailRejected: one is not as it has to be, or they are too large together.
    """
    found: list[Attachment] = []
    for number, each in enumerate(given):
        where = f"attachments.{number}"
        name = str(each.get("name") or "")
        if not name or set(name) & set('/\\\r\n\0"'):
            raise EmailRejected(f"{where}.name: {name!r} is no name of a file, such as quote.pdf")
        if (each.get("text") is None) == (each.get("base64") is None):
            raise EmailRejected(f"{where}: give either `text` or `base64`")
        if each.get("text") is not None:
            content, kind = str(each["text"]).encode(), "text/plain"
        else:
            try:
                content = base64.b64decode(str(each["base64"]), validate=True)
            except binascii.Error:
                raise EmailRejected(f"{where}.base64: it is no base64") from None
            kind = "application/octet-stream"
        media_type = str(each.get("media_type") or kind)
        if media_type.count("/") != 1:
            raise EmailRejected(f"{where}.media_type: {media_type!r} is none, such as image/png")
        found.append(Attachment(name, media_type, content))
    size = sum(len(each.content) for each in found)
    if size > MOST_ATTACHED:
        largest = max(found, key=lambda each: len(each.content))
        raise EmailRejected(
            f"attachments: they are {size / 1e6:.1f} MB together, and {MOST_ATTACHED / 1e6:.0f} MB "
            f"are the most; the largest is {largest.name}: send a link to it instead"
        )
    return found
