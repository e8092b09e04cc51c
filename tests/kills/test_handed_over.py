"""Two workers a stage, of which one dies, sleeps too long, or is asked to leave."""

from __future__ import annotations

import asyncio
from collections.abc import Set
from functools import partial
from typing import Final

import pytest

from kills.cluster import SESSION_S, STAGES, Cluster, StageName, Worker, slots
from kills.oracle import finish
from kills.workload import Said, Workload

pytestmark = [pytest.mark.connected, pytest.mark.timeout(300)]

_HALF: Final = 6_000
"""Records that are published before the sleepers awake."""


async def test_one_of_two_is_killed(cluster: Cluster, work: Workload, clean: Said) -> None:
    """A1, A6: one of two workers of each stage is killed under load and not replaced; the other takes over.

    Mutation: `Takeover.acquire` loads the state from no fields.
    """
    pairs = await _two_each(cluster)
    publishing = asyncio.create_task(cluster.publish_slowly(work.records, 4.0))
    for stage, (doomed, other) in pairs.items():
        before = await cluster.progress(stage)
        await cluster.until(f"{stage} is at work", partial(cluster.beyond, stage, before))
        doomed.kill()
        assert other.running
    for stage, (_, other) in pairs.items():
        await cluster.until(f"the other {stage} has all", partial(other.holds, slots(stage)))
    await publishing
    await finish(cluster, work, clean)


async def _two_each(cluster: Cluster) -> dict[StageName, tuple[Worker, Worker]]:
    """Two workers a stage, each with some of the partitions."""
    pairs = {stage: (cluster.start(stage), cluster.start(stage)) for stage in STAGES}
    for stage, (one, other) in pairs.items():

        def shared(one: Worker = one, other: Worker = other, wanted: Set[str] = slots(stage)) -> bool:
            mine, theirs = one.held(), other.held()
            return bool(mine) and bool(theirs) and mine | theirs == wanted

        await cluster.until(f"two workers share {stage}", shared)
    return pairs


async def test_a_sleeper_awakes(cluster: Cluster, work: Workload, clean: Said) -> None:
    """A5: a worker of each stage is stopped (SIGSTOP) for twice the session time-out, with a write on its way to
    the store. Another takes over and goes on. Then the write arrives, and the sleeper awakes: neither changes
    anything.

    Mutation: the script `commit` applies a write whatever token it carries and wherever the slot stands.
    """
    third = _HALF // 3
    wires = {stage: await cluster.wire() for stage in STAGES}
    sleepers = {stage: cluster.start(stage, wire=wire) for stage, wire in wires.items()}
    await cluster.publish(work.records[:third])
    for stage in STAGES:
        await cluster.until(f"{stage} is at work", partial(cluster.beyond, stage, 0))
    for turn, stage in enumerate(reversed(STAGES), 1):  # judge first: it writes only while ingest does
        wires[stage].cut("before", speaking_of=cluster.config.topics.blocks if stage == "ingest" else "")
        await cluster.publish(work.records[turn * third : (turn + 1) * third if turn == 1 else _HALF])
        await cluster.until(f"{stage} is caught at a write", wires[stage].caught)
        sleepers[stage].freeze()
    slept = asyncio.create_task(asyncio.sleep(2 * SESSION_S))
    owners = {stage: await cluster.owners(stage) for stage in STAGES}
    for stage in STAGES:
        cluster.start(stage)
    for stage in STAGES:
        await cluster.until(f"others own {stage}", partial(cluster.none_owned_by, stage, owners[stage]))
    await cluster.all_counted()
    await slept
    for stage in STAGES:
        stands = await cluster.positions(stage)
        wires[stage].mend()
        await cluster.until(f"the late write of {stage} is answered", wires[stage].answered)
        assert await cluster.positions(stage) == stands
        sleepers[stage].thaw()
    await cluster.publish_slowly(work.records[_HALF:], 3.0)
    await finish(cluster, work, clean)
