"""Colours and letters of the pictures: the dashboard's, as a style sheet. Pure.

Classes and custom properties begin with ``hs-``, so that a picture can be part of a page.
"""

import unicodedata
from collections.abc import Mapping

FONTS = (
    '"Source Sans 3", "Source Sans Pro", "Segoe UI", "Helvetica Neue", Arial, "Liberation Sans", '
    'Roboto, "Noto Sans", system-ui, sans-serif'
)
"""Fonts of about the same width first: places are reckoned before anybody knows which is used."""

LIGHT: Mapping[str, str] = {
    "paper": "#faf8f4", "card": "#ffffff", "ink": "#26231e", "soft": "#6a645a", "line": "#cfc8ba",
    "edge": "#8f887b", "accent": "#2a6350", "tint": "#e3efe9", "on-accent": "#ffffff",
    "bad": "#b23a2a", "bad-tint": "#fbe9e5", "wait": "#a06a12", "box": "#f4f0e8",
    "heat-1": "#fbf3dc", "heat-2": "#fae3a4", "heat-3": "#f5c66c", "heat-4": "#ec9c52",
    "heat-5": "#d96b40", "bar": "#5d9d86", "bar-2": "#c9c2b4",
}  # fmt: skip
DARK: Mapping[str, str] = {
    "paper": "#141618", "card": "#1f2327", "ink": "#ebe7df", "soft": "#a59f94", "line": "#41474d",
    "edge": "#7d848a", "accent": "#86c7ae", "tint": "#1f3a31", "on-accent": "#10221c",
    "bad": "#f0907f", "bad-tint": "#45231d", "wait": "#e0b056", "box": "#191c1f",
    "heat-1": "#2b2a20", "heat-2": "#4a401a", "heat-3": "#6b4d14", "heat-4": "#8a4a17",
    "heat-5": "#a8401f", "bar": "#5ba88d", "bar-2": "#4c5359",
}  # fmt: skip

_RULES = """
.hs-view text { font-family: FONTS; font-size: 12px; fill: var(--hs-ink); }
.hs-view .hs-paper { fill: var(--hs-paper); }
.hs-view .hs-heading { font-size: 20px; font-weight: 600; }
.hs-view .hs-title { font-size: 15px; font-weight: 600; }
.hs-view .hs-soft { fill: var(--hs-soft); }
.hs-view .hs-small { font-size: 11px; }
.hs-view .hs-name { font-size: 14px; font-weight: 600; }
.hs-view .hs-number { font-weight: 600; }
.hs-view .hs-card { fill: var(--hs-card); stroke: var(--hs-line); stroke-width: 1.25; }
.hs-view .hs-rim { fill: none; stroke: var(--hs-line); stroke-width: 1.25; }
.hs-view .hs-icon { fill: none; stroke: var(--hs-soft); stroke-width: 1.4; stroke-linecap: round; stroke-linejoin: round; }
.hs-view .hs-icon .hs-full { fill: var(--hs-soft); }
.hs-view .hs-dot { fill: var(--hs-ink); }
.hs-view .hs-final > .hs-card, .hs-view .hs-final > .hs-rim { stroke: var(--hs-soft); }
.hs-view .hs-deadline > .hs-card { stroke-dasharray: 4 3; fill: var(--hs-paper); }
.hs-view .hs-parallel > .hs-card { fill: var(--hs-box); }
.hs-view .hs-divider { stroke: var(--hs-line); stroke-dasharray: 4 4; }
.hs-view .hs-path { fill: none; stroke: var(--hs-edge); stroke-width: 1.4; }
.hs-view .hs-head { fill: var(--hs-edge); }
.hs-view .hs-chip { fill: var(--hs-paper); }
.hs-view .hs-inside .hs-chip { fill: var(--hs-box); }
.hs-view .hs-error .hs-path { stroke: var(--hs-bad); stroke-dasharray: 5 4; }
.hs-view .hs-error .hs-head { fill: var(--hs-bad); }
.hs-view .hs-error .hs-cause { fill: var(--hs-bad); }
.hs-view .hs-moved .hs-path { stroke: var(--hs-wait); stroke-dasharray: 2 4; }
.hs-view .hs-moved .hs-head, .hs-view .hs-moved .hs-cause { fill: var(--hs-wait); }
.hs-view .hs-idle .hs-path { stroke-opacity: 0.4; }
.hs-view .hs-idle .hs-head { fill-opacity: 0.4; }
.hs-view .hs-idle text { fill-opacity: 0.62; }
.hs-view .hs-idle .hs-icon { stroke-opacity: 0.5; }
.hs-view .hs-idle > .hs-card, .hs-view .hs-idle > .hs-rim { stroke: var(--hs-line); }
.hs-view .hs-idle .hs-full { fill-opacity: 0.5; }
.hs-view .hs-taken .hs-path { stroke: var(--hs-accent); stroke-width: 3; stroke-opacity: 1; }
.hs-view .hs-taken .hs-head { fill: var(--hs-accent); }
.hs-view .hs-taken .hs-cause { font-weight: 600; }
.hs-view .hs-taken.hs-error .hs-path { stroke: var(--hs-bad); }
.hs-view .hs-taken.hs-error .hs-head { fill: var(--hs-bad); }
.hs-view .hs-visited > .hs-card { fill: var(--hs-tint); stroke: var(--hs-accent); stroke-width: 1.75; }
.hs-view .hs-visited > .hs-rim { stroke: var(--hs-accent); }
.hs-view .hs-visited .hs-dot { fill: var(--hs-accent); }
.hs-view .hs-visited > .hs-icon { stroke: var(--hs-accent); }
.hs-view .hs-visited > .hs-icon .hs-full { fill: var(--hs-accent); }
.hs-view .hs-current > .hs-card { fill: var(--hs-accent); stroke: var(--hs-accent); }
.hs-view .hs-current > .hs-halo { fill: none; stroke: var(--hs-accent); stroke-width: 3; stroke-opacity: 0.3; }
.hs-view .hs-current > .hs-rim { stroke: var(--hs-on-accent); }
.hs-view .hs-current > text { fill: var(--hs-on-accent); }
.hs-view .hs-current > .hs-icon { stroke: var(--hs-on-accent); }
.hs-view .hs-current > .hs-icon .hs-full { fill: var(--hs-on-accent); }
.hs-view .hs-current.hs-parallel > .hs-card { fill: var(--hs-tint); }
.hs-view .hs-current.hs-parallel > .hs-inside .hs-chip, .hs-view .hs-visited.hs-parallel > .hs-inside .hs-chip { fill: var(--hs-tint); }
.hs-view .hs-current.hs-parallel > text { fill: var(--hs-ink); }
.hs-view .hs-current.hs-parallel > .hs-icon { stroke: var(--hs-accent); }
.hs-view .hs-current.hs-parallel > .hs-icon .hs-full { fill: var(--hs-accent); }
.hs-view .hs-failed > .hs-card { fill: var(--hs-bad-tint); stroke: var(--hs-bad); stroke-width: 2.25; }
.hs-view .hs-failed > .hs-halo { fill: none; stroke: var(--hs-bad); stroke-width: 3; stroke-opacity: 0.25; }
.hs-view .hs-failed > .hs-icon { stroke: var(--hs-bad); }
.hs-view .hs-failed > .hs-icon .hs-full { fill: var(--hs-bad); }
.hs-view .hs-wrong { fill: var(--hs-bad); font-weight: 600; }
.hs-view .hs-bad { fill: var(--hs-bad); }
.hs-view .hs-bar { fill: var(--hs-bar); }
.hs-view .hs-bar-2 { fill: var(--hs-bar-2); }
.hs-view .hs-axis { stroke: var(--hs-line); stroke-width: 1; }
.hs-view .hs-mark { stroke: var(--hs-wait); stroke-width: 1.5; stroke-dasharray: 3 3; }
.hs-view .hs-mark-text { fill: var(--hs-wait); font-weight: 600; }
""" + "".join(
    f".hs-view .hs-heat-{level} > .hs-card {{ fill: var(--hs-heat-{level}); stroke: var(--hs-edge); }}\n"
    for level in range(1, 6)
)


