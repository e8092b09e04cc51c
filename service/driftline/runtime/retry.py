"""Waiting with back-off, and one deadline shared by everything inside a rebalance callback."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from driftline.clock import Clock
from driftline.errors import Transient

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

FIRST_WAIT_S = 0.05
LONGEST_WAIT_S = 2.0


class Deadline:
    """A point in monotonic time. Shared, so that steps cannot each take the whole allowance."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._at = clock.monotonic() + seconds

    def left(self) -> float:
        return max(0.0, self._at - self._clock.monotonic())


async def until_done(
    call: Callable[[], Awaitable[T]],
    *,
    give_up: Callable[[], bool],
    on_retry: Callable[[int, Transient], None],
    sleep: Sleep = asyncio.sleep,
) -> T:
    """Repeat `call` while it is Transient, waiting 0.05 s, doubling, to 2 s. When `give_up()` says so, the last
    Transient is raised. The same call is repeated, so it must be idempotent."""
    wait, attempt = FIRST_WAIT_S, 0
    while True:
        try:
            return await call()
        except Transient as error:
            attempt += 1
            on_retry(attempt, error)
            if give_up():
                raise
            await sleep(wait)
            wait = min(2 * wait, LONGEST_WAIT_S)
            if give_up():
                raise
