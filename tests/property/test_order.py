"""The same events, the same verdicts: whatever the order of arrival within the lateness, the partitions and the
batches, and however often a judge is written down and read again. Bit for bit."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.data import STEP_MS, Feed, Message, feed
from faults.oracle import Facts, assert_same, assert_true, facts
from faults.runs import clean
from faults.world import Shape, World

LATENESS_MS = 5_000
QUICK = settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


async def run(shape: Shape, sent: Feed) -> Facts:
    world = World(shape)
    world.publish(sent.messages)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert not found.backfilled
    return found


@lru_cache
def plain() -> Feed:
    """Without second outcomes of other content: which of them is the first hangs on the order, as it should."""
    sent = feed()
    return replace(sent, messages=[m for m in sent.messages if m.value not in _later_outcomes(sent)])


def _later_outcomes(sent: Feed) -> set[bytes]:
    seen: set[bytes] = set()
    later: set[bytes] = set()
    for message in sent.messages:
        head = message.value.split(b'"time"')[0]
        if b'"outcome"' in message.value and b'"type":"outcome"' in head:
            (later if head in seen else seen).add(message.value if head in seen else head)
    return later


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
    sent = plain()
    times = [(_time_of(m), m) for m in sent.messages]
    shuffled = [m for _, m in sorted(times, key=lambda e: e[0] + rng.uniform(0, LATENESS_MS - STEP_MS))]
    expected = await run(Shape(), _uncounted(sent))
    assert_same(await run(Shape(max_batch=batch), _uncounted(replace(sent, messages=shuffled))), expected)


def _uncounted(sent: Feed) -> Feed:
    """Its second outcomes are not sent, so they are not expected."""
    truth = replace(sent.truth, duplicate_outcomes=type(sent.truth.duplicate_outcomes)(dict.fromkeys([*sent.truth.predictions], 0)))
    return replace(sent, truth=truth)


def _time_of(message: Message) -> float:
    head, _, tail = message.value.partition(b'"time":')
    if not tail or b"10**12" in tail:
        return message.due
    number = int(tail.split(b",")[0].split(b"}")[0])
    return number if abs(number - message.due) < 10_000 else message.due


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
