"""A definition, one run of it or many, as a self-contained SVG. Pure, and the same every time.

Text stays text, colours are the dashboard's, light or dark as the reader's machine is. Every state
is a group with ``data-state``, its path, so that a page can find it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from higherself.workflow.definition.model import Parallel, WorkflowDefinition
from higherself.workflow.view.graph import Edge, Graph, Node, graphs_of
from higherself.workflow.view.heat import Statistics, heat_of
from higherself.workflow.view.layout import Box, Layout, Link, Placed, Point, Route, layout
from higherself.workflow.view.markup import (
    attribute,
    icon,
    line,
    number,
    picture,
    rectangle,
    text_at,
    words,
)
from higherself.workflow.view.run import Run
from higherself.workflow.view.theme import width_of
from higherself.workflow.view.words import (
    agent_of,
    lasting,
    percent,
    shortened,
    tells,
    texts_of,
    times,
    work_of,
    wrapped,
)

_MARGIN, _PAD, _HEADER = 24.0, 14.0, 17.0
_NAME_LENGTH, _LINE_LENGTH, _GUARD_WIDTH = 40, 40, 34
_TEXT, _CHIP_LINE = 17.0, 15.0
_LOOP = 26.0


def svg(
    definition: WorkflowDefinition,
    *,
    run: Run | None = None,
    statistics: Statistics | None = None,
    guards: bool = True,
    heading: bool = True,
    dark: bool | None = None,
    style: bool = True,
    name: str = "hs",
) -> str:
    """Return ``definition`` as an SVG document.

    With ``run``, where it has been is bold, where it is filled, where it failed red. With
    ``statistics``, states and edges say how often and how long, and are coloured by it. ``dark``
    None leaves it to the reader's machine. Without ``style``, `theme.stylesheet` has to be in the
    page. ``name`` begins the ids, for several pictures in one page.
    """
    drawing = _Drawing(definition, run, statistics or {}, guards=guards)
    inner = drawing.measured("")
    said = _heading(definition, run) if heading else []
    top = 40.0 + 18 * (len(said) - 1) if said else 0.0
    wide = max(
        (width_of(each, 20 if at == 0 else 12, bold=at == 0) for at, each in enumerate(said)),
        default=0,
    )
    width = max(inner.layout.width, wide) + 2 * _MARGIN
    body = [text_at(_MARGIN, _MARGIN + 16, said[0], "hs-heading")] if said else []
    body += [
        text_at(_MARGIN, _MARGIN + 19 + 18 * at, each, "hs-soft")
        for at, each in enumerate(said[1:], 1)
    ]
    body += drawing.drawn(
        inner, _MARGIN + (width - 2 * _MARGIN - inner.layout.width) / 2, _MARGIN + top
    )
    return picture(
        body,
        width=width,
        height=inner.layout.height + top + 2 * _MARGIN,
        title=f"Workflow {definition}",
        description=_description(definition, run),
        dark=dark,
        style=style,
        name=name,
    )


def _heading(definition: WorkflowDefinition, run: Run | None) -> list[str]:
    lines = [str(definition)]
    if definition.description:
        lines += wrapped(definition.description, 100, lines=2)
    if run is not None:
        said = f"{run.status}, {len(run.visits)} states entered"
        if run.started_at and run.until:
            said += f", {lasting(run.until - run.started_at)} since the start"
        lines.append(said)
    return lines


def _description(definition: WorkflowDefinition, run: Run | None) -> str:
    finals = [state.name for state in definition.states.values() if state.final]
    ends = f" It ends in {' or '.join(finals)}." if finals else ""
    said = f"{len(definition.states)} states. It begins in {definition.initial}.{ends}"
    if definition.description:
        said = f"{' '.join(definition.description.split())}. {said}"
    if run is not None:
        said += f" The run is {run.status}, in {' and '.join(sorted(run.current)) or 'no state'}."
        if run.failed:
            said += f" It failed in {run.failed}: {run.reason}."
    return said


@dataclass(frozen=True, slots=True)
class _Measured:
    """A graph that is laid out, with what is written in it."""

    graph: Graph
    layout: Layout
    labels: dict[tuple[str, str], list[tuple[str, str]]]
    inside: dict[str, list[tuple[str, "_Measured"]]]


class _Drawing:
    def __init__(
        self,
        definition: WorkflowDefinition,
        run: Run | None,
        statistics: Statistics,
        *,
        guards: bool,
    ) -> None:
        self.run, self.statistics, self.guards = run, statistics, guards
        self.heat = heat_of(statistics)
        self.pieces: dict[str, set[tuple[str, tuple[Point, Point]]]] = {}
        self.graphs = graphs_of(definition, run.moved if run else ())

    # --- Sizes.

    def measured(self, region: str) -> _Measured:
        """Return the graph of ``region`` with everything in its place."""
        graph = self.graphs[region]
        inside = {
            node.path: [
                (name, self.measured(f"{node.path}.{name}")) for name in node.state.work.branches
            ]
            for node in graph.nodes
            if node.state and isinstance(node.state.work, Parallel)
        }
        labels = {edge.key: self._label(edge) for edge in graph.edges}
        loops = {
            edge.source: labels[edge.key] for edge in graph.edges if edge.source == edge.target
        }
        main = _main(graph)
        boxes = [
            Box(
                node.path,
                *self._size(node, inside.get(node.path, [])),
                self._loop(loops.get(node.path)),
            )
            for node in graph.nodes
        ]
        links = [
            Link(*edge.key, *_chip_size(labels[edge.key]), _weight(edge, main), _kind(edge))
            for edge in graph.edges
        ]
        return _Measured(graph, layout(boxes, links), labels, inside)

    def _loop(self, label: list[tuple[str, str]] | None) -> float:
        return 0 if label is None else _LOOP + _chip_size(label)[0]

    def _label(self, edge: Edge) -> list[tuple[str, str]]:
        """Return the lines at ``edge``, each with its class."""
        lines: list[tuple[str, str]] = []
        for cause, guard in texts_of(edge, guards=self.guards):
            if cause:
                lines.append((shortened(cause, _LINE_LENGTH), "hs-cause"))
            lines += [(each, "hs-soft hs-small") for each in wrapped(guard, _GUARD_WIDTH, lines=3)]
        if numbers := self.statistics.get(edge.key):
            mean = f" after {lasting(numbers.mean)}" if numbers.mean is not None else ""
            lines.append((f"{times(numbers.count)}{self._share(edge)}{mean}", "hs-number"))
        if self.run is not None and (count := self.run.edges.get(edge.key, 0)) > 1:
            lines.append((times(count), "hs-number"))
        return lines

    def _share(self, edge: Edge) -> str:
        """Return how much of what leaves a state goes this way, if there are others."""
        out = [
            numbers.count for key, numbers in self.statistics.items()
            if not isinstance(key, str) and key[0] == edge.source
        ]  # fmt: skip
        return f", {percent(self.statistics[edge.key].count / sum(out))}" if len(out) > 1 else ""

    def _lines(self, node: Node) -> list[tuple[str, str]]:
        if node.state is None:
            return [(node.name, "hs-soft")] if node.name else []
        lines = [(shortened(node.name, _NAME_LENGTH), "hs-name")]
        about = work_of(node.state) or agent_of(node.state.agent)
        if about:
            lines.append((shortened(about, _LINE_LENGTH), "hs-soft"))
        if numbers := self.statistics.get(node.path):
            timed = numbers.mean is not None and not node.state.final
            mean = f", {lasting(numbers.mean)} each" if timed and numbers.mean else ""
            lines.append((f"{times(numbers.count)}{mean}", "hs-number"))
            if numbers.errors:
                lines.append((f"{times(numbers.errors)} failed", "hs-wrong"))
        if self.run is not None:
            lines += self._of_run(node.path, self.run)
        return lines

    def _of_run(self, path: str, run: Run) -> Iterator[tuple[str, str]]:
        said = []
        if (count := run.times.get(path, 0)) > 1:
            said.append(times(count))
        if spent := run.spent.get(path):
            said.append(lasting(spent))
        if said:
            yield ", ".join(said), "hs-soft"
        if path == run.failed:
            yield from ((each, "hs-wrong") for each in wrapped(run.reason, 36, lines=2))
        elif count := run.errors.get(path, 0):
            yield f"{times(count)} failed", "hs-wrong" if path not in run.current else "hs-number"

    def _size(self, node: Node, branches: Sequence[tuple[str, _Measured]]) -> tuple[float, float]:
        if node.kind == "start":
            return 16.0, 16.0
        lines = self._lines(node)
        wide = max(
            width_of(text, 14 if "name" in name else 12, bold="soft" not in name)
            for text, name in lines
        )
        width, height = wide + 22 + 2 * _PAD, len(lines) * _TEXT + 17
        if not branches:
            return max(width, 104.0), height
        columns = sum(_column(name, inner) for name, inner in branches)
        tall = max(inner.layout.height for _, inner in branches)
        return max(width, columns), height + tall + _HEADER + 2 * _PAD + 8

    # --- Drawing.

    def drawn(
        self, measured: _Measured, left: float, top: float, *, inside: bool = False
    ) -> list[str]:
        """Return a graph with its upper left corner there."""
        edges = sorted(measured.graph.edges, key=self._is_taken)
        name = ' class="hs-inside"' if inside else ""
        lines = [f'<g transform="translate({number(left)} {number(top)})"{name}>']
        routes = [edge for edge in edges if edge.key in measured.layout.routes]
        for edge in routes:
            lines += self._line(edge, measured.layout.routes[edge.key])
        for edge in routes:
            chip = measured.layout.routes[edge.key].label
            if chip is not None:
                lines += self._chip(edge, chip, measured.labels[edge.key])
        for node in measured.graph.nodes:
            lines += self._node(node, measured)
        for edge in edges:
            if edge.source == edge.target:
                at = measured.layout.boxes[edge.source]
                lines += self._self_loop(edge, at, measured.labels[edge.key])
        return [*lines, "</g>"]

    def _is_taken(self, edge: Edge) -> bool:
        return self.run is not None and edge.key in self.run.edges

    def _names(self, edge: Edge) -> str:
        found = ["hs-edge"]
        if edge.is_error or edge.ways[0].kind == "deadline":
            found.append("hs-error" if edge.is_error else "hs-late")
        if edge.is_moved:
            found.append("hs-moved")
        if self.run is not None:
            found.append("hs-taken" if self._is_taken(edge) else "hs-idle")
        return " ".join(found)

    def _line(self, edge: Edge, route: Route) -> Iterator[str]:
        (start, _), *_, (_, end) = route.pieces
        rising = end[1] < start[1]
        pieces = self._new(edge, route)
        if len(pieces) < len(route.pieces):
            yield self._path(edge, _curve(pieces, 0)) + "</g>"
            return
        yield self._path(edge, _curve(pieces, 6 if rising else -6))
        yield f'<path class="hs-head" d="{_head(end, rising=rising)}"/></g>'

    def _new(self, edge: Edge, route: Route) -> Sequence[tuple[Point, Point]]:
        """Return the way of ``edge`` as far as it is not drawn yet: dashes do not bear it twice."""
        if self.statistics:
            return route.pieces
        drawn = self.pieces.setdefault(self._names(edge), set())
        key = edge.target
        for place, piece in enumerate(route.pieces):
            if (key, piece) in drawn:
                (x, y), _ = piece
                return [*route.pieces[:place], ((x, y), (x, y))]
            drawn.add((key, piece))
        return route.pieces

    def _path(self, edge: Edge, way: str) -> str:
        wide = ""
        if heat := self.heat.get(edge.key):
            wide = f' style="stroke-width:{number(1.2 + 2.8 * heat)}px"'
        where = attribute(f"{edge.source} {edge.target}")
        return f'<g class="{self._names(edge)}" data-edge={where}><path class="hs-path" d="{way}"{wide}/>'

    def _chip(self, edge: Edge, at: Placed, lines: list[tuple[str, str]]) -> Iterator[str]:
        yield f'<g class="{self._names(edge)}">'
        full = "\n".join(f"{cause} {guard}".strip() for cause, guard in texts_of(edge, guards=True))
        if full:
            yield f"<title>{words(full)}</title>"
        yield rectangle(at.left, at.top, at.width, at.height, "hs-chip", radius=4)
        for place, (text, name) in enumerate(lines):
            y = at.top + 3 + _CHIP_LINE * (place + 0.76)
            yield text_at(at.x, y, text, name, anchor="middle")
        yield "</g>"

    def _self_loop(self, edge: Edge, at: Placed, lines: list[tuple[str, str]]) -> Iterator[str]:
        x, y = at.right, at.y
        way = (
            f"M{number(x)} {number(y - 10)}C{number(x + 30)} {number(y - 24)} "
            f"{number(x + 30)} {number(y + 24)} {number(x + 5)} {number(y + 11)}"
        )
        yield self._path(edge, way)
        tip = f"M{number(x + 1)} {number(y + 9)}l10 -1l-5 8.500z".replace(".500", ".5")
        yield f'<path class="hs-head" d="{tip}"/></g>'
        width, height = _chip_size(lines)
        if lines:
            yield from self._chip(edge, Placed(x + _LOOP + width / 2, y, width, height), lines)

    def _node(self, node: Node, measured: _Measured) -> Iterator[str]:
        at = measured.layout.boxes[node.path]
        yield f'<g class="{self._classes(node)}" data-state={attribute(node.path)}>'
        if node.kind == "start":
            yield f'<circle class="hs-dot" cx="{number(at.x)}" cy="{number(at.y)}" r="7"/></g>'
            return
        if node.state is not None:
            yield f"<title>{words(tells(node.state))}</title>"
        yield from self._frame(node, at)
        branches = measured.inside.get(node.path, [])
        lines = self._lines(node)
        tall = len(lines) * _TEXT
        top = at.top + 8.5 if branches else at.y - tall / 2
        yield icon(node.kind, at.left + _PAD - 2, top + 1)
        for place, (text, name) in enumerate(lines):
            yield text_at(at.left + _PAD + 21, top + _TEXT * (place + 0.78), text, name)
        yield from self._branches(branches, at, at.top + 17 + tall)
        yield "</g>"

    def _frame(self, node: Node, at: Placed) -> Iterator[str]:
        radius = at.height / 2 if node.kind == "deadline" else 10
        if node.path in self._lit():
            yield rectangle(
                at.left - 4, at.top - 4, at.width + 8, at.height + 8, "hs-halo", radius=radius + 4
            )
        yield rectangle(at.left, at.top, at.width, at.height, "hs-card", radius=radius)
        if node.kind == "final":
            yield rectangle(
                at.left + 3, at.top + 3, at.width - 6, at.height - 6, "hs-rim", radius=radius - 3
            )

    def _lit(self) -> frozenset[str]:
        if self.run is None:
            return frozenset()
        return self.run.current | ({self.run.failed} if self.run.failed else frozenset())

    def _branches(
        self, branches: Sequence[tuple[str, _Measured]], at: Placed, top: float
    ) -> Iterator[str]:
        columns = [_column(name, inner) for name, inner in branches]
        spare = (at.width - sum(columns)) / max(1, len(columns))
        left = at.left
        for place, (name, inner) in enumerate(branches):
            width = columns[place] + spare
            if place:
                yield line(left, top + 4, left, at.bottom - 10, "hs-divider")
            yield text_at(
                left + width / 2, top + 14, shortened(name, 30), "hs-soft", anchor="middle"
            )
            x = left + (width - inner.layout.width) / 2
            yield from self.drawn(inner, x, top + _HEADER + 10, inside=True)
            left += width

    def _classes(self, node: Node) -> str:
        found = ["hs-node", f"hs-{node.kind}"]
        if heat := self.heat.get(node.path):
            found.append(f"hs-heat-{min(5, 1 + int(heat * 5))}")
        run = self.run
        if run is None:
            return " ".join(found)
        started = node.kind == "start" and any(key[0] == node.path for key in run.edges)
        if node.path == run.failed:
            found.append("hs-failed")
        elif node.path in run.current:
            found.append("hs-current")
        elif node.path in run.times or started:
            found.append("hs-visited")
        else:
            found.append("hs-idle")
        return " ".join(found)


def _main(graph: Graph) -> frozenset[tuple[str, str]]:
    """Return the edge that is the usual one out of each node, as far as the definition tells."""
    found: dict[str, tuple[str, str]] = {}
    for edge in graph.edges:
        if edge.source != edge.target and edge.ways[0].kind not in ("error", "deadline", "moved"):
            found.setdefault(edge.source, edge.key)
    return frozenset(found.values())


def _weight(edge: Edge, main: frozenset[tuple[str, str]]) -> float:
    if edge.key in main:
        return 4.0
    return 1.0 if {way.kind for way in edge.ways} <= {"error", "deadline", "moved"} else 1.5


def _kind(edge: Edge) -> str:
    return (
        "error"
        if edge.is_error
        else "moved"
        if edge.is_moved
        else "deadline"
        if edge.ways[0].kind == "deadline"
        else ""
    )


def _column(name: str, inner: _Measured) -> float:
    return max(inner.layout.width, width_of(name, 12)) + 2 * _PAD + 4


def _chip_size(lines: Sequence[tuple[str, str]]) -> tuple[float, float]:
    if not lines:
        return 0.0, 0.0
    wide = max(width_of(text, 12 if "small" not in name else 11, bold=True) for text, name in lines)
    return wide + 12, len(lines) * _CHIP_LINE + 6


def _curve(pieces: Sequence[tuple[Point, Point]], short: float) -> str:
    """Return the path along ``pieces``, its end so much short of where the arrow's tip is."""
    (x, y), _ = pieces[0]
    found = [f"M{number(x)} {number(y)}"]
    last = len(pieces) - 1
    for place, ((x1, y1), (x2, y2)) in enumerate(pieces):
        if place:
            half = number((y + y1) / 2)
            found.append(
                f"L{number(x1)} {number(y1)}" if abs(x - x1) < 0.1
                else f"C{number(x)} {half} {number(x1)} {half} {number(x1)} {number(y1)}"
            )  # fmt: skip
        end = y2 + short if place == last else y2
        if abs(end - y1) > 0.05:
            found.append(f"L{number(x2)} {number(end)}")
        x, y = x2, y2
    return "".join(found)


def _head(tip: Point, *, rising: bool) -> str:
    back = 9 if rising else -9
    return f"M{number(tip[0])} {number(tip[1])}l-4.5 {back}h9z"
