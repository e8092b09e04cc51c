"""Workers that are asked to stop while there is work."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from kills.cluster import STAGES, Cluster
from kills.oracle import finish
from kills.workload import Said, Workload

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]


async def test_sigterm_under_load(cluster: Cluster, work: Workload, clean: Said) -> None:
    """A4: SIGTERM to a process with both stages in the middle of a backlog: it finishes the ranges in hand, leaves
    its groups and exits with 0 within its grace. Nothing is lost or counted twice.

    Mutation: `Loop.run` does not close the consumer.
    """
    publishing = asyncio.create_task(cluster.publish_slowly(work.records, 4.0))
    first = cluster.start(*STAGES)
    for stage in STAGES:
        await cluster.until(f"{stage} is at work", partial(cluster.beyond, stage, 0))
    await cluster.stop()
    assert first.held() == set(), first.tail
    assert not await cluster.beyond("ingest", len(work.records) - 1), "everything was done before the stop"
    cluster.start(*STAGES)
    await publishing
    await finish(cluster, work, clean)
