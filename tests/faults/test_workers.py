"""Catalogue A: workers that die, sleep, come and go."""

from __future__ import annotations

import asyncio
import time

import pytest

from driftline.errors import Misconfigured
from driftline.runtime.owned import LoopSettings
from faults.data import feed
from faults.oracle import service_signals
from faults.runs import survive
from faults.scenario import CONT, KILL, LEAVE, REBALANCE, START, STEP, STOP, Op
from faults.world import STAGES, Shape, StageName, Worker, World

SMALL = Shape(max_batch=150)
BEFORE_THE_WRITE = ["before_join", "after_join", "before_commit"]
BEHIND_THE_WRITE = ["after_commit", "before_publish", "in_publish", "after_publish", "before_kafka_commit"]


@pytest.mark.parametrize("point", BEFORE_THE_WRITE)
async def test_death_between_fold_and_write(point: str) -> None:
    """A1. Mutation: in `IngestStage.prepare`, answer every half as if it were new: the replay counts no pair."""
    await survive([STEP("ingest", 2), STEP("judge"), KILL("ingest", point), KILL("ingest", point, skip=3)], SMALL)


@pytest.mark.parametrize("point", ["before_commit", "before_publish"])
async def test_death_of_a_judge(point: str) -> None:
    """A1, A2. Mutation: leave `flush_model(model)` out of `JudgeStage.fold`: the state of the models is not there."""
    ops: list[Op] = [STEP("ingest", 60), KILL("judge", point, skip=1), STEP("judge", 2), KILL("judge", point)]
    await survive(ops, SMALL)


@pytest.mark.parametrize("point", BEHIND_THE_WRITE)
@pytest.mark.parametrize("stage", STAGES)
async def test_death_between_the_write_and_kafka(stage: StageName, point: str) -> None:
    """A2. Mutation: in `Takeover.acquire`, do not publish what the outbox still holds: the range is missing."""
    before = [STEP("ingest", 60)] if stage == "judge" else [STEP("ingest", 2)]
    await survive([*before, KILL(stage, point, skip=1), STEP(stage), KILL(stage, point)], SMALL)


@pytest.mark.parametrize("at", range(3))
async def test_some_blocks_partitions_have_the_range_and_some_have_not(at: int) -> None:
    """A2. Mutation: as before."""
    shape = Shape(blocks=3, max_batch=150)
    await survive([STEP("ingest", 2), KILL("ingest", "in_publish", skip=at), STEP("judge", 2)], shape)


@pytest.mark.parametrize("point", [*BEFORE_THE_WRITE, *BEHIND_THE_WRITE])
async def test_a_zombie_of_ingest(point: str) -> None:
    """A5. Mutation: in `Ledger.take`, count second copies: what it publishes again counts twice."""
    ops: list[Op] = [STEP("ingest", 2), STOP("ingest", point), STEP("ingest", 6), CONT(), STEP("ingest", 2)]
    await survive(ops, SMALL)


@pytest.mark.parametrize("point", ["before_commit", "before_publish"])
async def test_a_zombie_of_judge(point: str) -> None:
    """A5. Mutation: leave the ledger out of what `JudgeStage.fold` writes: its counts are not there."""
    ops: list[Op] = [
        STEP("ingest", 30),
        STEP("judge"),
        STOP("judge", point),
        STEP("judge", 6),
        CONT(),
        STEP("judge", 2),
    ]
    await survive(ops, SMALL)


@pytest.mark.parametrize("point", BEFORE_THE_WRITE)
async def test_a_zombie_says_nothing(point: str) -> None:
    """A5: refused, it publishes nothing, and drops its state. Mutations: leave the comparison of the owner out of
    `MemoryStore.commit`; in `Cycle._commit`, pass over FENCED."""
    world = World(SMALL)
    world.publish(feed().messages)
    zombie = await world.start("ingest")
    for _ in range(3):
        await world.step(zombie)
    assert await world.hold(zombie, point)
    successor = await world.start("ingest")
    for _ in range(4):
        await world.step(successor)
    published = [world.log.bounds("blocks", p).end for p in range(2)]
    await world.settle(zombie)
    assert [world.log.bounds("blocks", p).end for p in range(2)] == published
    assert not zombie.loop.owned
    assert ("released", 0, "fenced") in zombie.notes.told or ("released", 1, "fenced") in zombie.notes.told


async def test_one_to_four_to_one_workers() -> None:
    """A6. Mutation: in `Loop.on_revoked`, keep the partitions: two workers fold one range."""
    grow: list[Op] = [op for stage in STAGES for op in (STEP(stage), START(stage), STEP(stage, 2))]
    more: list[Op] = [STEP(stage, 2, which) for which in range(4) for stage in STAGES]
    shrink: list[Op] = [op for stage in STAGES for _ in range(3) for op in (LEAVE(stage, 1), STEP(stage, 2))]
    await survive([*grow, *grow, *grow, *more, *shrink], Shape(partitions=4, max_batch=100), feed(strays=False))


