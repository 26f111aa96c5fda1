"""Markdown of one line to rich text, for v1 and v2. Pure; it never fails and never loses a word."""

import re
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from higherself.notion.content.addresses import address, reference
from higherself.notion.content.rich import expression, marks, rich
from higherself.notion.content.tree import (
    COLOURS,
    PLAIN,
    DateMention,
    Inline,
    Marks,
    Math,
    Mention,
    MentionKind,
    Rich,
    Text,
)

Version = Literal["v1", "v2"]

_SPECIAL = {
    "v1": re.compile(r"[\\*~`$\[\]<]"),
    "v2": re.compile(r"[\\*~`$\[\]<&]"),
}
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_TAG = re.compile(r'<(/?)([a-z][a-z-]*)((?:\s+[a-zA-Z-]+="[^"<>]*")*)\s*(/?)>')
_ATTRIBUTE = re.compile(r'([a-zA-Z-]+)="([^"]*)"')
_RUNS = re.compile("`+")
_BEFORE_OPENING = frozenset("*~>)`$")
_BEFORE_CLOSED = frozenset("*~<[`$")
_LETTERS = {"b": "bold", "i": "italic", "s": "strikethrough", "u": "underline"}
_ENTITIES = {"&lt;": "<", "&gt;": ">", "&amp;": "&", "&quot;": '"', "&nbsp;": "\u00a0"}
_MENTIONS: dict[str, MentionKind] = {
    "mention-user": "user", "mention-page": "page", "mention-database": "database",
    "mention-data-source": "data_source", "mention-agent": "agent",
}  # fmt: skip
_UNESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_BRACKET = re.compile(r"\\.|[()]")
_INSIDE = r"[^\s\\*~`$\[\]<&](?:[^\\*~`$\[\]<&]*[^\s\\*~`$\[\]<&])?"
_MARKED = (
    rf"\*\*(?P<bold>{_INSIDE})\*\*(?!\*)|\*(?P<italic>{_INSIDE})\*(?!\*)"
    rf"|\[(?P<label>{_INSIDE})\]\((?P<link>[^()\s\\]+)\)"
    r"|(?<!`)`(?P<code>[^`\s](?:[^`\n]*[^`\s])?)`(?!`)|\\(?P<sign>[!-/:-@\[-`{-~])|<br>"
    r"|\$`(?P<math>[^`\s]+(?:\s+[^`\s]+)*)`\$"
)
_SIMPLE: dict[Version, re.Pattern[str]] = {
    "v1": re.compile(
        rf'{_MARKED}|<mention-date(?P<date>(?:\s+[a-zA-Z]+="[^"<>]*")*)\s*/>'
        rf'|<span color="(?P<hue>[a-z_]+)">(?P<coloured>{_INSIDE})</span>'
        r'|<(?P<mention>mention-(?:user|page|database|data-source|agent)) url="(?P<url>[^"<>]*)">'
        r"(?P<name>[^<\\]+)</(?P=mention)>"
    ),
    "v2": re.compile(_MARKED),
}
"""Marks that are not inside of one another, signs that are none, and ends of lines."""
_LOOKS = {
    "bold": Marks(bold=True),
    "italic": Marks(italic=True),
    "code": Marks(code=True),
}
_DEEPEST = 50
"""Marks in one another; more of them are read as text."""
_BRACKETS = 5
"""Brackets in one another, in an address."""


def parse_inline(line: str, version: Version = "v1") -> Rich:
    r"""Return the rich text of a line.

    What looks like a mark and is none (nothing closes it, or blanks are on both sides) is text.

    >>> parse_inline("a **b** 2 * 3")[1]
    Text(text='b', marks=Marks(bold=True, italic=False, strikethrough=False, underline=False, code=False, colour=''), link='')
    """
    if not _SPECIAL[version].search(line):
        return rich((Text(line),)) if line else ()
    if (simple := _simply(line, version)) is not None:
        return simple
    return _Reader(line, version).read()


def _simply(line: str, version: Version) -> Rich | None:
    """Return what `_Reader` returns, sooner, if marks in the line are not inside of one another.

    Otherwise return None. Most lines that people write are like that.
    """
    special = _SPECIAL[version]
    items: list[Inline] = []
    text = ""
    at = 0
    for found in _SIMPLE[version].finditer(line):
        start = found.start()
        if special.search(line, at, start):
            return None
        text += line[at:start]
        at = found.end()
        kind = found.lastgroup
        if kind == "sign":
            text += found[kind]
        elif kind is None:
            text += "\n"
        else:
            item = _simple(kind, found)
            last = items[-1] if items and not text else None
            if type(item) is Text and (
                _unmarked(item) or (type(last) is Text and _alike(last, item))
            ):
                return None
            if text := text if items else text.lstrip(" \t"):
                items.append(Text(text))
            items.append(item)
            text = ""
    if special.search(line, at) or "\r" in line:
        return None
    text = (text + line[at:]).rstrip(" \t")
    if text := text if items else text.lstrip(" \t"):
        items.append(Text(text))
    return tuple(items)


