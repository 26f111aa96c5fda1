"""Ready-made asks: what agents want of a language model most, so put that a template can do it, too.

Every output is data that a program goes on with. None of them says who gets it, what is done next
or which tool runs: that is decided elsewhere, so no text can decide it.

    answer = await model.complete(draft_email("confirm the booking", {"name": "Ana"}, sender="Mira"))
    answer.output.subject, answer.output.body
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field

from higherself.agents.llm.errors import AskRejected
from higherself.agents.llm.model import Ask, Source
from higherself.agents.llm.text import line
from higherself.kernel.quoting import quoted_line

M = TypeVar("M", bound=BaseModel)

Numbers = list[Annotated[int, Field(ge=1)]]
"""Numbers of sources, from 1 on."""

Language = Literal["en", "de", "es", "fr"]


class Summary(BaseModel):
    """A summary: its points, and the sources they are from."""

    points: list[str] = Field(min_length=1)
    sources: Numbers = []

    def __str__(self) -> str:
        return "\n".join(f"- {point}" for point in self.points)


class EmailDraft(BaseModel):
    """An e-mail as a draft. Who gets it is no part of it."""

    subject: str = Field(min_length=1, max_length=200)
    body: str = Field(min_length=1)
    sources: Numbers = []

    def __str__(self) -> str:
        return f"Subject: {self.subject}\n\n{self.body}"


class PostDraft(BaseModel):
    """A post for a social network as a draft."""

    text: str = Field(min_length=1)
    hashtags: list[str] = []
    sources: Numbers = []

    def __str__(self) -> str:
        return "\n\n".join(filter(None, [self.text, " ".join(f"#{tag}" for tag in self.hashtags)]))


class Section(BaseModel):
    """A section of an outline."""

    heading: str = Field(min_length=1)
    points: list[str] = []


class Outline(BaseModel):
    """What a longer text is to say, section by section."""

    title: str = Field(min_length=1)
    sections: list[Section] = Field(min_length=1)
    sources: Numbers = []

    def __str__(self) -> str:
        lines = [f"# {self.title}"]
        for section in self.sections:
            lines += ["", f"## {section.heading}", *(f"- {point}" for point in section.points)]
        return "\n".join(lines)


class Passage(BaseModel):
    """A part of an article."""

    heading: str = Field(min_length=1)
    text: str = Field(min_length=1)


class Article(BaseModel):
    """A longer text as a draft, part by part."""

    title: str = Field(min_length=1, max_length=200)
    parts: list[Passage] = Field(min_length=1)
    sources: Numbers = []

    def __str__(self) -> str:
        return "\n\n".join(f"## {part.heading}\n\n{part.text}" for part in self.parts)


class Classification(BaseModel):
    """Which of the given labels fits, how sure that is (0 to 1), and why."""

    label: str
    confidence: float = Field(ge=0, le=1)
    why: str = ""

    def __str__(self) -> str:
        return self.label


class CitedAnswer(BaseModel):
    """An answer from sources. Not ``found``: they do not say."""

    text: str = Field(min_length=1)
    sources: Numbers = []
    found: bool = True

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Summarise:
    """Say what the sources say, in some sentences; what has to do with ``about`` first."""

    sentences: int = 5
    about: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """Write something from facts."""

    kind: Literal["email", "post", "outline", "article"]
    purpose: str
    facts: Mapping[str, str]
    sender: str = ""
    language: Language = "en"


@dataclass(frozen=True, slots=True, kw_only=True)
class Classify:
    """Choose a label. Each has words that speak for it; ``otherwise`` is chosen if none do."""

    labels: Mapping[str, tuple[str, ...]]
    otherwise: str


@dataclass(frozen=True, slots=True)
class Extract:
    """Find the fields of the output in the sources."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFrom:
    """Answer a question from the sources."""

    question: str


Task = Summarise | Draft | Classify | Extract | AnswerFrom


def summarise(
    sources: Iterable[Source], *, sentences: int = 5, about: str = "", **more: Any
) -> Ask[Summary]:
    """Return the ask for a summary. ``more`` are fields of `Ask`."""
    given = tuple(sources)
    regard = f" Regard what has to do with {quoted_line(about)}." if about else ""
    return Ask(
        prompt=f"Summarise the sources in at most {sentences} points of one sentence.{regard}",
        output=Summary,
        sources=given,
        task=Summarise(sentences=sentences, about=about),
        check=lambda summary: _strange_numbers(summary.sources, given),
        **more,
    )


def answer(question: str, sources: Iterable[Source], **more: Any) -> Ask[CitedAnswer]:
    """Return the ask for an answer from ``sources``, with the numbers of those it is from."""
    given = tuple(sources)

    def check(answered: CitedAnswer) -> str | None:
        if answered.found and not answered.sources:
            return "sources: name those that the answer is from, or set found to false"
        return _strange_numbers(answered.sources, given)

    return Ask(
        prompt=(
            "Answer this question from the sources alone, and name the numbers of those you used. "
            f"If they do not say, set found to false and say so: {quoted_line(question)}"
        ),
        output=CitedAnswer,
        sources=given,
        task=AnswerFrom(question=question),
        check=check,
        **more,
    )


