"""The logs under the contract."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from driftline.clock import ManualClock
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_topics import KafkaTopics, TopicSpec
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import GroupConsumer, LogReader, LogWriter
from driftline.runtime.memory_group import MemoryConsumer, MemoryGroup
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryWriter
from support.servers import AnyServers, kafka_settings, unique


class LogBench(Protocol):
    writer: LogWriter
    reader: LogReader

    async def topic(self, partitions: int) -> str:
        """A new topic."""
        ...

    def consumer(self, topic: str, group: str) -> GroupConsumer: ...

    async def close(self) -> None: ...


class MemoryLogBench:
    def __init__(self) -> None:
        self.log = MemoryLog(ManualClock(1_000))
        self.log.max_bytes = 1_000_000
        self.writer: LogWriter = MemoryWriter(self.log)
        self.reader: LogReader = MemoryReader(self.log)
        self._groups: dict[str, MemoryGroup] = {}

    async def topic(self, partitions: int) -> str:
        name = unique("topic")
        self.log.create(name, partitions)
        return name

    def consumer(self, topic: str, group: str) -> MemoryConsumer:
        return MemoryConsumer(self._groups.setdefault(group, MemoryGroup(self.log, topic)))

    async def close(self) -> None: ...


class KafkaBench:
    def __init__(self, servers: AnyServers) -> None:
        self.settings = replace(kafka_settings(servers), session_timeout_ms=2_000, rebalance_timeout_ms=2_000)
        self.writer: LogWriter = KafkaWriter(self.settings)
        self.reader: LogReader = KafkaReader(self.settings)
        self._consumers: list[KafkaConsumer] = []

    async def topic(self, partitions: int) -> str:
        name = unique("topic")
        async with KafkaTopics(self.settings) as topics:
            await topics.create([TopicSpec(name, partitions)])
        return name

    def consumer(self, topic: str, group: str) -> KafkaConsumer:
        self._consumers.append(KafkaConsumer(self.settings, topic, group))
        return self._consumers[-1]

    async def close(self) -> None:
        for consumer in self._consumers:
            await consumer.close()
        await self.writer.close()
        await self.reader.close()
