"""What is read out of content: its text, headings and links, and what it is compared by. Pure."""

import hashlib
from collections.abc import Iterable, Iterator

from higherself.notion.content.addresses import reference
from higherself.notion.content.enhanced_rendering import render_enhanced
from higherself.notion.content.rich import plain
from higherself.notion.content.tree import (
    Block,
    Bookmark,
    ChildDatabase,
    ChildPage,
    Code,
    Content,
    Embed,
    Equation,
    Heading,
    LinkPreview,
    LinkToPage,
    Media,
    Mention,
    Rich,
    Row,
    Text,
    TextBlock,
    Unknown,
    walk,
)


def canonical_content(content: Content) -> str:
    """Return what content is compared by: its markdown, without what changes at every reading.

    Content that was read as blocks gives the same as what was read as markdown, as far as v1
    can say it.
    """
    return render_enhanced(content, stable=True)


def hash_of(canonical: str) -> str:
    """Return the SHA-256 of a canonical text, in hexadecimal digits."""
    return hashlib.sha256(canonical.encode(errors="surrogatepass")).hexdigest()


def plain_text(content: Content) -> str:
    """Return what somebody reads on the page, block by block, a line for each text."""
    return "\n".join(
        text for _, block in walk(content.blocks) for text in texts(block) if text.strip()
    )


def texts(block: Block) -> Iterator[str]:
    """Yield the texts of one block, without its children's."""
    match block:
        case Code(code=code, caption=caption):
            yield code
            yield plain(caption)
        case Equation(expression=expression):
            yield expression
        case Row(cells=cells):
            yield from map(plain, cells)
        case ChildPage(title=title) | ChildDatabase(title=title):
            yield title
        case Media(caption=caption, name=name):
            yield plain(caption)
            yield name
        case Bookmark(caption=caption) | Embed(caption=caption):
            yield plain(caption)
        case Unknown(texts=found):
            yield from found
        case TextBlock(text=text):
            yield plain(text)
        case _:
            pass


def headings(content: Content) -> list[tuple[int, str]]:
    """Return level and text of each heading, from the top."""
    return [
        (block.level, plain(block.text))
        for _, block in walk(content.blocks)
        if isinstance(block, Heading) and block.text
    ]


def rich_texts(block: Block) -> Iterable[Rich]:
    """Return the rich texts of one block."""
    match block:
        case TextBlock(text=text):
            return (text,)
        case Row(cells=cells):
            return cells
        case Media(caption=caption) | Bookmark(caption=caption) | Embed(caption=caption):
            return (caption,)
        case Code(caption=caption):
            return (caption,)
        case _:
            return ()


def links(content: Content) -> list[str]:
    """Return the ids of the pages and databases that content refers to, each once, as they come.

    That is mentions, links to addresses of Notion, links as blocks, and pages inside the page.
    """
    found: dict[str, None] = {}
    for _, block in walk(content.blocks):
        for text in rich_texts(block):
            for item in text:
                match item:
                    case Mention("page" | "database" | "data_source", ref):
                        found[ref] = None
                    case Text(link=link) if link.startswith("https://app.notion.com/p/"):
                        found[reference(link.partition("#")[0])] = None
                    case _:
                        pass
        match block:
            case (
                LinkToPage(kind="page" | "database", ref=ref)
                | ChildPage(ref=ref)
                | ChildDatabase(ref=ref)
            ):
                found[ref] = None
            case _:
                pass
    return [ref for ref in found if ref]


def web_links(content: Content) -> list[str]:
    """Return the addresses outside of Notion that content refers to, each once, as they come."""
    found: dict[str, None] = {}
    for _, block in walk(content.blocks):
        for text in rich_texts(block):
            for item in text:
                if isinstance(item, Text) and item.link:
                    found[item.link] = None
        if isinstance(block, Bookmark | Embed | LinkPreview):
            found[block.url] = None
    return [url for url in found if url and not url.startswith("https://app.notion.com/p/")]


def unknown_ids(content: Content) -> list[str]:
    """Return the ids of the blocks that markdown did not show, to be read as blocks."""
    return [
        block.id for _, block in walk(content.blocks) if isinstance(block, Unknown) and block.id
    ]
