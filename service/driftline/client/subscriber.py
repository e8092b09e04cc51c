"""`RetrainingSubscriber`: retraining requests, one at a time, until each is answered."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import re
from collections import deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import replace
from types import TracebackType
from typing import Final

from driftline.client.answers import Answers
from driftline.client.connection import Connect, Connection, settings_of, to_kafka
from driftline.client.lifecycle import TOPIC as LIFECYCLE_TOPIC
from driftline.client.lifecycle import LifecycleReporter
from driftline.client.patience import patiently
from driftline.client.request import Job, RetrainingRequest
from driftline.clock import Clock, SystemClock
from driftline.contracts.cloudevents import decode_retraining
from driftline.contracts.reactions import RetrainingRequested
from driftline.contracts.records import Lifecycle
from driftline.errors import DriftlineError, Fenced, LogGap, Misconfigured, Poison, Transient
from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.log import Bounds, Record

TOPIC: Final = "driftline.retraining"
GROUP: Final = "driftline.job."
"""Begins the names of the consumer groups: a job `train` is the group `driftline.job.train`."""

_POLL_RECORDS: Final = 100
_POLL_S: Final = 0.5
_PAUSE_S: Final = 0.05
_WEEKS_MS: Final = 2**31 - 1
_JOB: Final = re.compile(r"[A-Za-z0-9._-]{1,100}")

_log: Final = logging.getLogger("driftline.client")

Handler = Callable[[Job], Awaitable[None] | None]


class RetrainingSubscriber:
    """Requests for retraining, for `async with` and `async for`; the next one only after the last is settled.

        async with RetrainingSubscriber("kafka:9092", job="flights-train") as requests:
            async for request in requests:
                async with request.working() as job:
                    job.version = await asyncio.to_thread(train, request.window)

    **Guarantee.** Every request that is not expired is given out at least once, with the same id each time, until
    this job has answered it (succeeded, failed) or declined it. An answered request is not given out again, neither
    after a crash nor on another machine: the answers are read back from the `lifecycle` topic (the last 10,000 of
    it). It is given out twice where the job is killed, or cancelled, between `started` and its answer; and where it
    is thought dead by the group (event loop blocked for longer than `session_timeout_ms`) while it still works. So
    train in a thread (`asyncio.to_thread`), or use `run`, which does.

    Instances with the same `job` share the requests; each job gets them all. `models` are the models it cares for
    (None: all); requests for others pass by. A request is expired when it has lain on the topic for longer than its
    lifetime, `expires - time`, by the wall clock: that is event time too, unless history is being replayed.

    A broker that is away is waited for. Raises Misconfigured where a topic is missing or the broker refuses us.
    """

    def __init__(
        self,
        kafka: KafkaSettings | str,
        *,
        job: str,
        models: Collection[str] | None = None,
        topic: str = TOPIC,
        lifecycle_topic: str = LIFECYCLE_TOPIC,
        clock: Clock | None = None,
        connect: Connect = to_kafka,
    ) -> None:
        """Misconfigured for a `job` that is no name: 1 to 100 letters, digits, dots, hyphens, underscores."""
        if not _JOB.fullmatch(job):
            raise Misconfigured("job: 1 to 100 letters, digits, dots, hyphens and underscores are wanted")
        # Work may take days between polls; whether a member lives, its heartbeats say.
        settings = replace(settings_of(kafka), max_poll_interval_ms=_WEEKS_MS)
        self.job = job
        self._models = None if models is None else frozenset(models)
        self._topic = topic
        self._clock: Clock = clock or SystemClock()
        self._connection: Connection = connect(settings)
        self._consumer = self._connection.consumer(topic, GROUP + job)
        self._answers = Answers(self._connection.reader, lifecycle_topic, job)
        self.lifecycle = LifecycleReporter(settings, topic=lifecycle_topic, clock=clock, connect=connect)
        """For what is no answer to a request: versions registered, rolled back, retired."""
        self._read: deque[Record] = deque()
        self._open: Record | None = None
        self._assignment = 0
        self._stopping = self._closed = False

    async def start(self) -> None:
        """Join the group. Called by `async with`."""
        await patiently(self._answers.catch_up, "reading the answers given so far", self._is_stopping)
        await patiently(lambda: self._consumer.start(self), f"joining the group of {self.job}", self._is_stopping)

    def stop(self) -> None:
        """Let the iteration end, at the latest half a second after the request in hand is settled."""
        self._stopping = True

    async def close(self) -> None:
        """Leave the group. What is not settled comes again."""
        self._stopping = self._closed = True
        await self._consumer.close()
        await self.lifecycle.close()
        await self._connection.close()

    async def __aenter__(self) -> RetrainingSubscriber:
        try:
            await self.start()
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __aiter__(self) -> RetrainingSubscriber:
        return self

    async def __anext__(self) -> RetrainingRequest:
        """Wait for the next request. RuntimeError while the last is neither answered nor declined."""
        if self._open is not None:
            raise RuntimeError("the last request is not settled: `async with request.working()`, or decline() it")
        try:
            while not self._stopping:
                given = await self._next()
                if given is not None:
                    return given
        except Transient:
            if not self._stopping:  # else it is what was being waited for when `stop` was called
                raise
        raise StopAsyncIteration

    async def _next(self) -> RetrainingRequest | None:
        while self._read:
            record, assignment = self._read[0], self._assignment
            request = await self._for_us(record)
            if assignment != self._assignment:
                return None  # it is read again by whoever has the partition now
            self._read.popleft()
            if request is not None:
                self._open = record
                return self._given(record, request)
            if not self._read:
                await self._commit(record)
        await self._poll()
        return None

    async def run(self, handler: Handler) -> None:
        """Call `handler(job)` for every request, until `stop`. A plain function runs in a thread, so that it may
        take its time; a coroutine function is awaited. Where it raises, the retraining has failed: that is logged,
        and the next request is waited for."""
        async for request in self:
            try:
                async with request.working() as job:
                    if inspect.iscoroutinefunction(handler):
                        await handler(job)
                    else:
                        result = await asyncio.to_thread(handler, job)
                        if inspect.isawaitable(result):
                            await result
            except DriftlineError:
                raise
            except Exception:  # noqa: BLE001 - told as failed; the next request must not suffer from it
                _log.exception("retraining of %s %s failed (%s)", request.model, request.version, request.id)

    async def on_assigned(self, partitions: Collection[int]) -> None:
        """Stand where the group has committed; at the beginning where it has not, or where that is gone."""
        self._forget_read()
        for partition in partitions:
            with contextlib.suppress(Fenced):  # it is gone again, and this is called anew
                await self._place(partition)

    async def on_revoked(self, partitions: Collection[int]) -> None:
        """What was read and not given out is read again by whoever comes next."""
        self._forget_read()

    def _forget_read(self) -> None:
        self._read.clear()
        self._assignment += 1

    async def _place(self, partition: int) -> None:
        async def bounds() -> tuple[int | None, Bounds]:
            return await self._consumer.committed(partition), await self._consumer.bounds(partition)

        committed, held = await patiently(bounds, "finding the place to read on", self._is_stopping)
        start = held.begin if committed is None else committed
        if not held.begin <= start <= held.end:
            _log.warning("%s/%d: requests from %d on are gone", self._topic, partition, start)
            start = held.begin
        self._consumer.seek(partition, start)

    async def _poll(self) -> None:
        try:
            polled = await patiently(
                lambda: self._consumer.poll(_POLL_RECORDS, _POLL_S), f"reading {self._topic}", self._is_stopping
            )
        except LogGap:
            await self.on_assigned(self._consumer.assigned())
            return
        self._read.extend(record for records in polled.values() for record in records)
        if not self._read:
            await asyncio.sleep(_PAUSE_S)

    async def _for_us(self, record: Record) -> RetrainingRequested | None:
        try:
            request = decode_retraining(record.value, record.headers)
        except Poison as error:
            _log.warning("%s/%d offset %d is no request: %s", record.topic, record.partition, record.offset, error)
            return None
        if self._models is not None and request.model not in self._models:
            return None
        age = self._clock.now_ms() - record.timestamp if record.timestamp > 0 else 0
        if age > request.expires - request.time:
            _log.warning("the retraining request %s for %s has expired", request.id, request.model)
            return None
        await patiently(self._answers.catch_up, "reading the answers given so far", self._is_stopping)
        return None if self._answers.answered(request.id) else request

    def _given(self, record: Record, request: RetrainingRequested) -> RetrainingRequest:
        assignment = self._assignment

        async def settled(answer: Lifecycle | None) -> None:
            if answer is not None:
                self._answers.take(answer)
            await self._commit(record)
            self._open = None

        def let_go() -> None:
            if self._open is record:
                self._open = None
                if assignment == self._assignment:
                    self._read.appendleft(record)

        begun = self._answers.begun(request.id)
        return RetrainingRequest(request, self.job, begun, self.lifecycle, settled, let_go)

    async def _commit(self, record: Record) -> None:
        async def commit() -> bool:
            return await self._consumer.commit({record.partition: record.offset + 1})

        if not await patiently(commit, f"committing to {self._topic}", self._is_closed):
            _log.warning("%s: the group has given our requests to another instance meanwhile", self.job)

    def _is_stopping(self) -> bool:
        return self._stopping

    def _is_closed(self) -> bool:
        return self._closed


def run(
    handler: Handler,
    kafka: KafkaSettings | str,
    *,
    job: str,
    models: Collection[str] | None = None,
    topic: str = TOPIC,
    lifecycle_topic: str = LIFECYCLE_TOPIC,
    connect: Connect = to_kafka,
) -> None:
    """A whole retraining job: `run(handler, "kafka:9092", job="flights-train")`. Runs for ever; see
    `RetrainingSubscriber` for the arguments and the guarantee, and its `run` for what the handler may do."""

    async def work() -> None:
        subscriber = RetrainingSubscriber(
            kafka, job=job, models=models, topic=topic, lifecycle_topic=lifecycle_topic, connect=connect
        )
        async with subscriber:
            await subscriber.run(handler)

    asyncio.run(work())