def _unmarked(text: Text) -> bool:
    return text.marks is PLAIN and not text.link


def _alike(one: Text, other: Text) -> bool:
    return one.link == other.link and one.marks == other.marks


def _simple(kind: str, found: re.Match[str]) -> Inline:
    """Return the item that a mark of `_SIMPLE` makes."""
    match kind:
        case "link":
            return Text(found["label"], PLAIN, address(found[kind]))
        case "math":
            return Math(expression(found[kind]))
        case "date":
            return _date(attributes(found[kind]))
        case "name":
            mention = _MENTIONS[found["mention"]]
            return _mention(mention, found["url"], found["name"])
        case "coloured":
            return Text(found[kind], _coloured(colour(found["hue"])))
        case _:
            return Text(found[kind], _LOOKS[kind])


def _mention(kind: MentionKind, url: str, inner: str) -> Mention:
    name = " ".join(unescaped(inner).split())
    return Mention(kind, reference(url), name.removeprefix("@") if kind == "user" else name)


def _coloured(hue: str) -> Marks:
    return marks(
        bold=False, italic=False, strikethrough=False, underline=False, code=False, colour=hue
    )


def unescaped(text: str) -> str:
    r"""Return text without the backslashes before signs, ``<br>`` as an end of a line.

    >>> unescaped(r"a\*b")
    'a*b'
    """
    if "<br" in text:
        text = re.sub(r"(?<!\\)<br\s*/?>", "\n", text)
    return _UNESCAPED.sub(r"\1", text) if "\\" in text else text


def attributes(text: str) -> dict[str, str]:
    """Return what is given inside a tag, by name."""
    return dict(_ATTRIBUTE.findall(text)) if text else {}


def colour(name: str | None) -> str:
    """Return the colour that markdown names, or '' for the default and for none we know."""
    full = name.replace("_bg", "_background") if name else ""
    return full if full in COLOURS else ""


@dataclass(slots=True)
class _Run:
    """An item, with the marks that are found around it while reading goes on."""

    item: Inline
    flags: set[str] = field(default_factory=set)
    colour: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True)
class _Opened:
    """A mark that was opened: where in the list of runs, and what it was written as."""

    kind: str
    at: int
    written: str
    colour: str = ""
    underline: bool = False