def stylesheet(*, dark: bool | None = None) -> str:
    """Return the style sheet of the pictures. With ``dark`` None it is as the reader's machine is.

    It is in every picture; where a page's policy forbids that, leave it out of the picture and
    serve this to the page.
    """
    base = _properties(DARK if dark else LIGHT)
    if dark is None:
        base += f"@media (prefers-color-scheme: dark) {{ {_properties(DARK)}}}\n"
    return base + _RULES.replace("FONTS", FONTS)


def _properties(colours: Mapping[str, str]) -> str:
    said = " ".join(f"--hs-{name}: {value};" for name, value in colours.items())
    return f".hs-view {{ {said} }}\n"


_WIDTHS = [
    200, 289, 425, 497, 497, 824, 609, 249, 303, 303, 418, 497, 249, 311, 249, 350, 497, 497, 497,
    497, 497, 497, 497, 497, 497, 497, 249, 249, 497, 497, 497, 425, 847, 544, 588, 571, 615, 527,
    494, 617, 652, 263, 480, 579, 486, 727, 647, 664, 566, 664, 569, 534, 536, 645, 515, 786, 513,
    476, 539, 303, 350, 303, 497, 500, 542, 504, 553, 456, 555, 496, 292, 504, 544, 246, 247, 495,
    255, 829, 547, 542, 555, 555, 347, 419, 338, 544, 467, 718, 446, 467, 425, 303, 241, 303, 497,
]  # fmt: skip
"""Of the characters from the space on, in thousandths, in Source Sans Pro."""
_ROOM = 1.15  # other fonts are wider


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Return about how wide ``text`` is, rather more than less, in a font of ``size`` pixels."""
    total = 0.0
    for each in text:
        place = ord(each) - 32
        if 0 <= place < len(_WIDTHS):
            total += _WIDTHS[place]
        elif unicodedata.combining(each):
            continue
        else:
            total += 1000 if unicodedata.east_asian_width(each) in "WF" else 620
    return total * size / 1000 * _ROOM * (1.06 if bold else 1)
