"""Rich text as JSON of the API, to and from the canonical tree. Pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from higherself.notion.content.addresses import dashed, page_address
from higherself.notion.content.errors import ContentRejected
from higherself.notion.content.rich import expression, marks, rich
from higherself.notion.content.tree import (
    COLOURS,
    PLAIN,
    DateMention,
    Inline,
    Marks,
    Math,
    Mention,
    Rich,
    Text,
)
from higherself.notion.ports import JsonObject
from higherself.notion.writing.limits import cut, units

MAX_EXPRESSION = 1_000
MAX_URL = 2_000

_SECONDS = re.compile(r"(T\d\d:\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:?\d\d)?$")


def one_line(text: str) -> str:
    """Return a name or a title as it may stand in a tag."""
    return " ".join(text.replace('"', "'").split())


def tree_colour(given: object) -> str:
    """Return a colour of the API as the tree has it."""
    return str(given) if given in COLOURS else ""


def minute(moment: str) -> str:
    """Return a day as it is, and a time with minutes and its offset.

    >>> minute("2026-06-27T18:01:00.000+01:00"), minute("2026-06-27")
    ('2026-06-27T18:01+01:00', '2026-06-27')
    """
    if found := _SECONDS.search(moment):
        zone = (found[2] or "").replace("Z", "+00:00")
        return moment[: found.start()] + found[1] + zone
    return moment


def from_rich_text(given: object) -> Rich:
    """Return rich text of the API in its normal form."""
    if not isinstance(given, list):
        return ()
    return rich(made for item in given if isinstance(item, Mapping) for made in _item(item))


def _item(item: Mapping[str, Any]) -> Iterator[Inline]:
    looks = _marks(item.get("annotations"))
    kind = item.get("type") or next((k for k in ("text", "mention", "equation") if k in item), "")
    given = item.get(str(kind)) or {}
    shown = str(item.get("plain_text") or "")
    match kind:
        case "text":
            link = (given.get("link") or {}).get("url") or item.get("href") or ""
            yield Text(str(given.get("content", shown)), looks, str(link))
        case "equation":
            yield Math(expression(str(given.get("expression", shown))), looks)
        case "mention":
            yield _mention(given, shown, item.get("href") or "", looks)
        case _:
            yield Text(shown, looks)


def _mention(given: Mapping[str, Any], shown: str, href: str, looks: Marks) -> Inline:
    kind = str(given.get("type") or next(iter(given), ""))
    value = given.get(kind) or {}
    match kind:
        case "user":
            name = shown or str(value.get("name") or "")
            return Mention(
                "user", dashed(str(value.get("id", ""))), one_name(name).removeprefix("@"), looks
            )
        case "page" | "database" | "data_source" | "agent":
            return Mention(kind, dashed(str(value.get("id", ""))), one_name(shown), looks)
        case "date":
            return DateMention(
                minute(str(value.get("start") or "")),
                minute(str(value.get("end") or "")),
                str(value.get("time_zone") or ""),
                looks,
            )
        case "link_preview" | "link_mention":
            url = str(value.get("url") or value.get("href") or href)
            return Text(str(value.get("title") or shown or url), looks, url)
        case _:
            return Text(shown, looks, href)


def one_name(text: str) -> str:
    """Return a name with single blanks."""
    return " ".join(text.split())


def _marks(given: object) -> Marks:
    if not isinstance(given, Mapping):
        return PLAIN
    return marks(
        bold=bool(given.get("bold")),
        italic=bool(given.get("italic")),
        strikethrough=bool(given.get("strikethrough")),
        underline=bool(given.get("underline")),
        code=bool(given.get("code")),
        colour=tree_colour(given.get("color")),
    )


def to_rich_text(items: Rich, place: str) -> list[JsonObject]:
    """Return rich text as the API takes it, in items of 2,000 UTF-16 units; there may be many.

    Raises
        ContentRejected: an equation or an address is too long.
    """
    return [made for item in items for made in _written(item, place)]


def _written(item: Inline, place: str) -> Iterator[JsonObject]:  # noqa: C901 - one case per kind
    looks = _annotations(item.marks)
    match item:
        case Text(text, _, link):
            if units(link) > MAX_URL:
                raise ContentRejected(place, f"the address of the link {text[:40]!r} has {units(link):,} characters; Notion takes {MAX_URL:,}: use a shorter one")  # fmt: skip
            for part in cut(text):
                inside: JsonObject = {"content": part}
                if link:
                    inside["link"] = {"url": link}
                yield {"type": "text", "text": inside, **looks}
        case Math(formula):
            if units(formula) > MAX_EXPRESSION:
                raise ContentRejected(place, f"an equation has {units(formula):,} characters; Notion takes {MAX_EXPRESSION:,}: split it")  # fmt: skip
            yield {"type": "equation", "equation": {"expression": formula}, **looks}
        case DateMention(start, end, zone):
            date = {
                "start": _to_the_second(start),
                "end": _to_the_second(end) or None,
                "time_zone": zone or None,
            }
            yield {"type": "mention", "mention": {"type": "date", "date": date}, **looks}
        case Mention("agent", _, name):
            yield {"type": "text", "text": {"content": name or "agent"}, **looks}
        case Mention("data_source", ref, name):
            link_to = {"url": page_address(ref)}
            yield {"type": "text", "text": {"content": name or ref, "link": link_to}, **looks}
        case Mention(kind, ref, _):
            yield {"type": "mention", "mention": {"type": kind, kind: {"id": ref}}, **looks}


def _to_the_second(moment: str) -> str:
    """Return a time as every reader of ISO 8601 takes it."""
    return f"{moment[:16]}:00{moment[16:]}" if len(moment) > 10 else moment


def _annotations(looks: Marks) -> JsonObject:
    if looks is PLAIN or looks == PLAIN:
        return {}
    found: JsonObject = {
        name: True
        for name in ("bold", "italic", "strikethrough", "underline", "code")
        if getattr(looks, name)
    }
    if looks.colour:
        found["color"] = looks.colour
    return {"annotations": found}