class _Reader:
    def __init__(self, line: str, version: Version) -> None:
        self.line, self.version = line, version
        self.special = _SPECIAL[version]
        self.runs: list[_Run] = []
        self.opened: list[_Opened] = []
        self.plain: list[str] = []
        self.backticks: dict[int, list[int]] | None = None
        self.missing: set[str] = set()

    def read(self) -> Rich:
        line, at = self.line, 0
        while True:
            found = self.special.search(line, at)
            if not found:
                self.plain.append(line[at:])
                break
            if found.start() > at:
                self.plain.append(line[at : found.start()])
            at = self.step(found.start())
        self.flush()
        for opening in reversed(self.opened):
            self.runs.insert(opening.at, _Run(Text(opening.written)))
        return rich(map(_finished, self.runs))

    def flush(self) -> None:
        if self.plain:
            if text := self.plain[0] if len(self.plain) == 1 else "".join(self.plain):
                self.runs.append(_Run(Text(text)))
            self.plain.clear()

    def literal(self, text: str, end: int) -> int:
        self.plain.append(text)
        return end

    def step(self, at: int) -> int:
        """Read what begins with a special sign, and return where reading goes on."""
        sign = self.line[at]
        return _STEPS[sign](self, at) if sign in _STEPS else self.literal(sign, at + 1)

    def backslash(self, at: int) -> int:
        following = self.line[at + 1 : at + 2]
        if following and following in _PUNCTUATION:
            return self.literal(following, at + 2)
        return self.literal("\\", at + 1)

    def bracket(self, at: int) -> int:
        if len(self.opened) >= _DEEPEST:
            return self.literal("[", at + 1)
        self.flush()
        self.opened.append(_Opened("[", len(self.runs), "["))
        return at + 1

    def entity(self, at: int) -> int:
        for name, text in _ENTITIES.items():
            if self.line.startswith(name, at):
                return self.literal(text, at + len(name))
        return self.literal("&", at + 1)

    # --- Marks.

    def sides(self, start: int, end: int) -> tuple[bool, bool]:
        """Return whether marks from ``start`` to ``end`` may open, and may close."""
        before, after = self.line[start - 1 : start], self.line[end : end + 1]
        may_open = bool(after) and (not after.isspace() or before in _BEFORE_OPENING)
        may_close = bool(before) and (not before.isspace() or after in _BEFORE_CLOSED)
        return may_open, may_close

    def stars(self, at: int) -> int:
        end = at
        while self.line[end : end + 1] == "*":
            end += 1
        may_open, may_close = self.sides(at, end)
        left = whole = end - at
        self.flush()
        while left:
            kinds = [o.kind for o in self.opened if o.kind in ("bold", "italic")]
            # Beside one mark of this row of stars stands another: that is no blank.
            closing = _closing(kinds, left, may_open)
            if closing and (may_close or left > _STARS[closing]):
                self.close(closing)
                left -= _STARS[closing]
                continue
            opening = next(
                (k for k in ("bold", "italic") if left >= _STARS[k] and k not in kinds), ""
            )
            if not opening or not (may_open or left < whole):
                return self.literal("*" * left, end)
            self.opened.append(_Opened(opening, len(self.runs), "*" * _STARS[opening]))
            left -= _STARS[opening]
        return end

    def strike(self, at: int) -> int:
        if not self.line.startswith("~~", at):
            return self.literal("~", at + 1)
        may_open, may_close = self.sides(at, at + 2)
        is_open = any(o.kind == "strikethrough" for o in self.opened)
        if is_open and may_close:
            self.flush()
            self.close("strikethrough")
            return at + 2
        if not is_open and may_open:
            self.flush()
            self.opened.append(_Opened("strikethrough", len(self.runs), "~~"))
            return at + 2
        return self.literal("~~", at + 2)

    def close(self, kind: str) -> int:
        """Close the innermost mark of a kind, and return where it began among the runs.

        Those opened inside of it turn out to be text.
        """
        while (opening := self.opened.pop()).kind != kind:
            self.runs.insert(opening.at, _Run(Text(opening.written)))
        for run in self.runs[opening.at :]:
            if kind in _MARKS:
                run.flags.add(kind)
            elif kind == "span":
                run.colour = run.colour or opening.colour
                if opening.underline:
                    run.flags.add("underline")
        return opening.at

    # --- Code, equations, links.

    def code(self, at: int) -> int:
        if self.backticks is None:
            self.backticks = {}
            for run in _RUNS.finditer(self.line):
                self.backticks.setdefault(run.end() - run.start(), []).append(run.start())
        end = at
        while self.line[end : end + 1] == "`":
            end += 1
        starts = self.backticks.get(end - at, [])
        found = bisect_left(starts, end)
        if found == len(starts):
            return self.literal(self.line[at:end], end)
        text = self.line[end : starts[found]]
        if len(text) > 1 and text[0] == text[-1] == " " and text.strip(" "):
            text = text[1:-1]
        self.flush()
        self.runs.append(_Run(Text(text), {"code"}))
        return starts[found] + end - at

    def math(self, at: int) -> int:
        line = self.line
        if line.startswith("$`", at):
            end = self.find("`$", at + 2)
            if end > at + 2:
                return self.equation(line[at + 2 : end], end + 2)
        before = line[at - 1 : at] if at else ""
        if (not before or not before.isalnum()) and not line[at + 1 : at + 2].isspace():
            end = self.find("$", at + 1)
            after = line[end + 1 : end + 2]
            inside = line[at + 1 : end] if end > 0 else ""
            if inside and not inside[-1].isspace() and inside[-1] != "\\" and not after.isalnum():
                return self.equation(inside, end + 1)
        return self.literal("$", at + 1)

    def equation(self, text: str, end: int) -> int:
        self.flush()
        self.runs.append(_Run(Math(expression(text))))
        return end

    def find(self, mark: str, start: int) -> int:
        """Return where ``mark`` is next, or -1; that it is missing is found out once."""
        if mark in self.missing:
            return -1
        found = self.line.find(mark, start)
        if found < 0:
            self.missing.add(mark)
        return found

    def link(self, at: int) -> int:
        brackets = [number for number, opening in enumerate(self.opened) if opening.kind == "["]
        if not brackets:
            return self.literal("]", at + 1)
        end = self.destination(at + 1)
        self.flush()
        if end < 0:
            opening = self.opened.pop(brackets[-1])
            self.runs.insert(opening.at, _Run(Text("[")))
            for number in range(brackets[-1], len(self.opened)):
                self.opened[number] = replace(self.opened[number], at=self.opened[number].at + 1)
            return self.literal("]", at + 1)
        url = address(_UNESCAPED.sub(r"\1", self.line[at + 2 : end]).strip(" \t\n"))
        inside = self.runs[self.close("[") :]
        if not inside and url:
            self.runs.append(_Run(Text(url), link=url))
        for run in inside:
            run.link = run.link or url
        return end + 1

    def destination(self, at: int) -> int:
        """Return where the address that begins at ``at`` has its closing bracket, or -1."""
        if not self.line.startswith("(", at) or self.find(")", at) < 0:
            return -1
        depth = 0
        for found in _BRACKET.finditer(self.line, at):
            sign = found[0]
            if sign == "(":
                depth += 1
                if depth > _BRACKETS:
                    return -1
            elif sign == ")":
                depth -= 1
                if not depth:
                    return found.start()
        return -1

    # --- Tags.

    def tag(self, at: int) -> int:
        found = _TAG.match(self.line, at)
        if not found:
            return self.literal("<", at + 1)
        closes, name, given, alone = found.groups()
        end = found.end()
        if name == "br" and not closes:
            return self.literal("\n", end)
        if name == "span" or (self.version == "v2" and name in _LETTERS):
            return self.span(name, bool(closes), given, found[0], end)
        if self.version == "v1" and name in _MENTIONS and not closes:
            return self.mention(_MENTIONS[name], name, given, bool(alone), end)
        if self.version == "v2" and name == "mention" and not closes:
            return self.mention(None, name, given, bool(alone), end)
        if name in ("mention-date", "date") and not closes:
            self.flush()
            self.runs.append(_Run(_date(attributes(given))))
            return end
        return self.literal(found[0], end)

    def span(self, name: str, closes: bool, given: str, written: str, end: int) -> int:
        kind = _LETTERS.get(name, "span")
        self.flush()
        if closes:
            if all(opening.kind != kind for opening in self.opened):
                return self.literal(written, end)
            self.close(kind)
            return end
        if len(self.opened) > _DEEPEST:
            return self.literal(written, end)
        looks = attributes(given)
        self.opened.append(
            _Opened(
                kind,
                len(self.runs),
                written,
                colour(looks.get("color")),
                looks.get("underline") == "true",
            )
        )
        return end

    def mention(
        self, kind: MentionKind | None, name: str, given: str, alone: bool, end: int
    ) -> int:
        inner = ""
        if not alone:
            close = f"</{name}>"
            closing = self.find(close, end)
            if closing < 0:
                return self.literal(f"<{name}{given}>", end)
            inner, end = self.line[end:closing], closing + len(close)
        looks = attributes(given)
        url = looks.get("url", "")
        self.flush()
        self.runs.append(_Run(_mention(kind or _kind(url, looks.get("type", "")), url, inner)))
        return end


