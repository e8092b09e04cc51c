"""Topics that are not there, are taken away, or grow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

import pytest

from driftline.clock import SystemClock
from driftline.ingest.stage import IngestStage
from driftline.registry import ProfileRegistry
from driftline.runtime import kafka_consumer
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_reader import KafkaReader
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.loop import Loop
from driftline.wiring import decoder, ingest_settings, kafka_settings, loop_settings, redis_store
from kills.workload import BLOCKS, SOURCES, Workload
from real.admin import Admin
from real.cluster import Health, RealCluster

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

_OBSERVED: Final = {"runtime": {"http": {"port": 0}, "watchdog_s": 5}}


async def test_missing_at_the_start(admin: Admin, cluster: RealCluster) -> None:
    """B16: a stage whose topic is missing refuses to start, and says which and what to do.

    Mutation: `KafkaReader.partitions` answers 1 for a topic that is not there.
    """
    events = cluster.config.topics.events[0]
    await admin.delete(events)
    refused = await cluster.command("run", "--stages", "ingest")
    assert refused.returncode == 2, refused.stdout
    assert f"there is no topic '{events}': create it" in refused.stdout


@pytest.fixture
async def noticing(monkeypatch: pytest.MonkeyPatch, cluster: RealCluster) -> AsyncIterator[Loop[object, object]]:
    """An ingest of this process, which looks at the topic every second."""
    monkeypatch.setattr(kafka_consumer, "_METADATA_AGE_MS", 1_000)
    config, clock = cluster.config, SystemClock()
    kafka = kafka_settings(config)
    reader, writer, store = KafkaReader(kafka), KafkaWriter(kafka), redis_store(config)
    stage = IngestStage(
        ingest_settings(config, SOURCES, BLOCKS, 1),
        decoder(config),
        store,
        reader,
        ProfileRegistry(reader, config.topics.profiles, clock),
    )
    loop = Loop(
        stage,
        KafkaConsumer(kafka, stage.topic, f"{cluster.name}.ingest"),
        writer,
        store,
        clock,
        loop_settings(config, "ingest", structure="any"),
    )
    running = asyncio.create_task(loop.run())
    yield loop  # type: ignore[misc]
    loop.stop()
    await running
    await writer.close()
    await reader.close()
    await store.close()


async def test_partitions_are_added(
    admin: Admin, cluster: RealCluster, noticing: Loop[object, object], work: Workload
) -> None:
    """B16: partitions are added to the events. They are noticed, and read from their earliest record.

    Mutation: `IngestStage.recover` starts a partition that the store does not know at the end of its log.
    """
    await cluster.publish(work.records[:600])
    await cluster.until("all have been taken over", lambda: len(noticing.owned) == SOURCES)
    await admin.widen(cluster.config.topics.events[0], SOURCES + 1)
    new = [(SOURCES, value) for _, value in work.records[600:900]]
    await cluster.publish_anew(new)
    await cluster.until("the new one has been taken over", lambda: len(noticing.owned) == SOURCES + 1)

    async def folded() -> bool:
        return (await cluster.ledger()).records == 900

    await cluster.until("everything is counted", folded)
    ledger = await cluster.ledger()
    assert ledger.problems == []
    assert ledger.ends[SOURCES] == len(new)


@pytest.mark.parametrize("cluster", [_OBSERVED], indirect=True)
async def test_deleted_under_a_running_stage(admin: Admin, cluster: RealCluster, work: Workload) -> None:
    """B16: the topic of events is deleted while ingest runs. It lets go of the partitions, says so, and is not
    ready; when the topic is there again, a new worker says that it stands behind its end, and stops.

    Mutation: `watch_servers` looks for no topics.
    """
    worker = cluster.start("ingest")
    health = Health(worker)
    await cluster.publish(work.records[:600])
    await cluster.all_folded()
    await cluster.until("it is ready", health.ready)
    events = cluster.config.topics.events[0]
    await admin.delete(events)

    async def not_ready() -> bool:
        return not await health.ready()

    await cluster.until("it is not ready", not_ready)
    assert f"topic {events} is missing" in worker.log.read_text()
    assert await health.alive()
    assert worker.running
    await cluster.stop()
    await admin.create(events, SOURCES)
    assert "is wanted" in await cluster.ended(cluster.start("ingest"))
