"""A store that goes away under the stages and comes back with nothing in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from driftline.runtime.embedded import EmbeddedServers, embedded_store
from kills.cluster import STAGES, Cluster, slots
from kills.oracle import finish
from kills.workload import Said, Workload

pytestmark = pytest.mark.connected

_AWAY_S: Final = 2.5
_BEFORE: Final = 5_000


async def test_comes_back_empty(servers: EmbeddedServers, tmp_path: Path, work: Workload, clean: Said) -> None:
    """C21, C23: the store is killed, stays away for some seconds in which events go on arriving, and comes back
    empty while both stages run. Every slot says so, and counts, pairs and verdicts are rebuilt from the log.

    Mutation: `IngestStage.recover` does not fold the published ranges again.
    """
    store = embedded_store(tmp_path)
    store.start()
    try:
        async with Cluster(servers.kafka_bootstrap, store, tmp_path) as cluster:
            workers = [cluster.start(stage) for stage in STAGES]
            await cluster.publish(work.records[:_BEFORE])
            await cluster.all_counted()
            store.stop(kill=True)
            rest = work.records[_BEFORE:]
            await cluster.publish_slowly(rest[: len(rest) // 2], _AWAY_S)
            store.start()
            await cluster.publish_slowly(rest[len(rest) // 2 :], 2.0)
            spoken = await finish(cluster, work, clean)
            assert all(worker.process.returncode == 0 for worker in workers)
            lost = {said.monitor for said in spoken.system if said.monitor.startswith("system:state_lost:")}
            assert lost == {f"system:state_lost:{slot}" for stage in STAGES for slot in slots(stage)}
    finally:
        store.stop(kill=True)
