"""The ways to take events that are compared, all but Faust's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from aiokafka import AIOKafkaConsumer, TopicPartition

from bench.job import Cost, Job, Meter
from bench.workload import PARTITIONS
from driftline.cli.topics import create_topics
from driftline.clock import SystemClock
from driftline.collector import lean
from driftline.contracts.decode import Decoder
from driftline.contracts.events import Prediction
from driftline.contracts.features import FeatureDecoder
from driftline.ingest.stage import IngestStage
from driftline.registry import ProfileRegistry
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Outgoing, Record
from driftline.runtime.loop import Loop
from driftline.wiring import decoder, ingest_settings, kafka_settings, loop_settings, redis_store

_BINS: Final = np.linspace(-3, 3, 63)

Take = Callable[[Sequence[Record]], None]


async def consume(job: Job) -> Cost:
    """aiokafka's `getmany` and nothing else."""
    return await _polled(job, lambda records: None)


async def decode(job: Job) -> Cost:
    """Typed, checked events whose features are not looked at: the ceiling of whatever looks at events."""
    one = Decoder().decode

    def take(records: Sequence[Record]) -> None:
        for record in records:
            one(record.value, record.headers)

    return await _polled(job, take)


async def bare(job: Job) -> Cost:
    """Events, their features as columns, a histogram of each in numpy. No groups, panes, ledger, or checks."""
    one = Decoder().decode
    features = FeatureDecoder([f"f{k}" for k in range(job.features)])
    counts = np.zeros((job.features, len(_BINS) + 1), np.int64)

    def take(records: Sequence[Record]) -> None:
        events = [one(record.value, record.headers) for record in records]
        found = features.columns([event.features for event in events if isinstance(event, Prediction)])
        for row, column in zip(counts, found.columns.values(), strict=True):
            row += np.bincount(np.searchsorted(_BINS, column.numbers), minlength=len(row))

    return await _polled(job, take)


async def _polled(job: Job, take: Take) -> Cost:
    config, meter = job.config(), Meter(job)
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=config.kafka.bootstrap, enable_auto_commit=False, max_partition_fetch_bytes=4 << 20
    )
    await consumer.start()
    consumer.assign([TopicPartition(config.topics.events[0], p) for p in range(PARTITIONS)])
    await consumer.seek_to_beginning()
    seen = since = 0
    while not meter.started or (seen - since < job.events and seen < job.held):
        if not meter.started and seen >= job.warm:
            since = seen
            meter.start()
        for records in (await consumer.getmany(timeout_ms=250, max_records=50_000)).values():
            seen += len(records)
            take(records)
    cost = meter.stop(seen - since)
    await consumer.stop()
    return cost


async def ingest(job: Job) -> Cost:
    """The stage as it runs: group, store, ledger, checkpoints, and the join if the settings say so."""
    config, clock, meter = job.config(), SystemClock(), Meter(job)
    await create_topics(config)
    kafka = kafka_settings(config)
    reader, writer, store = KafkaReader(kafka), Counting(kafka, config.topics.blocks), redis_store(config)
    registry = ProfileRegistry(reader, config.topics.profiles, clock)
    await registry.refresh(force=True)
    blocks = await reader.partitions(config.topics.blocks)
    stage = IngestStage(ingest_settings(config, PARTITIONS, blocks, 1), decoder(config), store, reader, registry)
    consumer = KafkaConsumer(kafka, stage.topic, job.name)
    loop = Loop(stage, consumer, writer, store, clock, loop_settings(config, "ingest", structure="bench"))
    seen = since = bytes_before = 0
    with lean():
        await loop.start()
        while not meter.started or (seen - since < job.events and seen < job.held):
            if not meter.started and seen >= job.warm:
                since, bytes_before = seen, writer.bytes
                meter.start()
            seen += await loop.step()
    cost = meter.stop(seen - since, writer.bytes - bytes_before)
    await consumer.close()
    for client in (reader, writer, store):
        await client.close()
    return cost


class Counting(KafkaWriter):
    """Counts the bytes that go to one topic."""

    def __init__(self, settings: Any, topic: str) -> None:
        super().__init__(settings)
        self._counted = topic
        self.bytes = 0

    async def publish(self, records: Sequence[Outgoing]) -> None:
        self.bytes += sum(len(r.value or b"") for r in records if r.topic == self._counted)
        await super().publish(records)
