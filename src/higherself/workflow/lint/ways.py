"""Where an instance can get to: states that are never reached, never left, or never stop. Pure."""

from collections.abc import Iterator, Mapping

from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.definition.model import Approval, Branch, Parallel, State
from higherself.workflow.definition.paths import below
from higherself.workflow.lint.finding import Finding, Machine, machines
from higherself.workflow.lint.graph import Edge, cycles, edges, reachable


def reaching(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield states that are never reached, and those from which no final state is."""
    for machine in machines(definition):
        ways = _ways(machine)
        start = {machine.initial}
        if not machine.region:
            start |= {each.to for each in definition.on_deadline if each.to is not None}
        there = reachable(start, ways.__getitem__)
        for name in machine.states:
            if name not in there:
                what = "no transition leads here; add one, or remove the state"
                yield Finding("warning", "unreachable", machine.path_of(name), what)
        yield from _endings(machine, ways, there)


def _ways(machine: Machine) -> Mapping[str, list[str]]:
    return {
        state.name: list(dict.fromkeys(edge.target for edge in edges(state)))
        for state in machine.states.values()
    }


def _endings(machine: Machine, ways: Mapping[str, list[str]], there: set[str]) -> Iterator[Finding]:
    final = {state.name for state in machine.states.values() if state.final}
    lost = [
        name
        for name in machine.states
        if name in there and ways[name] and not reachable([name], ways.__getitem__) & final
    ]
    if lost:
        where = " and ".join(lost[:3]) + (" and others" if len(lost) > 3 else "")
        what = f"from {where} no final state can be reached; add a way to end"
        yield Finding("warning", "never-ends", machine.path_of(lost[0]), what)


def dead_ends(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield states that an instance can get into and not out of."""
    for machine in machines(definition):
        for state in machine.states.values():
            if not state.final and (what := _stuck(state)):
                yield Finding("error", "dead-end", machine.path_of(state.name), what)
            elif what := _stuck_if_false(state):
                path = below(machine.path_of(state.name), "transitions")
                yield Finding("warning", "dead-end", path, what)


def _stuck(state: State) -> str:
    waits = bool(state.on or state.after or state.cron or state.timeout)
    if waits or state.transitions:
        return ""
    if isinstance(state.work, Approval):
        open_ones = [name for name, ways in state.work.outcomes.items() if not ways]
        if state.work.timeout is None or state.on_timeout or state.on_error:
            open_ones = [name for name in open_ones if name != "expired"]
        if not open_ones:
            return ""
        said = " and ".join(open_ones)
        return f"when it is {said}, there is no way on; say where {said} leads `to`"
    if state.work is None:
        return "there is no way out; add one, or make it `final: true`"
    return "there is no way on when its work has ended; add `transitions`"


def _stuck_if_false(state: State) -> str:
    waits = bool(state.on or state.after or state.cron or state.timeout)
    if waits or not state.transitions or any(each.when is None for each in state.transitions):
        return ""
    return "if no guard holds, it stays here for ever; add a last transition without `when`"


def joins(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield joins that too few branches can reach."""
    for machine in machines(definition):
        for state in machine.states.values():
            if isinstance(state.work, Parallel):
                yield from _join(machine, state, state.work)


def _join(machine: Machine, state: State, work: Parallel) -> Iterator[Finding]:
    ending = [name for name, branch in work.branches.items() if _can_end(branch)]
    if len(ending) < work.needed:
        path = below(machine.path_of(state.name), "parallel")
        what = (
            f"join needs {work.needed} of {len(work.branches)} branches to end, but only "
            f"{len(ending)} can; give the others a way to a final state, or lower the join"
        )
        yield Finding("error", "join-never-met", path, what)


def _can_end(branch: Branch) -> bool:
    def ways(name: str) -> list[str]:
        return [edge.target for edge in edges(branch.states[name])]

    return any(branch.states[name].final for name in reachable([branch.initial], ways))


def loops(definition: WorkflowDefinition) -> Iterator[Finding]:
    """Yield circles in which nothing is waited for and nothing counts the rounds."""
    for machine in machines(definition):
        unbounded = {s.name: s for s in machine.states.values() if s.max_visits is None}
        all_edges = [edge for state in unbounded.values() for edge in edges(state)]
        restless = [e for e in all_edges if e.pace != "after a wait" and e.target in unbounded]
        for cycle in cycles(_among(unbounded, restless)):
            yield _loop(machine, cycle, restless)


def _among(names: Mapping[str, State], found: list[Edge]) -> Mapping[str, list[str]]:
    return {name: [edge.target for edge in found if edge.source == name] for name in names}


def _loop(machine: Machine, cycle: list[str], restless: list[Edge]) -> Finding:
    steps = set(zip(cycle, [*cycle[1:], cycle[0]], strict=True))
    within = [edge for edge in restless if (edge.source, edge.target) in steps]
    said = " -> ".join([*cycle, cycle[0]])
    path = machine.path_of(cycle[0])
    at_once = {(edge.source, edge.target) for edge in within if edge.pace == "at once"}
    certain = {(edge.source, edge.target) for edge in within if edge.certain}
    if steps <= at_once & certain:
        what = f"{said} goes round for ever without a wait; break the circle"
        return Finding("error", "endless-loop", path, what)
    does = "goes round" if steps <= at_once else "repeats its activities"
    what = f"{said} {does} without a bound; give one of these states `max_visits`"
    return Finding("warning", "endless-loop", path, what)
