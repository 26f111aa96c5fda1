"""A definition, one run of it or many, as a Mermaid flowchart. Pure.

A flowchart and not a state diagram, because only there can an edge be marked, a label hold every
text, and an approval, a sub-workflow and an end look like what they are. Colours are given with
what they stand on, so that they can be read on a light page and on a dark one.
"""

from collections.abc import Iterator
from typing import Literal

from higherself.workflow.definition.model import Parallel, WorkflowDefinition
from higherself.workflow.view.escape import escaped, label, names_for
from higherself.workflow.view.graph import Edge, Graph, Node, graphs_of
from higherself.workflow.view.heat import Statistics, heat_of
from higherself.workflow.view.run import Run
from higherself.workflow.view.words import agent_of, lasting, shortened, texts_of, times, work_of

Direction = Literal["TB", "LR"]

_CLASSES = {
    "state": "fill:#ffffff,stroke:#8d877c,color:#26231e",
    "final": "fill:#f1ede4,stroke:#26231e,color:#26231e,stroke-width:3px",
    "start": "fill:#26231e,stroke:#8d877c,color:#26231e",
    "deadline": "fill:#faf8f4,stroke:#8d877c,color:#6a645a,stroke-dasharray:4 3",
    "parallel": "fill:#faf8f4,stroke:#8d877c,color:#26231e",
    "branch": "fill:#f3efe6,stroke:#c9c2b4,color:#6a645a,stroke-dasharray:4 3",
    "visited": "fill:#e4efe9,stroke:#2a6350,color:#16352a,stroke-width:2px",
    "current": "fill:#2a6350,stroke:#16352a,color:#ffffff,stroke-width:3px",
    "failed": "fill:#f9e0db,stroke:#b23a2a,color:#6d1f14,stroke-width:3px",
    "troubled": "stroke:#b23a2a,stroke-width:2px",
    "heat1": "fill:#fdf6e3,stroke:#b59a55,color:#26231e",
    "heat2": "fill:#fbe6a2,stroke:#a8842c,color:#26231e",
    "heat3": "fill:#f6c86a,stroke:#99691b,color:#26231e",
    "heat4": "fill:#ec9a4b,stroke:#874a12,color:#26231e",
    "heat5": "fill:#d9643a,stroke:#6e2510,color:#ffffff",
}
_LONGEST_GUARD = 120
_SHAPES = {
    "start": '(("{}"))',
    "final": '(["{}"])',
    "approval": '{{{{"{}"}}}}',
    "child": '[["{}"]]',
    "deadline": '>"{}"]',
}


def mermaid(
    definition: WorkflowDefinition,
    *,
    direction: Direction = "TB",
    guards: bool = True,
    run: Run | None = None,
    statistics: Statistics | None = None,
) -> str:
    """Return ``definition`` as Mermaid text, with a line break at the end.

    With ``run``, where it has been is green and bold, where it is filled, where it failed red.
    With ``statistics``, states and edges say how often and how long, and are coloured by it.
    """
    return "\n".join(_Drawing(definition, direction, guards, run, statistics).lines()) + "\n"


