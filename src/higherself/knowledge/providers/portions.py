"""Cutting a list of texts into requests that a vendor takes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most that a vendor takes: tokens of a text, texts of a request, tokens of a request."""

    window: int
    texts: int
    tokens: int


def estimated_tokens(text: str) -> int:
    """Return about how many tokens ``text`` has: half its bytes in UTF-8, and two.

    The vendors' tokenizers would have to be downloaded. Of OpenAI's cl100k_base this is twice the
    truth for English prose and code, 1.2 times for Chinese and for tables of numbers; only text
    without words has more tokens (base64 1.4 times as many). A request that grows too large by
    it is refused by the vendor, and sent again in halves.

    >>> estimated_tokens("A deposit is refunded in full.")
    17
    """
    return (len(text.encode("utf-8", "surrogatepass")) + 1) // 2 + 2


def beginning(text: str, tokens: int) -> str:
    """Return as much of ``text`` as has no more than so many tokens, by the estimate.

    >>> beginning("A deposit is refunded in full.", 7)
    'A deposit '
    """
    room = max(0, 2 * (tokens - 2))
    return text.encode("utf-8", "surrogatepass")[:room].decode("utf-8", "ignore")


def portions(texts: Sequence[str], limits: Limits, *, beside: int = 0) -> Iterator[range]:
    """Yield the texts' places, in order, as runs that one request takes; a huge text goes alone.

    ``beside`` is how many tokens count again with each text: those of a question, say.
    """
    start = tokens = 0
    for place, text in enumerate(texts):
        more = estimated_tokens(text) + beside
        if place > start and (place - start == limits.texts or tokens + more > limits.tokens):
            yield range(start, place)
            start, tokens = place, 0
        tokens += more
    if start < len(texts):
        yield range(start, len(texts))
