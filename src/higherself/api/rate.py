"""How many requests are taken in a minute: counted for each key, in this process."""

from collections import OrderedDict

from higherself.kernel.clock import Clock

MOST_KEYS = 10_000


class Rates:
    """A bucket for each key: it holds a minute's worth, and fills evenly."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._most, self._clock = float(per_minute), clock
        self._buckets: OrderedDict[tuple[str, ...], tuple[float, float]] = OrderedDict()

    def wait(self, *key: str) -> float:
        """Take one, and return 0; if none is left, return in how many seconds there will be one."""
        now = self._clock.monotonic()
        left, at = self._buckets.pop(key, (self._most, now))
        per_second = self._most / 60
        left = min(self._most, left + (now - at) * per_second)
        wait = 0.0 if left >= 1 else (1 - left) / per_second
        self._buckets[key] = (left - 1 if wait == 0 else left, now)
        while len(self._buckets) > MOST_KEYS:
            self._buckets.popitem(last=False)
        return wait
