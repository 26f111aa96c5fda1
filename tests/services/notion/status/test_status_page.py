from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.services.notion.status.pages import FOLDER, asked, page_of, pages, report_of
from tests.workflow.machine.definitions import definitions
from tests.workflow.view.conftest import real_mermaid as real_mermaid
from tests.workflow.view.real_mermaid import RealMermaid
from tests.workflow.view.samples import NAMES, business, failed_booking, half_done_lead, odd_texts
from tests.workflow.world import World, machine

from higherself.notion.content import parse, render
from higherself.notion.content.tree import Callout, Code, Table, walk
from higherself.services.notion.status_kept import kept_words, says_the_same
from higherself.services.notion.status_page import Related, status_page, title_of
from higherself.workflow.definition import WorkflowDefinition
from higherself.workflow.view.page import LAST_STEPS, LONGEST_PATH


def is_storable(text: str) -> bool:
    """Return whether a context can have it at all."""
    return "\0" not in text and text.encode(errors="replace").decode() == text


def test_the_pages_are_as_they_were() -> None:
    for name, text in pages().items():
        written = (FOLDER / f"{name}.md").read_text()
        assert written == text + "\n", (
            f"{name} has changed: python -m tests.services.notion.status.pages"
        )


@pytest.mark.parametrize("name", NAMES)
def test_the_real_mermaid_understands_every_diagram(name: str, real_mermaid: RealMermaid) -> None:
    world = World(replace(business(name), schema=None)).start()  # whatever it has to be told
    (code,) = [
        each for _, each in walk(parse(page_of(world).body).blocks) if isinstance(each, Code)
    ]
    assert code.language == "mermaid"
    parsed = real_mermaid.parse(code.code)
    assert len(parsed["vertices"]) > len(world.definition.states)


@settings(max_examples=25)
@given(definitions())
def test_every_page_is_read_as_it_was_meant(definition: WorkflowDefinition) -> None:
    world = World(definition).start()
    body = page_of(world).body
    content = parse(body)
    assert render(content) == body
    assert [type(each) for each in content.blocks].count(Callout) == 1
    assert [type(each) for each in content.blocks].count(Table) == 1


@settings(max_examples=40)
@given(odd_texts.filter(is_storable), odd_texts.filter(is_storable))
def test_what_a_context_says_is_text(title: str, name: str) -> None:
    world = World(business("gallery_exhibit")).start(title=title, client={"name": name})
    plain = World(business("gallery_exhibit")).start(title="x", client={"name": "y"})
    shapes = [
        [(depth, type(block)) for depth, block in walk(parse(page_of(each).body).blocks)]
        for each in (world, plain)
    ]
    assert shapes[0] == shapes[1]


def test_it_says_who_is_to_act_and_how() -> None:
    report = report_of(asked())
    assert (report.headline, report.kind, report.acts) == (
        "Waiting for a decision",
        "Person",
        "curator or owner",
    )
    assert report.question.startswith("Shall we show Blue")
    assert report.actions == ("Approve", "Reject", "Pause", "Cancel")
    assert report_of(failed_booking()).actions == ("Retry", "Cancel")
    assert report_of(half_done_lead()).acts == "workflow booking"


def test_the_properties_are_those_of_the_database() -> None:
    page = page_of(asked())
    assert (
        page.properties["Instance Name"] == "Gallery exhibit · Ada [Lovelace](http://evil.example)"
    )
    assert page.properties["Status"] == "Active"
    assert page.properties["Waits For"] == "Person"
    assert page.properties["Priority"] == "Urgent"
    assert page.properties["Client Email"] == "ada@example.org"
    assert page.properties["Start Date"] == "2026-03-02T12:00Z"
    failed = page_of(failed_booking()).properties
    assert (failed["Status"], failed["Error"]) == ("Error", "the bank does not answer")
    assert len(str(failed["Step History"]).splitlines()) == 8


def test_it_is_the_same_until_something_happens() -> None:
    world = half_done_lead()
    before = page_of(world)
    world.now += timedelta(days=3)
    assert page_of(world) == before


def test_a_long_history_makes_no_long_page() -> None:
    world = World(
        machine("  first: {on: {again: {to: second}}}\n  second: {on: {again: {to: first}}}")
    ).start()
    for _ in range(300):
        world.receive("again")
    report = report_of(world)
    assert len(report.lines) == LAST_STEPS
    assert len(report.path) == LONGEST_PATH
    assert report.path[1] is None
    body = status_page(report, world.snapshot, related=Related()).body
    assert "The last 20 of 301 steps" in body
    assert len(body) < 20_000


def test_nobody_is_named_by_an_identifier() -> None:
    world = asked()
    world.decide("approved", "Ada Lovelace (Notion 1f3c1f3c-1f3c-4f3c-8f3c-1f3c1f3c1f3c)", "owner")
    page = page_of(world)
    assert "<td>Ada Lovelace</td>" in page.body
    assert "(Ada Lovelace)" in str(page.properties["Step History"])


def test_a_title_says_what_it_is_about() -> None:
    assert (
        title_of("lead_nurturing", half_done_lead().snapshot, None)
        == "Lead nurturing · INST-00000007"
    )


# --- What people write inside.


def test_words_of_people_are_kept_and_ours_are_not() -> None:
    ours = page_of(asked()).body
    assert says_the_same(ours, [ours])
    assert kept_words(ours, [ours]) == ""
    theirs = ours.replace("### Where it is", "### Where it is\nI have *rung* her").replace(
        "in concept", "in concept, I think"
    )
    assert not says_the_same(theirs, [ours])
    kept = kept_words(theirs, [ours])
    assert "I have rung her" in kept
    assert "in concept, I think" in kept
    assert "Where it is" not in kept


@given(st.lists(st.text(alphabet="abc *_<>&|`#-", min_size=1, max_size=12), max_size=4))
def test_every_line_of_theirs_is_kept(lines: list[str]) -> None:
    ours = "one\ntwo"
    theirs = "one\n" + "\n".join(f"mine {number} x" for number, _ in enumerate(lines)) + "\ntwo"
    kept = kept_words(theirs, [ours])
    assert all(f"mine {number} x" in kept for number, _ in enumerate(lines))
