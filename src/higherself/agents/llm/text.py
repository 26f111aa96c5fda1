r"""Sentences, words and values in plain texts: what templates go by instead of a model. Pure.

>>> sentences("Deposits are due on 3.5. Dr. Vu refunds them! All of them?")
['Deposits are due on 3.5.', 'Dr. Vu refunds them!', 'All of them?']
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence

_ABBREVIATIONS = (
    "mr", "mrs", "ms", "dr", "prof", "st", "no", "nr", "vs", "etc", "e.g", "i.e", "z.b", "d.h", "bzw",
    "inc", "ltd", "co", "approx", "ca", "sr", "sra", "av", "art", "vol", "fig", "p", "pp",
)  # fmt: skip
_END = re.compile(
    r"(?<=[.!?])[\"'\u201d\u2019)\]]*\s+(?=[\"'\u201c\u2018(\[]*[A-Z0-9\u00c0-\u00de\u0400-\u042f\u4e00-\u9fff])"
)
_MARKUP = re.compile(r"^\s*(?:#{1,6}\s+|[-*+\u2022]\s+|\d+[.)]\s+|>\s+)", re.MULTILINE)
_WORD = re.compile(r"[^\W_]{2,}")
_NUMBER = re.compile(r"\d")
ROOT = 6
"""Letters of a word that count: what follows is mostly inflection, in the languages we know."""

_COMMON_WORDS = """
a about after all also am an and any are as at be because been before being but by can could did
do does for from had has have he her here his how i if in into is it its just may me more most
my no not of on only or other our out over she should so some such than that the their them then
there these they this those to under up was we were what when where which who why will with
would you your aber alle als am an auch auf aus bei bin bis da das dass dem den der des die doch
du durch ein eine einem einen einer eines er es für hat ich ihr im in ist kann mit muss nach
nicht noch nur oder sein sich sie sind so über um und uns von vor war was wenn wer wie wir wird
zu zum zur al como con de del el ella en es este esta la las lo los más mi no nos o para pero
por que se sin su sus un una y ya au aux avec ce ces dans des du elle est et il ils je le les
leur mais ne nous ou où par pas pour qui sur tu une vos votre vous
"""
"""Of English, German, Spanish and French, in this order."""

COMMON = frozenset(_COMMON_WORDS.split())
"""Words that say nothing of what a text is about."""


def sentences(text: str) -> list[str]:
    """Return the sentences of a text, headings and items of lists too, in order, without markup."""
    found: list[str] = []
    for paragraph in re.split(
        r"\n\s*\n|\n(?=\s*(?:#{1,6}\s|[-*+\u2022]\s|\d+[.)]\s))|(?<=[:!?.])\n", text
    ):
        flat = line(_MARKUP.sub("", paragraph))
        pending = ""
        for piece in _END.split(flat):
            pending = f"{pending} {piece}".strip()
            last = pending.rstrip(".").rpartition(" ")[2].casefold()
            if not (pending.endswith(".") and last in _ABBREVIATIONS):
                found.append(pending)
                pending = ""
        if pending:
            found.append(pending)
    return [each for each in found if _WORD.search(each) or _NUMBER.search(each)]


def roots(text: str) -> list[str]:
    """Return the words that mean something, cut to their roots.

    >>> roots("The deposits are refunded within 14 days")
    ['deposi', 'refund', 'within', '14', 'days']
    """
    words = _WORD.findall(text.casefold())
    return [word[:ROOT] for word in words if word not in COMMON]


def ranked(texts: Sequence[str], about: str = "", *, most: int, least: float = 0.0) -> list[int]:
    """Return the indexes of the ``most`` telling ``texts``, in their order.

    What tells is what has the words of ``about``, weighted by how rare they are, and of which all
    speak; what says the same as a better one is left out. With ``about``, one that has less than
    ``least`` of its weight, or than half of what the best has, does not count.
    """
    bags = [set(roots(text)) for text in texts]
    spread = Counter(root for bag in bags for root in bag)
    asked = set(roots(about))
    weight = {root: math.log(1 + len(texts) / (1 + spread[root])) for root in {*spread, *asked}}
    whole = sum(weight[root] for root in asked) or 1.0
    shares = [sum(weight[root] for root in bag & asked) / whole for bag in bags]
    enough = max(least, max(shares, default=0.0) / 2 if least else 1e-9)

    def score(index: int) -> float:
        bag = bags[index]
        common = sum(spread[root] for root in bag if spread[root] > 1) / math.sqrt(len(bag) + 3)
        return 100 * shares[index] + common + 1 / (2 + index)

    speaking = [index for index, bag in enumerate(bags) if bag]
    if asked:
        speaking = [index for index in speaking if shares[index] >= enough]
    chosen: list[int] = []
    for index in sorted(speaking, key=lambda each: (-score(each), each)):
        if len(chosen) == most:
            break
        if not any(_same(bags[index], bags[other]) for other in chosen):
            chosen.append(index)
    return sorted(chosen)


def _same(one: set[str], other: set[str]) -> bool:
    return len(one & other) / len(one | other) > 0.6


def line(text: str) -> str:
    r"""Return ``text`` as one line of what can be seen.

    >>> line(" Ana\u200b\r\nBcc: eve@example.org ")
    'Ana Bcc: eve@example.org'
    """
    seen = "".join(
        " " if letter.isspace() else letter
        for letter in text
        if letter.isspace() or unicodedata.category(letter) not in _UNSEEN
    )
    return " ".join(seen.split())


_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})


def shortened(text: str, longest: int) -> str:
    """Return ``text`` with at most ``longest`` characters, cut between words.

    >>> shortened("to confirm the booking", 15)
    'to confirm...'
    """
    if len(text) <= longest:
        return text
    return text[: longest - 3].rpartition(" ")[0].rstrip(" ,;:") + "..."


def unique(values: Iterable[str]) -> list[str]:
    """Return ``values`` in order, each once."""
    return list(dict.fromkeys(values))
