"""The same events, the same verdicts: whatever the order of arrival within the lateness, the partitions and the
batches, and however often a judge is written down and read again. Bit for bit."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from faults.data import JITTER_MS, Feed, feed
from faults.oracle import Facts, assert_same, assert_true, facts
from faults.runs import clean
from faults.world import Shape, World

LATENESS_MS = 5_000
QUICK = settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


async def run(shape: Shape, sent: Feed) -> Facts:
    world = World(shape)
    world.publish(sent.messages)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert not found.backfilled
    return found


@pytest.mark.parametrize("partitions", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 3])
async def test_partitions_do_not_matter(partitions: int, blocks: int) -> None:
    """Mutation: in `onboarding._before`, sort the reference by source and offset instead of time and id."""
    found = await run(Shape(partitions=partitions, blocks=blocks, max_batch=300), feed())
    assert_same(found, await clean(feed()))


@QUICK
@given(batch=st.integers(5, 900), judged=st.integers(1, 100))
async def test_batches_do_not_matter(batch: int, judged: int) -> None:
    """Mutation: in `ModelMonitors.update`, share the budget with the pairs as soon as their reference is known."""
    found = await run(Shape(max_batch=batch, judge_batch=judged), feed())
    assert_same(found, await clean(feed()))


@QUICK
@given(seed=st.integers(0, 1 << 30), batch=st.sampled_from([40, 150, 500]))
async def test_the_order_of_arrival_does_not_matter_within_the_lateness(seed: int, batch: int) -> None:
    """D40. Mutation: take a range's latest time, without the lateness, as its watermark."""
    rng = random.Random(seed)
    sent = feed(seconds=False)  # which of two contradicting outcomes comes first hangs on the order, as it should
    room = LATENESS_MS - JITTER_MS - 100
    shuffled = sorted(sent.messages, key=lambda message: message.due + rng.uniform(0, room))
    found = await run(Shape(max_batch=batch), replace(sent, messages=shuffled))
    assert_same(found, await clean(sent))


@QUICK
@given(batch=st.sampled_from([60, 150]), every=st.integers(1, 7))
async def test_a_judge_that_is_read_back_goes_on_as_it_was(batch: int, every: int) -> None:
    """Serialise, then continue: a restart after every batch or every few. Mutation: in `ModelState.flush`, forget
    `closed`."""
    sent = feed()
    world = World(Shape(max_batch=batch, judge_batch=4))
    world.publish(sent.messages)
    ingest = await world.start("ingest")
    moved = 1
    while moved:
        for _ in range(4):
            moved = await world.step(ingest)
        judge = await world.start("judge")
        for _ in range(every + 2):
            await world.step(judge)
        world.bury(judge)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, await clean(sent))
