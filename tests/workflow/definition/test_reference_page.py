"""The page about definitions is whole: every key is on it, and every example loads and is clean."""

import re
from pathlib import Path
from typing import get_args

import pytest
from tests.workflow.definition.test_problems import GOOD

from higherself.workflow.definition import load_text
from higherself.workflow.definition.reading import Keys, Spot
from higherself.workflow.lint import Rule, lint

PAGE = (Path(__file__).parents[3] / "docs/reference/workflow-definition.md").read_text("utf-8")
EXAMPLES = re.findall(r"^```yaml\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
SECTIONS = {
    "a definition": "The definition",
    "a state": "States",
    "a transition": "Transitions",
    "an activity": "Activities",
    "a retry policy": "Retries",
    "an agent selector": "Agents",
    "a collaboration": "Collaborations",
    "a step of a collaboration": "Collaborations",
    "what undoes a step": "Collaborations",
    "people": "Collaborations",
    "a workflow to start": "Sub-workflows",
    "an approval": "Approvals",
    "parallel": "Branches",
    "a branch": "Branches",
}


def section(heading: str) -> str:
    found = re.search(
        rf"^##+ {re.escape(heading)}\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL
    )
    assert found is not None
    return found[1]


def whole(example: str) -> str:
    if not example.startswith("states:"):
        return example
    initial = example.splitlines()[1].strip(" :")
    return f"workflow: example\nversion: 1\ninitial: {initial}\ndeadline: 30d\n{example}"


@pytest.fixture
def keys_by_kind(monkeypatch: pytest.MonkeyPatch) -> dict[str, set[str]]:
    """Every key that the loader asks for, by the kind of thing it is reading."""
    read: list[tuple[str, Keys]] = []
    keys = Spot.keys

    def remembered(spot: Spot, what: str) -> Keys:
        read.append((what, keys(spot, what)))
        return read[-1][1]

    monkeypatch.setattr(Spot, "keys", remembered)
    load_text(GOOD, file="f.yaml")
    for example in EXAMPLES:
        if "people:" in example:  # what GOOD has no place for
            load_text(whole(example), file="f.yaml")
    found: dict[str, set[str]] = {}
    for what, each in read:
        # A branch that is one piece of work is read again, as the state that it is.
        found.setdefault(what, set()).update(
            each.asked if what != "a branch" else ("initial", "states")
        )
    return found


def test_every_kind_of_thing_has_a_section(keys_by_kind: dict[str, set[str]]) -> None:
    assert keys_by_kind.keys() == SECTIONS.keys()


def test_every_key_is_in_the_section_of_its_thing(keys_by_kind: dict[str, set[str]]) -> None:
    missing = [
        f"{what}: {key}"
        for what, keys in keys_by_kind.items()
        for key in sorted(keys)
        if f"`{key}`" not in section(SECTIONS[what])
    ]
    assert missing == []


def test_every_key_is_in_an_example(keys_by_kind: dict[str, set[str]]) -> None:
    examples = "\n".join(EXAMPLES)
    unused = {
        key
        for keys in keys_by_kind.values()
        for key in keys
        if not re.search(rf"(?:^\s*|[{{,-] ?){key}:", examples, re.MULTILINE)
    }
    assert unused <= {"schema", "timezone"}  # their sentence in the table shows them


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda text: text.split(":")[1].strip())
def test_every_example_loads_and_is_clean(example: str) -> None:
    loaded = load_text(whole(example), file="example.yaml")
    assert [str(each) for each in lint(loaded.definition, loaded.places)] == []


@pytest.mark.parametrize("rule", get_args(Rule))
def test_every_rule_of_lint_is_named(rule: str) -> None:
    assert f"| `{rule}` |" in section("What lint finds")