@pytest.mark.parametrize("point", [*BEFORE_THE_WRITE, "before_publish", "in_publish"])
async def test_a_rebalance_in_mid_batch(point: str) -> None:
    """A6. Mutation: in `Loop.on_revoked`, keep the partitions."""
    sent = feed()
    world = World(SMALL)
    world.publish(sent.messages)
    first = await world.start("ingest")
    await world.step(first)
    second = await world.start("ingest")
    first.traps.set(point, world.groups["ingest"].rebalance)
    await world.step(first)
    for _ in range(3):
        await world.step(second)
        await world.step(first)
    owned = [worker.loop.owned for worker in (first, second)]
    assert sorted(p for held in owned for p in held) == [0, 1]
    await world.drain(sent.end)
    assert world.stands("ingest", 0) == world.log.bounds("events", 0).end


@pytest.mark.parametrize("point", ["before_acquire", "after_acquire"])
async def test_a_rebalance_during_restore(point: str) -> None:
    """A8: what is released meanwhile is not owned, what is new is restored. Mutation: in `Loop.on_assigned`, do not
    note what is wanted."""
    world = World(SMALL)
    world.publish(feed().messages)
    first = await world.start("ingest")
    await world.step(first)

    async def join() -> None:
        await world.start("ingest")
        await world.groups["ingest"].rebalance()

    first.traps.set(point, join)
    await world.groups["ingest"].rebalance()
    await world.step(first)
    second = world.workers[-1]
    for _ in range(2):
        await world.step(second)
        await world.step(first)
    assert first.loop.owned == _said_to_be_held(first) == {0}
    assert second.loop.owned == _said_to_be_held(second) == {1}
    assert await survive([STEP("ingest"), REBALANCE("ingest"), START("ingest"), REBALANCE("ingest")], SMALL)


@pytest.mark.parametrize("skip", [0, 1])
async def test_what_goes_while_it_is_taken_over_was_never_held(skip: int) -> None:
    """A8: the group says so before it takes a partition away, in the midst of the first or the second. Mutations: in
    `_acquire_wanted`, say that a partition is owned before asking whether it still is wanted: the metric of partitions
    owned would count it for ever; or go on with those that have gone."""
    world = World(SMALL)
    world.publish(feed().messages)
    worker = await world.start("ingest")
    await world.step(worker)
    await world.groups["ingest"].rebalance()
    worker.traps.passed.clear()
    worker.traps.set("after_acquire", lambda: worker.loop.on_revoked([0, 1]), skip=skip)
    await world.step(worker)
    assert worker.loop.owned == _said_to_be_held(worker) == set()
    assert worker.traps.passed.count("after_acquire") == skip + 1
    await worker.loop.on_assigned([0, 1])
    await world.step(worker)
    assert worker.loop.owned == _said_to_be_held(worker) == {0, 1}


def _said_to_be_held(worker: Worker) -> set[int]:
    """By what metrics and the log are told: each partition that comes has gone before."""
    held: set[int] = set()
    for what, partition, *_ in worker.notes.told:
        if what == "owned":
            assert partition not in held
            held.add(partition)
        elif what == "released":
            held.remove(partition)
    return held


async def test_a_store_that_hangs_during_a_revocation() -> None:
    """A9: one deadline for all partitions, then up without a commit. Mutation: in `Loop.on_revoked`, wait for the
    lock without a deadline."""
    world = World(SMALL)
    world.publish(feed().messages)
    worker = await world.start("ingest")
    for _ in range(3):
        await world.step(worker)
    go, there = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        there.set()
        await go.wait()

    worker.traps.set("before_commit", hang, times=10)
    step = asyncio.create_task(worker.loop.step())
    await there.wait()
    committed = dict(world.groups["ingest"].committed)
    began = time.monotonic()
    async with asyncio.timeout(5):
        await world.groups["ingest"].rebalance()
    assert time.monotonic() - began < 1.0
    assert worker.loop.owned == frozenset()
    assert {note[2] for note in worker.notes.of("released")} == {"abandoned"}
    worker.traps.armed.clear()
    world.groups["ingest"].expel(worker.member)
    go.set()
    await step
    assert world.groups["ingest"].committed == committed
    sent = feed()
    world.bury(worker)
    await world.drain(sent.end)
    assert world.stands("ingest", 0) == world.log.bounds("events", 0).end


async def test_another_configuration_is_noticed() -> None:
    """A12: what changes results is said aloud; what cannot change under a state refuses to start.
    Mutation: return {} from `Takeover._marks` at once."""
    world = World(SMALL)
    world.publish(feed().messages)
    first = await world.start("ingest", loop=LoopSettings(structure="2 blocks", fingerprint="a"))
    await world.step(first)
    await world.step(first)
    await first.member.close()
    world.bury(first)
    second = await world.start("ingest", loop=LoopSettings(structure="2 blocks", fingerprint="b"))
    await world.step(second)
    await world.step(second)
    assert {note[1] for note in second.notes.of("config_changed")} == {0, 1}
    await second.member.close()
    world.bury(second)
    third = await world.start("ingest", loop=LoopSettings(structure="4 blocks", fingerprint="b"))
    with pytest.raises(Misconfigured, match="2 blocks, this service runs with 4 blocks"):
        for _ in range(2):
            await world.step(third)


async def test_a_clean_run_says_nothing_about_itself() -> None:
    """Mutation: give `lost=True` to every recovery."""
    world = await survive([STEP("ingest", 3), REBALANCE("ingest"), START("ingest"), KILL("ingest", "after_commit")])
    assert not service_signals(world)
