"""YAML, JSON and Python say the same; the normal form is the same definition; its hash tells."""

import json
from datetime import timedelta

import pytest
from hypothesis import given, settings
from tests.workflow.definition.test_problems import GOOD
from tests.workflow.machine.definitions import definitions

from higherself.kernel.jsonvalue import canonical
from higherself.workflow.definition import (
    Activity,
    After,
    Branch,
    Constant,
    Input,
    Parallel,
    Retry,
    State,
    Transition,
    WorkflowDefinition,
    as_data,
    check_unchanged,
    hash_of,
    load,
    load_text,
)
from higherself.workflow.errors import DefinitionChanged, InvalidDefinition
from higherself.workflow.guard import compile_guard, compile_value


def yaml(text: str) -> WorkflowDefinition:
    return load_text(text, file="f.yaml").definition


@settings(max_examples=150, deadline=None)
@given(definition=definitions())
def test_the_normal_form_of_any_definition_is_the_same_definition(
    definition: WorkflowDefinition,
) -> None:
    data = as_data(definition)
    assert load(data) == definition
    assert as_data(load(data)) == data


@settings(max_examples=100, deadline=None)
@given(definition=definitions())
def test_any_definition_is_the_same_in_json_and_in_yaml(definition: WorkflowDefinition) -> None:
    text = json.dumps(as_data(definition))
    from_json = load_text(text, file="f.json").definition
    assert from_json == definition == yaml(text)  # JSON is YAML
    assert hash_of(from_json) == hash_of(definition)


def test_the_normal_form_survives_canonical_json() -> None:
    definition = yaml(GOOD)
    again = load(json.loads(canonical(as_data(definition))))
    assert hash_of(again) == hash_of(definition)


def test_a_definition_may_be_built_of_pythons_own_values() -> None:
    built = WorkflowDefinition(
        name="built",
        version=2,
        initial="asked",
        context={"score": 0},
        deadline=timedelta(days=30),
        states={
            "asked": State(
                "asked",
                work=Activity(
                    "ask",
                    Input.of({"to": "{{ context.email }}"}),
                    save=("answer",),
                    timeout=timedelta(seconds=30),
                    retry=Retry(attempts=5),
                ),
                transitions=(
                    Transition("both", compile_guard("context.answer.score >= 70")),
                    Transition("done", assignments=((("score",), compile_value("1 + 1")),)),
                ),
                after=(
                    After(timedelta(days=3), (Transition(None, None, ((("late",), Constant(True)),)),)),
                ),
            ),
            "both": State(
                "both",
                work=Parallel({"one": Branch("end", {"end": State("end", final=True)})}),
                transitions=(Transition("done"),),
            ),
            "done": State("done", final=True),
        },
    )  # fmt: skip
    read = yaml("""
workflow: built
version: 2
initial: asked
context: {score: 0}
deadline: 30d
states:
  asked:
    activity:
      skill: ask
      input: {to: "{{ context.email }}"}
      save: answer
      timeout: 30s
      retry: {attempts: 5}
    transitions:
      - {to: both, when: context.answer.score >= 70}
      - {to: done, set: {score: 1 + 1}}
    after: {3d: {set: {late: true}}}
  both:
    parallel: {branches: {one: {initial: end, states: {end: {final: true}}}}}
    transitions: {to: done}
  done: {final: true}
""")
    assert built == read
    assert hash_of(built) == hash_of(read)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param("version: 1\n", "version: 1   # the first\n", id="a comment"),
        pytest.param("workflow: lead\nversion: 1\n", "version: 1\nworkflow: lead\n", id="the order of keys"),
        pytest.param("    on_error: {to: review}\n", "    on_error: [{to: review}]\n", id="a list of one"),
        pytest.param("timeout: 30s", "timeout: 30000ms", id="another unit"),
        pytest.param("{do: remind}", "{do: [{skill: remind}]}", id="the long form of an activity"),
    ],
)  # fmt: skip
def test_ways_of_writing_do_not_change_the_hash(before: str, after: str) -> None:
    assert before in GOOD
    assert hash_of(yaml(GOOD.replace(before, after))) == hash_of(yaml(GOOD))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("30d", "31d"),
        ("attempts: 5", "attempts: 6"),
        ("context.score >= 70", "context.score >= 71"),
        ("description", "description"),
        ("context: {score: 0}", "context: {score: 0, more: 1}"),
        ("version: 1", "version: 2"),
        ("factor: 2", "factor: 3"),
        ("join: 2", "join: 1"),
        ("{capability: enrichment}", "{role: enrichment}"),
        (
            "      - {to: review, when: context.score >= 70, set: {score: context.contact.score}}\n      - {to: lost}\n",
            "      - {to: lost}\n      - {to: review, when: context.score >= 70, set: {score: context.contact.score}}\n",
        ),
    ],
)
def test_what_is_said_changes_the_hash(before: str, after: str) -> None:
    changed = GOOD.replace(before, after) if before in GOOD else GOOD + "description: more\n"
    assert hash_of(yaml(changed)) != hash_of(yaml(GOOD))


