"""Lint finds what is wrong, says what to do, and leaves what is right alone."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.workflow.machine.definitions import definitions

from higherself.workflow.definition import WorkflowDefinition, as_data, load, load_text
from higherself.workflow.lint import Catalogue, Finding, lint


def findings(
    states: str, head: str = "deadline: 30d", *, catalogue: Catalogue | None = None
) -> list[Finding]:
    initial = states.strip().partition(":")[0]
    text = f"workflow: w\nversion: 1\ninitial: {initial}\n{head}\nstates:\n{states}"
    loaded = load_text(text, file="w.yaml")
    return list(lint(loaded.definition, loaded.places, catalogue=catalogue))


def said(
    states: str, head: str = "deadline: 30d", *, catalogue: Catalogue | None = None
) -> list[str]:
    """Return rule, severity and path of every finding."""
    found = findings(states, head, catalogue=catalogue)
    return [f"{each.rule} {each.severity} {each.path}" for each in found]


CASES = {
    "nothing to say": ("  a: {on: {go: {to: b}}}\n  b: {final: true}", []),
    "a state that no way leads to": (
        "  a: {on: {go: {to: b}}}\n  b: {final: true}\n  c: {on: {go: {to: b}}}",
        ["unreachable warning states.c"],
    ),
    "a state that only another unreachable one leads to": (
        "  a: {on: {go: {to: b}}}\n  b: {final: true}\n  c: {on: {go: {to: d}}}\n  d: {final: true}",
        ["unreachable warning states.c", "unreachable warning states.d"],
    ),
    "no way out": ("  a: {on: {go: {to: b}, end: {to: c}}}\n  b: {}\n  c: {final: true}", ["dead-end error states.b"]),
    "no way on after the work": (
        "  a: {activity: {skill: x, timeout: 1m}, on_error: {to: b}}\n  b: {final: true}",
        ["dead-end error states.a"],
    ),
    "guards, and nothing else to wait for": (
        "  a: {activity: {skill: x, save: n, timeout: 1m}, transitions: {to: b, when: context.n > 1}}\n  b: {final: true}",
        ["dead-end warning states.a.transitions"],
    ),
    "guards that a later event may make hold": (
        "  a: {on: {more: {set: {n: 2}}}, transitions: {to: b, when: context.n > 1}}\n  b: {final: true}",
        [],
    ),
    "no final state in reach": (
        "  a: {on: {go: {to: b}}}\n  b: {on: {go: {to: a}}}",
        ["never-ends warning states.a"],
    ),
    "a decision that leads nowhere": (
        "  a: {approval: {roles: [r], timeout: 1d, approved: {to: b}, expired: {to: b}}}\n  b: {final: true}",
        ["dead-end error states.a"],
    ),
    "a join that too few can reach": (
        "  a:\n    parallel:\n      branches:\n        x: {initial: i, states: {i: {after: {1d: {to: i}}}, e: {final: true}}}\n"
        "        y: {activity: {skill: s, timeout: 1m}}\n    transitions: {to: b}\n  b: {final: true}",
        [
            "join-never-met error states.a.parallel",
            "never-ends warning states.a.parallel.branches.x.states.i",
            "unreachable warning states.a.parallel.branches.x.states.e",
        ],
    ),
    "a way that the one before it hides": (
        "  a: {on: {go: [{to: b}, {to: c}]}}\n  b: {final: true}\n  c: {final: true}",
        ["shadowed warning states.a.on.go[1]"],
    ),
    "a guard that the one before it covers": (
        "  a: {on: {go: [{to: b, when: event.n > 1}, {to: c, when: event.n > 2}]}}\n  b: {final: true}\n  c: {final: true}",
        ["shadowed warning states.a.on.go[1]"],
    ),
    "guards that overlap": (
        "  a: {on: {go: [{to: b, when: event.n > 1}, {to: c, when: event.n < 5}]}}\n  b: {final: true}\n  c: {final: true}",
        ["overlap advice states.a.on.go[1]"],
    ),
    "guards that do not overlap": (
        "  a: {on: {go: [{to: b, when: event.n > 1}, {to: c, when: event.n <= 1}]}}\n  b: {final: true}\n  c: {final: true}",
        [],
    ),
    "a circle that is taken for certain": (
        "  a: {transitions: {to: b}}\n  b: {transitions: {to: a}, on: {go: {to: c}}}\n  c: {final: true}",
        ["endless-loop error states.a"],
    ),
    "a state that goes to itself": (
        "  a: {transitions: {to: a}, on: {go: {to: b}}}\n  b: {final: true}",
        ["endless-loop error states.a"],
    ),
    "a circle with guards": (
        "  a: {transitions: [{to: b, when: context.n > 1}, {to: c}]}\n  b: {transitions: {to: a}}\n  c: {final: true}",
        ["endless-loop warning states.a"],
    ),
    "a circle of activities": (
        "  a: {activity: {skill: x, timeout: 1m}, transitions: {to: b}}\n"
        "  b: {activity: {skill: y, timeout: 1m}, transitions: [{to: a, when: context.n > 1}, {to: c}]}\n  c: {final: true}",
        ["endless-loop warning states.a"],
    ),
    "a circle of errors": (
        "  a: {activity: {skill: x, timeout: 1m}, transitions: {to: b}, on_error: {to: a}}\n  b: {final: true}",
        ["endless-loop warning states.a"],
    ),
    "a circle that is counted": (
        "  a: {activity: {skill: x, timeout: 1m}, transitions: {to: b}, on_error: {to: a}, max_visits: 3}\n  b: {final: true}",
        [],
    ),
    "a circle with a wait in it": (
        "  a: {activity: {skill: x, timeout: 1m}, transitions: {to: b}}\n  b: {after: {1d: {to: a}}, on: {go: {to: c}}}\n  c: {final: true}",
        [],
    ),
    "a field that nothing sets": (
        "  a: {on: {go: {to: b, when: context.scor > 1}}}\n  b: {final: true}",
        ["unknown-field warning states.a.on.go[0].when"],
    ),
    "a field that is asked for": (
        "  a: {on: {go: {to: b, when: has(context.more)}}}\n  b: {final: true}",
        [],
    ),
    "an activity without a timeout": (
        "  a: {entry: greet, activity: x, transitions: {to: b}}\n  b: {final: true}",
        ["no-timeout warning states.a.activity", "no-timeout warning states.a.entry[0]"],
    ),
    "an approval that never expires": (
        "  a: {approval: {roles: [r], approved: {to: b}, rejected: {to: b}}}\n  b: {final: true}",
        ["no-expiry warning states.a.approval"],
    ),
    "an approval whose expiry leads nowhere": (
        "  a: {approval: {roles: [r], timeout: 1d, approved: {to: b}, rejected: {to: b}}, transitions: {to: b}}\n  b: {final: true}",
        ["no-expiry warning states.a.approval"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("states", "expected"), CASES.values(), ids=CASES)
def test_lint_finds(states: str, expected: list[str]) -> None:
    assert sorted(said(states, "deadline: 30d\ncontext: {n: 0, score: 0}")) == sorted(expected)


def test_a_wait_without_an_end_is_found_unless_the_workflow_has_a_deadline() -> None:
    states = "  a: {on: {go: {to: b}}}\n  b: {final: true}"
    assert said(states, "") == ["no-timeout warning states.a"]
    assert said(states, "deadline: 1d") == []
    assert said(states.replace("{on", "{timeout: 1d, on"), "") == []
    assert said(
        "  a: {start: {workflow: other}, transitions: {to: b}}\n  b: {final: true}", ""
    ) == ["no-timeout warning states.a"]


def test_where_the_deadline_leads_is_reached() -> None:
    states = "  a: {on: {go: {to: b}}}\n  b: {final: true}\n  late: {final: true}"
    assert said(states, "deadline: 1d\non_deadline: {to: late}") == []


NAMES = """
  a: {agent: {capability: enrichmnt}, activity: {skill: enrch, timeout: 1m}, transitions: {to: b}}
  b: {collaborate: {pattern: chian, timeout: 1d, steps: [{role: editr, task: x}, {name: nyro, task: y}]}, transitions: {to: c}}
  c: {start: {workflow: bookin}, transitions: {to: d}}
  d: {final: true}
