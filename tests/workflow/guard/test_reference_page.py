"""The page about the language is whole. Its examples are doctests."""

from pathlib import Path

import pytest

from higherself.workflow.guard.functions import FUNCTIONS, Function
from higherself.workflow.guard.syntax import LONGEST, MOST_NODES
from higherself.workflow.guard.template import LONGEST_RESULT
from higherself.workflow.guard.tokens import DEEPEST, UNITS
from higherself.workflow.guard.values import STEPS

PAGE = (Path(__file__).parents[3] / "docs" / "reference" / "guards.md").read_text("utf-8")


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_every_function_is_described(function: Function) -> None:
    assert f"| `{function.signature}` | {function.meaning} |" in PAGE


def test_every_limit_is_named() -> None:
    limits = PAGE.partition("\n## Limits\n")[2].partition("\n## ")[0]
    for limit in (LONGEST, MOST_NODES, DEEPEST, STEPS, LONGEST_RESULT):
        assert f"| {limit:,} |" in limits


def test_every_unit_is_named() -> None:
    for unit in UNITS:
        assert f"{unit}`" in PAGE
