"""What steps `ask` want of a language model: one of the ready-made asks, in the agent's voice. Pure.

What is asked is fixed by the file. Texts of others go in as sources, which are data to a model;
links in what they say of themselves (a name, a topic) do not get into a draft.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from higherself.agents.llm import tasks
from higherself.agents.llm.model import Ask, Source, Tool
from higherself.agents.llm.tasks import LINK, Language
from higherself.agents.llm.text import line, shortened
from higherself.kernel.errors import Rejected
from higherself.kernel.jsonvalue import JsonObject, JsonValue
from higherself.kernel.nearest import did_you_mean

KINDS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "answer": (("question",), ()),
    "classify": (("labels", "otherwise"), ()),
    "summarise": ((), ("about", "sentences")),
    "draft_email": (("purpose",), ("facts", "language")),
    "draft_post": (("purpose",), ("facts", "language")),
    "draft_outline": (("purpose",), ("facts", "language")),
    "draft_article": (("purpose",), ("facts", "language")),
}
"""What each ask must be given, and what it may be."""

_LANGUAGES: Mapping[str, Language] = {"en": "en", "de": "de", "es": "es", "fr": "fr"}
LONGEST_PURPOSE = 400
LONGEST_FACT = 600
LONGEST_TEXT = 20_000
LEFT_OUT = "(link left out)"
OWN_LINKS = frozenset({"page", "link"})
"""Facts in which a link is meant to be: the agent's file puts only the business's own there."""


class AskMistaken(Rejected):
    """A step `ask` was given what it cannot ask."""


def problems(kind: str, said: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield what is wrong with a step `ask` as it is written, and under which keys."""
    if kind not in KINDS:
        yield ("ask",), f"there is no ask {kind!r}{did_you_mean(kind, KINDS)}"
        return
    must, may = KINDS[kind]
    given = said.get("with")
    if not isinstance(given, Mapping):
        yield ("with",), f"give {', '.join((*must, *may))} here"
        return
    for key in must:
        if key not in given:
            yield ("with",), f"`{kind}` needs `{key}`; add it"
    for key in given:
        if key not in (*must, *may):
            near = did_you_mean(key, (*must, *may))
            yield ("with", key), f"`{kind}` has no {key!r}{near}"
    if not isinstance(said.get("texts", {}), Mapping):
        yield ("texts",), "texts are an object: each text under a name"
    if not isinstance(said.get("tools", []), list):
        yield ("tools",), "tools are a list of names of skills"


def ask_of(
    kind: str,
    given: Mapping[str, Any],
    *,
    found: Sequence[Source],
    texts: Mapping[str, JsonValue],
    tools: Sequence[Tool],
    voice: str,
    signed: str,
) -> Ask[Any]:
    """Return the ask: ``found`` are passages of the hub, ``texts`` were sent by somebody.

    Raises
        AskMistaken: what it was given does not fit.
    """
    sources = (*found, *_sources(texts))
    more: dict[str, Any] = {"instructions": voice, "tools": tuple(tools)}
    match kind:
        case "answer":
            return tasks.answer(_said(given, "question"), sources, **more)
        case "summarise":
            if not sources:
                raise AskMistaken("there is nothing to summarise")
            sentences = given.get("sentences", 5)
            if not isinstance(sentences, int) or not 1 <= sentences <= 20:
                raise AskMistaken(f"sentences: {sentences!r} is not 1 to 20")
            about = line(str(given.get("about") or ""))[:LONGEST_PURPOSE]
            return tasks.summarise(sources, sentences=sentences, about=about, **more)
        case "classify":
            return _classify(given, texts, more)
        case _:
            return _draft(kind, given, sources, signed, more)


def made_of(output: Any, *, model: str, degraded: bool, reason: str | None) -> JsonObject:
    """Return what came of an ask as steps read it: its fields, ``text``, and who made it."""
    fields: dict[str, Any] = output.model_dump(mode="json") if isinstance(output, BaseModel) else {}
    whole = str(output)
    title = fields.get("title") or fields.get("subject") or ""
    text = fields.get("body") or fields.get("text") or whole
    return {
        **fields,
        "text": text,
        "whole": whole,
        "title": title,
        "by": model,
        "degraded": degraded,
        "reason": reason,
    }


def _classify(
    given: Mapping[str, Any], texts: Mapping[str, JsonValue], more: dict[str, Any]
) -> Ask[Any]:
    labels = given["labels"]
    if not isinstance(labels, Mapping) or not labels:
        raise AskMistaken("labels: give each label with a list of words that speak for it")
    said = " ".join(_text(each) for each in texts.values())
    source = Source(text=said[:LONGEST_TEXT] or "nothing", origin="what was sent")
    words = {str(label): [str(word) for word in each or ()] for label, each in labels.items()}
    return tasks.classify(source, words, otherwise=_said(given, "otherwise"), **more)


def _draft(
    kind: str,
    given: Mapping[str, Any],
    sources: tuple[Source, ...],
    signed: str,
    more: dict[str, Any],
) -> Ask[Any]:
    facts = given.get("facts") or {}
    if not isinstance(facts, Mapping):
        raise AskMistaken("facts: an object is needed, each fact under its name")
    plain = {
        str(name): _fact(str(name), value)
        for name, value in facts.items()
        if value not in (None, "", [], {})
    }
    purpose = without_links(_said(given, "purpose"))[:LONGEST_PURPOSE]
    said = given.get("language")
    language = _LANGUAGES.get(str(said)[:2].lower(), "en")
    if kind == "draft_email":
        return tasks.draft_email(
            purpose, plain, sources=sources, sender=signed, language=language, **more
        )
    make: Any = getattr(tasks, kind)  # one of KINDS
    asked: Ask[Any] = make(purpose, plain, sources=sources, language=language, **more)
    return asked


def _fact(name: str, value: JsonValue) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    text = shortened(line(text), LONGEST_FACT)
    return text if name in OWN_LINKS else without_links(text)


def without_links(text: str) -> str:
    """Return one line without anything that a reader could follow: what strangers say of themselves.

    >>> without_links("Ana, see https://evil.example/pay")
    'Ana, see (link left out)'
    """
    return LINK.sub(LEFT_OUT, line(text))


def _said(given: Mapping[str, Any], name: str) -> str:
    text = line(str(given.get(name) or ""))
    if not text:
        raise AskMistaken(f"{name} is empty; say what it is about")
    return text[:2_000]


def _sources(texts: Mapping[str, JsonValue]) -> list[Source]:
    return [
        Source(text=said[:LONGEST_TEXT], title=name.replace("_", " "), origin="what was sent")
        for name, value in texts.items()
        if (said := _text(value))
    ]


def _text(value: JsonValue) -> str:
    return "" if value in (None, "", [], {}) else in_words(value)


def in_words(value: JsonValue, *, deep: int = 0) -> str:
    """Return a value as people read it: an object as lines, each with its name.

    >>> print(in_words({"total": 3, "by": {"status": {"Lead": 2}}}))
    total: 3
    by:
      status:
        Lead: 2
    """
    pad = "  " * deep
    match value:
        case None:
            return ""
        case Mapping():
            lines = []
            for name, each in value.items():
                if each in (None, "", [], {}):
                    continue
                label = str(name).replace("_", " ")
                if isinstance(each, Mapping | list | tuple):
                    lines.append(f"{pad}{label}:\n{in_words(each, deep=deep + 1)}")
                else:
                    lines.append(f"{pad}{label}: {each}")
            return "\n".join(lines)
        case list() | tuple():
            return "\n".join(f"{pad}- {in_words(each, deep=deep + 1).strip()}" for each in value)
        case _:
            return str(value)
