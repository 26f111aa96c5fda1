"""Skills that work on Notion: find, create, update, append, link, comment; through the program's gateway."""

from typing import Annotated, Any, Protocol

from pydantic import BaseModel, Field

from higherself.agents.skills import SkillCall, skill

NOTION = "notion"
"""The resource of a `SkillCall` that has the port."""

Properties = Annotated[
    dict[str, Any],
    Field(description='By name, as plain values: {"Name": "Ana", "Score": 70, "Tags": ["art"]}'),
]
PageId = Annotated[str, Field(min_length=1, description="A page's id or address")]


class Page(BaseModel):
    """A page, with its properties as plain values."""

    id: str
    url: str
    title: str
    properties: dict[str, Any] = {}


class NotionPages(Protocol):
    """What the skills need of Notion. ``key`` is an idempotency key: with it, a thing is done once."""

    async def find(
        self, database: str, *, entity: str, where: dict[str, Any], text: str | None, limit: int
    ) -> list[Page]:
        """Return pages of a database whose properties are as in ``where``, and that have the text."""
        ...

    async def create(
        self, database: str, *, entity: str, properties: dict[str, Any], markdown: str, key: str
    ) -> Page:
        """Make a page in a database, and return it."""
        ...

    async def update(self, page: str, *, entity: str, properties: dict[str, Any], key: str) -> Page:
        """Change properties of a page, and return it."""
        ...

    async def append(self, page: str, *, entity: str, markdown: str, key: str) -> Page:
        """Add text at the end of a page, and return it."""
        ...

    async def link(self, page: str, *, entity: str, relation: str, to: list[str], key: str) -> Page:
        """Add pages to a relation of a page, and return it."""
        ...

    async def comment(self, page: str, *, entity: str, markdown: str, key: str) -> str:
        """Comment on a page, and return the comment's id."""
        ...


class Pages(BaseModel):
    """Pages that were found."""

    pages: list[Page]


class Comment(BaseModel):
    """A comment that was made."""

    id: str


def _notion(call: SkillCall) -> NotionPages:
    pages: NotionPages = call.resource(NOTION)
    return pages


@skill(
    description="Find pages of a Notion database by their properties.",
    effects="read",
    tags=("notion",),
)
async def find_pages(
    database: Annotated[str, Field(min_length=1, description="Its name, like contacts_profiles")],
    call: SkillCall,
    where: Properties = {},  # noqa: B006  pydantic copies it
    text: Annotated[str | None, Field(description="Words that the title has")] = None,
    limit: Annotated[int, Field(ge=1, le=100)] = 20,
) -> Pages:
    """Return the pages."""
    found = await _notion(call).find(
        database, entity=call.entity, where=where, text=text, limit=limit
    )
    return Pages(pages=found)


@skill(
    description="Create a page in a Notion database.",
    idempotent=True,
    egress=True,
    tags=("notion",),
)
async def create_page(
    database: Annotated[str, Field(min_length=1)],
    properties: Properties,
    call: SkillCall,
    markdown: Annotated[str, Field(description="What stands on it")] = "",
) -> Page:
    """Return the new page; the same call again makes no second one."""
    return await _notion(call).create(
        database, entity=call.entity, properties=properties, markdown=markdown, key=call.key
    )


@skill(
    description="Change properties of a Notion page.",
    idempotent=True,
    egress=True,
    tags=("notion",),
)
async def update_page(page: PageId, properties: Properties, call: SkillCall) -> Page:
    """Return the page as it is then."""
    return await _notion(call).update(page, entity=call.entity, properties=properties, key=call.key)


@skill(
    description="Add text at the end of a Notion page.",
    idempotent=True,
    egress=True,
    tags=("notion",),
)
async def append_to_page(
    page: PageId, markdown: Annotated[str, Field(min_length=1)], call: SkillCall
) -> Page:
    """Return the page; the same call again adds nothing."""
    return await _notion(call).append(page, entity=call.entity, markdown=markdown, key=call.key)


@skill(
    description="Link a Notion page to others by one of its relations.",
    idempotent=True,
    egress=True,
    tags=("notion",),
)
async def link_pages(
    page: PageId,
    relation: Annotated[str, Field(min_length=1, description="The relation's name")],
    to: Annotated[list[PageId], Field(min_length=1, max_length=100)],
    call: SkillCall,
) -> Page:
    """Return the page."""
    return await _notion(call).link(
        page, entity=call.entity, relation=relation, to=to, key=call.key
    )


@skill(description="Comment on a Notion page.", idempotent=True, egress=True, tags=("notion",))
async def comment_on_page(
    page: PageId, markdown: Annotated[str, Field(min_length=1)], call: SkillCall
) -> Comment:
    """Return the comment."""
    made = await _notion(call).comment(page, entity=call.entity, markdown=markdown, key=call.key)
    return Comment(id=made)
