"""How the clients reach the log: Kafka, or whatever a test puts in its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from driftline.runtime.kafka import KafkaSettings
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import GroupConsumer, LogReader, LogWriter


@dataclass(frozen=True, slots=True)
class Connection:
    """Nothing is connected before it is used. `consumer(topic, group)` makes a member of a consumer group."""

    writer: LogWriter
    reader: LogReader
    consumer: Callable[[str, str], GroupConsumer]

    async def close(self) -> None:
        """Close writer and reader; a consumer is closed by whoever asked for it."""
        await self.writer.close()
        await self.reader.close()


Connect = Callable[[KafkaSettings], Connection]


def to_kafka(settings: KafkaSettings) -> Connection:
    def consumer(topic: str, group: str) -> KafkaConsumer:
        return KafkaConsumer(settings, topic, group)

    return Connection(KafkaWriter(settings), KafkaReader(settings), consumer)


def settings_of(kafka: KafkaSettings | str) -> KafkaSettings:
    """A bare `host:port[,host:port]` stands for brokers without TLS and login."""
    return KafkaSettings(kafka) if isinstance(kafka, str) else kafka
