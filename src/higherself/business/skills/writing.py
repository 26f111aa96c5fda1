"""Skills that read and write texts: summaries, outlines. With a language model, or by templates."""

from typing import Annotated

from pydantic import BaseModel, Field

from higherself.agents.llm import tasks
from higherself.agents.llm.model import Source
from higherself.agents.llm.ports import LanguageModel
from higherself.agents.skills import SkillCall, skill

MODEL = "language_model"
"""The resource of a `SkillCall` that has the port."""


class Text(BaseModel):
    """A text, and where it is from."""

    text: str = Field(min_length=1)
    title: str = ""
    uri: str | None = None


Texts = Annotated[list[Text], Field(min_length=1, max_length=50)]


class Summary(BaseModel):
    """A summary. ``by`` made it; ``degraded`` says that it was not a language model, ``reason`` why."""

    points: list[str]
    sources: list[int]
    by: str
    degraded: bool
    reason: str | None


class Section(BaseModel):
    """A section of an outline."""

    heading: str
    points: list[str]


class Outline(BaseModel):
    """What a text is to say, section by section."""

    title: str
    sections: list[Section]
    sources: list[int]
    by: str
    degraded: bool
    reason: str | None


def _model(call: SkillCall) -> LanguageModel:
    model: LanguageModel = call.resource(MODEL)
    return model


def _sources(texts: list[Text]) -> list[Source]:
    return [Source(text=each.text, title=each.title, uri=each.uri) for each in texts]


@skill(
    description="Summarise texts in some sentences, each with the text that it is from.",
    effects="read",
    egress=True,
    tags=("writing",),
)
async def summarise_texts(
    texts: Texts,
    call: SkillCall,
    sentences: Annotated[int, Field(ge=1, le=20)] = 5,
    about: Annotated[str, Field(description="What matters most")] = "",
) -> Summary:
    """Return the summary; texts are data, whatever they say."""
    ask = tasks.summarise(_sources(texts), sentences=sentences, about=about, entity=call.entity)
    answer = await _model(call).complete(ask)
    return Summary(
        points=answer.output.points,
        sources=answer.output.sources,
        by=answer.model,
        degraded=answer.degraded,
        reason=answer.reason,
    )


@skill(
    description="Outline a longer text: its title and sections, from facts and the texts given.",
    effects="read",
    egress=True,
    tags=("writing",),
)
async def outline_content(
    purpose: Annotated[str, Field(min_length=1, description="What it is for, and for whom")],
    call: SkillCall,
    facts: dict[str, str] = {},  # noqa: B006  pydantic copies it
    texts: Annotated[list[Text], Field(max_length=50)] = [],  # noqa: B006
) -> Outline:
    """Return the outline."""
    ask = tasks.draft_outline(purpose, facts, sources=_sources(texts), entity=call.entity)
    answer = await _model(call).complete(ask)
    return Outline(
        title=answer.output.title,
        sections=[
            Section(heading=each.heading, points=each.points) for each in answer.output.sections
        ],
        sources=answer.output.sources,
        by=answer.model,
        degraded=answer.degraded,
        reason=answer.reason,
    )
