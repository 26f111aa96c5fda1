"""Our own pictures: whole, self-contained, readable, the same every time."""

import re
import struct
from typing import Any
from xml.etree import ElementTree

import pytest
import resvg_py
from hypothesis import given, settings
from tests.workflow.view.samples import (
    NAMES,
    business,
    failed_booking,
    half_done_lead,
    lead_nurturing,
    odd_definitions,
    run_in,
)

from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.view.graph import graphs_of
from higherself.workflow.view.heat import statistics_of
from higherself.workflow.view.png import png
from higherself.workflow.view.svg import svg
from higherself.workflow.view.theme import DARK, LIGHT, stylesheet

SVG = "{http://www.w3.org/2000/svg}"


def states_of(text: str) -> dict[str, set[str]]:
    """Return the classes of every state in a picture."""
    groups = ElementTree.fromstring(text).iter(f"{SVG}g")
    return {
        each.attrib["data-state"]: set(each.attrib["class"].split())
        for each in groups
        if "data-state" in each.attrib
    }


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_of_the_business_is_drawn_whole(name: str) -> None:
    text = svg(business(name))
    root = ElementTree.fromstring(text)
    graphs = graphs_of(business(name)).values()
    assert states_of(text).keys() == {node.path for graph in graphs for node in graph.nodes}
    lines = {
        each.attrib["data-edge"] for each in root.iter(f"{SVG}g") if "data-edge" in each.attrib
    }
    assert lines == {f"{e.source} {e.target}" for graph in graphs for e in graph.edges}
    said = "".join(root.itertext())
    assert all(state.name in said for state in business(name).states.values())
    assert svg(business(name)) == text


@given(definition=odd_definitions())
def test_every_name_is_drawn(definition: WorkflowDefinition) -> None:
    text = svg(definition)
    root = ElementTree.fromstring(text)
    assert not list(root.iter(f"{SVG}script"))
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    assert 0 < width < 20_000
    assert 0 < height < 20_000


@settings(max_examples=10)
@given(definition=odd_definitions())
def test_every_name_makes_a_png(definition: WorkflowDefinition) -> None:
    assert png(svg(definition, dark=True), scale=0.5).startswith(b"\x89PNG")


def test_it_refers_to_nothing_outside() -> None:
    text = svg(business("inventory")).replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?:|url\(|@import|href|<script|<image|<foreignObject", text)


def test_it_can_be_read_aloud() -> None:
    root = ElementTree.fromstring(svg(business("inventory"), name="one"))
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-labelledby"] == "one-title one-desc"
    assert root.findtext(f"{SVG}title") == f"Workflow {business('inventory')}"
    assert "It begins in item_registration" in str(root.findtext(f"{SVG}desc"))


def test_a_page_can_bring_the_style() -> None:
    assert "<style>" not in svg(business("inventory"), style=False)
    assert "prefers-color-scheme" in stylesheet()
    assert "prefers-color-scheme" not in stylesheet(dark=False)
    assert LIGHT.keys() - DARK.keys() == {"on-accent"} - DARK.keys()
    used = set(re.findall(r"var\(--hs-([\w-]+)\)", stylesheet()))
    assert used <= LIGHT.keys()


def test_a_run_is_marked() -> None:
    world = half_done_lead()
    states = states_of(svg(world.definition, run=run_in(world)))
    assert "hs-visited" in states["captured"]
    assert "hs-current" in states["qualified"]
    assert "hs-idle" in states["won"]


def test_a_failure_is_marked_and_told() -> None:
    world = failed_booking()
    text = svg(world.definition, run=run_in(world))
    assert "hs-failed" in states_of(text)["payment_confirmed"]
    assert "the bank does not answer" in text


def test_many_runs_are_coloured() -> None:
    run = run_in(half_done_lead())
    text = svg(lead_nurturing(), statistics=statistics_of([run, run]))
    assert "hs-heat-5" in states_of(text)["nurturing"]
    assert "4\N{MULTIPLICATION SIGN}, 2d 3h each" in text


def test_a_png_has_the_size_that_was_asked_for() -> None:
    text = svg(lead_nurturing(), dark=False)
    root = ElementTree.fromstring(text)
    width, height = struct.unpack(">II", png(text, scale=2)[16:24])
    assert abs(width - 2 * float(root.attrib["width"])) <= 2
    assert abs(height - 2 * float(root.attrib["height"])) <= 2


def test_a_png_has_letters_on_a_machine_without_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    draw = resvg_py.svg_to_bytes

    def noted(**options: Any) -> bytes:
        asked.append(options)
        return bytes(draw(**options))

    monkeypatch.setattr(resvg_py, "svg_to_bytes", noted)
    whole = svg(lead_nurturing(), dark=False)
    blank = re.sub(r"<text.*?</text>", "", whole)
    assert len(png(whole)) > 1.3 * len(png(blank))
    assert all(each["skip_system_fonts"] for each in asked)
