"""The oracle of the kill tests: what was published is counted once, and the verdicts are a clean run's."""

from __future__ import annotations

from driftline.demo.signals import Spoken
from kills.cluster import Cluster
from kills.workload import Said, Workload


async def finish(cluster: Cluster, work: Workload, clean: Said) -> Spoken:
    """Wait until everything is counted, close the panes, stop, and add everything up; what was said.

    The counts are taken from the `blocks` topic and from the store's keys by code that shares nothing with the
    pipeline (`driftline.demo.audit`)."""
    await cluster.all_counted()
    await cluster.publish(work.closing)
    await cluster.all_counted()
    await cluster.stop()
    await _check_counts(cluster, work)
    return await _check_verdicts(cluster, clean)


async def _check_counts(cluster: Cluster, work: Workload) -> None:
    ledger = await cluster.ledger()
    assert ledger.problems == []
    assert ledger.ends == work.published
    assert ledger.records == work.published.total()
    assert ledger.predictions_counted == work.predictions
    assert ledger.joined == work.joined
    assert ledger.duplicates == work.duplicates
    assert ledger.refused == work.refused
    memory = await cluster.memory()
    assert memory.problems == []
    assert (memory.joined, memory.pending, memory.orphans) == (work.joined, work.pending, 0)
    assert await cluster.dead_letters() == work.refused


async def _check_verdicts(cluster: Cluster, clean: Said) -> Spoken:
    spoken = await cluster.spoken()
    assert spoken.problems == []
    said = {one.content["id"]: one.content for one in spoken.verdicts}
    assert said.keys() == clean.keys()
    assert said == clean
    return spoken
