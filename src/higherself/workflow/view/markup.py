"""SVG as text: numbers, escaped words, small shapes, and the frame of a picture. Pure."""

import unicodedata
from collections.abc import Iterable
from xml.sax.saxutils import escape, quoteattr

from higherself.workflow.view.theme import stylesheet


def number(value: float) -> str:
    """Return a length with as few digits as a picture needs.

    >>> number(12.0), number(3.14159), number(-0.01)
    ('12', '3.1', '0')
    """
    said = f"{value:.1f}".removesuffix(".0")
    return "0" if said == "-0" else said


def words(text: str) -> str:
    """Return ``text`` as XML takes it between tags; what XML has no place for becomes a space."""
    return escape("".join(map(_fit, text)))


def attribute(text: str) -> str:
    """Return ``text`` as the value of an attribute, in quotes."""
    return quoteattr("".join(map(_fit, text)))


def _fit(each: str) -> str:
    if each == "\n":
        return each
    odd = unicodedata.category(each) in ("Cc", "Cs") or each in "\ufffe\uffff"
    return " " if odd else each


def text_at(x: float, y: float, text: str, *classes: str, anchor: str = "start") -> str:
    """Return a line of text."""
    named = f' class="{" ".join(classes)}"' if classes else ""
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{number(x)}" y="{number(y)}"{named}{placed}>{words(text)}</text>'


def rectangle(
    x: float, y: float, width: float, height: float, name: str, *, radius: float = 0
) -> str:
    """Return a rectangle of the class ``name``."""
    round_ = f' rx="{number(radius)}"' if radius else ""
    return (
        f'<rect class="{name}" x="{number(x)}" y="{number(y)}" width="{number(width)}" '
        f'height="{number(height)}"{round_}/>'
    )


def line(x1: float, y1: float, x2: float, y2: float, name: str) -> str:
    """Return a straight line of the class ``name``."""
    return (
        f'<line class="{name}" x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" '
        f'y2="{number(y2)}"/>'
    )


ICONS = {
    "activity": '<path class="hs-full" d="M9 1.5 3.2 9H7l-.8 5.5L12.8 7H8.6z"/>',
    "collaboration": '<circle cx="5.5" cy="5.5" r="2.5"/><circle cx="11.3" cy="6.6" r="1.9"/>'
    '<path d="M1 13.5c0-2.8 2-4.3 4.5-4.3s4.5 1.5 4.5 4.3M11.6 10.200c2 .1 3.4 1.3 3.4 3.3"/>',
    "child": '<rect x="1.5" y="1.5" width="9" height="9" rx="2"/>'
    '<path d="M13 5.500a2 2 0 0 1 1.5 1.900v5.100a2 2 0 0 1-2 2H7.400A2 2 0 0 1 5.5 13"/>',
    "approval": '<circle cx="6.5" cy="5" r="2.9"/><path d="M1.2 14c0-3.3 2.3-5 5.3-5 1 0 1.9.2 2.7.6"/>'
    '<path d="m9.8 12.3 1.7 1.7 3.3-3.7"/>',
    "timer": '<circle cx="8" cy="8" r="6.3"/><path d="M8 4.300V8l2.5 1.7"/>',
    "parallel": '<path d="M3 2.500v11M8 2.500v11M13 2.500v11"/>',
    "choice": '<path d="M8 1.8 14.2 8 8 14.2 1.8 8z"/>',
    "event": '<path d="M2.5 4h11a1 1 0 0 1 1 1v6.500a1 1 0 0 1-1 1h-11a1 1 0 0 1-1-1V5a1 1 0 0 1 1-1z"/>'
    '<path d="m2 4.8 6 4.4 6-4.4"/>',
    "final": '<circle cx="8" cy="8" r="6"/><circle class="hs-full" cx="8" cy="8" r="2.6"/>',
}
"""What a state is, in sixteen by sixteen."""
ICONS["deadline"] = ICONS["timer"]


def icon(name: str, x: float, y: float, *, scale: float = 1) -> str:
    """Return the icon of that name with its upper left corner there."""
    scaled = f" scale({scale:g})" if scale != 1 else ""
    return f'<g class="hs-icon" transform="translate({number(x)} {number(y)}){scaled}">{ICONS[name]}</g>'


def picture(
    body: Iterable[str],
    *,
    width: float,
    height: float,
    title: str,
    description: str,
    dark: bool | None,
    style: bool,
    name: str,
) -> str:
    """Return a whole SVG around ``body``. ``name`` begins the ids in it."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="hs-view" role="img" '
        f'aria-labelledby="{name}-title {name}-desc" width="{number(width)}" '
        f'height="{number(height)}" viewBox="0 0 {number(width)} {number(height)}">'
    )
    lines = [
        head,
        f'<title id="{name}-title">{words(title)}</title>',
        f'<desc id="{name}-desc">{words(description)}</desc>',
    ]
    if style:
        lines.append(f"<style>\n{stylesheet(dark=dark)}</style>")
    lines.append('<rect class="hs-paper" width="100%" height="100%"/>')
    return "\n".join([*lines, *body, "</svg>"]) + "\n"
