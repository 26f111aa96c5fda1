"""HTML as Markdown: what a reader of the page would read."""

import io
import re
from collections.abc import Callable, Iterator

from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement, PreformattedString
from bs4.exceptions import ParserRejectedMarkup

from higherself.knowledge.readers.file import (
    UNSTORABLE,
    File,
    Reading,
    Unreadable,
    first_heading,
    instant,
    load,
    words,
)

_DROPPED = frozenset({"script", "style", "nav", "noscript", "template", "svg", "title", "iframe"})
_BLOCKS = frozenset({
    "address", "article", "aside", "body", "caption", "dd", "details", "div", "dl", "dt",
    "fieldset", "figcaption", "figure", "footer", "form", "header", "hr", "main", "p", "section",
    "summary", "table", "tbody", "td", "tfoot", "th", "thead", "tr",
})  # fmt: skip
_HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_NOT_IN_CELLS = [*_HEADINGS, "table", "ul", "ol", "pre"]
_DEEPEST = 80  # elements in elements; below that only the text counts
_DATES = ("article:modified_time", "last-modified", "date", "article:published_time")
_END = "\ufdd0"  # a code point that is no character


def read_html(file: File) -> Iterator[Reading]:
    """Yield the page as one document."""
    page = _parsed(load(file))
    said = _meta(page)
    text = _tidied(_clean(_inner(page, 0)))
    title = _clean(page.title.get_text() if page.title else "").strip()
    yield file.document(
        text,
        title=title or first_heading(text),
        tags=words(said.get("keywords")),
        metadata={"description": said["description"]} if "description" in said else {},
        at=next((at for name in _DATES if (at := instant(said.get(name)))), None),
    )


def _parsed(markup: str) -> BeautifulSoup:
    """Return the tree, with `_END` where its text ends.

    What follows `_END` closes whatever is still open, a comment or a tag: Python's parser (before
    3.11.14) takes quadratic time over many tags that never end. Without processing instructions
    the parser does not warn that it is XML.
    """
    markup = re.sub(r"<\?[^<>]*>?", "", markup.replace(_END, ""))
    try:
        return BeautifulSoup(io.StringIO(f"{markup}{_END}\"'>{_END}-->{_END}"), "html.parser")
    except ParserRejectedMarkup as error:
        reason = str(error).strip().splitlines()[-1]
        raise Unreadable(f"it is not HTML: {reason}") from error


def _meta(page: BeautifulSoup) -> dict[str, str]:
    """Return what the page's ``meta`` elements say, by lower-case name."""
    said: dict[str, str] = {}
    for tag in page.find_all("meta"):
        name, content = tag.get("name") or tag.get("property"), tag.get("content")
        if isinstance(name, str) and isinstance(content, str) and content.strip():
            said.setdefault(name.strip().lower(), _clean(content.strip()))
    return said


def _clean(text: str) -> str:
    return UNSTORABLE.sub("\ufffd", text.partition(_END)[0])


def _inner(tag: Tag, depth: int) -> str:
    return "".join(_rendered(child, depth + 1) for child in tag.children)


def _rendered(node: PageElement, depth: int) -> str:
    """Return the Markdown of a node, to be `_tidied` in the end."""
    if isinstance(node, NavigableString):
        return "" if isinstance(node, PreformattedString) else re.sub(r"\s+", " ", node)
    if not isinstance(node, Tag) or node.name in _DROPPED:
        return ""
    if depth > _DEEPEST:
        return f"\n\n{' '.join(node.stripped_strings)}\n\n"
    if render := _ELEMENTS.get(node.name):
        return render(node, depth)
    inner = _inner(node, depth)
    return f"\n\n{inner}\n\n" if node.name in _BLOCKS else inner


def _heading(tag: Tag, depth: int) -> str:
    title = " ".join(_inner(tag, depth).split())
    return f"\n\n{'#' * int(tag.name[1])} {title}\n\n" if title else ""


def _link(tag: Tag, depth: int) -> str:
    inner, address = _inner(tag, depth), str(tag.get("href") or "")
    if not address.startswith(("http://", "https://")) or inner.strip() in ("", address):
        return inner
    return f"{inner.rstrip()} ({address}){inner[len(inner.rstrip()) :]}"


def _list(tag: Tag, depth: int) -> str:
    items: list[str] = []
    for child in tag.children:
        if isinstance(child, Tag) and child.name == "li":
            text, sign = _inner(child, depth + 1), "- "
            sign = f"{len(items) + 1}. " if tag.name == "ol" else sign
        else:
            text, sign = _rendered(child, depth + 1), ""
        if text := _tidied(text):
            items.append(sign + text.replace("\n", "\n" + " " * len(sign)))
    return "\n\n" + "\n".join(items) + "\n\n"


def _table(tag: Tag, depth: int) -> str:
    """Return the rows of a table of data; one that only lays out the page dissolves."""
    found = [] if tag.find(_NOT_IN_CELLS) else tag.find_all("tr")
    found = [] if any(row.find("tr") for row in found) else found
    rows = [cells for row in found if (cells := row.find_all(["td", "th"], recursive=False))]
    if max(map(len, rows), default=0) < 2:
        return f"\n\n{_inner(tag, depth)}\n\n"
    lines = ["| " + " | ".join(_cell(cell, depth) for cell in row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    caption = tag.find("caption")
    return "\n\n".join(["", _inner(caption, depth) if caption else "", "\n".join(lines), ""])


def _cell(tag: Tag, depth: int) -> str:
    return " ".join(_inner(tag, depth).split()).replace("|", "\\|")


def _code(tag: Tag, depth: int) -> str:
    code = tag.get_text().strip("\n")
    fence = "~~~~" if "```" in code else "```"
    return f"\n\n{fence}\n{code}\n{fence}\n\n" if code.strip() else ""


def _quote(tag: Tag, depth: int) -> str:
    return "\n\n> " + _tidied(_inner(tag, depth)).replace("\n", "\n> ") + "\n\n"


_ELEMENTS: dict[str, Callable[[Tag, int], str]] = {
    **dict.fromkeys(_HEADINGS, _heading),
    "a": _link,
    "blockquote": _quote,
    "br": lambda tag, depth: "\n" + _inner(tag, depth),
    "img": lambda tag, depth: " ".join(str(tag.get("alt") or "").split()),
    "li": lambda tag, depth: f"\n- {_inner(tag, depth).strip()}\n",
    "ol": _list,
    "pre": _code,
    "table": _table,
    "ul": _list,
}


def _tidied(text: str) -> str:
    """Return ``text`` with single spaces, and single blank lines between blocks, except in code."""
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        stripped = line.strip()
        if stripped in ("```", "~~~~") and fence in ("", stripped):
            fence = "" if fence else stripped
        elif not fence:
            indent = len(line) - len(line.lstrip())
            line = " " * (indent if indent > 1 else 0) + " ".join(stripped.split())
        if line.strip() or fence or (lines and lines[-1].strip()):
            lines.append(line.rstrip())
    return "\n".join(lines).strip("\n")
