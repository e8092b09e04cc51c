"""The thread behind an `EventLogger`: takes batches from the buffer and publishes them, come what may."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import zlib
from collections.abc import Callable, Sequence
from typing import Final

from driftline.client.buffer import Buffer, Item
from driftline.client.connection import Connection
from driftline.errors import DriftlineError, PublishRefused
from driftline.runtime.log import Outgoing

BATCH_RECORDS: Final = 250
"""Few, for as long as a batch is packed, other threads may wait for the interpreter."""
BATCH_BYTES: Final = 512 * 1024
FIRST_WAIT_S: Final = 0.1
LONGEST_WAIT_S: Final = 5.0
STUCK_S: Final = 120.0
"""A publish that takes so long hangs: the connection is given up and made anew."""
_GOODBYE_S: Final = 1.0

_log: Final = logging.getLogger("driftline.client")


class Sender:
    """One daemon thread with an event loop of its own. It ends when told to, and never by an error."""

    def __init__(self, buffer: Buffer, connect: Callable[[], Connection], topic: str, linger_s: float) -> None:
        self._buffer = buffer
        self._connect = connect
        self._topic = topic
        self._linger_s = linger_s
        self._connection: Connection | None = None
        self._partitions = 0
        self._wait = FIRST_WAIT_S
        self._troubled = False
        self._dropped = 0
        self._hurried = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="driftline-events", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """There is something to do. Callable from any thread."""
        if self._ready.is_set():
            with contextlib.suppress(RuntimeError):  # the loop has been closed
                self._loop.call_soon_threadsafe(self._woken.set)

    def hurry(self) -> None:
        """Send what waits without lingering for more."""
        self._hurried = True
        self.wake()

    def stop(self) -> None:
        """Cut off whatever is being done; wait a little for the connection to be closed."""
        if self._ready.wait(_GOODBYE_S):
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(2 * _GOODBYE_S)

    def _run(self) -> None:
        with contextlib.suppress(asyncio.CancelledError):
            asyncio.run(self._main())

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._ready.set()
        try:
            while True:
                if self._buffer.rest():
                    await self._woken.wait()
                self._woken.clear()
                if not self._hurried:
                    await asyncio.sleep(self._linger_s)
                self._hurried = False
                while batch := self._buffer.take(BATCH_RECORDS, BATCH_BYTES):
                    await self._deliver(batch)
                self._speak()
        finally:
            self._speak_of_invalid()
            await self._hang_up()

    async def _deliver(self, batch: Sequence[Item]) -> None:
        """Publish until it is acknowledged. Records that are refused are found by halving the batch."""
        while True:
            try:
                await self._publish(batch)
            except PublishRefused as error:
                self._trouble(error)
                if len(batch) == 1:
                    self._buffer.settle(batch, sent=False)
                    return
                half = len(batch) // 2
                await self._deliver(batch[:half])
                await self._deliver(batch[half:])
                return
            except DriftlineError as error:
                self._trouble(error)
            except Exception as error:  # noqa: BLE001 - a defect below must not end the thread: nobody would notice
                self._trouble(error)
                await self._hang_up()
            else:
                self._recovered()
                self._buffer.settle(batch, sent=True)
                return
            await asyncio.sleep(self._wait)
            self._wait = min(2 * self._wait, LONGEST_WAIT_S)
            self._speak()

    async def _publish(self, batch: Sequence[Item]) -> None:
        publishing = asyncio.create_task(self._publish_once(batch))
        try:
            done, _ = await asyncio.wait({publishing}, timeout=STUCK_S)
        except asyncio.CancelledError:
            publishing.cancel()
            raise
        if not done:
            publishing.cancel()
            self._connection = None
            raise TimeoutError(f"no answer within {STUCK_S:g} s")
        publishing.result()

    async def _publish_once(self, batch: Sequence[Item]) -> None:
        if self._connection is None:
            self._connection = self._connect()
            self._partitions = 0
        if self._partitions == 0:
            self._partitions = await self._connection.reader.partitions(self._topic)
        n = self._partitions
        await self._connection.writer.publish(
            [Outgoing(self._topic, zlib.crc32(key) % n, key, value) for key, value in batch]
        )

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            closing = asyncio.create_task(connection.close())
            await asyncio.wait({closing}, timeout=_GOODBYE_S)
            if closing.done() and not closing.cancelled():
                closing.exception()  # looked at, so that nothing is printed
            closing.cancel()

    def _trouble(self, error: BaseException) -> None:
        """Say once that something is wrong. Errors of ours hold no secrets; of others only the kind is told."""
        if not self._troubled:
            what = str(error) if isinstance(error, DriftlineError) else type(error).__name__
            _log.warning("events are not getting through, and are kept as far as there is room: %s", what)
        self._troubled = True

    def _recovered(self) -> None:
        if self._troubled:
            _log.warning("events are getting through again")
        self._troubled, self._wait = False, FIRST_WAIT_S

    def _speak(self) -> None:
        """Log what callers had no time for."""
        self._speak_of_invalid()
        dropped = self._buffer.counts().dropped
        if dropped and not self._dropped:
            _log.warning("events are being dropped for want of room; from here on they are only counted")
        self._dropped = dropped

    def _speak_of_invalid(self) -> None:
        for reason, detail in self._buffer.unsaid():
            _log.warning("an event was not taken (%s: %s); others like it are only counted", reason, detail)
