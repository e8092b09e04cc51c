"""The oracle where a store was rolled back: all is counted once, and every verdict given once, as in a clean run.

While a part of the memory of the join is being rebuilt, a pair may be completed later than the first time, and then
counts into a later pane: so a verdict on errors may come some panes later, with other figures.
"""

from __future__ import annotations

from kills.oracle import check_counts

from driftline.demo.signals import Spoken
from kills.workload import Said, Workload
from real.cluster import RealCluster


async def finish_after_a_rollback(cluster: RealCluster, work: Workload, clean: Said) -> Spoken:
    await cluster.all_counted()
    await cluster.publish(work.closing)
    await cluster.all_counted()
    await cluster.stop()
    await check_counts(cluster, work)
    spoken = await cluster.spoken()
    assert spoken.problems == []
    said = {one.content["id"]: one.content for one in spoken.verdicts}
    assert said.keys() == clean.keys()
    for id, wanted in clean.items():
        if wanted["monitor"].startswith("error:"):
            assert [said[id][name] for name in ("state", "onset")] == [wanted[name] for name in ("state", "onset")]
        else:
            assert said[id] == wanted
    return spoken
