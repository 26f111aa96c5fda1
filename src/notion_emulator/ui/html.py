"""HTML elements as values: whatever is not markup is escaped."""

from __future__ import annotations

from collections.abc import Iterable

from markupsafe import Markup, escape

Content = str | Markup | None
_VOID = frozenset({"br", "hr", "input", "link", "meta"})


def tag(kind: str, /, *inside: Content, **attributes: str | int | float | bool | None) -> Markup:
    """Return an element. ``class_`` is ``class``, other underscores are dashes.

    An attribute that is None or False is left out, one that is True stands alone.

    >>> str(tag("a", "<b>", href='x"y', class_="c", hidden=True, title=None))
    '<a href="x&#34;y" class="c" hidden>&lt;b&gt;</a>'
    """
    shown = ""
    for key, value in attributes.items():
        known = key.rstrip("_").replace("_", "-")
        if value is True:
            shown += f" {known}"
        elif value is not None and value is not False:
            shown += f' {known}="{escape(str(value))}"'
    if kind in _VOID:
        return Markup(f"<{kind}{shown}>")  # noqa: S704 - the attributes are escaped
    return Markup(f"<{kind}{shown}>{joined(inside)}</{kind}>")  # noqa: S704 - so is the content


def joined(parts: Iterable[Content], between: str = "") -> Markup:
    """Return parts one after the other."""
    return Markup(escape(between)).join(escape(part) for part in parts if part is not None)  # noqa: S704
