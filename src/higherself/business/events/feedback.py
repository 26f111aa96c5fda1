"""What people said afterwards: ratings, how they sound, what came of an event. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from higherself.business.insight.sentiment import sentiment

BEST = 5


@dataclass(frozen=True, slots=True)
class Opinion:
    """What answers came to. ``average`` is of the ratings from 1 to 5; None if there is none."""

    answers: int
    rated: int
    average: float | None
    satisfied: float | None
    feelings: Mapping[str, int]
    concerns: tuple[str, ...]


def opinion(answers: Sequence[Mapping[str, Any]]) -> Opinion:
    """Return what ``answers`` (each with a ``rating``, a ``text``, or both) came to.

    ``satisfied`` is the share of ratings of 4 and more. ``concerns`` are texts that sound frustrated
    or angry, or have a low rating: for a person to read.

    >>> found = opinion([{"rating": 5}, {"rating": 2, "text": "too loud"}])
    >>> found.average, found.satisfied, found.concerns
    (3.5, 0.5, ('too loud',))
    """
    ratings = [rating for each in answers if (rating := rating_of(each)) is not None]
    feelings: Counter[str] = Counter()
    concerns = []
    for each in answers:
        text = str(each.get("text") or "").strip()
        if not text:
            continue
        feeling = sentiment(text).feeling
        feelings[feeling] += 1
        rating = rating_of(each)
        if feeling in ("frustrated", "angry") or (rating is not None and rating <= 2):
            concerns.append(text)
    return Opinion(
        answers=len(answers),
        rated=len(ratings),
        average=round(sum(ratings) / len(ratings), 2) if ratings else None,
        satisfied=round(sum(r >= 4 for r in ratings) / len(ratings), 3) if ratings else None,
        feelings=dict(feelings),
        concerns=tuple(concerns),
    )


def rating_of(answer: Mapping[str, Any]) -> float | None:
    """Return the rating if it is one from 1 to 5; anything else is none."""
    rating = answer.get("rating")
    if isinstance(rating, str):
        try:
            rating = float(rating)
        except ValueError:
            return None
    if isinstance(rating, bool) or not isinstance(rating, int | float):
        return None
    return float(rating) if 1 <= rating <= BEST else None
