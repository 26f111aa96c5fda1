"""Skills about texts before they go out: topics for them, and what can be said of one."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from higherself.agents.skills import skill
from higherself.business.publishing import judging


class Idea(BaseModel):
    """A topic, what kind of content it suits, and why."""

    topic: str
    content_type: str
    why: str


class Ideas(BaseModel):
    """Topics, the best first."""

    ideas: list[Idea]


@skill(
    description="Suggest topics about a theme, from what the business has documents on.",
    effects="pure",
    tags=("content",),
)
def suggest_topics(
    theme: Annotated[str, Field(max_length=500)] = "",
    titles: list[str] = [],  # noqa: B006  pydantic copies it
    sections: list[dict[str, Any]] = [],  # noqa: B006
    content_type: str = "blog_post",
) -> Ideas:
    """Return topics, those first that a document suggests."""
    found = judging.topics(theme, titles, sections, content_type)
    return Ideas(ideas=[Idea(topic=e.topic, content_type=e.content_type, why=e.why) for e in found])


class Issue(BaseModel):
    """Something about a text; ``blocking``: it cannot go out so."""

    about: str
    text: str
    blocking: bool


class Checked(BaseModel):
    """Whether a text may go on to a person, and what there is to say of it."""

    passed: bool
    issues: list[Issue]


@skill(
    description="Check a text before a person reads it: length, places, promises, tone, links, keywords.",
    effects="pure",
    tags=("content",),
)
def check_content(
    text: Annotated[str, Field(min_length=1, max_length=500_000)],
    title: str = "",
    content_type: str = "blog_post",
    keywords: list[str] = [],  # noqa: B006
    passages: Annotated[
        list[dict[str, Any]], Field(description="What we know about it: {title, text}")
    ] = [],  # noqa: B006
) -> Checked:
    """Return what there is to say of it; it has passed if nothing of that is blocking."""
    known = [f"{each.get('title', '')} {each.get('text', '')}" for each in passages]
    found = judging.issues(text, title=title, kind=content_type, keywords=keywords, passages=known)
    return Checked(
        passed=not any(each.blocking for each in found),
        issues=[Issue(about=e.about, text=e.text, blocking=e.blocking) for e in found],
    )