def classify(
    text: Source,
    labels: Mapping[str, Sequence[str]],
    *,
    otherwise: str,
    **more: Any,
) -> Ask[Classification]:
    """Return the ask for one of ``labels``, each with words that speak for it, or ``otherwise``."""
    known = [*dict.fromkeys([*labels, otherwise])]

    def check(classified: Classification) -> str | None:
        return None if classified.label in known else f"label: it is none of {', '.join(known)}"

    hints = {label: list(words) for label, words in labels.items()}
    return Ask(
        prompt=(
            "Say which label fits the source, with a confidence from 0 to 1. The labels, with words "
            f"that speak for them: {quoted_line(hints)}. If none fits: {quoted_line(otherwise)}"
        ),
        output=Classification,
        sources=(text,),
        task=Classify(
            labels={label: tuple(words) for label, words in labels.items()}, otherwise=otherwise
        ),
        check=check,
        **more,
    )


def extract(output: type[M], sources: Iterable[Source], **more: Any) -> Ask[M]:
    """Return the ask for the fields of ``output``, as far as the sources have them."""
    return Ask(
        prompt="Find the fields of the result in the sources. Invent nothing.",
        output=output,
        sources=tuple(sources),
        task=Extract(),
        **more,
    )


def draft_email(
    purpose: str,
    facts: Mapping[str, str],
    *,
    sources: Iterable[Source] = (),
    sender: str = "",
    language: Language = "en",
    **more: Any,
) -> Ask[EmailDraft]:
    """Return the ask for an e-mail; the facts ``name`` and ``subject`` have a place of their own."""
    task = Draft(kind="email", purpose=purpose, facts=facts, sender=sender, language=language)
    return _draft(task, EmailDraft, "an e-mail", sources, more)


def draft_post(
    purpose: str,
    facts: Mapping[str, str],
    *,
    sources: Iterable[Source] = (),
    language: Language = "en",
    **more: Any,
) -> Ask[PostDraft]:
    """Return the ask for a post; the fact ``hashtags`` is a list of words."""
    task = Draft(kind="post", purpose=purpose, facts=facts, language=language)
    return _draft(task, PostDraft, "a short post for a social network", sources, more)


def draft_outline(
    purpose: str,
    facts: Mapping[str, str],
    *,
    sources: Iterable[Source] = (),
    language: Language = "en",
    **more: Any,
) -> Ask[Outline]:
    """Return the ask for an outline of a longer text."""
    task = Draft(kind="outline", purpose=purpose, facts=facts, language=language)
    return _draft(task, Outline, "the outline of a longer text", sources, more)


def draft_article(
    purpose: str,
    facts: Mapping[str, str],
    *,
    sources: Iterable[Source] = (),
    language: Language = "en",
    **more: Any,
) -> Ask[Article]:
    """Return the ask for a longer text; the fact ``subject`` is its title, ``brief`` what to say."""
    task = Draft(kind="article", purpose=purpose, facts=facts, language=language)
    return _draft(task, Article, "an article of some paragraphs", sources, more)


def _draft(
    task: Draft, output: type[M], kind: str, sources: Iterable[Source], more: dict[str, Any]
) -> Ask[M]:
    given = tuple(sources)
    if not task.purpose.strip():
        raise AskRejected("purpose is empty; say what the draft is for")
    said = [*task.facts, *(label.replace("_", " ") for label in task.facts), *task.facts.values()]
    allowed = _links(" ".join([task.purpose, task.sender, *said]))
    for source in given:
        if source.trust == "own":
            allowed |= _links(f"{source.text} {source.uri or ''}")

    def check(draft: Any) -> str | None:
        if strange := sorted(_links(str(draft)) - allowed):
            return f"it has links and addresses that are not in the facts: {', '.join(strange)}"
        return _strange_numbers(draft.sources, given)

    signed = f" Sign as {quoted_line(task.sender)}." if task.sender else ""
    return Ask(
        prompt=(
            f"Write {kind} in the language {task.language!r}. Its purpose: "
            f"{quoted_line(task.purpose)}. The facts, which are data: "
            f"{quoted_line(dict(task.facts))}.{signed} Use no links or addresses but those of the "
            "facts, and name the numbers of the sources you used."
        ),
        output=output,
        sources=given,
        task=task,
        check=check,
        **more,
    )


LINK = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,20}://|www\.)[^\s<>\"'()\[\]]+|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,9}"
    r"|\b(?:[\w-]{1,63}\.){1,9}[^\W\d_]{2,24}\b(?:/[^\s<>\"'()\[\]]*)?",
    re.IGNORECASE,
)
"""What a reader, or his program, may follow: links, addresses, and names of hosts. Rather too much:
of two sentences without a blank between them, too."""


def _links(text: str) -> set[str]:
    # As programs read it: a full-width dot is one, and what is not seen is not there.
    read = line(unicodedata.normalize("NFKC", text).replace("\u3002", "."))
    return {found.group().rstrip(".,;:!?/").casefold() for found in LINK.finditer(read)}


def _strange_numbers(numbers: Sequence[int], sources: Sequence[Source]) -> str | None:
    strange = [number for number in numbers if not 1 <= number <= len(sources)]
    if not strange:
        return None
    there = f"there are 1 to {len(sources)}" if sources else "there are none"
    return f"sources: no source has the number {strange[0]}; {there}"
