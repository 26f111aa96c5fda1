"""What the answers of the local server share: faults, refusals, how tokens are counted."""

from typing import Literal, get_args

Fault = Literal[
    "unauthorized",  # 401
    "forbidden",  # 403
    "quota",  # 429 that no waiting helps against (OpenAI)
    "rate_limited",  # 429
    "rate_limited_with_wait",  # 429 with Retry-After
    "server_error",  # 500
    "overloaded",  # 503
    "html_error",  # 502 with a page of HTML
    "html",  # 200 with a page of HTML
    "hang",  # no answer, ever
    "slow",  # the right answer, late
    "dropped",  # the connection is closed without an answer
    "cut",  # the connection is closed in the middle of the answer
    "wrong_dimensions",  # or scores of passages that nobody asked for
    "too_few",  # one vector or score less than there are texts
    "nan",
    "zeros",  # or a score that is null
    "shuffled",  # the right vectors or scores in another order, which the index tells
]
FAULTS: tuple[Fault, ...] = get_args(Fault)


class Refused(Exception):
    """The vendor would refuse the request, with this status."""

    def __init__(self, status: int, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code = status, message, code


def tokens_of(text: str) -> int:
    """Return how many tokens the server counts: one for four characters."""
    return -(-len(text) // 4)
