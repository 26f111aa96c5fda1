"""Text with a little form, read from Markdown: blocks of spans, from which each channel is written."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

Kind = Literal["heading", "paragraph", "item", "quote", "code", "rule"]


@dataclass(frozen=True, slots=True)
class Span:
    """Some characters that look the same. ``link`` is where they lead."""

    text: str
    bold: bool = False
    italic: bool = False
    code: bool = False
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph or the like.

    ``level`` is that of a heading (1 to 6), or how deep an item's list stands in others (from 0);
    ``number`` that of an item in a numbered list.
    """

    kind: Kind
    spans: tuple[Span, ...] = ()
    level: int = 0
    number: int | None = None

    @property
    def text(self) -> str:
        """Its characters, without form."""
        return "".join(span.text for span in self.spans)


@cache
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": False})


_MARKS = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~&])")


def escaped(text: str) -> str:
    r"""Return ``text`` so that Markdown shows it as it stands, in one line.

    >>> escaped("*Ana* <ana@example.org>")
    '\\*Ana\\* \\<ana@example\\.org\\>'
    """
    return _MARKS.sub(r"\\\1", " ".join(text.split()))


def read(markdown: str) -> tuple[Block, ...]:
    r"""Return the blocks of a Markdown text. HTML in it is text; a link leads to the web, mail or phone.

    >>> [(block.kind, block.text) for block in read("# Hello\n\n- *one*")]
    [('heading', 'Hello'), ('item', 'one')]
    """
    return tuple(_blocks(SyntaxTreeNode(_parser().parse(markdown)).children))


def _blocks(
    nodes: Sequence[SyntaxTreeNode], kind: Kind = "paragraph", depth: int = 0
) -> Iterator[Block]:
    """Yield the blocks of some nodes; a paragraph among them is of this ``kind``."""
    for node in nodes:
        match node.type:
            case "heading":
                yield Block("heading", _inline(node), level=int(node.tag[1:]))
            case "bullet_list" | "ordered_list":
                yield from _items(node, depth)
            case "blockquote":
                yield from _blocks(node.children, "quote")
            case "fence" | "code_block":
                yield Block("code", (Span(node.content.rstrip("\n")),))
            case "hr":
                yield Block("rule")
            case _:
                yield Block(kind, _inline(node))


def _items(node: SyntaxTreeNode, depth: int) -> Iterator[Block]:
    first = int(node.attrs.get("start", 1))
    for place, item in enumerate(node.children):
        number = first + place if node.type == "ordered_list" else None
        begins = item.children[:1] if item.children and item.children[0].type == "paragraph" else []
        spans = _inline(begins[0]) if begins else ()
        yield Block("item", spans, level=depth, number=number)
        yield from _blocks(item.children[len(begins) :], depth=depth + 1)


def _inline(node: SyntaxTreeNode) -> tuple[Span, ...]:
    """Return the spans of a heading or a paragraph."""
    (inline,) = node.children
    return _spans(inline.token.children or [] if inline.token else [])


def _spans(tokens: Sequence[Token]) -> tuple[Span, ...]:
    spans: list[Span] = []
    form = Span("")
    for token in tokens:
        match token.type:
            case "strong_open" | "strong_close":
                form = replace(form, bold=token.nesting == 1)
            case "em_open" | "em_close":
                form = replace(form, italic=token.nesting == 1)
            case "link_open":
                form = replace(form, link=_safe(str(token.attrGet("href") or "")))
            case "link_close":
                form = replace(form, link=None)
            case "code_inline":
                spans.append(replace(form, text=token.content, code=True))
            case "softbreak":
                spans.append(replace(form, text=" "))
            case "hardbreak":
                spans.append(replace(form, text="\n"))
            case "image":
                spans.append(replace(form, text=token.content))
            case _:
                spans.append(replace(form, text=token.content))
    return _joined(spans)


def _joined(spans: Sequence[Span]) -> tuple[Span, ...]:
    """Return ``spans`` with neighbours that look the same as one."""
    joined: list[Span] = []
    for span in spans:
        if joined and replace(joined[-1], text="") == replace(span, text=""):
            joined[-1] = replace(span, text=joined[-1].text + span.text)
        elif span.text:
            joined.append(span)
    return tuple(joined)


def _safe(url: str) -> str | None:
    return url if re.match(r"(?:https?://|mailto:|tel:)", url, re.IGNORECASE) else None
