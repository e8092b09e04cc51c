"""The same events give the same verdicts: in whatever order they come within the lateness, from however many
partitions, in batches of whatever size, and from whichever process.

What is compared, bit for bit: signals (ids and bodies), profiles (ids), detectors and profiles as the judges store
them, the counts of every pane, the rows of the references.
"""

from __future__ import annotations

import zlib
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.data import Feed, Message, feed
from faults.extra import Features, end_of, in_order, plain, stream
from faults.oracle import Facts, assert_same, assert_true, facts
from faults.scenario import KILL, LEAVE, STEP, play
from faults.world import STAGES, Shape, World

SENT = feed()
N = 2_400


async def outcome_of(sent: Feed, messages: list[Message], shape: Shape) -> Facts:
    world = World(shape)
    world.publish(messages)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert not found.backfilled
    return found


_clean: dict[int, Facts] = {}


async def clean(sent: Feed) -> Facts:
    """One process, two partitions, in the order of arrival."""
    if id(sent) not in _clean:
        _clean[id(sent)] = await outcome_of(sent, sent.messages, Shape())
    return _clean[id(sent)]


def shuffled(messages: list[Message], seed: int, jitter_ms: float = 1_500) -> list[Message]:
    """Each up to `jitter_ms` earlier or later than it was."""
    rng = np.random.default_rng(seed)
    due = rng.uniform(-jitter_ms, jitter_ms, len(messages))
    return in_order([replace(m, due=m.due + float(moved)) for m, moved in zip(messages, due, strict=True)])


def dealt_out(messages: list[Message], partitions: int) -> list[Message]:
    """One after the other to each partition in turn: the two halves of a pair, and copies, are on any."""
    return [replace(m, route=f"={i % partitions}") for i, m in enumerate(messages)]


@lru_cache(maxsize=1)
def unambiguous() -> Feed:
    """A feed in which no second outcome contradicts the first: between partitions there is no order, so which of
    two that differ is the first is nobody's to say."""
    sent = feed(strays=False)
    kept, seen = [], set()
    for message in sent.messages:
        event = orjson.loads(message.value) if message.value[:1] == b"{" and len(message.value) > 1 else {}
        if event.get("type") == "outcome" and event["id"] != "x":
            if event["id"] in seen:
                continue
            seen.add(event["id"])
        kept.append(message)
    return Feed(kept, replace(sent.truth, duplicate_outcomes=type(sent.truth.duplicate_outcomes)()), sent.end)


@pytest.mark.parametrize("seed", range(4))
async def test_order_within_the_lateness(seed: int) -> None:
    """Design: order-free; D40. Mutation: leave `.sorted()` out of `onboarding._before`; or keep the first instead of
    the alphabetical names in `block.merge_extra`."""
    assert_same(await outcome_of(SENT, shuffled(SENT.messages, seed), Shape(max_batch=200)), await clean(SENT))


@pytest.mark.parametrize("partitions", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 3])
async def test_partitions_by_hash(partitions: int, blocks: int) -> None:
    """Mutation: in `Ledger.watermark`, take the maximum over the sources: panes close before all of them have
    come, and which events are late depends on the partitions."""
    shape = Shape(partitions=partitions, blocks=blocks, max_batch=800 // partitions)
    assert_same(await outcome_of(SENT, SENT.messages, shape), await clean(SENT))


@pytest.mark.parametrize("partitions", [1, 2, 4])
async def test_partitions_in_turn(partitions: int) -> None:
    """Mutation: as above; or key the memory of the join by the partition."""
    sent = unambiguous()
    shape = Shape(partitions=partitions, max_batch=800 // partitions)
    assert_same(await outcome_of(sent, dealt_out(sent.messages, partitions), shape), await clean(sent))


@pytest.mark.parametrize(("max_batch", "judge_batch"), [(7, 1), (37, 3), (137, 100), (100_000, 1)])
async def test_sizes_of_batches(max_batch: int, judge_batch: int) -> None:
    """Mutation: in `JudgeStage.fold`, close panes once a batch, behind all its bundles."""
    shape = Shape(max_batch=max_batch, judge_batch=judge_batch)
    assert_same(await outcome_of(SENT, SENT.messages, shape), await clean(SENT))


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 1_000),
    partitions=st.sampled_from([1, 2, 3, 4, 6]),
    blocks=st.integers(1, 5),
    max_batch=st.integers(40, 900),
    judge_batch=st.integers(1, 50),
)
async def test_all_of_it_at_once(seed: int, partitions: int, blocks: int, max_batch: int, judge_batch: int) -> None:
    """Mutation: any of the above."""
    shape = Shape(partitions=partitions, blocks=blocks, max_batch=max_batch, judge_batch=judge_batch)
    assert_same(await outcome_of(SENT, shuffled(SENT.messages, seed), shape), await clean(SENT))


@pytest.mark.parametrize("leave", [True, False])
async def test_another_process_for_every_batch(leave: bool) -> None:
    """What is stored is the whole of the state: written, read and gone on with after every step, of workers that
    leave in order or die. Mutation: leave `pending` out of `StreamMonitors.to_state`, or `closed` out of the
    model's record."""
    world = World(Shape(max_batch=200))
    world.publish(SENT.messages)
    for _ in range(SENT.truth.predictions.total() // 100):
        for stage in STAGES:
            if leave:
                await play(world, [STEP(stage, 2), LEAVE(stage)])
            else:
                await play(world, [STEP(stage, 1), KILL(stage, "after_publish", soon=True)])
    assert len(world.groups["judge"].members) <= 1
    await world.drain(SENT.end)
    found = facts(world)
    assert_true(found, SENT)
    assert_same(found, await clean(SENT))


def _many_names(i: int, rng: np.random.Generator) -> dict[str, Any]:
    """Twelve of 60 new features, which all appear in every pane, in any order."""
    made = plain(i, rng)
    if i >= 1_600:
        made |= {f"new {zlib.crc32(b'%d' % j) % 1_000:03}": 1.0 for j in range(i % 5, 60, 5)}
    return made


def _new_places(i: int, rng: np.random.Generator) -> dict[str, Any]:
    return {**plain(i, rng), "place": f"street {rng.zipf(1.3) % 5_000}"}


@pytest.mark.parametrize("features", [_many_names, _new_places])
async def test_caps_do_not_ask_who_came_first(features: Features) -> None:
    """D36, D37: names and categories beyond what is told apart. Mutation: sort `grid._categories` by count alone."""
    messages = stream(N, features)
    made = []
    for seed, shape in enumerate([Shape(), Shape(max_batch=37), Shape(partitions=4, max_batch=100)]):
        world = World(shape)
        world.publish(shuffled(messages, seed))
        if seed == 1:
            await play(world, [op for _ in range(30) for op in (STEP("ingest", 2), LEAVE("ingest"))])
        await world.drain(end_of(N))
        made.append(facts(world))
    for found in made[1:]:
        assert found.detectors == made[0].detectors
        assert found.signals == made[0].signals
    assert made[0].detectors
