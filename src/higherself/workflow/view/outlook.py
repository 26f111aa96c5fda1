"""What a simulation found, as a picture: durations, ends, and where the time goes. Pure."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta

from higherself.workflow.view.markup import line, picture, rectangle, text_at
from higherself.workflow.view.simulate import Simulation
from higherself.workflow.view.theme import width_of
from higherself.workflow.view.words import lasting, percent, shortened

_MARGIN, _WIDTH, _PLOT, _BAR = 24.0, 860.0, 150.0, 24.0
_BINS, _MOST_STATES = 32, 14


def outlook(
    simulation: Simulation,
    *,
    dark: bool | None = None,
    style: bool = True,
    name: str = "hs-outlook",
) -> str:
    """Return ``simulation`` as an SVG document."""
    time = sorted(simulation.time.items(), key=lambda each: -each[1])[:_MOST_STATES]
    ends = sorted(simulation.ends.items(), key=lambda each: -each[1])
    body = [text_at(_MARGIN, _MARGIN + 16, simulation.workflow, "hs-heading")]
    body.append(text_at(_MARGIN, _MARGIN + 36, _summary(simulation), "hs-soft"))
    top = _MARGIN + 70
    body.append(text_at(_MARGIN, top, "How long runs take", "hs-title"))
    body += _histogram(simulation, _MARGIN, top + 40, _WIDTH - 2 * _MARGIN)
    top += 40 + _PLOT + 62
    half = (_WIDTH - 3 * _MARGIN) / 2
    body.append(text_at(_MARGIN, top, "Where the time goes", "hs-title"))
    said = [percent(share) for _, share in time]
    body += _bars(
        [state for state, _ in time], [share for _, share in time], said, _MARGIN, top + 14, half
    )
    right = 2 * _MARGIN + half
    body.append(text_at(right, top, "Where runs end", "hs-title"))
    names, shares = [state for state, _ in ends], [share for _, share in ends]
    if simulation.stuck:
        names, shares = [*names, "stuck"], [*shares, simulation.stuck]
    body += _bars(names, shares, [percent(each) for each in shares], right, top + 14, half)
    below = top + 14 + len(names) * _BAR + 18
    for reason, count in list(simulation.reasons.items())[:4]:
        body.append(
            text_at(
                right, below, shortened(f"{count:,} runs: {reason}", 62), "hs-wrong", "hs-small"
            )
        )
        below += 16
    tall = max(top + 14 + len(time) * _BAR, below)
    return picture(
        body, width=_WIDTH, height=tall + _MARGIN, title=f"Simulation of {simulation.workflow}",
        description=_summary(simulation), dark=dark, style=style, name=name,
    )  # fmt: skip


def _summary(simulation: Simulation) -> str:
    said = [f"{simulation.runs:,} simulated runs"]
    if simulation.expected is not None:
        said.append(f"{lasting(simulation.expected)} on average")
    if simulation.bottleneck is not None:
        share = percent(simulation.time[simulation.bottleneck])
        said.append(f"{share} of the time in {simulation.bottleneck}")
    said.append(f"{percent(simulation.stuck)} stuck")
    if simulation.assumed:
        count = len(simulation.assumed)
        said.append(f"durations of {count} state{'s' if count > 1 else ''} assumed")
    return ", ".join(said)


def _histogram(simulation: Simulation, left: float, top: float, width: float) -> Iterator[str]:
    bottom = top + _PLOT
    yield line(left, bottom, left + width, bottom, "hs-axis")
    durations = simulation.durations
    if not durations:
        yield text_at(left, top + _PLOT / 2, "No run ended.", "hs-soft")
        return
    step, first = _step(durations[0], durations[-1])
    counts = [0] * (max(1, math.ceil((durations[-1] - first) / step + 1e-9)))
    for each in durations:
        counts[min(len(counts) - 1, int((each - first) / step))] += 1
    wide, tallest = width / len(counts), max(counts)
    for place, count in enumerate(counts):
        tall = _PLOT * count / tallest
        if count:
            yield rectangle(
                left + place * wide + 1,
                bottom - tall,
                max(wide - 2, 1),
                tall,
                "hs-bar",
                radius=min(2, tall),
            )
    for place in range(0, len(counts) + 1, max(1, math.ceil(len(counts) / 8))):
        x = left + place * wide
        anchor = "start" if place == 0 else "end" if place == len(counts) else "middle"
        said = lasting(timedelta(seconds=first + place * step))
        yield text_at(x, bottom + 17, said, "hs-soft", "hs-small", anchor=anchor)
    scale = width / (len(counts) * step)
    yield from _marks(simulation, left, top, bottom, first, scale)


def _marks(
    simulation: Simulation, left: float, top: float, bottom: float, first: float, scale: float
) -> Iterator[str]:
    """Draw the quantiles, their names beside one another where they are close."""
    free = left
    for share, named in ((0.5, "half"), (0.9, "90%"), (0.95, "95%")):
        value = simulation.quantile(share)
        assert value is not None  # noqa: S101  there are durations
        x = left + (value.total_seconds() - first) * scale
        said = f"{named}: {lasting(value)}"
        wide = width_of(said, 12, bold=True)
        at = min(max(free, x - wide / 2), left + _WIDTH - 2 * _MARGIN - wide)
        yield line(x, top - 12, x, bottom, "hs-mark")
        yield text_at(at, top - 17, said, "hs-mark-text")
        free = at + wide + 12


def _step(least: float, most: float) -> tuple[float, float]:
    """Return how wide a bin is, in round numbers, and where the first begins."""
    span = max(most - least, most * 1e-3, 1e-3)
    units = (604_800.0, 86_400.0, 3_600.0, 60.0, 1.0, 1e-3)
    unit = next((each for each in units if span / _BINS >= each / 4), 1e-3)
    rough = span / _BINS / unit
    nice = next(
        (each for each in (0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24, 52) if each >= rough),
        math.ceil(rough),
    )
    step = nice * unit
    first = 0.0 if least < span / 2 else math.floor(least / step) * step
    if first == 0.0 and most / step > 2 * _BINS:
        first = math.floor(least / step) * step
    return step, first


def _bars(
    names: Sequence[str],
    shares: Sequence[float],
    said: Sequence[str],
    left: float,
    top: float,
    width: float,
) -> Iterator[str]:
    named = min(190.0, max((width_of(shortened(each, 26), 12) for each in names), default=0) + 12)
    room = width - named - 48
    most = max(shares, default=0) or 1
    for place, (name, share) in enumerate(zip(names, shares, strict=True)):
        y = top + place * _BAR
        yield text_at(
            left, y + 15, shortened(name, 26), "hs-wrong" if name == "stuck" else "hs-plain"
        )
        kind = "hs-bad" if name == "stuck" else "hs-bar"
        yield rectangle(left + named, y + 5, max(room * share / most, 1.5), 13, kind, radius=3)
        yield text_at(left + named + room * share / most + 7, y + 15, said[place], "hs-soft")
