"""`EventLogger`: what serving code tells Driftline, without ever waiting for it."""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Final

from driftline.client.buffer import Buffer, Counts
from driftline.client.connection import Connect, Connection, settings_of, to_kafka
from driftline.client.events import Moment, outcome_record, prediction_record
from driftline.client.sender import Sender
from driftline.clock import Clock, SystemClock
from driftline.contracts.events import Label
from driftline.errors import Poison
from driftline.runtime.kafka import KafkaSettings

EXIT_S: Final = 2.0
"""How long the end of the interpreter may wait for what is still queued."""

_log: Final = logging.getLogger("driftline.client")
_NO_FEATURES: Final[Mapping[str, object]] = {}


class EventLogger:
    """Publishes predictions and outcomes in the background; a call takes microseconds and never raises.

    `log_prediction` and `log_outcome` check and encode the event, put it into a queue and return. They do no I/O,
    do not wait for the broker, and answer wrong input with False and a count (`counts().invalid`; the first of each
    kind is logged to `driftline.client`). The queue holds at most `max_records` and `max_bytes`, what is on its way
    included; when it is full, new events are dropped and counted. A daemon thread of its own with an asyncio loop
    publishes, in order, what has gathered for `linger_s`; while the broker is away it keeps trying, every 5 seconds
    at the longest.

    **Delivery.** At least once for what is counted as sent; ingest drops repeats by id. Lost is what was dropped,
    and what was queued when the process was killed. At an orderly end of the interpreter two seconds are spent on
    what is queued; call `close` for more.

    **Threads, tasks, forks.** Safe to call from any thread and from coroutines; `flush` and `close` block, so
    coroutines await `aflush` and `aclose`. The thread begins with the first event. In the child of a fork a logger
    begins anew and empty, so it may be made before a server forks its workers.

    Both halves of a pair go to the partition `crc32(id) mod partitions`. `connect` is for tests.
    """

    def __init__(
        self,
        kafka: KafkaSettings | str,
        *,
        topic: str = "driftline.events",
        max_records: int = 100_000,
        max_bytes: int = 64 * 1024 * 1024,
        linger_s: float = 0.1,
        clock: Clock | None = None,
        connect: Connect = to_kafka,
    ) -> None:
        """Nothing is connected yet. ValueError for bounds that would let nothing pass."""
        if max_records < 1 or max_bytes < 1 or linger_s < 0:
            raise ValueError("max_records and max_bytes are at least 1, linger_s at least 0")
        self._settings = settings_of(kafka)
        self._topic = topic
        self._linger_s = linger_s
        self._clock: Clock = clock or SystemClock()
        self._connect = connect
        self._buffer = Buffer(max_records, max_bytes, self._wake)
        self._starting = threading.Lock()
        self._sender: Sender | None = None
        self._closed = False
        _loggers.add(self)
        atexit.register(self._at_exit)

    def log_prediction(
        self,
        *,
        model: str,
        version: str | int,
        id: str | int,
        features: Mapping[str, object] = _NO_FEATURES,
        prediction: Label | None = None,
        score: float | None = None,
        scores: Mapping[str, float] | None = None,
        segments: Mapping[str, str] | None = None,
        latency_ms: float | None = None,
        time: Moment | None = None,
    ) -> bool:
        """One prediction. True if it was queued.

        `id` is unique within the model; the outcome repeats it. `time` is when the prediction was made: a datetime
        with a zone or ms since the epoch, by default now. Features are numbers, strings, booleans, None or lists
        of numbers; scalars and arrays of numpy are converted, NaN and the infinities become missing. What is given is
        copied before this returns.
        """
        try:
            key, value = prediction_record(
                id=id,
                model=model,
                version=version,
                time=self._clock.now_ms() if time is None else time,
                features=features,
                prediction=prediction,
                score=score,
                scores=scores,
                segments=segments,
                latency_ms=latency_ms,
            )
            return self._put(key, value)
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the event, the prediction must not fail
            return self._refused(error)

    def log_outcome(
        self,
        *,
        model: str,
        id: str | int,
        outcome: Label,
        version: str | int | None = None,
        prediction: Label | None = None,
        score: float | None = None,
        segments: Mapping[str, str] | None = None,
        time: Moment | None = None,
    ) -> bool:
        """What turned out to be true of the prediction `id`. True if it was queued.

        `time` is when that became known, by default now. With `prediction` (and then `version`) repeated, no
        prediction event is needed.
        """
        try:
            key, value = outcome_record(
                id=id,
                model=model,
                time=self._clock.now_ms() if time is None else time,
                outcome=outcome,
                version=version,
                prediction=prediction,
                score=score,
                segments=segments,
            )
            return self._put(key, value)
        except Exception as error:  # noqa: BLE001 - as above
            return self._refused(error)

    def counts(self) -> Counts:
        """What became of all events so far (in this process)."""
        return self._buffer.counts()

    def flush(self, timeout: float = 10.0) -> bool:
        """Wait until what was queued before this call is sent (or failed), at most `timeout` seconds. False if the
        time is up. Blocks: coroutines use `aflush`."""
        sender = self._sender
        if sender is None:
            return True
        sender.hurry()
        return self._buffer.wait_settled(timeout)

    def close(self, timeout: float = 10.0) -> bool:
        """Flush, count what is left as dropped, and end the thread. True if nothing was left. May be repeated;
        events logged afterwards are dropped. What was on its way when the time was up may arrive nevertheless."""
        atexit.unregister(self._at_exit)
        with self._starting:
            self._closed = True
        self.flush(timeout)
        left = self._buffer.close()
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.stop()
        if left:
            _log.warning("%d events were still queued at the end, and are given up", left)
        return left == 0

    async def aflush(self, timeout: float = 10.0) -> bool:
        """`flush` for coroutines."""
        return await asyncio.to_thread(self.flush, timeout)

    async def aclose(self, timeout: float = 10.0) -> bool:
        """`close` for coroutines."""
        return await asyncio.to_thread(self.close, timeout)

    def __enter__(self) -> EventLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> EventLogger:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def _put(self, key: bytes, value: bytes) -> bool:
        self._start()
        return self._buffer.put(key, value)

    def _refused(self, error: Exception) -> bool:
        self._start()
        if isinstance(error, Poison):
            self._buffer.refuse(error.reason, error.detail)
        else:
            self._buffer.refuse(type(error).__name__, "a value is of a type that cannot be taken")
        return False

    def _start(self) -> None:
        if self._sender is not None or self._closed:
            return
        with self._starting:
            if self._sender is None and not self._closed:
                with contextlib.suppress(RuntimeError):  # no thread can be had now: the next call tries again
                    self._sender = Sender(self._buffer, self._connection, self._topic, self._linger_s)

    def _connection(self) -> Connection:
        return self._connect(self._settings)

    def _wake(self) -> None:
        if self._sender is not None:
            self._sender.wake()

    def _at_exit(self) -> None:
        self.close(EXIT_S)

    def _after_fork(self) -> None:
        self._starting = threading.Lock()
        self._sender = None
        self._buffer.renew()


_loggers: Final[weakref.WeakSet[EventLogger]] = weakref.WeakSet()


def _renew_in_child() -> None:
    for logger in list(_loggers):
        logger._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_in_child)
