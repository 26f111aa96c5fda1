"""Rich text to markdown of one line (v1). Pure."""

import re

from higherself.notion.content.addresses import page_address
from higherself.notion.content.tree import PLAIN, DateMention, Inline, Mention, Rich, Text

_SPECIAL = re.compile(r"[\\*~`$\[\]<>{}|^]")
_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_RUNS = re.compile("`+")
_NOTHING: list[tuple[str, str]] = []


def escaped(text: str) -> str:
    r"""Return text with a backslash before what markdown would read.

    >>> escaped("a*b\nc")
    'a\\*b<br>c'
    """
    if _SPECIAL.search(text):
        text = _SPECIAL.sub(r"\\\g<0>", text)
    return text.replace("\n", "<br>") if "\n" in text else text


def render_inline(items: Rich) -> str:
    """Return rich text as markdown; `parse_inline` reads the same text from it."""
    if len(items) == 1 and type(item := items[0]) is Text and item.marks is PLAIN and not item.link:
        return escaped(item.text)
    out: list[str] = []
    opened: list[tuple[str, str]] = []
    for item in items:
        plain = item.marks is PLAIN and not (type(item) is Text and item.link)
        wanted = _NOTHING if plain else _wrappers(item)
        same = 0
        for one, other in zip(opened, wanted, strict=False):
            if one != other:
                break
            same += 1
        if len(opened) > same:
            out += [ending for _, ending in reversed(opened[same:])]
        if len(wanted) > same:
            out += [beginning for beginning, _ in wanted[same:]]
        opened = wanted
        out.append(escaped(item.text) if plain and type(item) is Text else _bare(item))
    if opened:
        out += [ending for _, ending in reversed(opened)]
    return "".join(out)


def colour_name(colour: str) -> str:
    """Return a colour as markdown names it.

    >>> colour_name("blue_background")
    'blue_bg'
    """
    return colour.replace("_background", "_bg")


def entity_address(kind: str, ref: str) -> str:
    """Return the address that markdown gives for something of Notion's."""
    if not _ID.match(ref):
        return ref
    match kind:
        case "user" | "agent":
            return f"{kind}://{ref}"
        case "data_source":
            return f"collection://{ref}"
        case _:
            return page_address(ref)


def _wrappers(item: Inline) -> list[tuple[str, str]]:
    """Return what stands around an item, from outside, always in the same order."""
    marks = item.marks
    found: list[tuple[str, str]] = []
    if marks.bold:
        found.append(("**", "**"))
    if marks.strikethrough:
        found.append(("~~", "~~"))
    if marks.italic:
        found.append(("*", "*"))
    if isinstance(item, Text) and item.link:
        found.append(("[", f"]({item.link})"))
    if marks.underline or marks.colour:
        colour = f' color="{colour_name(marks.colour)}"' if marks.colour else ""
        line = ' underline="true"' if marks.underline else ""
        found.append((f"<span{colour}{line}>", "</span>"))
    return found


def _bare(item: Inline) -> str:
    match item:
        case Text(text, marks):
            return _code(text) if marks.code else escaped(text)
        case Mention(kind, ref, text):
            return _mention(kind, ref, text)
        case DateMention():
            return _date(item)
        case _:
            return f"$`{item.expression}`$"


def _code(text: str) -> str:
    """Return code between more backticks than it has in a row."""
    runs = {len(run) for run in _RUNS.findall(text)}
    length = 1
    while length in runs:
        length += 1
    padded = text[0] == "`" or text[-1] == "`" or (text[0] == text[-1] == " " and text.strip(" "))
    blank = " " if padded else ""
    return f"{'`' * length}{blank}{text}{blank}{'`' * length}"


def _mention(kind: str, ref: str, text: str) -> str:
    tag = f"mention-{kind.replace('_', '-')}"
    address = entity_address(kind, ref)
    return (
        f'<{tag} url="{address}">{escaped(text)}</{tag}>' if text else f'<{tag} url="{address}"/>'
    )


def _date(item: DateMention) -> str:
    given: list[tuple[str, str]] = []
    for name, value in (("start", item.start), ("end", item.end)):
        day, _, time = value.partition("T")
        if value and time and item.time_zone:
            given += [(name, day), (f"{name}Time", time)]
        elif value:
            given.append((name, value))
    if item.time_zone:
        given.append(("timeZone", item.time_zone))
    inside = "".join(f' {name}="{value}"' for name, value in given)
    return f"<mention-date{inside}/>"
