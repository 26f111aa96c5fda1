"""How somebody feels who writes to a small business, by the words that they use. Pure.

A first look that needs no model and says on which words it rests: good enough to send an angry
message to a person first, and not meant for more. Negations and degrees count; a threat or a word of
the law is told apart, because such a message must not be answered by a machine.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Feeling = Literal["positive", "neutral", "concerned", "frustrated", "angry"]

_WORDS: Mapping[str, float] = {
    **dict.fromkeys(["love", "loved", "wonderful", "amazing", "excellent", "perfect", "fantastic", "beautiful", "brilliant", "delighted", "grateful", "outstanding"], 2.0),
    **dict.fromkeys(["good", "great", "nice", "happy", "thanks", "thank", "enjoyed", "helpful", "lovely", "kind", "pleased", "glad", "warm", "easy", "smooth", "recommend", "appreciate", "appreciated"], 1.0),
    **dict.fromkeys(["worried", "concerned", "unsure", "confused", "unclear", "wondering", "late", "delay", "delayed", "missing", "wrong", "problem", "issue", "mistake", "difficult", "slow", "waiting", "unfortunately"], -1.0),
    **dict.fromkeys(["disappointed", "disappointing", "frustrated", "frustrating", "annoyed", "annoying", "bad", "poor", "unhappy", "upset", "rude", "ignored", "broken", "unprofessional", "fail", "failed", "failing"], -2.0),
    **dict.fromkeys(["angry", "furious", "outraged", "terrible", "horrible", "awful", "disgusting", "unacceptable", "worst", "scam", "fraud", "ridiculous", "disgrace", "hate", "appalling"], -3.0),
}  # fmt: skip
_NEGATIONS = frozenset(
    [
        "not",
        "no",
        "never",
        "hardly",
        "barely",
        "without",
        "isn't",
        "wasn't",
        "don't",
        "didn't",
        "doesn't",
        "can't",
        "cannot",
        "couldn't",
        "won't",
        "wouldn't",
        "aren't",
        "weren't",
    ]
)
_MORE = frozenset(
    [
        "very",
        "really",
        "so",
        "extremely",
        "absolutely",
        "totally",
        "completely",
        "incredibly",
        "deeply",
    ]
)
_LESS = frozenset(["slightly", "somewhat", "rather", "quite", "little", "bit"])
_TURN = frozenset(["but", "however", "although", "though", "yet"])
_ALARMS: Mapping[str, re.Pattern[str]] = {
    "legal": re.compile(r"\b(lawyers?|attorneys?|sue|suing|lawsuit|legal action|small claims|gdpr)\b"),
    "public complaint": re.compile(r"\b(bad review|one star|1 star|social media|go(?:ing)? public|trustpilot|yelp|journalists?|newspaper)\b"),
    "refund": re.compile(r"\b(refund\w*|chargeback|money back|reimburse\w*)\b"),
    "distress": re.compile(r"\b(suicid\w*|kill myself|self[- ]harm|can'?t go on|panic attack|desperate)\b"),
}  # fmt: skip
_TOKEN = re.compile(r"[a-z]+(?:'[a-z]+)?|!+")


@dataclass(frozen=True, slots=True)
class Sentiment:
    """How a text sounds. ``score`` is from -1 to 1, ``words`` are what it rests on."""

    feeling: Feeling
    score: float
    words: tuple[str, ...]
    alarms: tuple[str, ...]


def sentiment(text: str) -> Sentiment:
    """Return how ``text`` sounds.

    >>> sentiment("The evening was not good, and I am very disappointed.").feeling
    'frustrated'
    """
    said = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    tokens = _TOKEN.findall(said)
    weights: list[float] = []
    worst = 0.0
    words: list[str] = []
    for place, token in enumerate(tokens):
        weight = _WORDS.get(token)
        if weight is None:
            continue
        before = tokens[max(0, place - 3) : place]
        if any(each in _NEGATIONS for each in before):
            weight, token = -0.75 * weight, f"not {token}"
        worst = min(worst, weight)
        weight *= 1.5 if _MORE & set(before[-2:]) else 0.5 if _LESS & set(before[-2:]) else 1.0
        if any(each in _TURN for each in tokens[place + 1 :]) and not _TURN & set(tokens[:place]):
            weight *= 0.6  # what comes after "but" is what is meant
        weights.append(weight)
        words.append(token)
    loud = 1.25 if "!!" in said or _shouts(text) else 1.0
    total = loud * sum(weights)
    score = round(total / (abs(total) + 3), 3) if weights else 0.0
    alarms = tuple(name for name, pattern in _ALARMS.items() if pattern.search(said))
    return Sentiment(_feeling(total, worst), score, tuple(dict.fromkeys(words)), alarms)


def _feeling(total: float, worst: float) -> Feeling:
    if total >= 1:
        return "positive"
    if total <= -6 or worst <= -3:
        return "angry"
    if total <= -2:
        return "frustrated"
    return "concerned" if total <= -0.5 else "neutral"


def _shouts(text: str) -> bool:
    letters = [each for each in text if each.isalpha()]
    return len(letters) > 15 and sum(map(str.isupper, letters)) > 0.7 * len(letters)
