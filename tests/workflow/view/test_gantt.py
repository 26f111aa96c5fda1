"""One run over time, as SVG and as Mermaid."""

from datetime import datetime, timedelta
from xml.etree import ElementTree

from hypothesis import example, given
from tests.workflow.view.real_mermaid import RealMermaid
from tests.workflow.view.samples import failed_booking, half_done_lead, odd_texts, run_in
from tests.workflow.world import NOON

from higherself.workflow.view.gantt import bars_of, gantt, gantt_mermaid
from higherself.workflow.view.run import Attempt, Run, Visit


def test_stays_and_attempts_are_rows() -> None:
    rows = bars_of(run_in(half_done_lead()))
    assert [row.text for row in rows if row.depth == 0][:2] == ["captured", "nurturing"]
    assert [row.text for row in rows if row.depth == 1] == [
        "enrich_contact", "enrich_contact, attempt 2", "chain",
    ]  # fmt: skip
    assert rows[1].error == "the service is down"
    assert rows[-1].lasts


def test_what_lasts_goes_on_until_now() -> None:
    world = half_done_lead()
    later: datetime = world.now + timedelta(days=1)
    assert bars_of(run_in(world), now=later)[-1].ended_at == later


def test_it_is_drawn_and_parsed(real_mermaid: RealMermaid) -> None:
    for world in (half_done_lead(), failed_booking()):
        run = run_in(world)
        root = ElementTree.fromstring(gantt(run, title="One run"))
        assert root.attrib["role"] == "img"
        parsed = real_mermaid.parse(gantt_mermaid(run, title="One: run; #1"))
        assert parsed["type"] == "gantt"
        assert len(parsed["tasks"]) == len(bars_of(run))


def test_there_may_be_nothing_to_show(real_mermaid: RealMermaid) -> None:
    assert "</svg>" in gantt(Run("waiting"))
    assert real_mermaid.parse(gantt_mermaid(Run("waiting")))["tasks"] == []


@example(state="end", skill="", error="", title="\ud7fc")
@given(state=odd_texts, skill=odd_texts, error=odd_texts, title=odd_texts)
def test_every_name_parses(
    state: str, skill: str, error: str, title: str, real_mermaid: RealMermaid
) -> None:
    later = NOON + timedelta(minutes=5)
    run = Run(
        "running",
        visits=(Visit(state, 1, NOON, later), Visit("next", 2, later)),
        attempts=(Attempt(state, "activity", skill, 2, later, NOON, error),),
        until=later,
    )
    assert len(real_mermaid.parse(gantt_mermaid(run, title=title))["tasks"]) == 3
    ElementTree.fromstring(gantt(run, title=title))
