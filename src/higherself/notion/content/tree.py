"""A page's content as values: one class for each kind of block, rich text inside. Pure.

The tree is canonical: two contents that a reader could not tell apart are equal. So text is kept in
its normal form (`rich.normal`), colours are "" when they are the default, and the id of a block does
not count when two are compared. Blocks are made by the parsers or by hand; both nest to
`MAX_DEPTH`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

MAX_DEPTH = 120
"""Blocks in blocks. What is nested deeper is kept as a neighbour of what it was inside of."""

Colour = str
"""'' (default), or one of `COLOURS`."""

_NAMES = ("gray", "brown", "orange", "yellow", "green", "blue", "purple", "pink", "red")
COLOURS = frozenset({*_NAMES, *(f"{name}_background" for name in _NAMES)})


# --- Rich text.


@dataclass(frozen=True, slots=True)
class Marks:
    """How a run of text looks."""

    bold: bool = False
    italic: bool = False
    strikethrough: bool = False
    underline: bool = False
    code: bool = False
    colour: Colour = ""


PLAIN = Marks()


@dataclass(frozen=True, slots=True)
class Text:
    """A run of text that looks the same throughout; ``link`` is an address or ''."""

    text: str
    marks: Marks = PLAIN
    link: str = ""


@dataclass(frozen=True, slots=True)
class Math:
    """An equation inside a line (LaTeX)."""

    expression: str
    marks: Marks = PLAIN


MentionKind = Literal["user", "page", "database", "data_source", "agent"]


@dataclass(frozen=True, slots=True)
class Mention:
    """A reference to something in Notion. ``ref`` is its id; ``text`` its name as last seen."""

    kind: MentionKind
    ref: str
    text: str = ""
    marks: Marks = PLAIN


@dataclass(frozen=True, slots=True)
class DateMention:
    """A day (``2026-01-02``) or a minute (``2026-01-02T10:00``, with offset or ``time_zone``)."""

    start: str
    end: str = ""
    time_zone: str = ""
    marks: Marks = PLAIN


Inline = Text | Math | Mention | DateMention
Rich = tuple[Inline, ...]


# --- Blocks.


@dataclass(frozen=True, slots=True)
class Block:
    """What every block has. ``id`` is Notion's, or '' when it is not known."""

    nests: ClassVar[bool] = False
    children: tuple["Block", ...] = field(default=(), kw_only=True)
    id: str = field(default="", kw_only=True, compare=False)


@dataclass(frozen=True, slots=True)
class TextBlock(Block):
    """A block that begins with text."""

    nests: ClassVar[bool] = True
    text: Rich = ()
    colour: Colour = ""


@dataclass(frozen=True, slots=True)
class Paragraph(TextBlock):
    """A paragraph; inside `Tabs` it is a tab, with its icon."""

    icon: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading(TextBlock):
    """A heading of level 1 to 4. Only a toggle has children."""

    level: int = 1
    toggle: bool = False


@dataclass(frozen=True, slots=True)
class Bullet(TextBlock):
    """An item of a bulleted list."""


@dataclass(frozen=True, slots=True)
class Numbered(TextBlock):
    """An item of a numbered list; ``start`` is where the list begins, if not at 1."""

    start: int = 1


@dataclass(frozen=True, slots=True)
class ToDo(TextBlock):
    """A box to tick, and its text."""

    checked: bool = False


@dataclass(frozen=True, slots=True)
class Toggle(TextBlock):
    """A text that hides its children until it is opened."""


@dataclass(frozen=True, slots=True)
class Quote(TextBlock):
    """A quotation."""


@dataclass(frozen=True, slots=True)
class Callout(TextBlock):
    """A framed text. ``icon``: an emoji, an address, or the ``:name:`` of a custom emoji."""

    icon: str = ""


@dataclass(frozen=True, slots=True)
class Template(TextBlock):
    """A button of old that adds its children."""


@dataclass(frozen=True, slots=True)
class MeetingNotes(TextBlock):
    """The notes of a meeting (``transcription`` before 2026-03-11): a title, and `Section`s."""


