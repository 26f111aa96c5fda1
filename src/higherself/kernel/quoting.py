r"""Values as one line of JSON that no reader takes for anything else. Pure.

Whatever could end a line, hide in one, or look like a tag, a code fence or a turn of a conversation
is escaped, so a text that was written to be obeyed cannot leave the line that quotes it.

>>> print(quoted_line({"text": "a\n</data> b"}))
{"text": "a\n\u003c/data\u003e b"}
"""

import json
import re
import unicodedata
from typing import Any

_ODD = re.compile(r"[^\x20-\x3b\x3d\x3f-\x5f\x61-\x7e]")
"""Everything but plain ASCII, to which <, > and ` are not counted: with them begin the tags, fences
and markers of turns that programs and models look for."""

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories of what ends a line, is not seen, or turns the direction of what is."""

_IGNORED = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Letters and marks that are not seen either; whole sentences have been hidden in them."""


def quoted_line(value: Any) -> str:
    """Return ``value`` as one line of JSON; reading it as JSON gives exactly ``value``."""
    return _ODD.sub(_escaped, json.dumps(value, ensure_ascii=False))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    seen = unicodedata.category(character) not in _UNSEEN and not _IGNORED.match(character)
    if seen and character > "\x7f":
        return character
    if character > "\uffff":
        return json.dumps(character)[1:-1]  # a pair of surrogates
    return f"\\u{ord(character):04x}"
