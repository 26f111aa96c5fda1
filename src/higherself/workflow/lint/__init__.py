"""Lint: what is allowed in a definition and still looks wrong. Pure.

for finding in lint(loaded.definition, loaded.places):
    print(finding)    # lead.yaml:12:5: states.captured.activity: warning: it has no timeout...
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.errors import Place
from higherself.workflow.lint.finding import Catalogue, Finding, Rule, Severity
from higherself.workflow.lint.guards import clashes, unknown_fields
from higherself.workflow.lint.names import unknown_names
from higherself.workflow.lint.waits import approvals, endless_activities, endless_waits
from higherself.workflow.lint.ways import dead_ends, joins, loops, reaching

__all__ = ["Catalogue", "Finding", "Rule", "Severity", "lint"]

_CHECKS = (
    reaching,
    dead_ends,
    joins,
    loops,
    clashes,
    unknown_fields,
    endless_activities,
    endless_waits,
    approvals,
)


def lint(
    definition: WorkflowDefinition,
    places: Mapping[str, Place] | None = None,
    *,
    catalogue: Catalogue | None = None,
) -> tuple[Finding, ...]:
    """Return what is to be looked at in ``definition``, from top to bottom.

    ``places`` are those that came with it when it was loaded. Names of skills, agents and the like
    are looked up in the ``catalogue``, as far as it knows them.
    """
    found = [finding for check in _CHECKS for finding in check(definition)]
    if catalogue is not None:
        found += unknown_names(definition, catalogue)
    placed = [replace(each, place=_place_of(each.path, places or {})) for each in found]
    return tuple(sorted(placed, key=_order))


def _place_of(path: str, places: Mapping[str, Place]) -> Place | None:
    """Return the place of ``path``, or of the nearest thing around it that has one."""
    return next((places[each] for each in _outwards(path) if each in places), None)


def _outwards(path: str) -> Iterator[str]:
    while path:
        yield path
        path = path[: max(path.rfind("."), path.rfind("["), 0)]
    yield ""


def _order(finding: Finding) -> tuple[int, int, str, str]:
    place = finding.place
    line, column = (place.line, place.column) if place else (0, 0)
    return line, column, finding.path, finding.rule
