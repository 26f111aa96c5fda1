"""Mermaid texts, each parsed by the real mermaid."""

import re
import unicodedata

import pytest
from hypothesis import given, settings
from tests.workflow.machine.definitions import definitions
from tests.workflow.view.real_mermaid import RealMermaid
from tests.workflow.view.samples import (
    NAMES,
    business,
    failed_booking,
    half_done_lead,
    lead_nurturing,
    odd_definitions,
    odd_texts,
    run_in,
)
from tests.workflow.world import machine

from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.view.escape import label
from higherself.workflow.view.graph import graphs_of
from higherself.workflow.view.heat import statistics_of
from higherself.workflow.view.mermaid import mermaid


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_of_the_business_parses(name: str, real_mermaid: RealMermaid) -> None:
    for text in (
        mermaid(business(name)),
        mermaid(business(name), direction="LR", guards=False),
    ):
        check_whole(business(name), real_mermaid.parse(text))


@settings(max_examples=200)
@given(definition=odd_definitions())
def test_every_name_parses(definition: WorkflowDefinition, real_mermaid: RealMermaid) -> None:
    check_whole(definition, real_mermaid.parse(mermaid(definition)))


@settings(max_examples=100)
@given(definition=definitions())
def test_every_shape_parses(definition: WorkflowDefinition, real_mermaid: RealMermaid) -> None:
    for text in (mermaid(definition), mermaid(definition, direction="LR")):
        check_whole(definition, real_mermaid.parse(text))


@settings(max_examples=200)
@given(text=odd_texts)
def test_a_label_says_what_it_is_to_say(text: str, real_mermaid: RealMermaid) -> None:
    parsed = real_mermaid.parse(f'flowchart TB\n  a["{label(text)}"] -->|"{label(text)}"| b\n')
    assert dict(parsed["vertices"])["a"].strip() == shown(text)
    assert parsed["edges"][0][2].strip() == shown(text)


def shown(text: str) -> str:
    """Return ``text`` as it is shown: in one line, what has no shape as a space."""
    hidden = ("Cc", "Cs", "Cn", "Co", "Zl", "Zp")
    return " ".join("".join(" " if unicodedata.category(c) in hidden else c for c in text).split())


def check_whole(definition: WorkflowDefinition, parsed: dict[str, object]) -> None:
    """Check that mermaid has understood as many nodes and edges as there are."""
    graphs = graphs_of(definition)
    assert parsed["type"] == "flowchart-v2"
    assert len(parsed["edges"]) == sum(len(graph.edges) for graph in graphs.values())  # type: ignore[arg-type]
    boxes = sum(node.kind == "parallel" for graph in graphs.values() for node in graph.nodes)
    assert len(parsed["boxes"]) == boxes + len(graphs) - 1  # type: ignore[arg-type]


def test_a_run_is_marked(real_mermaid: RealMermaid) -> None:
    world = half_done_lead()
    text = mermaid(world.definition, run=run_in(world))
    real_mermaid.parse(text)
    assert re.search(r"class .*captured.* visited", text)
    assert re.search(r"class qualified current", text)
    assert re.search(r"class captured troubled", text)
    assert "linkStyle" in text


def test_a_failure_is_marked(real_mermaid: RealMermaid) -> None:
    world = failed_booking()
    text = mermaid(world.definition, run=run_in(world))
    real_mermaid.parse(text)
    assert "class payment_confirmed failed" in text
    assert "failed#58; the bank does not answer" in text


def test_numbers_are_told(real_mermaid: RealMermaid) -> None:
    run = run_in(half_done_lead())
    text = mermaid(lead_nurturing(), statistics=statistics_of([run, run]))
    real_mermaid.parse(text)
    assert "4\N{MULTIPLICATION SIGN}, 2d 3h each" in text
    assert "heat5" in text


def test_guards_can_be_left_out() -> None:
    definition = machine(
        """
  a: {transitions: [{to: b, when: context.x > 1}, {to: c}]}
  b: {final: true}
  c: {final: true}
"""
    )
    assert "context.x" in mermaid(definition)
    assert "context.x" not in mermaid(definition, guards=False)
