"""How collaborations went, as a picture: how long half and 95 % of the answers of a step took."""

from collections.abc import Iterator, Sequence
from datetime import timedelta

from higherself.agents.coordination.figures import PatternFigures, StepFigures
from higherself.workflow.view.markup import picture, rectangle, text_at
from higherself.workflow.view.theme import width_of
from higherself.workflow.view.words import lasting, percent, shortened

_MARGIN, _ROW, _HEAD, _BAR = 24.0, 22.0, 30.0, 13.0
_NAME_LENGTH = 40


def figures_picture(
    figures: Sequence[PatternFigures], *, width: float = 860, dark: bool | None = None
) -> str:
    """Return ``figures`` as an SVG document: a bar to the 95th percentile, its half filled darker."""
    names = [shortened(step.step, _NAME_LENGTH) for each in figures for step in each.steps]
    left = _MARGIN + 14 + max((width_of(name, 12) for name in names), default=60) + 12
    longest = max(
        (step.p95 for each in figures for step in each.steps if step.p95 is not None), default=0
    )
    scale = (width - left - _MARGIN - 250) / max(longest, 1e-6)
    body = [text_at(_MARGIN, _MARGIN + 16, "How agents collaborated", "hs-heading")]
    top = _MARGIN + 42
    body.append(
        text_at(_MARGIN, top - 6, "Answers: half of them (dark) and 95 % (light)", "hs-soft")
    )
    top += 12
    for each in figures:
        body += _group(each, top, left, scale)
        top += _HEAD + 18 + _ROW * len(each.steps) + 12
    if not figures:
        body.append(text_at(_MARGIN, top + 16, "No collaboration has ended yet.", "hs-soft"))
        top += 30
    return picture(
        body,
        width=width,
        height=top + _MARGIN / 2,
        title="How agents collaborated",
        description=". ".join(_said(each) for each in figures) or "No collaboration has ended yet.",
        dark=dark,
        style=True,
        name="hs-patterns",
    )


def _group(each: PatternFigures, top: float, left: float, scale: float) -> Iterator[str]:
    yield text_at(_MARGIN, top + 14, f"{shortened(each.name, 60)} ({each.pattern})", "hs-name")
    yield text_at(_MARGIN, top + 31, _said(each, named=False), "hs-soft")
    for row, step in enumerate(each.steps):
        yield from _row(step, top + _HEAD + 10 + _ROW * row, left, scale)


def _row(step: StepFigures, top: float, left: float, scale: float) -> Iterator[str]:
    middle = top + _BAR - 2
    yield text_at(_MARGIN + 14, middle, shortened(step.step, _NAME_LENGTH))
    end = left
    if step.p50 is not None and step.p95 is not None:
        end = left + max(2.0, step.p95 * scale)
        yield rectangle(left, top, max(2.0, step.p95 * scale), _BAR, "hs-bar-2", radius=2)
        yield rectangle(left, top, max(1.0, step.p50 * scale), _BAR, "hs-bar", radius=2)
    yield text_at(end + 8, middle, _about(step), "hs-soft" if not step.failures else "hs-wrong")


def _about(step: StepFigures) -> str:
    parts = [f"{step.answered} of {step.asked}"]
    if step.p50 is not None and step.p95 is not None:
        parts.insert(0, f"{_time(step.p50)} / {_time(step.p95)}")
    if step.failures:
        parts.append(f"{step.failures} failed")
    if step.retries:
        parts.append(f"{step.retries} again")
    return ", ".join(parts)


def _said(each: PatternFigures, *, named: bool = True) -> str:
    parts = [f"{each.runs} runs", f"{percent(each.completed / max(1, each.runs))} completed"]
    if each.p50 is not None and each.p95 is not None:
        parts.append(f"{_time(each.p50)} half of them, {_time(each.p95)} 95 %")
    parts.append(f"{each.fan_out:.3g} asked in one")
    if each.retries:
        parts.append(f"{each.retries} asked again")
    if each.cost_usd:
        parts.append(f"${each.cost_usd:.4f}")
    return f"{each.name}: {', '.join(parts)}" if named else ", ".join(parts)


def _time(seconds: float) -> str:
    return lasting(timedelta(seconds=seconds))
