"""A store that goes away under the stages and comes back with nothing in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from kills.cluster import STAGES, Cluster, slots
from kills.oracle import finish
from kills.workload import Said, Workload
from support.servers import AnyServer, AnyServers

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]

_AWAY_S: Final = 2.5
_BEFORE: Final = 5_000


async def test_comes_back_empty(
    servers: AnyServers, own_store: AnyServer, tmp_path: Path, work: Workload, clean: Said
) -> None:
    """C21, C23: the store is killed, stays away for some seconds in which events go on arriving, and comes back
    empty while both stages run. Every slot says so, and counts, pairs and verdicts are rebuilt from the log.

    Mutation: `IngestStage.recover` does not fold the published ranges again.
    """
    async with Cluster(servers, tmp_path, store=own_store) as cluster:
        workers = [cluster.start(stage) for stage in STAGES]
        await cluster.publish(work.records[:_BEFORE])
        await cluster.all_counted()
        own_store.stop(kill=True)
        rest = work.records[_BEFORE:]
        await cluster.publish_slowly(rest[: len(rest) // 2], _AWAY_S)
        own_store.start()
        await cluster.publish_slowly(rest[len(rest) // 2 :], 2.0)
        spoken = await finish(cluster, work, clean)
        assert all(worker.process.returncode == 0 for worker in workers)
        lost = {said.monitor for said in spoken.system if said.monitor.startswith("system:state_lost:")}
        assert lost == {f"system:state_lost:{slot}" for stage in STAGES for slot in slots(stage)}
