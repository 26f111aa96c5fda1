"""Reading the texts of a definition: names, durations, schedules, expressions, templates. Pure."""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TypeVar

from higherself.kernel.jsonvalue import JsonObject
from higherself.workflow.definition.model import Constant
from higherself.workflow.definition.nodes import Entries, Items, Scalar
from higherself.workflow.definition.paths import ContextPath, below, context_path_of
from higherself.workflow.definition.reading import Spot, from_text, text
from higherself.workflow.definition.schedule import Cron, cron_of, duration_of
from higherself.workflow.definition.template import READABLE, Input, Within
from higherself.workflow.errors import Place
from higherself.workflow.guard import (
    Expression,
    ExpressionRejected,
    Guard,
    InvalidExpression,
    compile_guard,
    compile_value,
)

T = TypeVar("T")


def _name(pattern: str, says: str) -> Callable[[str], str]:
    fits = re.compile(pattern)

    def parse(said: str) -> str:
        if not fits.fullmatch(said):
            raise ValueError(f"{said!r} {says}")
        return said

    return parse


name_of = _name(
    r"[A-Za-z_][A-Za-z0-9_-]{0,99}",
    "is no name here: use up to 100 letters, digits, - and _, beginning with a letter",
)
event_of = _name(
    r"[A-Za-z0-9_][A-Za-z0-9_.:/-]{0,199}",
    "is no name of an event: use letters, digits and . _ - : /, for example email.replied",
)
_skill_of = _name(
    r"[A-Za-z_][A-Za-z0-9_.:-]{0,199}(@[0-9][0-9A-Za-z.-]{0,59})?",
    "is no name of a skill: use letters, digits and . _ - :, for example send_email, or "
    "send_email@2 for a version",
)

name: Callable[[Spot], str] = from_text(name_of)
skill: Callable[[Spot], str] = from_text(_skill_of)
context_path: Callable[[Spot], ContextPath] = from_text(context_path_of)
schedule: Callable[[Spot], Cron] = from_text(cron_of)


def duration(spot: Spot) -> timedelta:
    """Return a duration such as ``30s``."""
    if isinstance(spot.scalar, int | float) and not isinstance(spot.scalar, bool):
        raise spot.wrong(f"{spot.scalar} has no unit; for seconds, write {spot.scalar}s")
    return from_text(duration_of)(spot)


def guard(spot: Spot) -> Guard:
    """Return the condition that the text is."""
    return _compiled(spot, lambda said: compile_guard(said, known=READABLE))


def assigned(spot: Spot) -> Expression | Constant:
    """Return what a key of ``set`` holds: an expression if it is a text, else a value."""
    if not spot.is_text:
        return Constant(spot.json())
    return _compiled(spot, lambda said: compile_value(said, known=READABLE))


def _compiled(spot: Spot, compile_text: Callable[[str], T]) -> T:
    said = text(spot)
    try:
        return compile_text(said)
    except InvalidExpression as error:
        raise spot.wrong(_what(error), at=_place(spot, error)) from None


def template(spot: Spot) -> Input:
    """Return a template, which may be any JSON."""
    return _template(spot, secrets_allowed=False)


def template_with_secrets(spot: Spot) -> Input:
    """Return a template in which texts may refer to secrets."""
    return _template(spot, secrets_allowed=True)


def text_template(spot: Spot) -> Input:
    """Return a template that is a text."""
    text(spot)
    return template(spot)


def _template(spot: Spot, *, secrets_allowed: bool) -> Input:
    try:
        return Input.of(spot.json(), secrets_allowed=secrets_allowed)
    except InvalidExpression as error:
        inner = _inside(spot, error.within)
        raise inner.wrong(_what(error), at=_place(inner, error)) from None


def json_object(spot: Spot) -> JsonObject:
    """Return an object, as it is."""
    value = spot.json()
    if not isinstance(value, Mapping):
        raise spot.wrong("this is to be an object")
    return value


def _inside(spot: Spot, within: Within) -> Spot:
    for step in within:
        match spot.node:
            case Items():
                spot = Spot(spot.node.nodes[int(step)], below(spot.path, step), spot.notes)
            case Entries():
                spot = Spot(spot.node.nodes[str(step)], below(spot.path, step), spot.notes)
            case Scalar():
                break
    return spot


def _what(error: ExpressionRejected) -> str:
    return f"{error.problem}\n{error.excerpt}"


def _place(spot: Spot, error: ExpressionRejected) -> Place | None:
    """Return where in the file the problem begins; of a text over several lines, where that does."""
    place, node = spot.node.place, spot.node
    if place is None or not isinstance(node, Scalar) or "\n" in error.text:
        return place
    return Place(place.file, place.line, place.column + node.inset + error.start)
