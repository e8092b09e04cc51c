"""Workers that are killed at any moment and started again at once."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
import pytest

from kills.cluster import Cluster, StageName
from kills.oracle import finish
from kills.wire import Where
from kills.workload import BLOCKS, Said, Workload

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]

_KILLS: Final = 3
_SEED: Final = 7


async def test_killed_at_random_moments(cluster: Cluster, work: Workload, clean: Said) -> None:
    """A1, A2: ingest and judge are killed three times each, at random points of a growing backlog, and started
    again at once.

    Mutation: `Takeover.acquire` begins where the group has committed, not where the store stands.
    """

    async def torment(stage: StageName, records: int) -> None:
        rng = np.random.default_rng((_SEED, records))
        for _ in range(_KILLS):
            further = await cluster.progress(stage) + int(rng.integers(1, records // _KILLS))
            wanted = min(further, records - 1)
            worker = cluster.start(stage)
            await cluster.until(f"{stage} comes beyond {wanted}", partial(cluster.beyond, stage, wanted))
            worker.kill()
        cluster.start(stage)

    bundles = BLOCKS * len(work.records) // cluster.config.ingest.max_batch  # at least
    await asyncio.gather(
        cluster.publish_slowly(work.records, 6.0),
        torment("ingest", len(work.records)),
        torment("judge", bundles),
    )
    await finish(cluster, work, clean)


async def test_killed_at_the_write(cluster: Cluster, work: Workload, clean: Said) -> None:
    """A1, A2: ingest and judge are killed once with their compare-and-set on its way to the store (what was
    folded is lost), and once with its answer on the way back (it was applied; nothing of the range is published).

    Mutation: `Takeover.acquire` does not publish what the outbox still holds.
    """

    async def torment(stage: StageName, cuts: Sequence[tuple[Where, str]]) -> None:
        for where, topic in cuts:
            stood, wire = await cluster.progress(stage), await cluster.wire()
            worker = cluster.start(stage, wire=wire)
            await cluster.until(f"{stage} is at work", partial(cluster.beyond, stage, stood))
            wire.cut(where, topic)
            await cluster.until(f"{stage} is caught at a write", wire.caught)
            worker.kill()
            await wire.close()
            if (stage, where) == ("ingest", "after"):
                ends, stands = (await cluster.ledger()).ends, await cluster.positions(stage)
                assert any(ends[source] < stands[source] for source in ends), "nothing is left to be published"
        cluster.start(stage)

    topics = cluster.config.topics
    await cluster.publish(work.records)
    await asyncio.gather(
        torment("ingest", [("before", topics.blocks), ("after", topics.blocks)]),
        torment("judge", [("before", ""), ("after", topics.signals)]),
    )
    await finish(cluster, work, clean)
