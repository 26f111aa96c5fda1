"""The flows themselves, over real parts: the program serving, its database, a mail server."""

import os
from pathlib import Path

import pytest

from higherself.app.settings import load_settings
from higherself.cli.serve import listen, serve_until_stopped
from higherself.flows.catalogue import FLOWS
from higherself.flows.model import Flow, FlowResult, StepFailed
from higherself.flows.running import perform
from higherself.flows.stage import Stage, expect

pytestmark = [pytest.mark.postgres, pytest.mark.anyio]

SLOW = {"webhooks"}
"""What tests of its own show in less time."""


async def broken(stage: Stage) -> None:
    async with stage.step("This is well"):
        expect(1, 1, "one")
    async with stage.step("This is not"):
        expect({"a": 1}, {"a": 2}, "what is there")
    raise AssertionError("nothing comes after a step that failed")


async def test_every_flow_passes_and_one_that_fails_says_why(tmp_path: Path) -> None:
    settings, _ = load_settings({"HIGHERSELF_HOME": str(tmp_path)}, folder=tmp_path)
    wanted = [Flow("broken", "Broken", broken)]
    wanted += [each for name, each in FLOWS.items() if name not in SLOW]
    ended: list[FlowResult] = []
    run = await perform(
        settings, wanted, serve=serve_until_stopped, listen=lambda: listen("127.0.0.1", 0),
        history=tmp_path / "history", told=lambda line: None, ended=ended.append,
    )  # fmt: skip
    first, *others = run.results
    assert [(each.name, each.passed, each.detail) for each in first.steps] == [
        ("This is well", True, ""),
        ("This is not", False, 'what is there: expected {"a": 2}, found {"a": 1}'),
    ]
    failed = {
        each.name: [step for step in each.steps if not step.passed]
        for each in others
        if not each.passed
    }
    assert failed == {}
    assert tuple(ended) == run.results
    (lead,) = (each for each in others if each.name == "lead_nurturing")
    said = {arrow.label for arrow in lead.arrows}
    assert {"webhook_received", "new_lead", "→ won"} <= said
    assert any(label.startswith("email: Welcome") for label in said)
    assert [title for title, _ in lead.pictures if title.startswith("lead nurturing")]
    assert not os.listdir(tmp_path), "nothing is left of the stage"


def test_a_failed_step_is_an_error_of_ours() -> None:
    with pytest.raises(StepFailed, match="words: expected 2, found 3"):
        expect(3, 2, "words")
