"""What is decided without looking at anything: how far back to read, what a sighting means."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from higherself.notion.following.brake import Brake
from higherself.notion.following.sightings import Known, judge
from higherself.notion.following.watermarks import (
    AT_ONCE,
    MINUTE,
    OVERLAP,
    Reading,
    closed,
    until_closed,
)

NOON = datetime(2026, 7, 4, 12, 0, tzinfo=UTC)
minutes = st.integers(-30, 30).map(lambda number: NOON + timedelta(minutes=number))


def floored(time: datetime) -> datetime:
    return time.replace(second=0, microsecond=0)


@given(
    edits=st.lists(st.tuples(st.integers(0, 40), st.floats(0, 1200)), max_size=60),
    polls=st.lists(st.floats(0, 1300), min_size=1, max_size=12),
)
def test_every_edit_is_read_in_the_end(edits: list[tuple[int, float]], polls: list[float]) -> None:
    """A model of one data source: pages edited at any second, listings at any second."""
    last: dict[int, float] = {}
    read: dict[int, tuple[datetime, float]] = {}
    watermark, settled = None, True
    happened = sorted(edits, key=lambda each: each[1])
    for poll in [*sorted(polls), 1400.0, 1500.0]:
        now = NOON + timedelta(seconds=poll)
        last = {}
        for page, at in happened:
            if at <= poll:
                last[page] = at
        shown = {p: floored(NOON + timedelta(seconds=at)) for p, at in last.items()}
        reading = Reading(watermark, settled=settled)
        for page, edited in sorted(shown.items(), key=lambda each: each[1], reverse=True):
            if reading.since is not None and edited < reading.since:
                break
            known = read.get(page)
            news = (
                known is None
                or known[0] != edited
                or (not closed(edited, NOON + timedelta(seconds=known[1])) and closed(edited, now))
            )
            if news:
                read[page] = (edited, poll)
            if reading.note(edited, news=news):
                break
        watermark = reading.reached
        settled = watermark is None or closed(watermark, now)
    assert all(read[page][1] >= at for page, at in last.items())


@given(minute=minutes, now=minutes)
def test_waiting_for_a_minute_never_takes_longer_than_it(minute: datetime, now: datetime) -> None:
    wait = until_closed(minute, now)
    assert timedelta() <= wait <= timedelta(seconds=65)
    assert closed(minute, now + wait) or minute > now


@given(watermark=minutes, settled=st.booleans())
def test_a_listing_overlaps_the_one_before(watermark: datetime, settled: bool) -> None:
    reading = Reading(watermark, settled=settled)
    assert reading.since == watermark - OVERLAP
    for _ in range(3 * AT_ONCE):  # what may be new is read to its end, however much it is
        assert not reading.note(watermark + MINUTE, news=False)
    assert reading.note(watermark - 2 * OVERLAP, news=False)


def entry(**changes: object) -> dict[str, object]:
    return {
        "id": "p",
        "last_edited_time": NOON.isoformat(),
        "parent": {"type": "page_id", "page_id": "r"},
        **changes,
    }


def test_what_a_sighting_means() -> None:
    later = NOON + timedelta(minutes=5)
    known = Known("p", NOON, later, "live", None, "r")
    assert judge(None, entry(), later) == "new"
    assert judge(known, entry(), later) == "same"
    assert judge(known, entry(last_edited_time=later.isoformat()), later) == "changed"
    assert judge(known, entry(in_trash=True), later) == "trashed"
    assert judge(known, entry(is_archived=True), later) == "archived"
    assert judge(known, entry(parent={"type": "page_id", "page_id": "x"}), later) == "moved"
    assert judge(Known("p", NOON, later, "gone", None, "r"), entry(), later) == "restored"
    at_once = Known("p", NOON, NOON + timedelta(seconds=20), "live", None, "r")
    assert judge(at_once, entry(), NOON + timedelta(seconds=40)) == "same"
    assert judge(at_once, entry(), later) == "again"


@given(pages=st.integers(0, 10_000), of=st.integers(0, 100_000))
def test_the_brake_never_lets_much_go_without_proof(pages: int, of: int) -> None:
    brake = Brake()
    assert brake.holds(pages, of=of, proven=False) == (pages > 1)
    if pages > brake.most:
        assert brake.holds(pages, of=of, proven=True)
    if pages <= brake.few:
        assert not brake.holds(pages, of=of, proven=True)
