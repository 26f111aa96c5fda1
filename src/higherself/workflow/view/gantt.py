"""One run over time: its states, and every attempt of their activities. SVG and Mermaid. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from higherself.workflow.view.escape import opening
from higherself.workflow.view.markup import line, picture, rectangle, text_at, words
from higherself.workflow.view.run import Run
from higherself.workflow.view.theme import width_of
from higherself.workflow.view.words import lasting, shortened

_ROW, _THIN, _MARGIN, _AXIS = 26.0, 18.0, 24.0, 34.0
_BLANK = "#32;"
_STEPS = (
    *(timedelta(milliseconds=each) for each in (1, 2, 5, 10, 20, 50, 100, 200, 500)),
    *(timedelta(seconds=each) for each in (1, 2, 5, 10, 15, 30)),
    *(timedelta(minutes=each) for each in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=each) for each in (1, 2, 3, 6, 12)),
    *(timedelta(days=each) for each in (1, 2, 7, 14, 28, 91, 182, 364, 1820, 3640)),
)


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: a stay in a state, or below it an attempt of an activity (``depth`` 1).

    ``lasts`` says that it has not ended, ``timed`` that it is known when it began.
    """

    text: str
    began_at: datetime
    ended_at: datetime
    depth: int = 0
    error: str = ""
    lasts: bool = False
    timed: bool = True

    @property
    def took(self) -> str:
        """How long it took, if that is known."""
        return lasting(self.ended_at - self.began_at) if self.timed else ""


def bars_of(run: Run, *, now: datetime | None = None) -> list[Bar]:
    """Return the rows of the chart, in the order of beginning; what still lasts goes to ``now``."""
    until = max(filter(None, (run.until, now)), default=None)
    rows: list[Bar] = []
    left = list(run.attempts)
    for visit in run.visits:
        end = visit.left_at or until or visit.entered_at
        lasts = visit.left_at is None
        failed = run.reason if run.failed == visit.state and lasts else ""
        rows.append(Bar(visit.state, visit.entered_at, end, 0, failed, lasts and not failed))
        within = [
            each for each in left
            if each.state == visit.state and visit.entered_at <= each.ended_at <= end
        ]  # fmt: skip
        left = [each for each in left if each not in within]
        for each in within:
            again = f", attempt {each.number}" if each.number > 1 else ""
            began = max(visit.entered_at, each.began_at or each.ended_at)
            known = each.began_at is not None
            rows.append(
                Bar(f"{each.skill}{again}", began, each.ended_at, 1, each.error, timed=known)
            )
    return rows


def gantt(
    run: Run,
    *,
    title: str = "",
    now: datetime | None = None,
    width: float = 860,
    dark: bool | None = None,
    style: bool = True,
    name: str = "hs-gantt",
) -> str:
    """Return ``run`` over time as an SVG document."""
    rows = bars_of(run, now=now)
    wide = max(
        (width_of(shortened(row.text, 44), 12, bold=True) + 12 * row.depth for row in rows),
        default=0,
    )
    left = _MARGIN + wide + 16
    start = min((row.began_at for row in rows), default=None)
    end = max((row.ended_at for row in rows), default=None)
    span = (end - start) if start and end else timedelta(0)
    scale = (width - left - _MARGIN - 64) / max(span.total_seconds(), 1e-3)
    top = _MARGIN + (26 if title else 0)
    height = top + sum(_ROW if row.depth == 0 else _THIN for row in rows) + _AXIS + _MARGIN
    body = [text_at(_MARGIN, _MARGIN + 12, title, "hs-title")] if title else []
    body += _ticks(span, left, top, height - _MARGIN - _AXIS + 8, scale)
    y = top
    for row in rows:
        offset = (row.began_at - start).total_seconds() if start else 0.0
        body += _row(row, left, left + offset * scale, y, scale)
        y += _ROW if row.depth == 0 else _THIN
    return picture(
        body, width=width, height=height, title=title or "A run over time",
        description=_description(rows, span), dark=dark, style=style, name=name,
    )  # fmt: skip


def _row(row: Bar, left: float, x: float, y: float, scale: float) -> Iterator[str]:
    took = row.ended_at - row.began_at
    length = max(took.total_seconds() * scale, 3)
    tall, inset = (14.0, 5.0) if row.depth == 0 else (8.0, 4.0)
    name = "hs-bad" if row.error else "hs-bar" if row.depth == 0 else "hs-bar-2"
    kind = "hs-now" if row.lasts else "hs-past"
    said = ", ".join(each for each in (row.text, row.took, row.error) if each)
    yield f'<g class="{kind}"><title>{words(said)}</title>'
    named = ("hs-number",) if row.depth == 0 else ("hs-soft", "hs-small")
    text = shortened(row.text, 44)
    yield text_at(left - 16, y + inset + tall - 2.5, text, *named, anchor="end")
    yield rectangle(x, y + inset, length, tall, name, radius=3)
    after = (
        f"{row.took} so far" if row.lasts else row.error if row.depth and row.error else row.took
    )
    after = shortened(after, 40)
    yield text_at(x + length + 6, y + inset + tall - 2.5, after, "hs-soft", "hs-small")
    yield "</g>"


def _ticks(span: timedelta, left: float, top: float, bottom: float, scale: float) -> Iterator[str]:
    step = next((each for each in _STEPS if span / each <= 7), _STEPS[-1])
    for count in range(int(span / step) + 1 if span else 1):
        x = left + count * step.total_seconds() * scale
        yield line(x, top, x, bottom, "hs-axis")
        said = lasting(count * step) if count else "start"
        yield text_at(x, bottom + 15, said, "hs-soft", "hs-small", anchor="middle")


def _description(rows: list[Bar], span: timedelta) -> str:
    stays = [row for row in rows if row.depth == 0]
    said = "; ".join(f"{row.text} {lasting(row.ended_at - row.began_at)}" for row in stays[:40])
    return f"{len(stays)} stays in {lasting(span)}: {said}."


def gantt_mermaid(run: Run, *, title: str = "", now: datetime | None = None) -> str:
    """Return ``run`` over time as a Mermaid gantt chart. Times are in UTC."""
    rows = bars_of(run, now=now)
    lines = ["gantt"]
    if said := opening(title):
        lines.append(f"  title {said}")
    lines += ["  dateFormat x", f"  axisFormat {_axis_format(rows)}"]
    section = ""
    for place, row in enumerate(rows):
        start, end = _milliseconds(row.began_at), _milliseconds(row.ended_at)
        if row.depth == 0 and row.text != section:
            section = row.text
            lines.append(f"  section {opening(section) or _BLANK}")
        tag = (
            "crit, "
            if row.error
            else "active, "
            if row.lasts
            else "done, "
            if not row.depth
            else ""
        )
        said = opening(f"{row.text} {row.took}" if row.depth else f"stay {row.took}")
        lines.append(f"  {said or _BLANK} :{tag}t{place}, {start}, {max(end, start + 1)}")
    return "\n".join(lines) + "\n"


def _axis_format(rows: list[Bar]) -> str:
    if not rows:
        return "%H:%M"
    span = max(row.ended_at for row in rows) - min(row.began_at for row in rows)
    if span > timedelta(days=2):
        return "%d %b"
    return "%H:%M" if span > timedelta(minutes=10) else "%H:%M:%S"


def _milliseconds(instant: datetime) -> int:
    return round(instant.timestamp() * 1000)
