"""What can be said of a text before a person reads it, and topics that a theme and its sources suggest. Pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higherself.agents.llm.tasks import LINK
from higherself.agents.llm.text import line, roots, sentences, unique

LENGTHS: Mapping[str, tuple[int, int]] = {
    "blog_post": (60, 20_000), "social_media": (3, 400), "email_newsletter": (30, 5_000),
    "video_script": (40, 10_000), "podcast_script": (40, 20_000), "course_material": (60, 50_000),
    "workshop_material": (40, 50_000), "video": (20, 10_000),
}  # fmt: skip
"""By kind of content, from how many words on it is long enough, and too long."""

LONGEST_SENTENCE = 45
PLACES = re.compile(
    r"\{\{.*?\}\}|\[(?:TODO|TBD|insert[^\]]*|name|date)\]|\bTODO\b|\blorem ipsum\b", re.I
)
SHOUTING = re.compile(r"!{2,}|\b[A-Z]{5,}(?:\s+[A-Z]{4,}){2,}")
PROMISES = (
    "guaranteed",
    "100%",
    "cure",
    "risk-free",
    "no risk",
    "miracle",
    "act now",
    "last chance",
)
"""Words that the businesses do not use: nobody can keep what they promise."""


@dataclass(frozen=True, slots=True)
class Issue:
    """Something about a text. ``blocking``: it cannot go out so."""

    about: str
    text: str
    blocking: bool = False


def issues(
    text: str,
    *,
    title: str = "",
    kind: str = "blog_post",
    keywords: Sequence[str] = (),
    passages: Sequence[str] = (),
) -> list[Issue]:
    """Return what is to be said of a text; ``passages`` are what the business knows about it.

    >>> [each.about for each in issues("Our cure is guaranteed!! [TODO]", kind="social_media")]
    ['place', 'promise', 'promise', 'tone']
    """
    return [
        *_length(text, kind),
        *_claims(text),
        *_keywords(f"{title} {text}", keywords),
        *_style(text),
        *(_against(text, " ".join(passages)) if passages else ()),
    ]


def _length(text: str, kind: str) -> Iterator[Issue]:
    words = len(text.split())
    fewest, most = LENGTHS.get(kind, (1, 50_000))
    if words < fewest:
        said = f"{words} words are few for a {kind}; {fewest} are the least"
        yield Issue("length", said, blocking=True)
    if words > most:
        said = f"{words} words are more than {most}, the most for a {kind}"
        yield Issue("length", said, blocking=True)


def _claims(text: str) -> Iterator[Issue]:
    if hole := PLACES.search(text):
        yield Issue("place", f"a place was not filled in: {hole.group()}", blocking=True)
    low = text.lower()
    for promise in PROMISES:
        if promise in low:
            yield Issue("promise", f"{promise!r} promises what nobody can keep", blocking=True)
    if shouted := SHOUTING.search(text):
        yield Issue("tone", f"it shouts: {shouted.group()[:40]}")


def _keywords(text: str, keywords: Sequence[str]) -> Iterator[Issue]:
    there = set(roots(text))
    missing = [word for word in keywords if not set(roots(word)) <= there]
    if missing:
        yield Issue("keywords", f"it does not say {', '.join(missing)}")


def _style(text: str) -> Iterator[Issue]:
    longest = max(sentences(text), key=lambda each: len(each.split()), default="")
    if len(longest.split()) > LONGEST_SENTENCE:
        yield Issue("style", f"a sentence of {len(longest.split())} words: {longest[:60]}...")


def _against(text: str, known: str) -> Iterator[Issue]:
    strange = [link for link in unique(LINK.findall(text)) if link.lower() not in known.lower()]
    if strange:
        yield Issue("links", f"no document of ours has {', '.join(strange[:3])}")
    if not set(roots(text)) & set(roots(known)):
        yield Issue("sources", "it has nothing in common with what we know about this")


@dataclass(frozen=True, slots=True)
class Idea:
    """A topic, what kind of content it suits, and where it is from."""

    topic: str
    content_type: str
    why: str


_ANGLES = (
    ("What to know before {theme}", "a first question of everybody"),
    ("{theme}: questions that we are asked", "what people write to us about"),
    ("Behind the scenes: {theme}", "who does it, and how"),
)


def topics(
    theme: str, titles: Sequence[str], sections: Sequence[Mapping[str, Any]], kind: str
) -> list[Idea]:
    """Return topics about a theme: those that our documents suggest first, then general ones.

    >>> topics("sound baths", ["Community sound bath"], [], "blog_post")[0].topic
    'Community sound bath: sound baths'
    """
    said = line(theme) or "our work"
    own = unique([*(line(str(each.get("heading", ""))) for each in sections), *map(line, titles)])
    ideas = [
        Idea(
            title if set(roots(said)) <= set(roots(title)) or not theme else f"{title}: {said}",
            kind,
            f"we have a document on it: {title}",
        )
        for title in own
        if title
    ][:5]
    ideas += [Idea(angle.format(theme=said), kind, why) for angle, why in _ANGLES]
    return ideas[:6]
