"""What a state says of its collaboration reaches those who carry it out; mistakes are found before."""

from pathlib import Path

import pytest
from tests.workflow.definition.test_reference_page import EXAMPLES, whole

from higherself.cli.main import run
from higherself.services.collaboration.workflows import plan_problems
from higherself.workflow.definition import as_data, load, load_text

HEAD = "workflow: w\nversion: 1\ninitial: a\nstates:\n  b: {final: true}\n"


def problems(collaborate: str) -> list[tuple[str, str]]:
    text = f"{HEAD}  a: {{collaborate: {collaborate}, transitions: {{to: b}}}}\n"
    return list(plan_problems(load_text(text, file="w.yaml").definition))


def test_the_examples_can_be_carried_out_and_keep_their_keys_in_the_normal_form() -> None:
    (example,) = [each for each in EXAMPLES if "people:" in each]
    definition = load_text(whole(example), file="e.yaml").definition
    assert list(plan_problems(definition)) == []
    assert load(as_data(definition)) == definition
    assert "hedge: 10m" in example
    assert "'hedge': '10m'" in str(as_data(definition))


@pytest.mark.parametrize(
    ("collaborate", "where", "what"),
    [
        ("{pattern: chian, steps: [{name: x, task: t}]}", "pattern", "this is one of request"),
        ("{pattern: chain, join: all, steps: [{name: x, task: t}]}", "join", "chain has none"),
        (
            "{pattern: concurrent, join: 2, steps: [{name: x, task: t}]}",
            "join",
            "this is all, first, or a number from 1 to 1, not 2",
        ),
        (
            "{pattern: request, steps: [{name: x, task: t}, {name: y, task: u}]}",
            "steps",
            "a request has one step, not 2",
        ),
        (
            "{pattern: chain, steps: [{name: x, task: t, id: i}, {name: y, task: u, id: i}]}",
            "steps[1].id",
            "another step is 'i' already",
        ),
    ],
)
def test_what_cannot_be_carried_out_is_told(collaborate: str, where: str, what: str) -> None:
    ((path, reason),) = problems(collaborate)
    assert path == f"states.a.collaborate.{where}"
    assert what in reason


def test_lint_tells_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "w.yaml"
    file.write_text(
        f"{HEAD}  a: {{collaborate: {{pattern: chian, steps: [{{name: x, task: t}}], timeout: 1h}},"
        " transitions: {to: b}}\n"
    )
    assert run(["workflow", "lint", str(file)]) == 5
    assert "[no-such-plan]" in capsys.readouterr().out
