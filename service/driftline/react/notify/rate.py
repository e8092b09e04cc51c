"""How often a receiver may be called."""

from __future__ import annotations

import asyncio

from driftline.clock import Clock
from driftline.runtime.retry import Sleep


class Rate:
    """`per_minute` in the long run, and at most `burst` at once after a pause."""

    def __init__(self, per_minute: float, burst: int, clock: Clock, sleep: Sleep = asyncio.sleep) -> None:
        self._every_s = 60.0 / per_minute
        self._ahead_s = (burst - 1) * self._every_s
        self._clock = clock
        self._sleep = sleep
        self._due = clock.monotonic()

    async def turn(self) -> None:
        """Returns when the receiver may be called, and counts the call."""
        now = self._clock.monotonic()
        self._due = max(self._due, now)
        wait = self._due - self._ahead_s - now
        self._due += self._every_s
        if wait > 0:
            await self._sleep(wait)
