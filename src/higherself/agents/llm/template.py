"""A `LanguageModel` that is none: fixed rules do the work, and say so.

The same ask has the same answer, nothing leaves the machine, and nothing is made up: what is in an
answer stands in the facts or sources. Drafts, which go out, use the words of the business's own
sources alone, never a stranger's.
"""

from collections.abc import Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from higherself.agents.llm import fields
from higherself.agents.llm.errors import NoTemplate
from higherself.agents.llm.model import Answer, Ask, Source
from higherself.agents.llm.tasks import (
    AnswerFrom,
    Article,
    CitedAnswer,
    Classification,
    Classify,
    Draft,
    EmailDraft,
    Extract,
    Outline,
    Passage,
    PostDraft,
    Section,
    Summarise,
    Summary,
    Task,
)
from higherself.agents.llm.text import line, ranked, roots, sentences, shortened, unique

if TYPE_CHECKING:
    from jinja2 import Environment

T = TypeVar("T")

NAME = "template"
POINTS = 3
"""How many sentences of sources a draft has at most, and an answer."""

LEAST = 0.3
"""The share of a question's weight that a sentence must have to be an answer to it."""

WORDS = {
    "en": {
        "greeting": "Hello",
        "about": "We are writing to you to",
        "details": "What may help you:",
        "closing": "Kind regards,",
        "nothing": "The sources do not say.",
    },
    "de": {
        "greeting": "Guten Tag",
        "about": "wir schreiben Ihnen wegen:",
        "details": "Was Ihnen helfen kann:",
        "closing": "Mit freundlichen Grüßen",
        "nothing": "Die Quellen sagen dazu nichts.",
    },
    "es": {
        "greeting": "Hola",
        "about": "le escribimos por lo siguiente:",
        "details": "Lo que puede ayudarle:",
        "closing": "Un cordial saludo,",
        "nothing": "Las fuentes no lo dicen.",
    },
    "fr": {
        "greeting": "Bonjour",
        "about": "nous vous écrivons au sujet suivant :",
        "details": "Ce qui peut vous aider :",
        "closing": "Cordialement,",
        "nothing": "Les sources ne le disent pas.",
    },
}
APART = ("name", "subject", "hashtags")
"""Facts that have a place of their own in a draft."""

NOT_SAID = ("keywords", "audience", "changes", "platform")
"""Facts by which an article is written, and that do not stand in it."""

MOST_PARTS = 6


class TemplateModel:
    """Answers by rules. ``reason`` says why no model does."""

    def __init__(self, reason: str = "no language model is configured (HIGHERSELF_LLM)") -> None:
        self.reason = reason

    @property
    def name(self) -> str:
        """What it is called."""
        return NAME

    async def complete(self, ask: Ask[T]) -> Answer[T]:
        """Return the answer, ``degraded``.

        Raises
            NoTemplate: no rule does what is asked, or what it makes does not fit the output.
        """
        task = ask.task or _guessed(ask)
        if task is None:
            raise NoTemplate(
                f"{self.reason}, and no template does what is asked; give the ask a task, "
                "or set HIGHERSELF_LLM to a model"
            )
        return Answer(
            output=_fitting(ask, _done(task, ask)), model=NAME, degraded=True, reason=self.reason
        )


def _guessed(ask: Ask[Any]) -> Task | None:
    """Return the task that is closest to what is asked, if there are sources to go by."""
    if not ask.sources or ask.tools:
        return None
    return Extract() if ask.model is not None else AnswerFrom(question=ask.prompt)


def _done(task: Task, ask: Ask[Any]) -> BaseModel:
    match task:
        case Summarise():
            return _summary(task, ask.sources)
        case AnswerFrom():
            return _answer(task, ask.sources)
        case Classify():
            return _classification(task, ask.sources)
        case Draft():
            return _draft(task, ask.sources)
        case Extract():
            return _extracted(ask)


