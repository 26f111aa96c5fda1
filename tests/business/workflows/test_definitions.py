"""What every shipped definition has to be: sound, and made of skills and agents that there are."""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import pytest
from tests.business.workflows.shipped import (
    DEFINITIONS,
    FILES,
    OPERATIONAL,
    OURS,
    is_written,
    parts,
    skills,
)

from higherself.business import tasks
from higherself.business.messages import templates as letters
from higherself.business.roster import load_roster
from higherself.kernel.schema import JsonSchema
from higherself.services.collaboration.workflows import plan_problems
from higherself.services.setups import effective, is_template, problems_of, settings_of
from higherself.workflow.definition import as_data, load, load_text
from higherself.workflow.lint import lint
from higherself.workflow.view import simulate

by_name = pytest.mark.parametrize("name", DEFINITIONS)
ROSTER = load_roster()


def test_there_are_the_fourteen_and_the_templates() -> None:
    assert len(OPERATIONAL) == 14
    assert set(OURS) <= DEFINITIONS.keys()


@by_name
def test_lint_finds_nothing(name: str) -> None:
    loaded = load_text(FILES[f"{name}.yaml"], file=f"{name}.yaml")
    assert [str(finding) for finding in lint(loaded.definition, loaded.places)] == []
    assert list(plan_problems(loaded.definition)) == []


@by_name
def test_it_is_named_as_its_file_says_what_it_is_for_and_can_end(name: str) -> None:
    definition = DEFINITIONS[name]
    assert definition.name == name
    assert definition.description
    assert any(state.final for state in definition.states.values())
    assert load(as_data(definition)) == definition


@by_name
def test_its_activities_are_skills_that_take_what_they_are_given(name: str) -> None:
    """Names, required inputs, and whatever is written without a template."""
    wrong = [problem for path, each in parts(name, "skill") for problem in misfits(path, each)]
    assert wrong == []


def misfits(path: str, activity: Mapping[str, Any]) -> Iterator[str]:
    try:
        found = skills().find(activity["skill"])
    except Exception as error:  # noqa: BLE001  all are told together
        yield f"{path}: {error}"
        return
    given = activity.get("input", {})
    schema: Any = found.schema
    known = schema.get("properties", {})
    if not schema.get("additionalProperties", False):
        yield from (f"{path}: {found.name} takes no {key!r}" for key in given if key not in known)
    for key in schema.get("required", ()):
        if key not in given:
            yield f"{path}: {found.name} needs {key!r}"
    for key, value in given.items():
        if key in known and is_written(value):
            whole = {**known[key], "$defs": schema.get("$defs", {})}
            for each in JsonSchema.of(whole).misfits(value):
                yield f"{path}: {found.name}.{key}: {each.message}"


@by_name
def test_its_agents_are_there_and_do_what_they_are_asked(name: str) -> None:
    wrong = [problem for path, each in parts(name, "pattern") for problem in unasked(path, each)]
    assert wrong == []


def unasked(path: str, work: Mapping[str, Any]) -> Iterator[str]:
    shared = set(work.get("input", {}))
    for place, step in enumerate(work["steps"]):
        who = [
            each
            for each in ROSTER.declared.values()
            if step.get("name", each.card.name) == each.card.name
            and step.get("role", each.card.role) == each.card.role
            and step.get("capability") in (None, *each.card.capabilities)
        ]
        if not who:
            yield f"{path}[{place}]: nobody is {step}"
        programs = [p for each in who if (p := program_for(each, step["task"]))]
        if not programs:
            yield f"{path}[{place}]: {[e.card.name for e in who]} do not take {step['task']!r}"
        given = shared | set(step.get("input", {}))
        first = place == 0 or work["pattern"] != "chain"
        for program in programs:
            for needed in program.needs:
                inside = {"contact", "client", "member"} & given if "email" in needed else set()
                if first and not inside and not given & set(needed):
                    yield f"{path}[{place}]: {step['task']} needs {' or '.join(needed)}"


def program_for(agent: Any, task: str) -> Any:
    exact = agent.programs.get(task)
    return exact or next(
        (p for type_, p in agent.programs.items() if fnmatchcase(task, type_.replace(">", "*"))),
        None,
    )


@by_name
def test_the_letters_and_tasks_that_it_asks_for_are_there(name: str) -> None:
    text = FILES[f"{name}.yaml"]
    for _, activity in parts(name, "skill"):
        template = activity.get("input", {}).get("template")
        if template is None or not is_written(template):
            continue
        if activity["skill"] == "create_task":
            assert template in tasks.templates(), template
        elif activity["skill"] in ("send_email", "tell_people", "send_to_segment"):
            assert template in letters.names(), template
    for template in re.findall(r"task: create_task.*?template: (\w+)", text):
        assert template in tasks.templates(), template


# --- Settings.

TEMPLATES = [name for name, each in DEFINITIONS.items() if is_template(each)]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_setting_is_described_and_its_default_fits(name: str) -> None:
    definition = DEFINITIONS[name]
    for each in settings_of(definition):
        assert each.about, each.name
        assert each.title, each.name
        assert each.type != "any", each.name
    missing = {each.name for each in settings_of(definition) if each.required}
    said = problems_of(definition, {})
    assert all(problem.partition(":")[0] in missing for problem in said), said
    assert (
        effective(definition, {}).keys()
        >= {each.name for each in settings_of(definition) if not each.required} - missing
    )


@pytest.mark.parametrize("name", sorted(set(TEMPLATES) & set(OURS)))
def test_settings_are_read_and_those_that_are_read_are_there(name: str) -> None:
    text = FILES[f"{name}.yaml"].partition("\nstates:")[2]
    read = set(re.findall(r"context\.settings\.(\w+)", text))
    assert read == {each.name for each in settings_of(DEFINITIONS[name])}


# --- Played through by chance.


@pytest.mark.parametrize("name", OURS)
def test_every_run_ends_and_every_state_is_reached(name: str) -> None:
    found = simulate(DEFINITIONS[name], runs=1500, seed=7, error_rate=0.2)
    assert (found.stuck, found.reasons) == (0, {})
    missed = {state for state, visits in found.visits.items() if not visits}
    assert missed <= {*refusals(name)}


def refusals(name: str) -> Iterator[str]:
    """Yield states that only lead from what goes wrong with an event: it is not simulated."""
    states = DEFINITIONS[name].states.values()
    ways = {
        each.name: {way.to for key, ways in each.ways() if key != "on_error" for way in ways}
        for each in states
    }
    for state in states:
        works = {each.name for each in states if each.work is not None or each.entry}
        wrong = {each.name for each in states for way in each.on_error if way.to == state.name}
        if not any(state.name in targets for targets in ways.values()) and not wrong & works:
            yield state.name