"""
EVERYTHING = Catalogue(
    skills=["enrich"],
    capabilities=["enrichment"],
    agents=["nyra"],
    roles=["editor"],
    patterns=["chain"],
    workflows=["booking"],
)


def test_names_that_nobody_knows_are_errors_with_the_nearest_known_one() -> None:
    found = findings(NAMES, catalogue=EVERYTHING)
    assert {each.rule for each in found} == {"unknown-name"}
    assert [each.what for each in found] == [
        "there is no capability 'enrichmnt'; did you mean 'enrichment'?",
        "there is no skill 'enrch'; did you mean 'enrich'?",
        "there is no coordination pattern 'chian'; did you mean 'chain'?",
        "there is no role 'editr'; did you mean 'editor'?",
        "there is no agent 'nyro'; did you mean 'nyra'?",
        "there is no workflow 'bookin'; did you mean 'booking'?",
    ]


def test_names_are_not_looked_up_in_what_is_not_known() -> None:
    assert findings(NAMES) == []
    assert findings(NAMES, catalogue=Catalogue()) == []
    assert len(findings(NAMES, catalogue=Catalogue(skills=[]))) == 1


def test_a_finding_says_where_how_bad_what_and_by_which_rule() -> None:
    (finding,) = findings("  a: {on: {go: {to: b}}}\n  b: {final: true}\n  c: {final: true}")
    assert str(finding) == (
        "w.yaml:8:3: states.c: warning: no transition leads here; add one, or remove the state "
        "[unreachable]"
    )


def test_findings_come_from_top_to_bottom() -> None:
    found = findings("  a: {activity: x, transitions: {to: b}}\n  b: {activity: y, transitions: {to: c}}\n  c: {final: true}\n  d: {final: true}")  # fmt: skip
    assert [each.place.line for each in found if each.place] == [6, 7, 9]


def test_the_example_for_guards_that_overlap_is_one() -> None:
    (finding,) = findings("  a: {on: {go: [{to: b, when: event.n > 1}, {to: b, when: event.n < 5}]}}\n  b: {final: true}")  # fmt: skip
    assert "can both hold, for example for" in finding.what


def test_a_definition_from_python_is_linted_without_places() -> None:
    definition = load({"workflow": "w", "version": 1, "initial": "a", "states": {"a": {"final": True}, "b": {"final": True}}})  # fmt: skip
    (finding,) = lint(definition)
    assert (finding.path, finding.place) == ("states.b", None)


@settings(max_examples=100, deadline=None)
@given(definition=definitions())
def test_any_definition_can_be_linted_and_its_normal_form_has_the_same_findings(
    definition: WorkflowDefinition,
) -> None:
    assert lint(load(as_data(definition))) == lint(definition)


def test_the_example_of_the_reference_page_is_clean() -> None:
    folder = Path(__file__).parents[3] / "src" / "higherself" / "business" / "workflows"
    loaded = load_text((folder / "lead_nurturing.yaml").read_text("utf-8"), file="lead.yaml")
    assert lint(loaded.definition, loaded.places) == ()