def _fitting(ask: Ask[T], made: BaseModel) -> T:
    """Return what was made as the output that is asked for."""
    output: Any = made if ask.model is not None else str(made)
    if ask.model is not None and not isinstance(made, ask.model):
        try:
            output = ask.model.model_validate(made.model_dump())
        except ValidationError as error:
            wrong = ", ".join(str(each["loc"][0]) for each in error.errors() if each["loc"])
            raise NoTemplate(
                f"no template makes a {ask.model.__name__}: {type(made).__name__} has no {wrong}"
            ) from None
    if ask.check is not None and (problem := ask.check(output)):
        raise NoTemplate(f"what the template makes does not fit: {problem}")
    fitting: T = output
    return fitting


def _sentences(sources: Sequence[Source]) -> list[tuple[str, int]]:
    """Return every sentence of ``sources``, each once, with the number of its source."""
    found: dict[str, int] = {}
    for number, source in enumerate(sources, start=1):
        for sentence in sentences(source.text):
            found.setdefault(sentence, number)
    return list(found.items())


def _chosen(
    sources: Sequence[Source], about: str, *, most: int, least: float = 0.0
) -> list[tuple[str, int]]:
    every = _sentences(sources)
    return [every[i] for i in ranked([text for text, _ in every], about, most=most, least=least)]


def _summary(task: Summarise, sources: Sequence[Source]) -> Summary:
    chosen = _chosen(sources, task.about, most=task.sentences) or _chosen(
        sources, "", most=task.sentences
    )
    if not chosen:
        raise NoTemplate("there is nothing to summarise: the sources have no sentence")
    numbers = sorted({number for _, number in chosen})
    return Summary(points=[text for text, _ in chosen], sources=numbers)


def _answer(task: AnswerFrom, sources: Sequence[Source]) -> CitedAnswer:
    chosen = _chosen(sources, task.question, most=POINTS, least=LEAST)
    if not chosen:
        return CitedAnswer(text=WORDS["en"]["nothing"], found=False)
    text = " ".join(f"{sentence} [{number}]" for sentence, number in chosen)
    return CitedAnswer(text=text, sources=sorted({number for _, number in chosen}))


def _classification(task: Classify, sources: Sequence[Source]) -> Classification:
    """Choose the label of which most words are there; the confidence is its share of all that are."""
    there = roots(" ".join(f"{source.title} {source.text}" for source in sources))
    found: dict[str, list[str]] = {}
    for label, words in task.labels.items():
        speaking = [word for word in unique([label, *words]) if _occurs(roots(word), there)]
        if speaking:
            found[label] = speaking
    if not found:
        return Classification(
            label=task.otherwise, confidence=0.0, why="no word speaks for a label"
        )
    total = sum(map(len, found.values()))
    label = max(found, key=lambda each: len(found[each]))
    share = len(found[label]) / total
    return Classification(
        label=label, confidence=round(share, 3), why=f"it has: {', '.join(found[label])}"
    )


def _occurs(wanted: list[str], there: list[str]) -> bool:
    width = len(wanted)
    return width > 0 and any(
        there[at : at + width] == wanted for at in range(len(there) - width + 1)
    )


def _draft(task: Draft, sources: Sequence[Source]) -> BaseModel:
    purpose = line(task.purpose).rstrip(".")
    own = [source if source.trust == "own" else Source(text="") for source in sources]
    about = " ".join([purpose, *task.facts.values()])
    points = _chosen(own, about, most=POINTS, least=0.05)
    numbers = sorted({number for _, number in points})
    facts = [
        (line(label).capitalize().replace("_", " "), line(value))
        for label, value in task.facts.items()
        if label not in APART
    ]
    if task.kind == "outline":
        return _outline(purpose, facts, own, numbers)
    if task.kind == "article":
        return _article(task, purpose, facts, own)
    given = {"purpose": purpose, "facts": facts, "points": points}
    if task.kind == "post":
        tags = [
            tag.strip("#") for tag in line(task.facts.get("hashtags", "")).replace(",", " ").split()
        ]
        return PostDraft(text=_rendered("post.txt.j2", given), hashtags=tags, sources=numbers)
    body = _rendered(
        "email.txt.j2",
        {
            **given,
            "words": WORDS[task.language],
            "name": line(task.facts.get("name", "")),
            "sender": line(task.sender),
        },
    )
    subject = line(task.facts.get("subject", "")) or purpose[:1].upper() + purpose[1:]
    return EmailDraft(subject=shortened(subject, 120), body=body, sources=numbers)


