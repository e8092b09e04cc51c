"""The log reader on Kafka: bounds, and ranges of one partition, outside any consumer group."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from driftline.errors import Misconfigured, Transient
from driftline.runtime.kafka import KafkaSettings, end_consumer, kafka_error
from driftline.runtime.kafka_topics import KafkaTopics
from driftline.runtime.log import Bounds, Record

_FETCH_WAIT_MS: Final = 20
"""A fetch that outlives one read holds up the next one for as long as this."""
_POLL_MS: Final = 500
_PARTITION_FETCH_BYTES: Final = 4 << 20


class KafkaReader:
    """A `LogReader`. One read at a time; connected when first used. Reads committed transactions only."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._consumer: Any = None
        self._one = asyncio.Lock()
        self._found: set[str] = set()

    async def partitions(self, topic: str) -> int:
        async with KafkaTopics(self._settings) as topics:
            found = await topics.describe()
        if topic not in found:
            raise Misconfigured(f"there is no topic {topic!r}: create it")
        self._found.add(topic)
        return found[topic]

    async def _require(self, topic: str) -> None:
        """Misconfigured if there is no such topic, when it is first asked for: aiokafka would wait for one."""
        if topic not in self._found:
            await self.partitions(topic)

    async def bounds(self, topic: str) -> dict[int, Bounds]:
        return await self.bounds_of(topic, range(await self.partitions(topic)))

    async def bounds_of(self, topic: str, partitions: Collection[int]) -> dict[int, Bounds]:
        """The bounds of some partitions."""
        await self._require(topic)
        async with self._connected(f"looking at the bounds of {topic}") as consumer:
            found = await self._bounds(consumer, [TopicPartition(topic, p) for p in partitions])
        return {tp.partition: bounds for tp, bounds in found.items()}

    async def read(self, topic: str, partition: int, start: int, stop: int) -> list[Record]:
        await self._require(topic)
        tp = TopicPartition(topic, partition)
        records: list[Record] = []
        async with self._connected(f"reading {topic}/{partition}") as consumer:
            bounds = (await self._bounds(consumer, [tp]))[tp]
            start, stop = max(start, bounds.begin), min(stop, bounds.end)
            if start >= stop:
                return records
            consumer.assign([tp])
            consumer.seek(tp, start)
            quiet_ms, position = 0, start
            while position < stop:
                polled = await consumer.getmany(tp, timeout_ms=_POLL_MS)
                records += [r for r in polled.get(tp, ()) if r.offset < stop]
                before, position = position, await consumer.position(tp)
                quiet_ms = 0 if position > before else quiet_ms + _POLL_MS
                if quiet_ms > self._settings.request_timeout_ms:
                    raise Transient(f"reading {topic}/{partition}: the broker sends nothing from {position} on")
        return records

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await end_consumer(consumer)

    @asynccontextmanager
    async def _connected(self, doing: str) -> AsyncIterator[Any]:
        async with self._one:
            try:
                if self._consumer is None:
                    self._consumer = await self._connect()
                yield self._consumer
            except (KafkaError, OSError, TimeoutError) as error:
                raise kafka_error(self._settings, doing, error) from error
            finally:
                if self._consumer is not None:
                    self._consumer.unsubscribe()

    async def _connect(self) -> Any:
        consumer = AIOKafkaConsumer(
            **self._settings.client_options(),
            enable_auto_commit=False,
            auto_offset_reset="none",
            isolation_level="read_committed",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_PARTITION_FETCH_BYTES,
        )
        try:
            await consumer.start()
        except BaseException:
            await end_consumer(consumer)
            raise
        return consumer

    async def _bounds(self, consumer: Any, tps: list[TopicPartition]) -> dict[TopicPartition, Bounds]:
        begins, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        if self._settings.end_lags:
            ends |= await self._ends_of_last_batch(consumer, [tp for tp in tps if ends[tp] > begins[tp]], ends)
        return {tp: Bounds(begins[tp], ends[tp]) for tp in tps}

    async def _ends_of_last_batch(
        self, consumer: Any, tps: list[TopicPartition], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """Fetch the last batch of each: the answer says where the log ends."""
        if not tps:
            return {}
        consumer.assign(tps)
        for tp in tps:
            consumer.seek(tp, ends[tp] - 1)
        async with asyncio.timeout(self._settings.request_timeout_ms / 1000):
            while any(consumer.highwater(tp) is None for tp in tps):
                await consumer.getmany(*tps, timeout_ms=_POLL_MS)
        return {tp: consumer.highwater(tp) for tp in tps}
