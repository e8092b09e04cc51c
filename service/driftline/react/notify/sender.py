"""Sends what waits, oldest first, and marks it: beside the stream, never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import stamina

from driftline.errors import Transient
from driftline.react.draft import Said
from driftline.react.notify.notification import Refused
from driftline.react.notify.notification import TryLater
from driftline.react.observe import ReactObserver
from driftline.react.worker import ReactWorker
from driftline.runtime.retry import Sleep


class Channel(Protocol):
    async def send(self, said: Said) -> None:
        """Returns when it is taken. Raises Transient (again, later) or Refused (never)."""
        ...

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """A notification is tried `attempts` times with back-off; then, after the longest wait, it is the next one's turn,
    and later its own again: one that the receiver fails on does not hold up the others, and none is given up while
    it may be taken. A `Retry-After` holds for the receiver, not for one notification."""

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    jitter_s: float = 0.5


class Sender:
    """One for each channel: it keeps the order, and never floods a receiver that is coming back."""

    def __init__(
        self,
        worker: ReactWorker,
        channel: Channel,
        settings: SenderSettings | None = None,
        observer: ReactObserver | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._sleep = sleep
        self._worker = worker
        self._channel = channel
        self._settings = settings or SenderSettings()
        self._observer = observer or ReactObserver()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            while True:
                self._worker.changed.clear()
                if not await self.round():
                    await self._worker.changed.wait()
        finally:
            await self._channel.close()

    async def round(self) -> int:
        """Try everything that waits once round; how many there were."""
        waiting = self._worker.pending.oldest() if self._worker.active else []
        for name, said in waiting:
            if not self._worker.active or not self._worker.pending.holds(name):
                continue
            try:
                await self._send(said)
            except Refused as error:
                self._observer.notified(said.id, "refused", str(error))
                await self._worker.settle(name, said.id, str(error))
            except Transient as error:
                asked = error.wait_s if isinstance(error, TryLater) else None
                await self._sleep(self._settings.longest_wait_s if asked is None else asked)
            else:
                self._observer.notified(said.id, "sent", "")
                await self._worker.settle(name, said.id, None)
        return len(waiting)

    async def _send(self, said: Said) -> None:
        settings = self._settings
        async for attempt in stamina.retry_context(
            on=self._backoff(said),
            attempts=settings.attempts,
            timeout=None,
            wait_initial=settings.first_wait_s,
            wait_max=settings.longest_wait_s,
            wait_jitter=settings.jitter_s,
        ):
            with attempt:
                await self._channel.send(said)

    def _backoff(self, said: Said) -> Callable[[Exception], bool | float]:
        def wait(error: Exception) -> bool | float:
            if not isinstance(error, Transient):
                return False
            self._observer.notified(said.id, "retried", str(error))
            asked = error.wait_s if isinstance(error, TryLater) else None
            return True if asked is None else max(asked, self._settings.first_wait_s)

        return wait
