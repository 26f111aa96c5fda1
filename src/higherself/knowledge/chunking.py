"""Split a document's text into passages that an embedding model takes whole.

First the text is seen as atoms: headings, list items, table rows, lines of code, sentences. What
is longer than a quarter of a passage is cut further, between words and in the end between
characters. Every atom knows how good a place to begin a passage its start is. Then atoms are
packed from the left, so an edit changes the passages around it and leaves the others.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import partial
from itertools import chain, islice, pairwise
from typing import TypeVar

from higherself.knowledge.errors import DocumentRejected
from higherself.knowledge.model import Passage

CHARACTERS_PER_TOKEN = 8  # WordPiece makes one token of any word over 100 characters
LONGEST_PASSAGE = 8_000  # characters; tokenizers are slow with one huge text
LONGEST_HEADING = 200  # characters

CountTokens = Callable[[Sequence[str]], list[int]]


def split(text: str, *, count_tokens: CountTokens, limit: int, overlap: int = 0) -> list[Passage]:
    r"""Return the passages of ``text`` (Markdown or plain), in order; none if it is all blank.

    A passage has at most ``limit`` tokens as ``count_tokens`` counts them (special tokens
    included), and at most eight characters a token. Each begins where the one before ends; only
    whitespace that no longer fits is left out between. With ``overlap``, a passage that goes on
    in the section of the one before repeats up to that many tokens of its end.

    ``count_tokens`` is called a few times with many texts, none over `LONGEST_PASSAGE`.

    Raises
        DocumentRejected: a single character has more than ``limit`` tokens.

    >>> def words(texts):
    ...     return [len(text.split()) for text in texts]
    >>> for passage in split("# Tea\n\nGreen. Black.\n\n## Milk\n\nOat.", count_tokens=words, limit=5):
    ...     print(passage.headings, repr(passage.text))
    () '# Tea\n\nGreen. Black.\n\n'
    ('Tea',) '## Milk\n\nOat.'
    """
    if not 0 <= overlap < limit:
        raise ValueError(f"an overlap of {overlap} is not from 0 to below the limit, {limit}")
    if not text.strip():
        return []
    frame = _Frame(text, count_tokens, limit, overlap, special=count_tokens([""])[0])
    atoms, costs = _weigh(frame)
    runs, tokens = _fit(frame, atoms, list(_pack(frame, atoms, costs)))
    if overlap:
        runs, tokens = _overlap(frame, atoms, costs, runs, tokens)
    return [
        Passage(
            ordinal=ordinal,
            headings=tuple(title for _, title in atoms[run.first].path if title),
            start=run.start,
            end=run.end,
            text=text[run.start : run.end],
            tokens=count,
        )
        for ordinal, (run, count) in enumerate(zip(runs, tokens, strict=True))
    ]


def outline(text: str) -> Iterator[tuple[int, str]]:
    r"""Yield the level (1 to 6) and the plain text of each heading of ``text``, from the top.

    >>> list(outline("Teas\n====\n\n```\n# a comment\n```\n### **Green** tea ##"))
    [(1, 'Teas'), (3, 'Green tea')]
    """
    return ((mark.level, mark.title) for mark in _marks(text) if mark.level)


class _Place(IntEnum):
    """How good a place to begin a passage is, best first."""

    HEADING = 0
    BLOCK = 1  # a paragraph, a list, a table, code, a quotation
    ITEM = 2  # a list item; code after a blank line
    LINE = 3  # a nested item, a table row, a line of code
    SENTENCE = 4
    BREAK = 5  # a line break inside a sentence
    WORD = 6
    CHARACTER = 7
    GLUED = 8  # just below a heading, or inside the head of a table
    BLANK = 9  # whitespace: never


# How full a passage is, by place, before it may end there because what follows no longer fits.
_FULL_ENOUGH = (0.15, 0.35, *[0.5] * 7, float("inf"))
# How full it is when it ends at a heading although more would fit. The second is for a heading
# that leaves the section the passage began in, and for any top-level one.
_FULL_AT_HEADING, _FULL_AT_LEAVING = 0.4, 0.15


@dataclass(frozen=True, slots=True)
class _Mark:
    """Where an atom begins. A heading has a level and a title; prose has sentences."""

    start: int
    place: _Place
    prose: bool = False
    level: int = 0
    title: str = ""


@dataclass(frozen=True, slots=True)
class _Span:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Atom(_Span):
    """What packing does not take apart. ``path`` has level and title of the headings above it."""

    place: _Place
    level: int
    path: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class _Run(_Span):
    """The atoms from ``first`` to before ``last``: a passage to be."""

    first: int
    last: int


_AnySpan = TypeVar("_AnySpan", bound=_Span)


@dataclass(frozen=True, slots=True)
class _Frame:
    """The text and what its passages may hold. ``special`` is what an empty text counts."""

    text: str
    count_tokens: CountTokens
    limit: int
    overlap: int
    special: int

    @property
    def room(self) -> int:
        """The tokens that fit beside those that overlap; they share the special ones."""
        return self.limit - max(0, self.overlap - self.special)

    @property
    def characters(self) -> int:
        return min(CHARACTERS_PER_TOKEN * self.limit, LONGEST_PASSAGE)

    def measure(self, spans: Sequence[_Span]) -> list[int]:
        texts = [self.text[span.start : span.end] for span in spans]
        return self.count_tokens(texts) if texts else []


# --- From lines to marks.

_LINE = re.compile(
    r"""
      (?P<blank>\s*+$)
    | [ ]{0,3}(?P<heading>\#{1,6})[ \t]++(?=\S)
    | [ \t]*+(?P<fence>`{3,}+(?=[^`]*$)|~{3,}+)
    | [ ]{0,3}(?P<rule>={2,}+|-{2,}+|\*{3,}+|_{3,}+)\s*+$
    | [ \t]*+(?P<item>[-*+]|\d{1,9}[.)])(?=\s)
    | [ \t]*+(?P<delimiter>\|[ \t]*+:?-[-:| \t]*+)\s*+$
    | [ \t]*+(?P<row>\|)
    | [ ]{0,3}(?P<quote>>)
    """,
    re.VERBOSE,
)
_UNDERLINE = re.compile(r" {0,3}(={2,}+|-{2,}+)\s*+$")
_PROSE = ("text", "item", "quote")
_INTRODUCED = ("item", "row", "fence")  # by a line right above, or one that ends with a colon

# What a line begins under a line of another kind: right below it, and after a blank line. None:
# it goes on with the same atom. Whatever is not here begins a block.
_UNDER: dict[tuple[str, str], tuple[_Place | None, _Place | None]] = {
    ("text", "text"): (None, _Place.BLOCK),
    ("item", "text"): (None, _Place.BLOCK),
    ("quote", "text"): (None, _Place.BLOCK),
    ("quote", "quote"): (None, _Place.BLOCK),
    ("item", "item"): (_Place.ITEM, _Place.ITEM),
    ("row", "row"): (_Place.LINE, _Place.BLOCK),
    ("row", "delimiter"): (_Place.GLUED, _Place.BLOCK),
    ("delimiter", "row"): (_Place.GLUED, _Place.BLOCK),
    ("fence", "code"): (_Place.GLUED, _Place.GLUED),
    ("code", "code"): (_Place.LINE, _Place.ITEM),
    ("code", "end"): (_Place.GLUED, _Place.GLUED),
    ("fence", "end"): (_Place.GLUED, _Place.GLUED),
}


def _marks(text: str) -> Iterator[_Mark]:
    """Yield where atoms begin, sentences aside, from the top."""
    lines = text.splitlines(keepends=True)
    start, fence, before, loose, introduced = 0, "", "", False, False
    for line, below in pairwise([*lines, ""]):
        kind, sign = _kind(line, fence)
        if kind == "blank":
            loose = True
        else:
            alone = kind == "text" and (loose or before not in _PROSE)
            if alone and (rule := _UNDERLINE.match(below)):
                kind, sign = "heading", rule[1][0]
            place = _place(line, kind, before, loose=loose, introduced=introduced)
            if kind == "heading" and place is not None:
                level = {"=": 1, "-": 2}.get(sign, len(sign))
                yield _Mark(start, place, level=level, title=_title(line, sign))
            elif place is not None:
                yield _Mark(start, place, prose=kind in _PROSE)
            fence = {"fence": sign, "end": ""}.get(kind, fence)
            goes_on = place is None or (kind == "text" and place is _Place.LINE)
            before, loose = before if goes_on else kind, False
            introduced = line.rstrip().endswith(":")
        start += len(line)


def _kind(line: str, fence: str) -> tuple[str, str]:
    """Return what the line is and the sign that says so. ``fence`` is the one still open."""
    if fence and not line.isspace():
        closes = line.strip().startswith(fence) and not line.strip().strip(fence[0])
        return "end" if closes else "code", ""
    match = _LINE.match(line)
    return (match.lastgroup or "", match[0].strip()) if match else ("text", "")


def _place(line: str, kind: str, before: str, *, loose: bool, introduced: bool) -> _Place | None:
    if before == "heading":
        return None if kind == "rule" and not loose else _Place.GLUED
    if kind in ("heading", "rule"):
        return _Place.HEADING if kind == "heading" else _Place.GLUED
    nested = before == "item" and line.startswith(("  ", "\t"))
    if nested and (kind == "item" or (kind == "text" and loose)):
        return _Place.LINE
    belongs = kind in _INTRODUCED and (introduced or (before and not loose))
    usual = _Place.SENTENCE if belongs else _Place.BLOCK
    return _UNDER.get((before, kind), (usual, usual))[loose]


def _title(line: str, sign: str) -> str:
    title = line[: 5 * LONGEST_HEADING].strip().removeprefix(sign)
    title = re.sub(r"!?\[([^\]\[]*)\]\([^()]*\)", r"\1", re.sub(r"\s+#+$", "", title))
    return " ".join(re.sub(r"[*`]+", "", title).split())[:LONGEST_HEADING].rstrip()


# --- From marks to atoms.

_SENTENCE = re.compile(
    r"(?<!\b[A-Z])(?<!\b[A-Z]r)(?<!\b[DM]rs)(?<!\bMs)(?<!\bSt)(?<!\bNo)"  # J. Dr. Mrs. Ms. St. No.
    r"[.!?…][\"'\u201d\u2019)\]*_]*+\s++(?![a-z])"
    r"|[\u3002\uff01\uff1f][\u300d\u300f\u201d\u2019\uff09]*+\s*+"  # the same, full width
)
_SHORT_SENTENCE = 32  # characters; shorter ones stay with the next
_REACH = 32  # how far to look for a place between two characters that belong together


def _blocks(text: str) -> Iterator[_Atom]:
    """Yield the atoms that structure and sentences make; they tile ``text``."""
    path: tuple[tuple[int, str], ...] = ()
    marks = [*_marks(text), _Mark(len(text), _Place.BLANK)]
    start = 0
    for mark, below in pairwise(marks):
        if mark.level:
            path = tuple(above for above in path if above[0] < mark.level)
        atom = _Atom(start, below.start, mark.place, mark.level, path)
        yield from _sentences(text, atom) if mark.prose else (atom,)
        if mark.level:
            path = (*path, (mark.level, mark.title))
        start = below.start


def _sentences(text: str, atom: _Atom) -> Iterator[_Atom]:
    start, place = atom.start, atom.place
    while match := _SENTENCE.search(text, start + _SHORT_SENTENCE, atom.end):
        if match.end() == atom.end:
            break
        yield _Atom(start, match.end(), place, 0, atom.path)
        start, place = match.end(), _Place.SENTENCE
    yield _Atom(start, atom.end, place, 0, atom.path)


def _pieces(text: str, atom: _Atom, size: int) -> list[_Atom]:
    """Return ``atom`` in pieces of about ``size`` characters at most; size 0: single characters."""
    if atom.end - atom.start <= size:
        return [atom]
    pieces, start, place, level = [], atom.start, atom.place, atom.level
    while start < atom.end:
        end, next_place = _reach(text, start, atom.end, size)
        place = _Place.BLANK if text[start:end].isspace() else place
        pieces.append(_Atom(start, end, place, level, atom.path))
        start, place, level = end, next_place, 0
    return pieces


def _reach(text: str, start: int, stop: int, size: int) -> tuple[int, _Place]:
    """Return where a piece from ``start`` best ends, and what place the end is."""
    target = start + max(size, 1)
    if target >= stop or size == 0:
        return min(target, stop), _Place.CHARACTER
    newline = text.rfind("\n", start, target + 1) + 1
    space = max(text.rfind(sign, start, target + 1) for sign in " \t\n\u3000") + 1
    if space > start:
        at_newline = newline - start > size // 2
        end = newline if at_newline else space
        ahead = text[end : min(end + size, stop)]
        spaces = len(ahead) - len(ahead.lstrip())
        end += spaces if spaces < size else 0  # a longer run stands alone
        return end, _Place.BREAK if at_newline else _Place.WORD
    backwards = range(target, max(start, target - _REACH), -1)
    forwards = range(target + 1, min(stop, target + _REACH))
    apart = (end for end in chain(backwards, forwards) if not _belong_together(text, end))
    return next(apart, stop if stop - target < _REACH else target), _Place.CHARACTER


def _belong_together(text: str, index: int) -> bool:
    """Return whether a cut before ``text[index]`` takes apart what a reader sees as one."""
    before, after = text[index - 1], text[index]
    return (
        unicodedata.category(after)[0] == "M"
        or "\u200d" in (before, after)  # joins two emoji
        or "\U0001f3fb" <= after <= "\U0001f3ff"  # the skin of the emoji before it
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
        or (before == "\r" and after == "\n")
    )


def _weigh(frame: _Frame) -> tuple[list[_Atom], list[int]]:
    """Return the atoms and their tokens, less the special ones so that they add up.

    An atom is at most a quarter of a passage where that can be.
    """
    size, quarter = frame.characters // 4, frame.special + (frame.room - frame.special) // 4
    atoms = [piece for block in _blocks(frame.text) for piece in _pieces(frame.text, block, size)]
    tokens = frame.measure(atoms)
    while size > 1:
        size = max(size // 4, 1)
        atoms, tokens = _divide(
            frame, atoms, tokens, quarter, partial(_pieces, frame.text, size=size)
        )
    atoms, tokens = _divide(frame, atoms, tokens, frame.limit, partial(_pieces, frame.text, size=0))
    if (most := max(tokens)) > frame.limit:
        where = f"the character at {atoms[tokens.index(most)].start}"
        raise DocumentRejected(where, f"has {most} tokens, a passage at most {frame.limit}")
    return atoms, [max(0, count - frame.special) for count in tokens]


def _divide(
    frame: _Frame,
    spans: list[_AnySpan],
    tokens: list[int],
    limit: int,
    cut: Callable[[_AnySpan], list[_AnySpan]],
) -> tuple[list[_AnySpan], list[int]]:
    """Cut, once, the spans that have more than ``limit`` tokens; return all spans and tokens."""
    if max(tokens) <= limit:
        return spans, tokens
    parts = [cut(span) if count > limit else [] for span, count in zip(spans, tokens, strict=True)]
    fresh = iter(frame.measure([part for group in parts for part in group]))
    divided: list[_AnySpan] = []
    counted: list[int] = []
    for span, count, group in zip(spans, tokens, parts, strict=True):
        divided += group or (span,)
        counted += islice(fresh, len(group)) if group else (count,)
    return divided, counted


# --- From atoms to passages.


def _pack(frame: _Frame, atoms: list[_Atom], costs: list[int]) -> Iterator[_Run]:
    first = 0
    while (first := _not_blank(atoms, first)) < len(atoms):
        last = _last(frame, atoms, costs, first)
        yield _run(atoms, first, last)
        first = last


def _last(frame: _Frame, atoms: list[_Atom], costs: list[int], first: int) -> int:
    """Return the atom before which a passage that begins with the atom ``first`` best ends."""
    begin = atoms[first]
    section = begin.path[-1][0] if begin.path else 1
    overlaps = first > 0 and begin.place is not _Place.HEADING
    room, characters = frame.room if overlaps else frame.limit, frame.characters
    tokens, best, best_place = frame.special + costs[first], 0, _Place.BLANK
    for index in range(first + 1, len(atoms)):
        atom = atoms[index]
        full = max(tokens / room, (atom.start - begin.start) / characters)
        if atom.place <= best_place and full >= _FULL_ENOUGH[atom.place]:
            best, best_place = index, atom.place
        if atom.place is _Place.HEADING:
            # What changes above a top-level heading is to leave the passages below it as they are.
            afresh = atom.level == 1 and begin.path
            enough = _FULL_AT_LEAVING if atom.level <= section else _FULL_AT_HEADING
            if afresh or full >= enough:
                return index
        tokens += costs[index]
        if tokens > room or atom.end - begin.start > characters:
            return index if atom.place is _Place.BLANK else best or index
    return len(atoms)


def _run(atoms: list[_Atom], first: int, last: int) -> _Run:
    return _Run(atoms[first].start, atoms[last - 1].end, first, last)


def _fit(frame: _Frame, atoms: list[_Atom], runs: list[_Run]) -> tuple[list[_Run], list[int]]:
    """Return ``runs`` and their tokens; those with more than their atoms together are halved."""

    def halves(run: _Run) -> list[_Run]:
        middle = (run.first + run.last) // 2
        second = _not_blank(atoms, middle)
        first = [_run(atoms, run.first, middle)] if run.first < middle else []
        return first + ([_run(atoms, second, run.last)] if second < run.last else [])

    tokens = frame.measure(runs)
    for _ in range(LONGEST_PASSAGE.bit_length()):  # no run has more atoms than characters
        runs, tokens = _divide(frame, runs, tokens, frame.limit, halves)
    return runs, tokens


def _overlap(
    frame: _Frame, atoms: list[_Atom], costs: list[int], runs: list[_Run], tokens: list[int]
) -> tuple[list[_Run], list[int]]:
    """Return ``runs`` and their tokens, begun earlier where the run before may be repeated."""
    wider = [
        _run(atoms, _earlier(frame, atoms, costs, before, run), run.last)
        for before, run in pairwise(runs)
    ]
    shared = [_Span(wide.start, run.start) for wide, run in zip(wider, runs[1:], strict=True)]
    widened, counted = runs[:1], tokens[:1]
    for index, (more, again) in enumerate(
        zip(frame.measure(wider), frame.measure(shared), strict=True), start=1
    ):
        fits = more <= frame.limit and again <= frame.overlap
        widened.append(wider[index - 1] if fits else runs[index])
        counted.append(more if fits else tokens[index])
    return widened, counted


def _earlier(frame: _Frame, atoms: list[_Atom], costs: list[int], before: _Run, run: _Run) -> int:
    """Return the atom where ``run`` may begin to overlap ``before``: a sentence's first, if any."""
    tokens, found = frame.special, [run.first]
    if atoms[run.first].place is _Place.HEADING:
        return run.first
    for index in range(run.first - 1, before.first, -1):
        tokens += costs[index]
        too_long = run.end - atoms[index].start > frame.characters
        if tokens > frame.overlap or too_long or atoms[index].level:
            break
        if atoms[index].place is not _Place.BLANK:
            found.append(index)
    return next(
        (index for index in reversed(found) if atoms[index].place < _Place.BREAK), found[-1]
    )


def _not_blank(atoms: list[_Atom], index: int) -> int:
    while index < len(atoms) and atoms[index].place is _Place.BLANK:
        index += 1
    return index
