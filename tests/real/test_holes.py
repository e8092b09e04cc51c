"""Offsets without records: what compaction has taken, and what transactions leave behind."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.log import Record
from driftline.wiring import kafka_settings
from kills.workload import SOURCES, Workload
from real.admin import Admin
from real.cluster import RealCluster, incidents
from support.real import RealServers
from support.servers import unique

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

_EAGER: Final = {"ingest": {"max_batch": 40, "poll_ms": 50, "idle_after_s": 1}}
_WATCHED: Final = {"runtime": {"watchdog_s": 2}}
_WATCHED_S: Final = 5.0
_KEYS: Final = 50


@pytest.fixture
async def producer(real: RealServers) -> AsyncIterator[Any]:
    made = AIOKafkaProducer(bootstrap_servers=real.kafka_bootstrap, transactional_id=unique("producer"))
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def reader(cluster: RealCluster) -> AsyncIterator[KafkaReader]:
    made = KafkaReader(kafka_settings(cluster.config))
    yield made
    await made.close()


async def _send(producer: Any, topic: str, records: Sequence[tuple[int, bytes | None]]) -> None:
    for sent in [await producer.send(topic, value, b"key", partition=source) for source, value in records]:
        await sent


async def _transactions(
    producer: Any,
    topic: str,
    committed: Sequence[tuple[int, bytes | None]],
    aborted: Sequence[tuple[int, bytes | None]],
) -> None:
    """In three of each kind, in turn; the last one is aborted."""
    for part in range(3):
        async with producer.transaction():
            await _send(producer, topic, committed[part::3])
        await producer.begin_transaction()
        await _send(producer, topic, aborted[part::3])
        await producer.abort_transaction()


async def _all(reader: KafkaReader, topic: str, partition: int) -> list[Record]:
    bounds = (await reader.bounds(topic))[partition]
    return await reader.read(topic, partition, bounds.begin, bounds.end)


async def _count(reader: KafkaReader, topic: str) -> Counter[str]:
    """What is left of it."""
    left = [record for source in range(SOURCES) for record in await _all(reader, topic, source)]
    return Counter(records=len(left), tombstones=sum(1 for record in left if record.value is None))


async def _idle(reader: KafkaReader, topic: str) -> dict[int, bool]:
    """Whether the last bundle of each source says that the source is idle."""
    bundles = [msgspec.msgpack.decode(record.value or b"") for record in await _all(reader, topic, 0)]
    return {bundle["source"]: bundle["idle"] for bundle in bundles}


@pytest.mark.parametrize("cluster", [_EAGER], indirect=True)
async def test_aborted_transactions(
    cluster: RealCluster, producer: Any, reader: KafkaReader, work: Workload
) -> None:
    """B17: events come in transactions, some of which are aborted, the last one of each partition too. What was
    aborted is not counted; what was committed is. At the end the partitions are idle: they hold back no watermark.

    Mutation: `Loop._idle_batch` looks at the last record's offset instead of the position.
    """
    topics = cluster.config.topics
    committed, aborted = work.records[:600], work.records[600:900]
    cluster.start("ingest")
    await _transactions(producer, topics.events[0], committed, aborted)

    async def idle() -> bool:
        told = await _idle(reader, topics.blocks)
        return len(told) == SOURCES and all(told.values())

    await cluster.until("every partition is idle", idle)
    ledger = await cluster.ledger()
    assert ledger.problems == []
    assert ledger.records == len(committed)
    await cluster.stop()
    assert incidents(await cluster.spoken()) == set()


@pytest.mark.parametrize("cluster", [_WATCHED], indirect=True)
async def test_aborted_transactions_are_no_stall(cluster: RealCluster, producer: Any, work: Workload) -> None:
    """B17: the log ends with an aborted transaction, behind the last record, and the watchdog sees that there is
    nothing more to fetch.

    Mutation: `Loop._watch` looks at the last record's offset instead of the position.
    """
    worker = cluster.start("ingest")
    await _transactions(producer, cluster.config.topics.events[0], work.records[:300], work.records[300:600])

    async def folded() -> bool:
        return (await cluster.ledger()).records == 300

    await cluster.until("all that is committed is counted", folded)
    await asyncio.sleep(_WATCHED_S)
    assert "partition.stalled" not in worker.log.read_text()
    await cluster.stop()


@pytest.mark.parametrize("cluster", [_EAGER], indirect=True)
async def test_compaction_and_tombstones(
    admin: Admin, cluster: RealCluster, reader: KafkaReader, work: Workload
) -> None:
    """B17: the topic of events is compacted: most offsets hold no record any more, some hold a tombstone. Ranges
    cover them all the same, every record that is left is counted, and a tombstone is refused as `empty`.

    Mutation: `Loop._next_batch` ends a range with its number of records.
    """
    topics = cluster.config.topics
    events = topics.events[0]
    await admin.delete(events)
    await admin.create(
        events, SOURCES, cleanup_policy="compact", segment_ms="100", min_cleanable_dirty_ratio="0.01"
    )
    good = [(source, value) for source, value in work.records if value and value.startswith(b'{"type"')]
    for start in range(0, 900, 300):
        keyed = [
            (source, b"%d" % (i % _KEYS), None if i % _KEYS == 7 else value)
            for i, (source, value) in enumerate(good[start : start + 300])
        ]
        await cluster.publish_keyed(keyed)
        await asyncio.sleep(0.2)

    async def compacted() -> bool:
        await cluster.publish_keyed([(source, b"more", good[-1][1]) for source in range(SOURCES)])
        return (await _count(reader, events))["records"] < sum(cluster.published.values()) // 2

    await cluster.until("most records are gone", compacted, every_s=0.3)
    before = await _count(reader, events)
    cluster.start("ingest")
    await cluster.all_folded()
    ledger = await cluster.ledger()
    assert ledger.problems == []
    after = await _count(reader, events)
    assert before["records"] >= ledger.records >= after["records"]
    assert before["tombstones"] >= ledger.refused["empty"] >= after["tombstones"] > 0
    await cluster.stop()
    assert incidents(await cluster.spoken()) == set()
