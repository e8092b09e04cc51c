"""Catalogue A, B, D: outputs that refuse, a partition that is stuck beside others that go on, floods of poison."""

from __future__ import annotations

from dataclasses import replace

import pytest

from driftline.runtime.loop import Stalled
from faults.data import Message, feed
from faults.extra import end_of, in_order, letters, refusals, stream, tallies
from faults.oracle import assert_same, assert_true, facts
from faults.runs import clean
from faults.world import Shape, StageName, World

SENT = feed()
SMALL = Shape(max_batch=150)


# A10


async def test_a_bundle_that_judge_cannot_fold_pauses_its_partition_alone() -> None:
    """A10, as the service runs judge: nothing is skipped, the other partition goes on. Mutation: in
    `Cycle._fold_failed`, drop `pausable and`'s policy: the bundle is dead-lettered."""
    world = World(SMALL)
    world.publish(SENT.messages)
    for _ in range(4):
        await world.step((world.of("ingest") or [await world.start("ingest")])[0])
    bad = world.log.append("blocks", 0, b"no bundle")
    judge = await world.start("judge", loop=replace(SMALL.loop, on_fold_error="pause"))
    await world.drain()
    assert world.stands("judge", 0) == bad
    assert world.stands("judge", 1) == world.log.bounds("blocks", 1).end
    assert ("paused", 0, "fold_error") in judge.notes.told
    assert not [letter for letter in letters(world) if letter.reason == "fold_error"]
    world.log.compact("blocks", 0, [bad])
    world.clock.advance(SMALL.loop.watchdog_s + 1)
    world.bury(judge)
    await world.drain(SENT.end)
    assert_same(facts(world), await clean(SENT))


# B18


@pytest.mark.parametrize("topic", ["blocks", "signals", "profiles", "deadletter"])
@pytest.mark.parametrize("how", ["refuses", "away"])
async def test_an_output_that_is_not_to_be_had_pauses_the_input(topic: str, how: str) -> None:
    """B18: from one range to the next nothing is taken in until what was folded is out; then all goes on by
    itself. Mutation: in `Cycle.write`, go on where publishing raises Transient."""
    world = World(SMALL)
    world.publish(SENT.messages)
    stage: StageName = "ingest" if topic in ("blocks", "deadletter") else "judge"
    if stage == "judge":
        ingest = await world.start("ingest")
        for _ in range(60):
            await world.step(ingest)
    worker = await world.start(stage)
    await world.step(worker)
    before = {p: world.stands(stage, p) or 0 for p in (0, 1)}
    kept: list[int] = []

    async def vanish() -> None:
        if how == "refuses":
            world.log.refused.add(topic)
        else:
            world.log.available = False
        world.after_sleeps(12, look)
        world.after_sleeps(25, come_back)

    def here() -> int:
        return sum((world.stands(stage, p) or 0) - before[p] for p in (0, 1))

    async def look() -> None:
        kept.append(here())

    async def come_back() -> None:
        kept.append(here())
        world.log.refused.clear()
        world.log.available = True

    worker.traps.set("before_publish", vanish)
    await world.drain(SENT.end)
    assert len(kept) == 2
    assert kept[0] == kept[1], "it went on without its output"
    assert [note for note in worker.notes.of("retrying") if note[1] == "publish"]
    assert not worker.notes.of("released")
    found = facts(world)
    assert_true(found, SENT)
    assert_same(found, await clean(SENT))


# B20


async def test_a_deaf_partition_beside_a_busy_one() -> None:
    """B20: that others are fetched does not hide it: one restart, then up. Mutation: in `Loop.step`, count the
    restarts from 0 again whenever any partition has folded something."""
    world = World(SMALL)
    worker = await world.start("ingest")
    worker.consumer.deaf = {0}
    n = 0

    def more() -> list[Message]:
        nonlocal n
        n += 40
        return stream(n)[-40:]

    with pytest.raises(Stalled, match="events/0 stands at 0 of"):
        for _ in range(40):
            world.publish(more())
            world.clock.advance(13)
            await world.step(worker)
    assert [note[1] for note in worker.notes.of("stalled")] == [0, 0]


async def test_a_restart_of_the_consumer_that_helps_is_forgiven() -> None:
    """B20: after it has gone on, the next silence has a restart of its own. Mutation: never count the restarts
    from 0 again."""
    world = World(SMALL)
    world.publish(SENT.messages)
    worker = await world.start("ingest")
    for times in (1, 2):
        worker.consumer.deaf = {0, 1}
        while len(worker.notes.of("stalled")) < times:
            await world.step(worker)
            world.clock.advance(10)
        worker.consumer.deaf = set()
        for _ in range(4):
            await world.step(worker)
        assert len(worker.notes.of("stalled")) == times
    await world.drain(SENT.end)
    assert_same(facts(world), await clean(SENT))


# D38


async def test_a_flood_of_poison_pauses_its_partition_and_drops_nothing() -> None:
    """D38: at most a burst and then so many a second; the other partition goes on. Mutation: never pause in
    `Cycle._publish`: 600 dead letters at once; or drop what is above the rate."""
    rate, burst, poison = 10.0, 50, 600
    settings = replace(SMALL.loop, dead_letters_per_s=rate, dead_letter_burst=burst)
    world = World(Shape(max_batch=40, loop=settings))
    good = [replace(m, route="=1") for m in stream(300)]
    buried = [replace(m, route="=0") for m in stream(300, model="buried")]
    bad = [Message("=0", buried[i // 2].due, b"{%d" % i) for i in range(poison)]
    world.publish(in_order([*good, *buried, *bad]))
    ingest = await world.start("ingest")
    begun, seconds = world.clock.monotonic(), 0
    while len(letters(world)) < poison:
        await world.step(ingest)
        passed = world.clock.monotonic() - begun
        assert len(letters(world)) <= burst + rate * passed + 40, "more than a batch above the rate"
        if seconds == 20:
            assert world.stands("ingest", 1) == 300
        world.clock.advance(1.0)
        seconds += 1
        assert seconds < 120
    assert seconds >= (poison - burst) / rate - 5
    assert {note[1:] for note in ingest.notes.of("paused")} == {(0, "dead_letter_rate")}
    assert len(ingest.notes.of("resumed")) >= len(ingest.notes.of("paused")) - 1 > 3
    world.clock.advance(60)
    await world.drain(end_of(300))
    assert refusals(world) == {"json": poison}
    assert len({letter.origin.offset for letter in letters(world)}) == poison
    assert tallies(world, "buried")["predictions"] == tallies(world, "m")["predictions"] == 300
