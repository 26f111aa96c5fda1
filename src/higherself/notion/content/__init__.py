"""The content of Notion pages: markdown and block JSON to one canonical tree, and back. Pure."""

from higherself.notion.content.appending import to_blocks
from higherself.notion.content.blocks import filled, from_blocks
from higherself.notion.content.enhanced_parsing import parse_enhanced
from higherself.notion.content.enhanced_rendering import render_enhanced
from higherself.notion.content.errors import ContentRejected, RegionDamaged
from higherself.notion.content.flavoured_parsing import parse_flavoured
from higherself.notion.content.inline_parsing import Version
from higherself.notion.content.knowledge_markdown import to_knowledge_markdown
from higherself.notion.content.reading import (
    canonical_content,
    hash_of,
    headings,
    links,
    plain_text,
    unknown_ids,
    web_links,
)
from higherself.notion.content.regions import (
    Edit,
    edit_for,
    marked,
    region,
    whole_region,
    with_region,
)
from higherself.notion.content.tree import Content


def parse(markdown: str, *, version: Version = "v1") -> Content:
    """Return the content that a page's markdown has.

    Every text is taken; what is no block of Notion's is a paragraph. It is read so that nothing
    visible is lost, and `render` gives it back. ``version`` is Notion's ``markdown_version``.
    """
    return parse_enhanced(markdown) if version == "v1" else parse_flavoured(markdown)


def render(content: Content) -> str:
    """Return content as enhanced markdown (v1)."""
    return render_enhanced(content)


def canonical(markdown: str, *, version: Version = "v1") -> str:
    """Return what a page's markdown is compared by.

    Addresses of Notion are in one form, signatures of files and blanks at ends of lines are gone.
    It is stable: what is canonical stays as it is.
    """
    return canonical_content(parse(markdown, version=version))


def content_hash(markdown: str, *, version: Version = "v1") -> str:
    """Return the SHA-256 of what markdown is compared by, in hexadecimal digits."""
    return hash_of(canonical(markdown, version=version))


__all__ = [
    "Content", "ContentRejected", "Edit", "RegionDamaged", "Version", "canonical",
    "canonical_content", "content_hash", "edit_for", "filled", "from_blocks", "hash_of", "headings",
    "links", "marked", "parse", "plain_text", "region", "render", "to_blocks",
    "to_knowledge_markdown", "unknown_ids", "web_links", "whole_region", "with_region",
]  # fmt: skip
