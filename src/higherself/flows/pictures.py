"""Pictures of how flows went: bars, a sequence of messages, a strip of the past. SVG, pure."""

from collections.abc import Sequence
from html import escape

from higherself.flows.model import Arrow, FlowResult, Past

MOST_ARROWS = 60
_LANE, _ROW, _TOP = 168, 26, 64


def bars(result: FlowResult, *, width: int = 720) -> str:
    """Return the steps of a flow over time, as bars under each other."""
    whole = max(result.seconds, 1e-9)
    label, right = 330, width - 66
    rows = []
    for number, step in enumerate(result.steps):
        top = 6 + number * _ROW
        left = label + (right - label) * min(step.at / whole, 1)
        wide = max((right - label) * min(step.seconds / whole, 1), 3)
        kind = "good" if step.passed else "bad"
        rows.append(
            f'<text class="step" x="{label - 12}" y="{top + 15}" text-anchor="end">'
            f"{escape(_cut(step.name, 44))}</text>"
            f'<rect class="track" x="{label}" y="{top + 4}" width="{right - label}" height="14" rx="3"/>'
            f'<rect class="{kind}" x="{left:.1f}" y="{top + 4}" width="{wide:.1f}" height="14" rx="3">'
            f"<title>{escape(step.name)}: {step.seconds:.3f} s</title></rect>"
            f'<text class="number" x="{width}" y="{top + 15}" text-anchor="end">'
            f"{_seconds(step.seconds)}</text>"
        )
    height = 12 + len(result.steps) * _ROW
    return _svg(width, height, "".join(rows), f"The steps of {result.title} over time")


def sequence(arrows: Sequence[Arrow]) -> str:
    """Return who sent what to whom, from the top down; empty if nobody did."""
    shown = arrows[:MOST_ARROWS]
    lanes = list(dict.fromkeys(name for each in shown for name in (each.source, each.target)))
    if not lanes:
        return ""
    x = {name: 110 + place * _LANE for place, name in enumerate(lanes)}
    width = 110 + (len(lanes) - 1) * _LANE + 150
    height = _TOP + 20 + len(shown) * _ROW + 14
    parts = [_lane(name, x[name], height) for name in lanes]
    parts += [
        _arrow(each, x[each.source], x[each.target], _TOP + 18 + number * _ROW)
        for number, each in enumerate(shown)
    ]
    more = len(arrows) - len(shown)
    if more:
        parts.append(f'<text class="soft" x="8" y="{height - 4}">and {more} more</text>')
    return _svg(width, height, "".join(parts), "Who sent what to whom")


def strip(history: Sequence[Past], name: str) -> str:
    """Return how a flow went in earlier runs, the latest on the right."""
    seen = [each for each in history if name in each.passed][-30:]
    parts = [
        f'<rect class="{"good" if each.passed[name] else "bad"}" x="{place * 12}" y="2" width="9" '
        f'height="16" rx="2"><title>{each.at:%Y-%m-%d %H:%M} UTC: '
        f"{'passed' if each.passed[name] else 'failed'}</title></rect>"
        for place, each in enumerate(seen)
    ]
    return _svg(max(len(seen) * 12, 1), 20, "".join(parts), f"Earlier runs of {name}")


def _lane(name: str, x: int, height: int) -> str:
    return (
        f'<line class="life" x1="{x}" y1="44" x2="{x}" y2="{height - 8}"/>'
        f'<rect class="head" x="{x - 74}" y="12" width="148" height="32" rx="8"/>'
        f'<text class="who" x="{x}" y="33" text-anchor="middle">{escape(_cut(name, 21))}'
        f"<title>{escape(name)}</title></text>"
    )


def _arrow(arrow: Arrow, begin: int, end: int, y: int) -> str:
    label = escape(_cut(arrow.label, 58))
    title = f"<title>{arrow.at * 1000:.0f} ms: {escape(arrow.label)}</title>"
    time = f'<text class="soft" x="4" y="{y + 4}">{_seconds(arrow.at)}</text>'
    if begin == end:
        return (
            f'{time}<circle class="dot" cx="{begin}" cy="{y}" r="4"/>'
            f'<text class="said" x="{begin + 10}" y="{y + 4}">{label}{title}</text>'
        )
    way = 1 if end > begin else -1
    middle = (begin + end) / 2
    return (
        f'{time}<line class="arrow" x1="{begin}" y1="{y}" x2="{end - way * 8}" y2="{y}"/>'
        f'<path class="tip" d="M {end - way} {y} l {-8 * way} -4.5 v 9 z"/>'
        f'<text class="said" x="{middle}" y="{y - 5}" text-anchor="middle">{label}{title}</text>'
    )


def _svg(width: int, height: int, inner: str, said: str) -> str:
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(said)}">{inner}</svg>'
    )


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"
