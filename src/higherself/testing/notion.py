"""Notion pages that are kept in memory: for trying skills without a workspace."""

from typing import Any

from higherself.business.skills.notion import Page
from higherself.kernel.errors import NotFound


class RememberedPages:
    """Pages and comments; what is done again under the same key is not done again."""

    def __init__(self) -> None:
        self.pages: dict[str, Page] = {}
        self.databases: dict[str, str] = {}
        self.texts: dict[str, str] = {}
        self.comments: list[tuple[str, str]] = []
        self._done: dict[str, Any] = {}

    async def find(
        self, database: str, *, entity: str, where: dict[str, Any], text: str | None, limit: int
    ) -> list[Page]:
        """Return pages of a database."""
        return [
            page
            for page in self.pages.values()
            if self.databases[page.id] == f"{entity}/{database}"
            and where.items() <= page.properties.items()
            and (text is None or text.lower() in page.title.lower())
        ][:limit]

    async def create(
        self, database: str, *, entity: str, properties: dict[str, Any], markdown: str, key: str
    ) -> Page:
        """Make a page."""
        if key not in self._done:
            identifier = f"page-{len(self.pages) + 1}"
            title = str(properties.get("Name", ""))
            page = Page(
                id=identifier,
                url=f"https://app.notion.com/p/{identifier}",
                title=title,
                properties=dict(properties),
            )
            self.pages[identifier], self._done[key] = page, page
            self.databases[identifier] = f"{entity}/{database}"
            self.texts[identifier] = markdown
        made: Page = self._done[key]
        return made

    async def update(self, page: str, *, entity: str, properties: dict[str, Any], key: str) -> Page:
        """Change properties."""
        found = self._of(page, entity)
        found.properties.update(properties)
        return found

    async def append(self, page: str, *, entity: str, markdown: str, key: str) -> Page:
        """Add text."""
        found = self._of(page, entity)
        if key not in self._done:
            self.texts[page] = f"{self.texts[page]}\n\n{markdown}".strip()
            self._done[key] = found
        return found

    async def link(self, page: str, *, entity: str, relation: str, to: list[str], key: str) -> Page:
        """Add pages to a relation."""
        found = self._of(page, entity)
        others = [self._of(each, entity).id for each in to]
        known = found.properties.get(relation, [])
        found.properties[relation] = [*known, *(each for each in others if each not in known)]
        return found

    async def comment(self, page: str, *, entity: str, markdown: str, key: str) -> str:
        """Make a comment."""
        if key not in self._done:
            self.comments.append((self._of(page, entity).id, markdown))
            self._done[key] = f"comment-{len(self.comments)}"
        return str(self._done[key])

    def _of(self, page: str, entity: str) -> Page:
        if not self.databases.get(page, "").startswith(f"{entity}/"):
            raise NotFound(f"there is no page {page!r}, or it is not shared with the integration")
        return self.pages[page]
