"""How flows went, as a page and for test servers; and how earlier runs went."""

from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from higherself.flows.catalogue import FLOWS, chosen
from higherself.flows.model import Arrow, FlowResult, FlowUnknown, Past, Run, StepResult
from higherself.flows.pictures import MOST_ARROWS, bars, sequence, strip
from higherself.flows.report import junit_of, page_of
from higherself.flows.running import KEPT, remember, remembered

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
STEPS = (
    StepResult("It is asked <kindly>", True, 0.0, 0.25),
    StepResult("It answers", False, 0.25, 0.5, "expected 'yes' & found \x00 'no'"),
)
ARROWS = (Arrow(0.0, "nyra", "solari", "booking"), Arrow(0.1, "solari", "solari", "→ done"))
RUN = Run(
    AT,
    (FlowResult("asking", "Somebody asks", STEPS, 0.75, ARROWS), FlowResult("rest", "Rest", (), 0.1)),
    1.5,
    (("database", "PostgreSQL 18, embedded"),),
    (Past(AT, {"asking": True}),),
)  # fmt: skip


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.loads += [
            str(value) for name in ("src", "href") if (value := said.get(name)) and value[0] != "#"
        ]
        assert tag != "script"


def test_the_page_needs_nothing_else_and_shows_what_failed() -> None:
    page = page_of(RUN)
    tags = Tags()
    tags.feed(page)
    assert tags.loads == []
    assert "It is asked &lt;kindly&gt;" in page
    assert "expected &#39;yes&#39; &amp; found" in page
    assert "1 of 2" in page
    assert page.count("<rect") >= 4


def test_test_servers_read_a_suite_for_each_flow_and_a_case_for_each_step() -> None:
    root = fromstring(junit_of(RUN))
    assert (root.tag, root.get("tests"), root.get("failures")) == ("testsuites", "2", "1")
    asking, rest = root
    assert (asking.get("name"), asking.get("failures"), rest.get("tests")) == ("asking", "1", "0")
    failed = [case for case in asking if case.find("failure") is not None]
    assert [case.get("name") for case in failed] == ["It answers"]


@given(st.lists(st.builds(Arrow, st.floats(0, 9), st.text(), st.text(), st.text()), max_size=90))
def test_whatever_was_sent_can_be_drawn(arrows: list[Arrow]) -> None:
    drawn = sequence(arrows)
    assert bool(drawn) == bool(arrows)
    assert drawn.count('class="arrow"') + drawn.count('class="dot"') == min(
        len(arrows), MOST_ARROWS
    )


def test_bars_and_strips() -> None:
    assert bars(RUN.results[0]).count('class="bad"') == 1
    assert strip(RUN.history, "asking").count('class="good"') == 1
    assert 'class="good"' not in strip(RUN.history, "rest")


def test_earlier_runs_are_known_and_the_oldest_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "flows" / "history.jsonl"
    assert remembered(path) == []
    for _ in range(KEPT + 5):
        run = Run(AT, RUN.results, 1.0, (), tuple(remembered(path)))
        remember(path, run)
    found = remembered(path)
    assert len(found) == KEPT
    assert found[-1] == Past(AT, {"asking": False, "rest": True})
    path.write_text(path.read_text() + "no JSON\n")
    assert len(remembered(path)) == KEPT - 1


def test_flows_are_chosen_by_name() -> None:
    assert [each.name for each in chosen(())] == list(FLOWS)
    assert [each.name for each in chosen(("support", "events"))] == ["support", "events"]
    with pytest.raises(FlowUnknown, match="there is no flow 'suport'; there are knowledge, "):
        chosen(("suport",))
