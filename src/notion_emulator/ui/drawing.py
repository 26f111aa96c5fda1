"""A graph as SVG: layers, few crossings, smooth arrows. For the sizes that people draw by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from markupsafe import Markup

from notion_emulator.ui.diagram import Arrow, Graph, Shape
from notion_emulator.ui.html import joined, tag

_LETTER, _LINE = 7.4, 18.0
_GAP, _BETWEEN = 26.0, 26.0  # within a layer, and between layers (half: labels lie there)


@dataclass
class _Vertex:
    """Something that has a place: a shape, or where an arrow passes a layer."""

    layer: int
    wide: float
    high: float
    shape: Shape | None = None
    x: float = 0.0
    y: float = 0.0
    above: list[_Vertex] = field(default_factory=list)
    below: list[_Vertex] = field(default_factory=list)


@dataclass
class _Path:
    arrow: Arrow
    vertices: list[_Vertex]
    turned: bool
    label: _Vertex | None


def drawn(graph: Graph) -> Markup:
    """Return the picture of a graph."""
    return _Layout(graph).svg()


def _size(shape: Shape) -> tuple[float, float]:
    wide = max((len(line) for line in shape.lines), default=0) * _LETTER
    high = len(shape.lines) * _LINE
    match shape.kind:
        case "point" | "end":
            return 18, 18
        case "bar":
            return 70, 8
        case "circle":
            side = max(wide, high) + (4 if wide < 10 else 16)
            return max(side, 18), max(side, 18)
        case "diamond":
            return wide * 1.4 + 40, high * 1.7 + 26
        case "hexagon" | "stadium" | "flag":
            return wide + 44, high + 18
        case _:
            return wide + 28, high + 18


class _Layout:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.inside = {name: [s.name for s in graph.shapes.values() if self.in_group(s, name)] for name in graph.groups}  # fmt: skip
        ends = [(self.end(a.source, last=True), self.end(a.target, last=False)) for a in graph.arrows]  # fmt: skip
        self.turned = self.back_arrows(ends)
        self.vertices = self.layered(ends)
        self.paths = [p for p in map(self.path, graph.arrows, ends, self.turned) if p is not None]
        self.rows = self.ordered()
        self.place()

    def in_group(self, shape: Shape, name: str) -> bool:
        group = shape.group
        while group is not None:
            if group == name:
                return True
            group = self.graph.groups[group].within
        return False

    def end(self, name: str, *, last: bool) -> str | None:
        """Return the shape an arrow is tied to: of a group its first or last."""
        if name in self.graph.shapes:
            return name
        inside = self.inside.get(name)
        return inside[-1 if last else 0] if inside else None

    def back_arrows(self, ends: list[tuple[str | None, str | None]]) -> list[bool]:
        """Tell which arrows run against the rest."""
        following: dict[str, list[tuple[int, str]]] = {name: [] for name in self.graph.shapes}
        for number, (source, target) in enumerate(ends):
            if source is not None and target is not None:
                following[source].append((number, target))
        turned = [False] * len(ends)
        done: set[str] = set()
        for first in self.graph.shapes:
            if first in done:
                continue
            stack, path = [(first, iter(following[first]))], {first}
            while stack:
                name, rest = stack[-1]
                step = next(rest, None)
                if step is None:
                    stack.pop()
                    path.discard(name)
                    done.add(name)
                elif step[1] in path:
                    turned[step[0]] = True
                elif step[1] not in done:
                    path.add(step[1])
                    stack.append((step[1], iter(following[step[1]])))
        return turned

    def layered(self, ends: list[tuple[str | None, str | None]]) -> dict[str, _Vertex]:
        """Put every shape below all that lead to it; labels have the layers between."""
        layer = dict.fromkeys(self.graph.shapes, 0)
        for _ in self.graph.shapes:
            moved = False
            for (source, target), turned in zip(ends, self.turned, strict=True):
                if source is None or target is None or source == target:
                    continue
                upper, lower = (target, source) if turned else (source, target)
                if layer[lower] < layer[upper] + 2:
                    layer[lower] = layer[upper] + 2
                    moved = True
            if not moved:
                break
        made = {}
        for name, shape in self.graph.shapes.items():
            wide, high = _size(shape)
            made[name] = _Vertex(layer[name], *((high, wide) if self.graph.across else (wide, high)), shape)  # fmt: skip
        return made

    def path(self, arrow: Arrow, ends: tuple[str | None, str | None], turned: bool) -> _Path | None:
        if ends[0] is None or ends[1] is None:
            return None
        first, last = self.vertices[ends[0]], self.vertices[ends[1]]
        if turned:
            first, last = last, first
        passed = [_Vertex(n, 6, 0) for n in range(first.layer + 1, last.layer)]
        label = passed[0 if not turned else -1] if passed and arrow.lines else None
        if label is not None:
            wide = max(len(line) for line in arrow.lines) * 6.2 + 14
            high = len(arrow.lines) * 15.0 + 6
            label.wide, label.high = (high, wide) if self.graph.across else (wide, high)
        whole = [first, *passed, last]
        for upper, lower in pairwise(whole):
            if upper is not lower:
                upper.below.append(lower)
                lower.above.append(upper)
        return _Path(arrow, whole, turned, label)

    def ordered(self) -> list[list[_Vertex]]:
        """Order the layers so that few arrows cross."""
        everything = list(self.vertices.values())
        everything += [v for path in self.paths for v in path.vertices if v.shape is None]
        rows: list[list[_Vertex]] = [[] for _ in range(max(v.layer for v in everything) + 1)]
        for vertex in everything:
            rows[vertex.layer].append(vertex)
        for row in rows:
            _number(row)
        for sweep in range(12):
            down = sweep % 2 == 0
            for row in rows if down else rows[::-1]:
                row.sort(key=lambda v: _mean(v.above if down else v.below, v.x))
                _number(row)
        return rows

    def place(self) -> None:
        depth = 0.0
        for row in self.rows:
            high = max((v.high for v in row), default=0)
            for vertex in row:
                vertex.y = depth + high / 2
            depth += high + _BETWEEN
            at = 0.0
            for vertex in row:
                vertex.x = at + vertex.wide / 2
                at += vertex.wide + _GAP
        for sweep in range(24):
            down = sweep % 2 == 0
            for row in self.rows if down else self.rows[::-1]:
                _settle(row, [_mean(v.above if down else v.below, v.x) for v in row])

    def svg(self) -> Markup:
        self.low = min(v.x - v.wide / 2 for row in self.rows for v in row)
        wide = max(v.x + v.wide / 2 for row in self.rows for v in row) - self.low
        high = max(v.y + v.high / 2 for row in self.rows for v in row)
        if self.graph.across:
            wide, high = high, wide
        shapes = [_shape(v.shape, *self.at(v)) for v in self.vertices.values() if v.shape is not None]  # fmt: skip
        pad = 14 + 22 * bool(self.graph.groups)
        return tag(
            "svg",
            tag("title", self.graph.title or "Diagram"),
            joined(self.boxes()),
            joined(self.arrow(path) for path in self.paths),
            joined(shapes),
            joined(self.label(path.arrow.lines, path.label) for path in self.paths if path.label),
            class_="diagram",
            role="img",
            width=round(wide + 2 * pad),
            height=round(high + 2 * pad),
            viewBox=f"{-pad} {-pad} {wide + 2 * pad:.0f} {high + 2 * pad:.0f}",
        )

    def at(self, vertex: _Vertex) -> tuple[float, float]:
        across, along = vertex.x - self.low, vertex.y
        return (along, across) if self.graph.across else (across, along)

    def boxes(self) -> Iterator[Markup]:
        for name, group in self.graph.groups.items():
            around = [self.vertices[inner] for inner in self.inside[name]]
            if not around:
                continue
            points = [self.at(v) for v in around]
            sizes = [(v.high, v.wide) if self.graph.across else (v.wide, v.high) for v in around]
            pad = 12.0
            left = min(x - w / 2 for (x, _), (w, _) in zip(points, sizes, strict=True)) - pad
            right = max(x + w / 2 for (x, _), (w, _) in zip(points, sizes, strict=True)) + pad
            top = min(y - h / 2 for (_, y), (_, h) in zip(points, sizes, strict=True)) - pad - 10
            foot = max(y + h / 2 for (_, y), (_, h) in zip(points, sizes, strict=True)) + pad
            yield tag("rect", class_="group", x=round(left), y=round(top), width=round(right - left), height=round(foot - top), rx=8, **_paint(group.style))  # fmt: skip
            yield tag("text", " ".join(group.lines), class_="group", x=round(left + 8), y=round(top + 14))  # fmt: skip

    def arrow(self, path: _Path) -> Markup:
        arrow = path.arrow
        points = [self.at(v) for v in path.vertices]
        if path.vertices[0] is path.vertices[-1]:
            return _loop(arrow, points[0], path.vertices[0], across=self.graph.across)
        points[0] = self.edge(path.vertices[0], +1)
        points[-1] = self.edge(path.vertices[-1], -1)
        if path.turned:
            points.reverse()
        return joined([
            tag("path", d=_curve(points, self.graph.across), class_=_look(arrow), **_paint(arrow.style, line=True)),
            _head(points, arrow, self.graph.across) if arrow.head else None,
        ])  # fmt: skip

    def edge(self, vertex: _Vertex, side: int) -> tuple[float, float]:
        x, y = self.at(vertex)
        gap = vertex.high / 2 * side
        return (x + gap, y) if self.graph.across else (x, y + gap)

    def label(self, lines: list[str], vertex: _Vertex) -> Markup:
        x, y = self.at(vertex)
        wide, high = max(len(line) for line in lines) * 6.2 + 10, len(lines) * 15.0 + 4
        return joined([
            tag("rect", class_="said", x=round(x - wide / 2, 1), y=round(y - high / 2, 1), width=round(wide, 1), height=high, rx=4),
            _words(lines, x, y, 15.0, class_="said"),
        ])  # fmt: skip


def _number(row: list[_Vertex]) -> None:
    for place, vertex in enumerate(row):
        vertex.x = float(place)


def _mean(others: list[_Vertex], otherwise: float) -> float:
    return sum(v.x for v in others) / len(others) if others else otherwise


def _settle(row: list[_Vertex], wishes: list[float]) -> None:
    """Move a row to where it wishes to be, keeping its order and gaps: blocks share a shift."""
    blocks: list[tuple[float, list[int]]] = []
    offset, offsets = 0.0, []
    for vertex in row:
        offsets.append(offset + vertex.wide / 2)
        offset += vertex.wide + _GAP
    for place in range(len(row)):
        blocks.append((wishes[place] - offsets[place], [place]))
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            (left, some), (right, more) = blocks[-2:]
            mean = (left * len(some) + right * len(more)) / (len(some) + len(more))
            blocks[-2:] = [(mean, some + more)]
    for shift, places in blocks:
        for place in places:
            row[place].x = shift + offsets[place]


def _curve(points: list[tuple[float, float]], across: bool) -> str:
    path = f"M{points[0][0]:.1f},{points[0][1]:.1f}"
    for (x0, y0), (x1, y1) in pairwise(points):
        if across:
            middle = (x0 + x1) / 2
            path += f" C{middle:.1f},{y0:.1f} {middle:.1f},{y1:.1f} {x1:.1f},{y1:.1f}"
        else:
            middle = (y0 + y1) / 2
            path += f" C{x0:.1f},{middle:.1f} {x1:.1f},{middle:.1f} {x1:.1f},{y1:.1f}"
    return path


def _head(points: list[tuple[float, float]], arrow: Arrow, across: bool) -> Markup:
    (x, y), (x0, y0) = points[-1], points[-2]
    back = 1 if (x0 if across else y0) < (x if across else y) else -1
    if across:
        corners = f"{x:.1f},{y:.1f} {x - 8 * back:.1f},{y - 4:.1f} {x - 8 * back:.1f},{y + 4:.1f}"
    else:
        corners = f"{x:.1f},{y:.1f} {x - 4:.1f},{y - 8 * back:.1f} {x + 4:.1f},{y - 8 * back:.1f}"
    return tag("polygon", points=corners, class_="head", fill=arrow.style.get("stroke"))


def _loop(arrow: Arrow, at: tuple[float, float], vertex: _Vertex, *, across: bool) -> Markup:
    x, y = at
    wide = (vertex.high if across else vertex.wide) / 2
    right = x + wide
    curve = f"M{right:.1f},{y - 6:.1f} C{right + 26:.1f},{y - 20:.1f} {right + 26:.1f},{y + 20:.1f} {right + 2:.1f},{y + 6:.1f}"  # fmt: skip
    words = _words(arrow.lines, right + 30, y, 15.0, class_="said", text_anchor="start") if arrow.lines else None  # fmt: skip
    return joined([tag("path", d=curve, class_=_look(arrow), **_paint(arrow.style, line=True)), words])  # fmt: skip


def _look(arrow: Arrow) -> str:
    return "arrow" + " dotted" * arrow.dotted + " thick" * arrow.thick


def _paint(style: dict[str, str], *, line: bool = False) -> dict[str, str]:
    keys = {"stroke": "stroke", "stroke-width": "stroke_width", "stroke-dasharray": "stroke_dasharray"}  # fmt: skip
    if not line:
        keys["fill"] = "fill"
    return {name: style[key].removesuffix("px") for key, name in keys.items() if key in style}


def _shape(shape: Shape, x: float, y: float) -> Markup:
    wide, high = _size(shape)
    left, right, top, foot = x - wide / 2, x + wide / 2, y - high / 2, y + high / 2
    paint = _paint(shape.style)
    box = {"x": round(left, 1), "y": round(top, 1), "width": round(wide, 1), "height": round(high, 1)}  # fmt: skip
    corners = {
        "diamond": f"{x},{top} {right},{y} {x},{foot} {left},{y}",
        "hexagon": f"{left + 14},{top} {right - 14},{top} {right},{y} {right - 14},{foot} {left + 14},{foot} {left},{y}",
        "flag": f"{left},{top} {right},{top} {right},{foot} {left},{foot} {left + 12},{y}",
    }  # fmt: skip
    match shape.kind:
        case "point":
            return tag("circle", class_="point", cx=x, cy=y, r=8)
        case "end":
            return joined([tag("circle", class_="ring", cx=x, cy=y, r=9), tag("circle", class_="point", cx=x, cy=y, r=5)])  # fmt: skip
        case "bar":
            return tag("rect", class_="point", **box)
        case "circle":
            form = tag("circle", class_="shape", cx=x, cy=y, r=round(wide / 2, 1), **paint)
        case "diamond" | "hexagon" | "flag":
            form = tag("polygon", class_="shape", points=corners[shape.kind], **paint)
        case "double":
            form = joined([tag("rect", class_="shape", **box, **paint), tag("path", class_="arrow", d=f"M{left + 7},{top}V{foot}M{right - 7},{top}V{foot}", **_paint(shape.style, line=True))])  # fmt: skip
        case kind:
            radius = {"stadium": high / 2, "round": 9.0, "cylinder": 12.0}.get(kind, 3.0)
            form = tag("rect", class_="shape", rx=round(radius, 1), **box, **paint)
    return joined([form, _words(shape.lines, x, y, _LINE, class_="node", fill=shape.style.get("color"))])  # fmt: skip


def _words(lines: list[str], x: float, y: float, step: float, **attributes: str | None) -> Markup:
    first = y - (len(lines) - 1) * step / 2
    spans = [tag("tspan", line, x=round(x, 1), y=round(first + number * step, 1)) for number, line in enumerate(lines)]  # fmt: skip
    return tag("text", *spans, **({"dominant_baseline": "central"} | attributes))
