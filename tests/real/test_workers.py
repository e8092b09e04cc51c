"""Workers that stop in a bad hour, come and go, or flap."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

import pytest

from driftline.stopping import GRACE_S, LAST_S
from kills.cluster import STAGES, StageName, Worker, slots
from kills.oracle import finish
from kills.workload import Said, Workload
from real.admin import Admin
from real.cluster import RealCluster, incidents
from support.real import RealServers

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

_BEFORE: Final = 3_000
_UNTIL_IT_REPEATS_S: Final = 2.0
_SLACK_S: Final = 4.0
"""A loaded machine may be late."""
_FLAPS_FOR_S: Final = 40.0
_MOST_S: Final = 120.0
_JOINS_WITHIN_S: Final = 8.0
_STAYS_S: Final = 1.0
_FLAPS: Final = 3
_MOST_WITHOUT_PROGRESS_S: Final = 20.0
"""A killed member is missed after the session time-out (2 s), then whoever is left has to take over (2 s), and may
be disturbed in that once more."""


async def test_stopped_while_the_store_is_away(
    real: RealServers, admin: Admin, cluster: RealCluster, work: Workload, clean: Said
) -> None:
    """A4: SIGTERM while a write to the store has no answer. The process ends within its grace all the same, and
    commits nothing for what it could not write. Others go on from the store.

    Mutation: `until_done` goes on after `give_up()` says so.
    """
    worker = cluster.start(*STAGES)
    publishing = asyncio.create_task(cluster.publish_slowly(work.records, 4.0))
    await cluster.until("ingest is at work", partial(cluster.beyond, "ingest", _BEFORE))
    real.redis.freeze()
    try:
        code, seconds = await worker.terminate()
    finally:
        real.redis.thaw()
    assert (code, seconds < GRACE_S) == (0, True), f"exit code {code} after {seconds:.1f} s\n{worker.tail}"
    await publishing
    stands = await cluster.stored("ingest")
    committed = await admin.committed(f"{cluster.name}.ingest")
    assert all(offset <= stands[partition] for partition, offset in committed.items())
    cluster.start(*STAGES)
    await finish(cluster, work, clean)


@pytest.mark.parametrize("how", ["gone", "silent"])
async def test_stopped_while_the_broker_is_away(
    how: str, real: RealServers, cluster: RealCluster, work: Workload, clean: Said
) -> None:
    """A4: SIGTERM while what was written is being published, and no broker takes it: connections are refused, or
    nobody answers them. The process ends soon after its grace all the same; the next owner finds it in the outbox.

    Mutation: `KafkaWriter` gives a producer up without cancelling its sender.
    """
    worker = cluster.start(*STAGES)
    await cluster.publish(work.records)
    await cluster.until("ingest is at work", partial(cluster.beyond, "ingest", _BEFORE))
    await cluster.until("judge is at work", partial(cluster.beyond, "judge", 0))
    back = real.kafka.thaw if how == "silent" else real.kafka.start
    real.kafka.freeze() if how == "silent" else real.kafka.stop(kill=True)
    try:
        await asyncio.sleep(_UNTIL_IT_REPEATS_S)
        code, seconds = await worker.terminate()
    finally:
        back()
    assert (code, seconds < LAST_S + _SLACK_S) == (0, True), f"exit code {code}, {seconds:.1f} s\n{worker.tail}"
    assert "service.stopped" in worker.log.read_text(), worker.tail
    cluster.start(*STAGES)
    await finish(cluster, work, clean)


async def test_from_one_to_four_to_one(admin: Admin, cluster: RealCluster, work: Workload, clean: Said) -> None:
    """A6: one worker, then four, one of which finds nothing to do, then one again, under load. Nobody commits for
    a partition that has gone to another.

    Mutation: `Loop.on_revoked` does not release the partitions.
    """
    async with _committed_never_goes_back(admin, cluster, ["ingest", "judge"]):
        half = len(work.records) // 2
        publishing = asyncio.create_task(cluster.publish_slowly(work.records[:half], 7.0))
        first = cluster.start(*STAGES)
        await cluster.until("the first has begun", partial(cluster.beyond, "ingest", 0))
        others = [cluster.start(*STAGES) for _ in range(3)]

        def shared() -> bool:
            return sorted(len(worker.held() & slots("ingest")) for worker in (first, *others)) == [0, 1, 1, 1]

        await cluster.until("four share the work", shared)
        await publishing
        publishing = asyncio.create_task(cluster.publish_slowly(work.records[half:], 7.0))
        stood = await cluster.progress("ingest")
        await cluster.until("the four get on", partial(cluster.beyond, "ingest", stood + 300))
        for other in others:
            assert (await other.terminate())[0] == 0, other.tail
        await cluster.until("the first has all again", lambda: slots("ingest") <= first.held())
        await publishing
        await finish(cluster, work, clean)


@asynccontextmanager
async def _committed_never_goes_back(
    admin: Admin, cluster: RealCluster, stages: Sequence[StageName]
) -> AsyncIterator[None]:
    seen: dict[tuple[str, int], int] = {}
    back: list[str] = []

    async def watch() -> None:
        while True:
            for stage in stages:
                for partition, offset in (await admin.committed(f"{cluster.name}.{stage}")).items():
                    if offset < (before := seen.get((stage, partition), 0)):
                        back.append(f"{stage}/{partition} from {before} to {offset}")
                    seen[stage, partition] = offset
            await asyncio.sleep(0.05)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
    assert back == []
    assert seen


async def test_a_member_that_flaps(cluster: RealCluster, work: Workload, clean: Said) -> None:
    """A7: a second worker comes, takes its share, and is gone a second later, killed or stopped in turn, again and
    again. Work goes on all the time, and all of it gets done.

    Mutation: `Loop.on_assigned` forgets to note the partitions.
    """
    steady = cluster.start(*STAGES)
    await cluster.until("there is a steady worker", lambda: slots("ingest") <= steady.held())
    publishing = asyncio.create_task(cluster.publish_slowly(work.records, _FLAPS_FOR_S))
    longest = asyncio.create_task(_longest_standstill(cluster, publishing))
    began, taken = time.monotonic(), 0
    for flap in itertools.count():
        if (lasted := time.monotonic() - began) > _MOST_S or (lasted > _FLAPS_FOR_S and taken >= _FLAPS):
            break
        worker = cluster.start(*STAGES)
        with suppress(TimeoutError):
            async with asyncio.timeout(_JOINS_WITHIN_S):
                await cluster.until("it has its share", partial(_has_a_share, worker))
        await asyncio.sleep(_STAYS_S)
        taken += _has_a_share(worker)
        if flap % 2:
            worker.kill()
        else:
            code, _ = await worker.terminate()
            assert code in (0, -signal.SIGTERM), worker.tail  # the latter if it had only just been born
        cluster.workers.remove(worker)
    await publishing
    assert taken >= _FLAPS, f"the second worker had a share {taken} times"
    assert await longest < _MOST_WITHOUT_PROGRESS_S
    assert steady.running, steady.tail
    assert incidents(await finish(cluster, work, clean)) == set()


def _has_a_share(worker: Worker) -> bool:
    return bool(worker.held() & slots("ingest"))


async def _longest_standstill(cluster: RealCluster, publishing: asyncio.Task[None]) -> float:
    """Seconds in which ingest, with work to do, has not got on."""
    longest, stood, since = 0.0, -1, time.monotonic()
    while not publishing.done():
        now, stands = time.monotonic(), await cluster.progress("ingest")
        if stands != stood:
            stood, since = stands, now
        longest = max(longest, now - since)
        await asyncio.sleep(0.1)
    return longest
