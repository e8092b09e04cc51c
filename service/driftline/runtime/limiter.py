"""A token bucket over refusals: a topic of nothing but poison pauses its partition; it neither drops nor floods."""

from __future__ import annotations


class RateLimiter:
    """Allows `burst` at once and `rate` a second after that. Time is an argument (monotonic seconds)."""

    def __init__(self, rate: float, burst: int) -> None:
        self._rate = rate
        self._burst = float(burst)
        self._tokens = float(burst)
        self._at: float | None = None

    def spend(self, count: int, now: float) -> float:
        """Take `count` tokens, going into debt if need be; the seconds to wait until the debt is paid."""
        if self._at is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        self._tokens -= count
        return max(0.0, -self._tokens / self._rate)
