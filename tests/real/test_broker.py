"""Kafka that is away for a while, and a group that goes on without us."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Final

import pytest

from kills.cluster import STAGES
from kills.oracle import finish
from kills.workload import Said, Workload
from real.admin import Admin
from real.cluster import Health, RealCluster, incidents
from support.real import RealServers

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

_AWAY_S: Final = 12.0
_EVICTIONS: Final = 4
_OBSERVED: Final = {"runtime": {"http": {"port": 0}}, "kafka": {"request_timeout_ms": 4_000}}
"""Calls fail while the broker is away, instead of outlasting that."""
_SELDOM_ASKED: Final = {"kafka": {"session_timeout_ms": 9_000}}
"""Heartbeats are further apart than commits, so that it is a commit which fails first."""


@pytest.mark.parametrize("cluster", [_OBSERVED], indirect=True)
async def test_away_and_back(real: RealServers, cluster: RealCluster, work: Workload, clean: Said) -> None:
    """B13: all brokers are gone at once in the middle of a backlog, stay away for a while, and come back; later
    they restart in order. The stages wait, alive and not ready, and go on: no process ends, nothing is lost or
    counted twice.

    Mutation: `kafka_error` makes Misconfigured of a time-out.
    """
    workers = [cluster.start(stage) for stage in STAGES]
    health = [Health(worker) for worker in workers]
    await cluster.publish(work.records)
    await cluster.until("judge is at work", partial(cluster.beyond, "judge", 0))
    await cluster.until("ingest is far enough", partial(cluster.beyond, "ingest", len(work.records) // 4))
    real.kafka.stop(kill=True)
    try:
        await asyncio.sleep(_AWAY_S)
        assert all(worker.running for worker in workers), "\n".join(worker.tail for worker in workers)
        assert [await one.alive() for one in health] == [True, True]
        assert [await one.ready() for one in health] == [False, False]
    finally:
        real.kafka.start()
    await cluster.until("ingest goes on", partial(cluster.beyond, "ingest", len(work.records) // 2))
    real.kafka.stop()
    real.kafka.start()
    for one in health:
        await cluster.until("it is ready again", one.ready)
    spoken = await finish(cluster, work, clean)
    assert all(worker.process.returncode == 0 for worker in workers)
    assert incidents(spoken) == set()


@pytest.mark.parametrize("cluster", [_SELDOM_ASKED], indirect=True)
async def test_the_group_goes_on_without_a_member(
    admin: Admin, cluster: RealCluster, work: Workload, clean: Said
) -> None:
    """B14: the coordinator forgets the member of each stage, again and again, so that commits and heartbeats fail
    with UnknownMemberId. State is safe already: the worker joins again and goes on.

    Mutation: `KafkaConsumer.commit` maps a TimeoutError only.
    """
    workers = [cluster.start(stage) for stage in STAGES]
    publishing = asyncio.create_task(cluster.publish_slowly(work.records, 8.0))
    for _ in range(_EVICTIONS):
        for stage in STAGES:
            stood = await cluster.progress(stage)
            await cluster.until(f"{stage} gets on", partial(cluster.beyond, stage, stood))
            for member in await admin.members(f"{cluster.name}.{stage}"):
                await admin.evict(f"{cluster.name}.{stage}", member)
    await publishing
    spoken = await finish(cluster, work, clean)
    assert all(worker.process.returncode == 0 for worker in workers)
    assert all(worker.log.read_text().count("partition.owned") > _EVICTIONS for worker in workers)
    assert incidents(spoken) == set()
