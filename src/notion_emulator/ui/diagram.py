"""Mermaid flowcharts and state diagrams, as much of them as is written most: text to a graph."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field


@dataclass
class Shape:
    """A node: what it says and what it looks like."""

    name: str
    lines: list[str]
    kind: str = "rect"  # round, stadium, circle, diamond, hexagon, double, flag, point
    style: dict[str, str] = field(default_factory=dict)
    group: str | None = None


@dataclass
class Arrow:
    """An edge."""

    source: str
    target: str
    lines: list[str]
    dotted: bool = False
    thick: bool = False
    head: bool = True
    style: dict[str, str] = field(default_factory=dict)


@dataclass
class Group:
    """A subgraph, which may lie in another."""

    name: str
    lines: list[str]
    within: str | None
    style: dict[str, str] = field(default_factory=dict)


@dataclass
class Graph:
    """What a text says."""

    across: bool = False
    back: bool = False
    shapes: dict[str, Shape] = field(default_factory=dict)
    arrows: list[Arrow] = field(default_factory=list)
    groups: dict[str, Group] = field(default_factory=dict)
    title: str = ""


class NotDrawn(ValueError):
    """The text is of another kind, or beyond what is read here."""


_NAME = r"[\w.-]*\w"
_SHAPES = (
    ("circle", r"\(\((?P<t{n}>.*?)\)\)"),
    ("stadium", r"\(\[(?P<t{n}>.*?)\]\)"),
    ("hexagon", r"\{{\{{(?P<t{n}>.*?)\}}\}}"),
    ("double", r"\[\[(?P<t{n}>.*?)\]\]"),
    ("cylinder", r"\[\((?P<t{n}>.*?)\)\]"),
    ("round", r"\((?P<t{n}>\"[^\"]*\"|[^()]*)\)"),
    ("diamond", r"\{{(?P<t{n}>\"[^\"]*\"|[^{{}}]*)\}}"),
    ("rect", r"\[(?P<t{n}>\"[^\"]*\"|[^\[\]]*)\]"),
    ("flag", r">(?P<t{n}>\"[^\"]*\"|[^\]]*)\]"),
)
_FORMS = "|".join(form.format(n=n) for n, (_, form) in enumerate(_SHAPES))
_NODE = re.compile(rf"(?P<name>{_NAME})(?:@\{{[^}}]*\}})?(?:{_FORMS})?(?:::: ?|:::)?(?P<class>(?<=:::)[\w-]+)?")  # fmt: skip
_LINK = re.compile(
    r"\s*(?:--\s+(?P<words>[^-|>]+?)\s+(?P<words_line>-{2,})(?P<words_head>>)?"
    r"|-\.\s+(?P<dots>[^|>]+?)\s+\.-(?P<dots_head>>)?"
    r"|==\s+(?P<thick>[^=|>]+?)\s+={2,}(?P<thick_head>>)?"
    r"|[<xo]?(?P<line>-\.+-|={2,}|-{2,})(?P<head>>|x|o)?(?:\|(?P<label>\"[^\"]*\"|[^|]*)\|)?)\s*"
)


def read(text: str) -> Graph:
    """Return the graph of a text.

    Raises
        NotDrawn: it is none, or not of the subset.
    """
    lines = [line.strip() for line in text.replace("\r", "").split("\n")]
    lines = [line for line in lines if line and not line.startswith("%%")]
    if not lines:
        raise NotDrawn("empty")
    if match := re.match(r"(?:graph|flowchart)(?:\s+(TB|TD|BT|LR|RL))?\s*;?$", lines[0]):
        direction = match[1] or "TB"
        return _Flow(direction).read(lines[1:])
    if lines[0].startswith("stateDiagram"):
        return _States().read(lines[1:])
    raise NotDrawn(lines[0])


def spoken(text: str) -> list[str]:
    """Return the lines of a label, with its numbered characters as themselves.

    >>> spoken('"a #60;b><br/>c"')
    ['a <b>', 'c']
    """
    text = text.strip().strip('"')
    text = re.sub(r"#(\d+);", lambda m: chr(int(m[1]) % 0x110000), text)
    text = html.unescape(re.sub(r"#(\w+);", r"&\1;", text))
    return [line.strip() for line in re.split(r"<br\s*/?>|\\n|\n", text)]


class _Reader:
    def __init__(self, direction: str) -> None:
        self.graph = Graph(across=direction in ("LR", "RL"), back=direction in ("RL", "BT"))
        self.classes: dict[str, dict[str, str]] = {}
        self.members: list[tuple[str, str]] = []
        self.links: list[tuple[str, dict[str, str]]] = []
        self.within: list[str] = []

    def shape(self, name: str) -> Shape:
        if name not in self.graph.shapes and name not in self.graph.groups:
            group = self.within[-1] if self.within else None
            self.graph.shapes[name] = Shape(name, [name], group=group)
        return self.graph.shapes.get(name) or Shape(name, [name])

    def begin(self, name: str, lines: list[str]) -> None:
        self.graph.groups[name] = Group(name, lines, self.within[-1] if self.within else None)
        self.graph.shapes.pop(name, None)
        self.within.append(name)

    def styled(self, line: str) -> bool:
        """Take a line that says how something looks."""
        if match := re.match(r"classDef\s+([\w,-]+)\s+(.*?);?$", line):
            for name in match[1].split(","):
                self.classes[name] = _style(match[2])
        elif match := re.match(r"class\s+(.+?)\s+([\w-]+);?$", line):
            self.members += [(name.strip(), match[2]) for name in match[1].split(",")]
        elif match := re.match(r"style\s+(\S+)\s+(.*?);?$", line):
            self.classes[f"={match[1]}"] = _style(match[2])
            self.members.append((match[1], f"={match[1]}"))
        elif match := re.match(r"linkStyle\s+(\S+)\s+(.*?);?$", line):
            self.links.append((match[1], _style(match[2])))
        elif match := re.match(r"accTitle\s*:\s*(.*)$", line):
            self.graph.title = " ".join(spoken(match[1]))
        else:
            return re.match(r"(accDescr|click|href|direction|title)\b", line) is not None
        return True

    def finish(self) -> Graph:
        for name, kind in self.members:
            found = self.graph.shapes.get(name) or self.graph.groups.get(name)
            if found is not None:
                found.style |= self.classes.get(kind, {})
        for places, style in self.links:
            wanted = range(len(self.graph.arrows)) if places == "default" else [int(p) for p in places.split(",") if p.isdigit()]  # fmt: skip
            for place in wanted:
                if place < len(self.graph.arrows):
                    self.graph.arrows[place].style |= style
        if not self.graph.shapes:
            raise NotDrawn("nothing to draw")
        if len(self.graph.shapes) > 200 or len(self.graph.arrows) > 600:
            raise NotDrawn("too much to draw")
        return self.graph


_SAFE = re.compile(r"#[0-9a-fA-F]{3,8}|[a-z]+|\d+(\.\d+)?(px)?(\s+\d+(\.\d+)?(px)?)?")


def _style(text: str) -> dict[str, str]:
    """Return what is safe to draw of a style."""
    pairs = (part.partition(":") for part in text.split(","))
    found = {key.strip(): value.strip() for key, _, value in pairs}
    keys = ("fill", "stroke", "color", "stroke-width", "stroke-dasharray")
    return {k: found[k] for k in keys if k in found and _SAFE.fullmatch(found[k])}


class _Flow(_Reader):
    def read(self, lines: list[str]) -> Graph:
        for line in lines:
            if not self.styled(line):
                for part in _statements(line):
                    self.statement(part)
        return self.finish()

    def statement(self, line: str) -> None:
        if match := re.match(rf"subgraph\s+(?P<name>{_NAME})?\s*(?:\[(?P<said>.*)\])?$", line):
            name = match["name"] or f"group {len(self.graph.groups)}"
            self.begin(name, spoken(match["said"] or name))
        elif match := re.match(r"subgraph\s+(.*)$", line):
            self.begin(f"group {len(self.graph.groups)}", spoken(match[1]))
        elif line == "end":
            if self.within:
                self.within.pop()
        else:
            self.chain(line)

    def chain(self, line: str) -> None:
        left, at = self.nodes(line, 0)
        while at < len(line):
            match = _LINK.match(line, at)
            if match is None or match.end() == at:
                raise NotDrawn(line)
            right, at = self.nodes(line, match.end())
            for source in left:
                for target in right:
                    self.graph.arrows.append(_arrow(source, target, match))
            left = right

    def nodes(self, line: str, at: int) -> tuple[list[str], int]:
        """Read ``a & b`` and return the names and where they end."""
        names = []
        while True:
            match = _NODE.match(line, at)
            if match is None:
                raise NotDrawn(line)
            names.append(self.node(match))
            at = match.end()
            more = re.compile(r"\s*&\s*").match(line, at)
            if more is None:
                return names, at
            at = more.end()

    def node(self, match: re.Match[str]) -> str:
        shape = self.shape(match["name"])
        for number, (kind, _) in enumerate(_SHAPES):
            if (said := match[f"t{number}"]) is not None:
                shape.kind, shape.lines = kind, spoken(said)
        if match["class"]:
            self.members.append((match["name"], match["class"]))
        return match["name"]


def _statements(line: str) -> list[str]:
    """Split at semicolons outside of quotes."""
    parts = re.findall(r'(?:[^;"]|"[^"]*")+', line)
    return [part.strip() for part in parts if part.strip()]


def _arrow(source: str, target: str, match: re.Match[str]) -> Arrow:
    said = match["label"] or match["words"] or match["dots"] or match["thick"] or ""
    line = match["line"] or ""
    head = match["head"] or match["words_head"] or match["dots_head"] or match["thick_head"]
    lines = spoken(said) if said else []
    return Arrow(source, target, lines, "." in line or match["dots"] is not None, "=" in line or match["thick"] is not None, bool(head))  # fmt: skip


class _States(_Reader):
    def __init__(self) -> None:
        super().__init__("TB")
        self.points = 0

    def read(self, lines: list[str]) -> Graph:
        noting = False
        for line in lines:
            if noting or re.match(r"note\b", line):
                noting = line != "end note" and (noting or ":" not in line)
                continue
            if match := re.match(r"direction\s+(TB|TD|BT|LR|RL)$", line):
                if not self.within:
                    self.graph.across = match[1] in ("LR", "RL")
            elif not self.styled(line):
                self.statement(line.rstrip(";"))
        return self.finish()

    def statement(self, line: str) -> None:
        name = r"(\[\*\]|[\w.-]+)(?::::([\w-]+))?"
        if match := re.match(rf"{name}\s*-->\s*{name}(?:\s*:\s*(.*))?$", line):
            source = self.state(match[1], match[2], start=True)
            target = self.state(match[3], match[4], start=False)
            self.graph.arrows.append(Arrow(source, target, spoken(match[5]) if match[5] else []))
        elif match := re.match(r'state\s+"([^"]*)"\s+as\s+([\w.-]+)\s*(\{)?$', line):
            if match[3]:
                self.begin(match[2], spoken(match[1]))
            else:
                self.shape(self.state(match[2], None)).lines = spoken(match[1])
        elif match := re.match(r"state\s+([\w.-]+)\s*\{$", line):
            self.begin(match[1], [match[1]])
        elif match := re.match(r"state\s+([\w.-]+)\s*<<(\w+)>>$", line):
            shape = self.shape(match[1])
            shape.kind, shape.lines = ("diamond" if match[2] == "choice" else "bar"), [""]
        elif line == "}":
            if self.within:
                self.within.pop()
        elif match := re.match(rf"{name}(?:\s*:\s*(?P<said>.*))?$", line):
            shape = self.shape(self.state(match[1], match[2]))
            shape.lines = spoken(match["said"]) if match["said"] else shape.lines
        elif line != "--":
            raise NotDrawn(line)

    def state(self, name: str, kind: str | None, *, start: bool = True) -> str:
        if name == "[*]":
            scope = self.within[-1] if self.within else ""
            name = f"{scope}[*]{'start' if start else 'end'}"
            shape = self.shape(name)
            shape.kind, shape.lines = ("point" if start else "end"), [""]
            return name
        shape = self.shape(name)
        if shape.kind == "rect":
            shape.kind = "round"
        if kind:
            self.members.append((name, kind))
        return name