@dataclass(frozen=True, slots=True)
class Section(Block):
    """A part of `MeetingNotes`."""

    nests: ClassVar[bool] = True
    kind: Literal["summary", "notes", "transcript"] = "notes"


@dataclass(frozen=True, slots=True)
class Code(Block):
    """Program text; '' is plain text. The caption is rich text."""

    code: str = ""
    language: str = ""
    caption: Rich = ()


@dataclass(frozen=True, slots=True)
class Equation(Block):
    """An equation on its own (LaTeX)."""

    expression: str = ""


@dataclass(frozen=True, slots=True)
class Divider(Block):
    """A line across."""


@dataclass(frozen=True, slots=True)
class Breadcrumb(Block):
    """The way from the top to this page."""


@dataclass(frozen=True, slots=True)
class TableOfContents(Block):
    """A list of the page's headings."""

    colour: Colour = ""


@dataclass(frozen=True, slots=True)
class Tabs(Block):
    """Tabs: each child is a `Paragraph`, named by its text."""

    nests: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Columns(Block):
    """Columns side by side; each child is a `Column`."""

    nests: ClassVar[bool] = True


@dataclass(frozen=True, slots=True)
class Column(Block):
    """One of `Columns`; ``ratio`` is its part of the width, 0 when all are equal."""

    nests: ClassVar[bool] = True
    ratio: float = 0.0


@dataclass(frozen=True, slots=True)
class Table(Block):
    """A table; each child is a `Row`."""

    header_row: bool = False
    header_column: bool = False


@dataclass(frozen=True, slots=True)
class Row(Block):
    """A row of a `Table`."""

    cells: tuple[Rich, ...] = ()


MediaKind = Literal["image", "video", "pdf", "file", "audio"]


@dataclass(frozen=True, slots=True)
class Media(Block):
    """A picture, film, recording or file. ``upload`` is the id of a file upload, to be written."""

    kind: MediaKind = "image"
    url: str = ""
    caption: Rich = ()
    name: str = ""
    colour: Colour = ""
    upload: str = ""


@dataclass(frozen=True, slots=True)
class Bookmark(Block):
    """A link to a page of the web, shown as a card."""

    url: str = ""
    caption: Rich = ()


@dataclass(frozen=True, slots=True)
class Embed(Block):
    """Something of the web, shown in the page."""

    url: str = ""
    caption: Rich = ()


@dataclass(frozen=True, slots=True)
class LinkPreview(Block):
    """A link to another program, shown as a card; it cannot be written."""

    url: str = ""


@dataclass(frozen=True, slots=True)
class LinkToPage(Block):
    """A link to a page, a database or a comment, as a block."""

    kind: Literal["page", "database", "comment"] = "page"
    ref: str = ""


@dataclass(frozen=True, slots=True)
class ChildPage(Block):
    """A page inside this one; ``ref`` is its id."""

    title: str = ""
    ref: str = ""
    colour: Colour = ""


@dataclass(frozen=True, slots=True)
class ChildDatabase(Block):
    """A database inside this page; ``ref`` is its id."""

    title: str = ""
    ref: str = ""
    inline: bool = False
    data_source: str = ""
    icon: str = ""
    colour: Colour = ""


@dataclass(frozen=True, slots=True)
class Synced(Block):
    """Content that stands in several places. A copy names its original in ``source``."""

    nests: ClassVar[bool] = True
    source: str = ""


@dataclass(frozen=True, slots=True)
class Unknown(Block):
    """A block that markdown cannot show, or of a kind the API or we do not know.

    ``kind`` is its type as far as it is known. ``texts`` are the texts found in it.
    """

    nests: ClassVar[bool] = True
    kind: str = ""
    texts: tuple[str, ...] = ()
    url: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Content:
    """The blocks of a page, in order."""

    blocks: tuple[Block, ...] = ()


def walk(blocks: Sequence[Block]) -> Iterator[tuple[int, Block]]:
    """Yield every block with its depth, from the top, each before its children."""
    stack = [(0, block) for block in reversed(blocks)]
    while stack:
        depth, block = stack.pop()
        yield depth, block
        if block.children:
            stack.extend((depth + 1, child) for child in reversed(block.children))
