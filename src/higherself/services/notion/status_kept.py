"""What a person has written inside the part of a page that is the server's: told apart, and kept. Pure."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from higherself.notion.content import Content, parse, render
from higherself.notion.content.rich import plain
from higherself.notion.content.rich import text as rich
from higherself.notion.content.tree import (
    Callout,
    Code,
    Marks,
    Paragraph,
    Row,
    Text,
    TextBlock,
    walk,
)

MOST_LINES = 200


def says_the_same(inside: str, known: Iterable[str]) -> bool:
    """Return whether a text says what one of those that we know does, however it looks."""
    said = _lines(inside)
    return any(said == _lines(each) for each in known)


def kept_words(inside: str, known: Sequence[str]) -> str:
    """Return what a person has added to our text, as a block of its own; empty if nothing was.

    What is not in any text that we ``known`` to have written is theirs.
    """
    ours: Counter[str] = Counter()
    for each in known:
        ours |= Counter(_lines(each))
    theirs: list[str] = []
    for line in _lines(inside):
        if ours[line] > 0:
            ours[line] -= 1
        else:
            theirs.append(line)
    if not theirs:
        return ""
    note = "Kept: this was written in the part of the server, which is written anew"
    box = Callout(
        (Text(note, Marks(bold=True)),),
        "yellow_background",
        icon="📝",
        children=tuple(Paragraph(rich(line)) for line in theirs[:MOST_LINES]),
    )
    return render(Content((box,)))


def _lines(markdown: str) -> list[str]:
    """Return what can be read, block by block."""
    return [line for line in _texts(parse(markdown)) if line]


def _texts(content: Content) -> Iterator[str]:
    for _, block in walk(content.blocks):
        match block:
            case Code(code=code):
                yield from (line.strip() for line in code.splitlines())
            case Row(cells=cells):
                yield " | ".join(plain(cell).strip() for cell in cells)
            case TextBlock(text=said):
                yield " ".join(plain(said).split())
            case _:
                pass
