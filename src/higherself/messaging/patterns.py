"""Which events a group wants to be told of: patterns on the words of a type.

``lead.*`` fits `lead.scored`; ``booking.>`` fits `booking.confirmed` and `booking.slot.freed`, not
`booking`; ``>`` fits everything.
"""

import hashlib
import re
from functools import lru_cache
from uuid import UUID

from higherself.messaging.envelope import MessageId
from higherself.messaging.errors import MessageMalformed

EVENTS = "event"
"""The topic of events: what is stored there is copied to the groups whose patterns fit its type."""

GROUPS = "group."
"""Before a group's name, the topic of its copies."""

_GROUP = re.compile(r"[a-z][a-z0-9_.-]{0,40}")
_WORD = r"[A-Za-z0-9_:/-]+"
_PATTERN = re.compile(rf"(?:(?:{_WORD}|\*)\.)*(?:{_WORD}|\*|>)")


def group_topic(group: str) -> str:
    """Return the topic on which a group finds its copies.

    Raises
        MessageMalformed: it is no name for a group.
    """
    if not _GROUP.fullmatch(group):
        raise MessageMalformed(
            "group", f"{group!r} is not 1 to 41 of a-z, 0-9, _ . and -, beginning with a-z"
        )
    return GROUPS + group


def expression(pattern: str) -> str:
    r"""Return ``pattern`` as a regular expression that means the same here and in PostgreSQL.

    >>> expression("lead.*")
    '^lead\\.[^.]+$'

    Raises
        MessageMalformed: it is no pattern.
    """
    if not _PATTERN.fullmatch(pattern) or len(pattern) > 200:
        raise MessageMalformed(
            "pattern",
            f"{pattern[:60]!r} is not words with dots between them, of which * stands for one "
            "and > at the end for all the rest, for example lead.* or booking.>",
        )
    words = {"*": "[^.]+", ">": ".+"}
    return "^" + r"\.".join(words.get(word, word) for word in pattern.split(".")) + "$"


def fits(pattern: str, type_: str) -> bool:
    """Whether an event of ``type_`` is one of those that ``pattern`` means.

    >>> fits("booking.>", "booking.slot.freed"), fits("booking.*", "booking.slot.freed")
    (True, False)
    """
    return _compiled(pattern).fullmatch(type_) is not None


def copy_of(event: MessageId, group: str) -> MessageId:
    """Return the identifier of the copy of an event that ``group`` gets; as 07_bus makes it."""
    digest = hashlib.md5(f"{event}/{group}".encode(), usedforsecurity=False).hexdigest()
    return MessageId(UUID(f"{digest[:12]}8{digest[13:16]}8{digest[17:]}"))


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(expression(pattern))