_STARS = {"bold": 2, "italic": 1}


def _closing(kinds: list[str], left: int, may_open: bool) -> str:
    """Return which of the marks that are open so many stars close, if any."""
    inner = kinds[-1] if kinds else ""
    if inner == "italic" and left == 2:
        if "bold" in kinds:
            return "bold"
        return "" if may_open else inner
    if inner == "bold" and left < 2:
        return "italic" if "italic" in kinds else ""
    return inner


_STEPS: dict[str, Callable[[_Reader, int], int]] = {
    "\\": _Reader.backslash,
    "*": _Reader.stars,
    "~": _Reader.strike,
    "`": _Reader.code,
    "$": _Reader.math,
    "[": _Reader.bracket,
    "]": _Reader.link,
    "<": _Reader.tag,
    "&": _Reader.entity,
}
_MARKS = frozenset({"bold", "italic", "strikethrough", "underline"})


_SCHEMES: dict[str, MentionKind] = {
    "user": "user",
    "agent": "agent",
    "collection": "data_source",
}


def _kind(url: str, given: str) -> MentionKind:
    return _SCHEMES.get(url.partition("://")[0], "database" if given == "database" else "page")


def _date(given: dict[str, str]) -> DateMention:
    def moment(name: str) -> str:
        day = given.get(name, "")
        time = given.get(f"{name}Time") or given.get(f"{name}-time")
        return f"{day}T{time}" if day and time else day

    start, end = moment("start"), moment("end")
    return DateMention(
        start or end, end if start else "", given.get("timeZone") or given.get("time-zone") or ""
    )


def _finished(run: _Run) -> Inline:
    item = run.item
    if type(item) is Text and not (run.flags or run.colour):
        return Text(item.text, PLAIN, run.link) if run.link else item
    looks = marks(
        bold="bold" in run.flags,
        italic="italic" in run.flags,
        strikethrough="strikethrough" in run.flags,
        underline="underline" in run.flags,
        code="code" in run.flags,
        colour=run.colour,
    )
    return Text(item.text, looks, run.link) if type(item) is Text else _with(item, looks)


def _with(item: Inline, looks: Marks) -> Inline:
    match item:
        case Math(text):
            return Math(text, looks)
        case Mention(kind, ref, text):
            return Mention(kind, ref, text, looks)
        case DateMention(start, end, zone):
            return DateMention(start, end, zone, looks)
        case _:
            return item
