"""How long to wait before trying again."""

from datetime import timedelta


def exponential(
    attempt: int,
    *,
    base: timedelta,
    ceiling: timedelta,
    factor: float = 2.0,
    jitter: float = 0.0,
) -> timedelta:
    """Return the wait after the failed ``attempt`` (counted from 1).

    The wait grows by ``factor`` with every attempt up to ``ceiling``. ``jitter`` in [0, 1] is a
    random number of the caller's: the wait becomes that share less ("full jitter" when it is
    drawn uniformly), so that many callers who failed together do not come back together.

    Source: Exponential Backoff and Jitter, AWS Architecture Blog, 2015.

    >>> exponential(3, base=timedelta(seconds=1), ceiling=timedelta(minutes=1)).total_seconds()
    4.0
    """
    seconds = base.total_seconds()
    limit = ceiling.total_seconds()
    for _ in range(1, attempt):
        if seconds >= limit:
            break
        seconds *= factor
    return timedelta(seconds=min(seconds, limit) * (1.0 - jitter))
