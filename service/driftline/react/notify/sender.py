"""Sends what waits for one receiver, oldest first, and marks it: beside the stream, never in its way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import stamina

from driftline.errors import DriftlineError, Transient
from driftline.react.notify.notification import Channel, Notification, Refused, TryLater
from driftline.react.notify.rate import Rate
from driftline.react.observe import ReactObserver
from driftline.react.worker import ReactWorker
from driftline.runtime.retry import Sleep


@dataclass(frozen=True, slots=True)
class SenderSettings:
    """A notification is tried `attempts` times with back-off; then, after the longest wait, it is the next one's turn,
    and later its own again: one that the receiver fails on does not hold up the others, and none is given up while
    it may be taken. What is told of one incident keeps its order all the same. A `Retry-After` holds for the
    receiver, not for one notification. `give_up_s`: for one try, should a channel hang in spite of its own limits;
    `last_s`: for the one that is under way at the end."""

    attempts: int = 5
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    jitter_s: float = 0.5
    give_up_s: float = 300.0
    last_s: float = 2.0


class Overtaken(DriftlineError):
    """There is something later to be told, or somebody else has to tell it."""


class Sender:
    """One for each receiver: it never floods one that is coming back."""

    def __init__(
        self,
        worker: ReactWorker,
        receiver: str,
        channel: Channel,
        rate: Rate | None = None,
        settings: SenderSettings | None = None,
        observer: ReactObserver | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._worker = worker
        self._receiver = receiver
        self._channel = channel
        self._rate = rate
        self._settings = settings or SenderSettings()
        self._observer = observer or ReactObserver()
        self._sleep = sleep
        self._in_hand: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Until cancelled; a call that is under way then has a moment to end and be marked, else it is repeated."""
        changed = self._worker.changed(self._receiver)
        try:
            while True:
                changed.clear()
                if not await self.round():
                    await changed.wait()
        finally:
            await self._finish()
            await self._channel.close()

    async def _finish(self) -> None:
        if self._in_hand is not None:
            await asyncio.wait({self._in_hand}, timeout=self._settings.last_s)
            self._in_hand.cancel()
            await asyncio.gather(self._in_hand, return_exceptions=True)

    async def round(self) -> int:
        """Try everything that waits once round; how many there were."""
        waiting = self._worker.outbox.oldest(self._receiver) if self._worker.active else []
        failed: set[str] = set()
        for name, one in waiting:
            if one.key in failed:
                continue
            try:
                await self._send(name, one)
            except Overtaken:
                continue
            except Refused as error:
                await self._refused(name, one, str(error))
            except Transient as error:
                failed.add(one.key)
                asked = error.wait_s if isinstance(error, TryLater) else None
                await self._sleep(self._settings.longest_wait_s if asked is None else asked)
            except Exception as error:  # noqa: BLE001 - a defect in one channel must not stop the others, nor be silent
                await self._refused(name, one, f"it cannot be told ({type(error).__name__})")
        return len(waiting)

    async def _refused(self, name: str, one: Notification, why: str) -> None:
        self._observer.notified(self._receiver, one.id, "refused", why)
        await self._worker.settle(name, one, why, None)

    async def _send(self, name: str, one: Notification) -> None:
        settings = self._settings
        async for attempt in stamina.retry_context(
            on=self._backoff(one),
            attempts=settings.attempts,
            timeout=None,
            wait_initial=settings.first_wait_s,
            wait_max=settings.longest_wait_s,
            wait_jitter=settings.jitter_s,
        ):
            with attempt:
                await self._try(name, one)

    async def _try(self, name: str, one: Notification) -> None:
        """Looks at each try whether it is still ours to send: a process that has lost the topics and still retries a
        beginning would otherwise open again what its successor has ended."""
        if self._rate is not None:
            await self._rate.turn()
        if not self._worker.active or not self._worker.outbox.holds(self._receiver, name, one.id):
            raise Overtaken(one.id)
        # The receipt now: a reload before the call begins empties the outbox until the state is loaded again.
        receipt = self._worker.outbox.receipt(self._receiver, one.key)
        self._in_hand = asyncio.create_task(self._call(name, one, receipt))
        await asyncio.shield(self._in_hand)

    async def _call(self, name: str, one: Notification, receipt: str | None) -> None:
        """Send, and mark what was taken."""
        try:
            async with asyncio.timeout(self._settings.give_up_s):
                receipt = await self._channel.send(one, receipt)
        except TimeoutError:
            raise TryLater("it does not come to an end") from None
        self._observer.notified(self._receiver, one.id, "sent", "")
        await self._worker.settle(name, one, None, receipt)

    def _backoff(self, one: Notification) -> Callable[[Exception], bool | float]:
        def wait(error: Exception) -> bool | float:
            if not isinstance(error, Transient):
                return False
            self._observer.notified(self._receiver, one.id, "retried", str(error))
            asked = error.wait_s if isinstance(error, TryLater) else None
            return True if asked is None else max(asked, self._settings.first_wait_s)

        return wait