class _Drawing:
    def __init__(
        self,
        definition: WorkflowDefinition,
        direction: Direction,
        guards: bool,
        run: Run | None,
        statistics: Statistics | None,
    ) -> None:
        self.definition, self.direction, self.guards = definition, direction, guards
        self.run, self.statistics = run, statistics or {}
        self.heat = heat_of(self.statistics)
        self.graphs = graphs_of(definition, run.moved if run else ())
        nodes = [node.path for graph in self.graphs.values() for node in graph.nodes]
        self.names = names_for([*nodes, *(region for region in self.graphs if region)])
        self.links: list[Edge] = []
        self.classes: dict[str, list[str]] = {}

    def lines(self) -> Iterator[str]:
        """Yield the lines of the whole text."""
        yield f"flowchart {self.direction}"
        yield f"  accTitle: {escaped(str(self.definition))}"
        if said := escaped(self.definition.description):
            yield f"  accDescr: {said}"
        yield from self._graph(self.graphs[""], "  ")
        yield from self._edge_styles()
        for name in self.classes:
            yield f"  classDef {name} {_CLASSES[name]}"
        for name, members in self.classes.items():
            yield f"  class {','.join(members)} {name}"

    def _graph(self, graph: Graph, indent: str) -> Iterator[str]:
        for node in graph.nodes:
            work = node.state.work if node.state else None
            if isinstance(work, Parallel):
                yield from self._parallel(node, work, indent)
            else:
                shape = _SHAPES.get(node.kind, '("{}")')
                yield f"{indent}{self.names[node.path]}{shape.format(self._says(node))}"
            self._classify(node)
        for edge in graph.edges:
            yield indent + self._edge(edge)

    def _parallel(self, node: Node, work: Parallel, indent: str) -> Iterator[str]:
        yield f'{indent}subgraph {self.names[node.path]}["{self._says(node)}"]'
        yield f"{indent}  direction {self.direction}"
        for name in work.branches:
            region = f"{node.path}.{name}"
            box = self.names[region]
            self.classes.setdefault("branch", []).append(box)
            yield f'{indent}  subgraph {box}["{label(name)}"]'
            yield f"{indent}    direction {self.direction}"
            yield from self._graph(self.graphs[region], f"{indent}    ")
            yield f"{indent}  end"
        yield f"{indent}end"

    def _says(self, node: Node) -> str:
        if node.state is None:
            return label(node.name)
        lines = [node.name, work_of(node.state)]
        if agent := agent_of(node.state.agent):
            lines.append(f"({agent})")
        if numbers := self.statistics.get(node.path):
            mean = f", {lasting(numbers.mean)} each" if numbers.mean is not None else ""
            lines.append(f"{times(numbers.count)}{mean}")
            if numbers.errors:
                lines.append(f"{times(numbers.errors)} failed")
        if self.run is not None:
            lines += self._of_run(node.path, self.run)
        return label(*lines)

    def _of_run(self, path: str, run: Run) -> Iterator[str]:
        said = []
        if (count := run.times.get(path, 0)) > 1:
            said.append(times(count))
        if (spent := run.spent.get(path)) is not None and spent.total_seconds() > 0:
            said.append(lasting(spent))
        if (
            path in run.current
            and run.failed is None
            and run.status not in ("completed", "cancelled")
        ):
            said.append("now")
        if said:
            yield ", ".join(said)
        if path == run.failed:
            yield f"failed: {shortened(run.reason, 60)}"
        elif count := run.errors.get(path, 0):
            yield f"{times(count)} failed"

    def _classify(self, node: Node) -> None:
        names = {"final": "final", "start": "start", "deadline": "deadline", "parallel": "parallel"}
        found = [names.get(node.kind, "state")]
        if (heat := self.heat.get(node.path)) is not None and heat > 0:
            found.append(f"heat{min(5, 1 + int(heat * 5))}")
        if self.run is not None:
            found += self._marks(node.path, self.run)
        for each in found:
            self.classes.setdefault(each, []).append(self.names[node.path])

    def _marks(self, path: str, run: Run) -> Iterator[str]:
        if path == run.failed:
            yield "failed"
        elif path in run.current:
            yield "current"
        elif path in run.times:
            yield "visited"
        if path in run.errors and path != run.failed:
            yield "troubled"

    def _edge(self, edge: Edge) -> str:
        self.links.append(edge)
        lines = []
        for cause, guard in texts_of(edge, guards=self.guards):
            held = f"[{shortened(guard, _LONGEST_GUARD)}]" if guard else ""
            lines += [cause, held]
        if numbers := self.statistics.get(edge.key):
            mean = f", {lasting(numbers.mean)}" if numbers.mean is not None else ""
            lines.append(f"{times(numbers.count)}{mean}")
        if self.run is not None and (count := self.run.edges.get(edge.key, 0)) > 1:
            lines.append(times(count))
        arrow = "-.->" if edge.is_error or edge.is_moved else "-->"
        said = f'|"{label(*lines)}"|' if any(lines) else ""
        return f"{self.names[edge.source]} {arrow}{said} {self.names[edge.target]}"

    def _edge_styles(self) -> Iterator[str]:
        taken = self.run.edges if self.run else {}
        visited = [str(place) for place, edge in enumerate(self.links) if edge.key in taken]
        wrong = [
            str(place) for place, edge in enumerate(self.links)
            if edge.is_error and edge.key not in taken
        ]  # fmt: skip
        if wrong:
            yield f"  linkStyle {','.join(wrong)} stroke:#b23a2a"
        if visited:
            yield f"  linkStyle {','.join(visited)} stroke:#2a6350,stroke-width:4px"
        for place, edge in enumerate(self.links):
            if heat := self.heat.get(edge.key):
                yield f"  linkStyle {place} stroke:#99691b,stroke-width:{1 + 5 * heat:.1f}px"