def _outline(
    purpose: str, facts: list[tuple[str, str]], own: Sequence[Source], numbers: list[int]
) -> Outline:
    title = purpose[:1].upper() + purpose[1:]
    sections = [Section(heading=label, points=[value]) for label, value in facts]
    for number, source in enumerate(own, start=1):
        if points := _chosen([source], purpose, most=POINTS) or _chosen([source], "", most=POINTS):
            heading = line(source.title) or f"Source {number}"
            sections.append(Section(heading=heading, points=[text for text, _ in points]))
            numbers = sorted({*numbers, number})
    if not sections:
        raise NoTemplate("there is nothing to outline: give facts, or sources of your own")
    return Outline(title=title, sections=sections, sources=numbers)


def _article(
    task: Draft, purpose: str, facts: list[tuple[str, str]], own: Sequence[Source]
) -> Article:
    """Say what the brief says, and what the sources say that has most to do with the subject."""
    title = line(task.facts.get("subject", "")) or purpose[:1].upper() + purpose[1:]
    about = f"{title} {line(task.facts.get('keywords', ''))}"
    parts, numbers = [], []
    if brief := line(task.facts.get("brief", "")):
        parts.append(Passage(heading=title, text=brief))
    for number, source in enumerate(own, start=1):
        points = _chosen([source], about, most=POINTS)
        if points and len(parts) < MOST_PARTS:
            heading = line(source.title) or f"More about {title}"
            every = [text for text, _ in _sentences([source])]
            begin = every.index(points[0][0])  # with what stands around it, it is a paragraph
            text = " ".join(every[begin : begin + 2 * POINTS])
            before = next((part for part in parts if part.heading == heading), None)
            if before is not None:
                before.text = " ".join(unique([before.text, text]))
            else:
                parts.append(Passage(heading=heading, text=text))
            numbers.append(number)
    if not parts:
        said = [f"{label}: {value}" for label, value in facts if label.lower() not in NOT_SAID]
        if not said:
            raise NoTemplate("there is nothing to write: give a brief, or sources of your own")
        parts = [Passage(heading=title, text=". ".join(said))]
    return Article(title=shortened(title, 120), parts=parts, sources=numbers)


def _extracted(ask: Ask[Any]) -> BaseModel:
    if ask.model is None:
        raise NoTemplate("fields are to be extracted, and output names none; give a pydantic model")
    texts = [f"{source.title}\n{source.text}" for source in ask.sources]
    found = fields.found(ask.model, "\n".join(texts))
    try:
        return ask.model.model_validate(found)
    except ValidationError as error:
        wrong = ", ".join(unique(str(each["loc"][0]) for each in error.errors() if each["loc"]))
        raise NoTemplate(
            f"the sources do not have what {ask.model.__name__} needs: {wrong}"
        ) from None


def _rendered(name: str, values: dict[str, Any]) -> str:
    return _environment().get_template(name).render(values).strip()


@cache
def _environment() -> "Environment":
    """Return the templates: an unset name is an error, and what is HTML is escaped."""
    jinja2: Any = import_module("jinja2")
    environment: Environment = jinja2.Environment(
        loader=jinja2.PackageLoader("higherself.agents.llm"),
        autoescape=jinja2.select_autoescape(["html.j2", "html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment
