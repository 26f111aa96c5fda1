"""What a vendor's error answers mean, in our words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime

from higherself.kernel.errors import HigherSelfError, Rejected
from higherself.knowledge.errors import ProviderUnavailable

LONGEST_REASON = 200


class RequestRefused(Rejected):
    """The provider answered that it cannot take the request as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What messages call a vendor and its settings, and the key that they must never show.

    ``answer`` is what it is asked for.
    """

    tier: str
    key: str
    key_setting: str
    url_setting: str
    model_setting: str
    answer: str = "list of embeddings"

    def fault(
        self, status: int, detail: str, headers: Mapping[str, str], now: datetime
    ) -> HigherSelfError:
        """Return our error for an answer with an error status."""
        said = self.shown(detail)
        told = f"{self.tier} answers {status}{said and f' ({said})'}"
        wait = retry_after(headers, now)
        match status:
            case 400 | 413 | 422:
                return RequestRefused(told)
            case 401 | 403:
                # Not what it says: some repeat the key.
                told = f"{self.tier} refuses the key (HTTP {status}); check {self.key_setting}"
                return ProviderUnavailable(told, retry_after=wait, permanent=True)
            case 402:
                told = f"{told}; check the account of {self.key_setting}"
                return ProviderUnavailable(told, retry_after=wait, permanent=True)
            case 404:
                told = f"{told}; check {self.model_setting} and {self.url_setting}"
                return ProviderUnavailable(told, retry_after=wait, permanent=True)
            case _:
                return ProviderUnavailable(told, retry_after=wait)

    def unreachable(self, reason: object) -> ProviderUnavailable:
        """Return our error for a connection that failed or broke off."""
        return ProviderUnavailable(f"{self.tier} cannot be reached: {self.shown(str(reason))}")

    def unreadable(self) -> ProviderUnavailable:
        """Return our error for an answer that is not what was asked for, such as a page of HTML."""
        return ProviderUnavailable(
            f"{self.tier} answered with something that is no {self.answer}; check "
            f"{self.url_setting}"
        )

    def shown(self, detail: str) -> str:
        """Return what a vendor said as part of a line: short, without the key, no HTML."""
        line = " ".join(detail.replace(self.key, "****").split())
        if line[:1] == "<":
            return "a page of HTML"
        return line if len(line) <= LONGEST_REASON else f"{line[: LONGEST_REASON - 3]}..."


def retry_after(headers: Mapping[str, str], now: datetime) -> timedelta | None:
    """Return how long a provider asks to be left alone, or None: milliseconds, seconds or a date.

    >>> from datetime import UTC
    >>> retry_after({"retry-after": "1.5"}, datetime(2026, 11, 22, tzinfo=UTC))
    datetime.timedelta(seconds=1, microseconds=500000)
    """
    if (said := headers.get("retry-after-ms")) is not None:
        unit = timedelta(milliseconds=1)
    elif (said := headers.get("retry-after")) is not None:
        unit = timedelta(seconds=1)
    else:
        return None
    try:
        wait = float(said) * unit
    except (ValueError, OverflowError):
        try:
            wait = parsedate_to_datetime(said) - now
        except (ValueError, TypeError):
            return None
    return max(wait, timedelta(0))