def test_a_definition_that_was_used_never_changes() -> None:
    known = hash_of(yaml(GOOD))
    check_unchanged(yaml(GOOD), known)
    with pytest.raises(DefinitionChanged, match="give the new one `version: 2`"):
        check_unchanged(yaml(GOOD.replace("30d", "31d")), known)


def test_what_is_usual_is_not_in_the_normal_form() -> None:
    text = """
workflow: plain
version: 1
timezone: UTC
initial: a
states:
  a: {activity: {skill: work, input: {}, retry: {attempts: 3, backoff: 1s, factor: 2, max: 5m}}, transitions: {to: b}}
  b: {final: true, description: the end}
"""
    assert as_data(yaml(text)) == {
        "workflow": "plain",
        "version": 1,
        "initial": "a",
        "states": {
            "a": {"activity": {"skill": "work"}, "transitions": [{"to": "b"}]},
            "b": {"final": True, "description": "the end"},
        },
    }


@pytest.mark.parametrize("word", ["on", "yes", "no", "off", "y"])
def test_words_that_older_yaml_takes_for_true_and_false_are_words(word: str) -> None:
    text = f"workflow: w\nversion: 1\ninitial: {word}\ncontext: {{a: {word}}}\nstates: {{{word}: {{final: true}}}}"
    definition = yaml(text)
    assert (definition.initial, definition.context) == (word, {"a": word})


def test_an_anchor_is_what_it_repeats() -> None:
    definition = yaml("""
workflow: w
version: 1
initial: a
states:
  a: {on: {x: &go {to: b}, y: *go}}
  b: {final: true}
""")
    assert definition.states["a"].on["x"] == definition.states["a"].on["y"]


def test_secrets_are_named_and_not_resolved() -> None:
    definition = yaml("""
workflow: w
version: 1
initial: a
states:
  a: {activity: {skill: call, input: {key: "Bearer {{ secrets.API_KEY }}", n: [1, "{{ context.n }}"]}}, transitions: {to: b}}
  b: {final: true}
""")
    (activity,) = definition.activities.values()
    assert activity.input.secrets == (("key",),)
    assert as_data(definition)["states"]["a"]["activity"]["input"]["key"] == "Bearer {{ secrets.API_KEY }}"  # type: ignore[index, call-overload]  # fmt: skip


def test_places_lead_back_to_the_text() -> None:
    loaded = load_text(GOOD, file="f.yaml")
    place = loaded.places["states.captured.transitions[0].when"]
    assert (place.line, place.column) == (17, 22)
    assert str(place) == "f.yaml:17:22"


def test_a_skill_may_be_pinned_to_a_version() -> None:
    text = (
        "workflow: w\nversion: 1\ninitial: a\nstates:\n"
        "  a: {{activity: {name}, transitions: [{{to: b}}]}}\n  b: {{final: true}}\n"
    )
    definition = load_text(text.format(name="crm.score@2.0-rc1"), file="w.yaml").definition
    (activity,) = definition.activities.values()
    assert isinstance(activity, Activity)
    assert activity.skill == "crm.score@2.0-rc1"
    with pytest.raises(InvalidDefinition, match=r"'crm\.score@' is no name of a skill"):
        load_text(text.format(name="'crm.score@'"), file="w.yaml")
