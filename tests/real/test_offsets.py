"""Stored offsets that the log does not have any more, or does not have yet."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from dataclasses import replace
from typing import Any, Final

import pytest

from driftline.errors import LogGap
from driftline.runtime.kafka_consumer import KafkaConsumer
from driftline.runtime.kafka_topics import KafkaTopics, TopicSpec
from driftline.runtime.kafka_writer import KafkaWriter
from driftline.runtime.log import Outgoing
from kills.cluster import STAGES
from kills.workload import BLOCKS, SOURCES, Workload
from real.admin import Admin
from real.cluster import RealCluster
from support.real import RealServers
from support.servers import kafka_settings, unique

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

_FIRST, _SECOND = 1_500, 3_000
_GONE: Final = 40
"""Records of each partition that retention takes before they are read."""


class _Seeker:
    """A listener that seeks every partition to one offset."""

    def __init__(self, consumer: KafkaConsumer, offset: int) -> None:
        self._consumer, self._offset = consumer, offset

    async def on_revoked(self, partitions: Collection[int]) -> None: ...

    async def on_assigned(self, partitions: Collection[int]) -> None:
        for partition in partitions:
            self._consumer.seek(partition, self._offset)


@pytest.fixture
async def trimmed(real: RealServers, admin: Admin) -> AsyncIterator[str]:
    """A topic of 50 records, of which the first 30 are gone."""
    settings = kafka_settings(real)
    topic = unique("trimmed")
    async with KafkaTopics(settings) as topics:
        await topics.create([TopicSpec(topic, 1)])
    writer = KafkaWriter(settings)
    await writer.publish([Outgoing(topic, 0, None, b"%d" % i) for i in range(50)])
    await writer.close()
    await admin.trim(topic, {0: 30})
    yield topic


@pytest.mark.parametrize(("wanted", "found"), [(10, 30), (70, 50)])
async def test_what_the_broker_has_not_is_a_gap(real: RealServers, trimmed: str, wanted: int, found: int) -> None:
    """B15: a fetch before the log's begin, and one behind its end, is answered with OffsetOutOfRange.

    Mutation: `KafkaConsumer.poll` takes it for any other KafkaError.
    """
    settings = replace(kafka_settings(real), session_timeout_ms=2_000)
    consumer = KafkaConsumer(settings, trimmed, unique("group"))
    await consumer.start(_Seeker(consumer, wanted))
    try:
        with pytest.raises(LogGap) as gap:
            for _ in range(40):
                await consumer.poll(100, 0.25)
        assert (gap.value.expected, gap.value.found) == (wanted, found)
    finally:
        await consumer.close()


async def _gaps(cluster: RealCluster) -> dict[str, Any]:
    """Expected and found offset by where, of every gap that a signal tells of."""
    told = [said.content for said in (await cluster.spoken()).system]
    return {
        one["monitor"].removeprefix("system:gap:"): (one["details"]["expected"], one["details"]["found"])
        for one in told
        if one["monitor"].startswith("system:gap:")
    }


async def test_retention_overtakes_a_stopped_ingest(admin: Admin, cluster: RealCluster, work: Workload) -> None:
    """B15: while ingest is stopped, records that it has not read are deleted. It says so, and stops; told to go on
    from the earliest there are, it says so, and counts all of those. Judge does not skip the ranges over the gap
    either, unless told to.

    Mutation: `Takeover` does not check the bounds.
    """
    events = cluster.config.topics.events[0]
    for stage in STAGES:
        cluster.start(stage)
    await cluster.publish(work.records[:_FIRST])
    await cluster.all_counted()
    await cluster.stop()
    stood = await cluster.positions("ingest")
    await cluster.publish(work.records[_FIRST:_SECOND])
    await admin.trim(events, {p: offset + _GONE for p, offset in enumerate(stood)})

    log = await cluster.ended(cluster.start("ingest"))
    assert "runtime.on_log_gap" in log
    gaps = await _gaps(cluster)
    assert gaps
    assert all(
        gaps[where] == (stood[p], stood[p] + _GONE) for p in range(SOURCES) if (where := f"ingest/{p}") in gaps
    )
    assert await cluster.positions("ingest") == stood

    cluster.reconfigure(runtime={"on_log_gap": "earliest"})
    cluster.start("ingest")
    await cluster.all_folded()
    assert await _gaps(cluster) == {f"ingest/{p}": (stood[p], stood[p] + _GONE) for p in range(SOURCES)}
    await cluster.ended(cluster.start("judge"))

    cluster.reconfigure(judge={"on_gap": "continue"})
    cluster.start("judge")
    await cluster.all_counted()
    await cluster.stop()
    ledger = await cluster.ledger()
    assert ledger.records == _SECOND - SOURCES * _GONE
    assert len(ledger.problems) == SOURCES * BLOCKS, ledger.problems


async def test_retention_overtakes_a_running_ingest(admin: Admin, cluster: RealCluster, work: Workload) -> None:
    """B15: ingest falls so far behind that what it fetches next is gone. It stops, and says so when it is started
    again.

    Mutation: `KafkaConsumer` resets to the latest offset (`auto_offset_reset`).
    """
    events = cluster.config.topics.events[0]
    worker = cluster.start("ingest")
    await cluster.publish(work.records[:_FIRST])
    await cluster.all_folded()
    worker.freeze()
    # A fetch may be on its way: the first records are its answer, and the next fetch finds nothing.
    await cluster.publish(work.records[_FIRST : _FIRST + 30])
    answered = list(cluster.published.values())
    await cluster.publish(work.records[_FIRST + 30 : _SECOND])
    await admin.trim(events, {p: offset + _GONE for p, offset in enumerate(answered)})
    worker.thaw()
    assert "is wanted" in await cluster.ended(worker)
    await cluster.ended(cluster.start("ingest"))
    gaps = await _gaps(cluster)
    assert gaps
    assert all(found == answered[int(where[-1])] + _GONE for where, (_, found) in gaps.items())


async def test_a_topic_that_was_made_anew(admin: Admin, cluster: RealCluster, work: Workload) -> None:
    """B15: the topic of events is deleted and created again, so that ingest stands behind its end. It says so, and
    stops, whatever the policy: judge has counted these offsets before, and would skip what lies under them now.

    Mutation: `Takeover._check_bounds` looks at the log's begin only.
    """
    events = cluster.config.topics.events[0]
    for stage in STAGES:
        cluster.start(stage)
    await cluster.publish(work.records[:_FIRST])
    await cluster.all_counted()
    await cluster.stop()
    stood = await cluster.positions("ingest")
    await admin.delete(events)
    await admin.create(events, SOURCES)
    await cluster.publish(work.records[:60])
    for policy in ("stop", "earliest"):
        cluster.reconfigure(runtime={"on_log_gap": policy})
        await cluster.ended(cluster.start("ingest"))
        gaps = await _gaps(cluster)
        assert gaps
        assert all(gaps[where][0] == stood[p] for p in range(SOURCES) if (where := f"ingest/{p}") in gaps)
        assert await cluster.positions("ingest") == stood
