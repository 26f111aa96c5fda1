"""Text to terms: what counts as the same word when searching by words.

The same function reads documents and queries, so both sides always agree. Terms are folded
(case, width, accents) and stemmed; the commonest English words are left out.
"""

import re
import unicodedata
from collections import Counter

import Stemmer

LONGEST_TERM = 64
"""Characters; what is longer is cut (a long token is data, not a word)."""

_WORD = re.compile(r"\w+")
_ASCII_WORDS = bytes(
    ord(chr(code).lower()) if code < 128 and _WORD.match(chr(code)) else ord(" ")
    for code in range(256)
)
"""For each ASCII character what a word has in its place: lower case, or a space between words."""
_PHRASE = re.compile(r'"([^"]*)"')

# The English stop words of the Snowball project that carry no topic.
_STOP_WORDS = frozenset(
    [
        "i",
        "me",
        "my",
        "myself",
        "we",
        "our",
        "ours",
        "ourselves",
        "you",
        "your",
        "yours",
        "yourself",
        "yourselves",
        "he",
        "him",
        "his",
        "himself",
        "she",
        "her",
        "hers",
        "herself",
        "it",
        "its",
        "itself",
        "they",
        "them",
        "their",
        "theirs",
        "themselves",
        "what",
        "which",
        "who",
        "whom",
        "this",
        "that",
        "these",
        "those",
        "am",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "have",
        "has",
        "had",
        "having",
        "do",
        "does",
        "did",
        "doing",
        "a",
        "an",
        "the",
        "and",
        "but",
        "if",
        "or",
        "because",
        "as",
        "until",
        "while",
        "of",
        "at",
        "by",
        "for",
        "with",
        "about",
        "against",
        "between",
        "into",
        "through",
        "during",
        "before",
        "after",
        "above",
        "below",
        "to",
        "from",
        "up",
        "down",
        "in",
        "out",
        "on",
        "off",
        "over",
        "under",
        "again",
        "further",
        "then",
        "once",
        "here",
        "there",
        "when",
        "where",
        "why",
        "how",
        "all",
        "any",
        "both",
        "each",
        "few",
        "more",
        "most",
        "other",
        "some",
        "such",
        "no",
        "nor",
        "not",
        "only",
        "own",
        "same",
        "so",
        "than",
        "too",
        "very",
        "s",
        "t",
        "can",
        "will",
        "just",
        "don",
        "should",
        "now",
    ]
)


class _Terms(dict[str, str]):
    """Folded word -> term ('' for a stop word), computed once for each distinct word."""

    _BOUND = 500_000

    def __init__(self) -> None:
        super().__init__()
        self._stemmer = Stemmer.Stemmer("english")

    def __missing__(self, word: str) -> str:
        if len(self) >= self._BOUND:
            self.clear()
        folded = _fold(word)
        term = "" if folded in _STOP_WORDS else self._stemmer.stemWord(folded)[:LONGEST_TERM]
        self[word] = term
        return term


_terms = _Terms()


def words(text: str) -> list[str]:
    """Return the words of ``text`` in lower case, in order.

    >>> words("The 7 Space: sound_bath, café")
    ['the', '7', 'space', 'sound_bath', 'café']
    """
    if text.isascii():  # the same at a fraction of the cost (measured)
        return text.encode().translate(_ASCII_WORDS).decode().split()
    return _WORD.findall(text.lower())


def term_of(word: str) -> str:
    """Return the term that a word in lower case stands for; "" for one that carries no topic."""
    return _terms[word]


def analyse(text: str) -> Counter[str]:
    """Return how often each term occurs in ``text``.

    >>> sorted(analyse("The Paintings, and a painting of cafés").items())
    [('cafe', 1), ('paint', 2)]
    """
    counts = Counter(map(term_of, words(text)))
    counts.pop("", None)
    return counts


def query_terms(text: str) -> tuple[str, ...]:
    """Return the distinct terms of a query, in order of first use."""
    return tuple(dict.fromkeys(term for term in map(term_of, words(text)) if term))


def phrases(text: str) -> tuple[str, ...]:
    """Return the quoted phrases of a query, without their quotes; a hit must contain each.

    >>> phrases('who runs the "sound bath" on "Friday"')
    ('sound bath', 'Friday')
    """
    found = (" ".join(_WORD.findall(phrase)) for phrase in _PHRASE.findall(text))
    return tuple(dict.fromkeys(phrase for phrase in found if phrase))


def phrase_pattern(phrase: str) -> str:
    r"""Return the case-insensitive PostgreSQL pattern of words that follow one another.

    >>> phrase_pattern("sound bath")
    '\\msound\\W+bath\\M'
    """
    return r"\m" + r"\W+".join(_WORD.findall(phrase)) + r"\M"


def _fold(word: str) -> str:
    if word.isascii():
        return word
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(mark for mark in decomposed if not unicodedata.combining(mark))
