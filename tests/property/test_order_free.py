"""The same events give the same verdicts, also where order, partitions, batches and processes change together.

What is compared, bit for bit: signals (ids and bodies), profiles (ids), detectors and profiles as the judges store
them, the counts of every pane, the rows of the references.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from driftline.contracts.blocks import BinnedBlock
from driftline.stats.layout import ROWS
from driftline.stats.profile import decode_profile
from faults.data import Feed, Message, feed
from faults.extra import Features, bundles, end_of, in_order, outcome, plain, sent, signals, stream
from faults.oracle import Facts, assert_same, assert_true, facts
from faults.runs import clean
from faults.scenario import KILL, LEAVE, STEP, play
from faults.world import STAGES, Shape, World

SENT = feed(seconds=False)
N = 2_400


async def outcome_of(sent: Feed, messages: list[Message], shape: Shape) -> Facts:
    world = World(shape)
    world.publish(messages)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert not found.backfilled
    return found


def shuffled(messages: list[Message], seed: int, jitter_ms: float = 1_500) -> list[Message]:
    """Each up to `jitter_ms` earlier or later than it was."""
    rng = np.random.default_rng(seed)
    due = rng.uniform(-jitter_ms, jitter_ms, len(messages))
    return in_order([replace(m, due=m.due + float(moved)) for m, moved in zip(messages, due, strict=True)])


def dealt_out(messages: list[Message], partitions: int) -> list[Message]:
    """One after the other to each partition in turn: the two halves of a pair, and copies, are on any."""
    return [replace(m, route=f"={i % partitions}") for i, m in enumerate(messages)]


@pytest.mark.parametrize("partitions", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 3])
async def test_partitions_by_hash(partitions: int, blocks: int) -> None:
    """Mutation: in `JudgeStage._learn`, learn from all rows there are, whatever the watermark."""
    sent = feed()
    shape = Shape(partitions=partitions, blocks=blocks, max_batch=800 // partitions)
    assert_same(await outcome_of(sent, sent.messages, shape), await clean(sent))


@pytest.mark.parametrize(("max_batch", "judge_batch"), [(23, 2), (137, 100), (100_000, 1)])
async def test_sizes_of_batches(max_batch: int, judge_batch: int) -> None:
    """Mutation: as above."""
    sent = feed()
    shape = Shape(max_batch=max_batch, judge_batch=judge_batch)
    assert_same(await outcome_of(sent, sent.messages, shape), await clean(sent))


@pytest.mark.parametrize("partitions", [1, 2, 4])
async def test_partitions_in_turn(partitions: int) -> None:
    """Mutation: in `Ledger.watermark`, take the maximum over the busy sources: panes close before all have come."""
    sent = feed(seconds=False)  # of two that differ and lie on two partitions, none is the first
    shape = Shape(partitions=partitions, max_batch=800 // partitions)
    assert_same(await outcome_of(sent, dealt_out(sent.messages, partitions), shape), await clean(sent))


MANY = feed(3, models=("flights", "prices", "churn", "fraud"), seconds=False)


async def with_many_models(messages: list[Message], shape: Shape, parts: int) -> tuple[Facts, Counter[int]]:
    """Published in so many parts, so that most is binned; and how many blocks have each layout."""
    world, size = World(shape), -(-len(messages) // parts)
    for first in range(0, len(messages), size):
        world.publish(messages[first : first + size])
        await world.quiet()
    await world.drain(MANY.end)
    found = facts(world)
    assert_true(found, MANY)
    assert not found.backfilled
    held = [block for bundle in bundles(world) for block in bundle.blocks]
    return found, Counter(block.layout for block in held if isinstance(block, BinnedBlock))


async def test_of_many_models_taken_together() -> None:
    """A range holds few events of each model, or so many that each is taken alone. Mutation: in `bank.encoded`, `z`
    truncated in place of rounded."""
    alone, layouts = await with_many_models(MANY.messages, Shape(partitions=1, max_batch=100_000), 3)
    assert layouts.total() and not layouts[ROWS]
    assert any(b"error:rate" in body for body in alone.signals.values())
    shape = Shape(partitions=4, blocks=3, max_batch=100)
    found, layouts = await with_many_models(shuffled(dealt_out(MANY.messages, 4), 5), shape, 30)
    assert layouts[ROWS] > 500
    assert_same(found, alone)


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(
    seed=st.integers(0, 1_000),
    partitions=st.sampled_from([1, 2, 3, 4, 6]),
    blocks=st.integers(1, 5),
    max_batch=st.integers(40, 900),
    judge_batch=st.integers(1, 50),
)
async def test_all_of_it_at_once(seed: int, partitions: int, blocks: int, max_batch: int, judge_batch: int) -> None:
    """D40, with the order of arrival. Mutation: take a range's latest time, without the lateness, as its watermark."""
    shape = Shape(partitions=partitions, blocks=blocks, max_batch=max_batch, judge_batch=judge_batch)
    assert_same(await outcome_of(SENT, shuffled(SENT.messages, seed), shape), await clean(SENT))


@pytest.mark.parametrize("max_batch", [100_000, 2_600, 200])
async def test_all_in_one_poll_is_learnt_from_as_in_parts(max_batch: int) -> None:
    """Nothing follows: the log falls idle. The pairs' reference takes 2,446 of 2,600.

    Mutation: in `IngestStage._watermark`, the tail of all events alone."""
    n = 2_600
    judge = replace(Shape().judge, reference_events=1_000, reference_pairs=1_000)
    world = World(Shape(partitions=1, max_batch=max_batch, judge=judge))
    outcomes = [sent(outcome("m", i, i % 10 > 0, delay_ms=500)) for i in range(n)]
    world.publish(in_order([*stream(n), *outcomes]))
    await world.drain()
    known = [decode_profile(record.value or b"") for record in world.log.records("profiles", 0)]
    learnt = [profile.pairs.n for profile in known if profile.pairs is not None]
    assert len(known) == 2 and len(learnt) == 1
    assert 2_400 < learnt[0] < 2_500


def _amount_drifts(i: int, rng: np.random.Generator) -> dict[str, Any]:
    return plain(i, rng) | ({"amount": float(rng.normal(3.0))} if i > 1_700 else {})


@pytest.mark.parametrize("max_batch", [20, 100_000])
async def test_a_signal_names_the_reference_of_its_time(max_batch: int) -> None:
    """Predictions drift before the pairs' reference is complete. Mutation: in `Speaker.say`, name that in force."""
    outcomes = [sent(outcome("m", i, i % 10 > 0, delay_ms=120_000)) for i in range(N)]
    world = World(Shape(partitions=1, max_batch=max_batch, judge_batch=1))
    world.publish(in_order([*stream(N, _amount_drifts), *outcomes]))
    await world.drain(end_of(N) + 120_000)
    known = [decode_profile(record.value or b"") for record in world.log.records("profiles", 0)]
    first, second = sorted((p for p in known if p.model == "m"), key=lambda profile: profile.revision)
    said = [s for s in signals(world) if s.monitor == "features.amount:distribution"]
    assert second.pairs_from is not None and said[0].time < second.pairs_from
    assert [s.profile for s in said] == [first.id]


@pytest.mark.parametrize("leave", [True, False])
async def test_another_process_for_every_batch(leave: bool) -> None:
    """What is stored is the whole of the state: written, read and gone on with after every step, of workers that
    leave in order or die. Mutation: leave `units` out of `StreamMonitors.from_state`."""
    world = World(Shape(max_batch=200))
    world.publish(SENT.messages)
    for _ in range(SENT.truth.predictions.total() // 100):
        if leave:
            for stage in STAGES:
                await play(world, [STEP(stage, 2), LEAVE(stage)])
        else:
            await play(world, [STEP("ingest", 2), KILL("ingest", "after_publish", soon=True)])
            await play(world, [KILL("judge", "after_commit", skip=1, soon=True)])
    assert sum(world.stands("ingest", p) or 0 for p in range(2)) > len(SENT.messages) // 2  # none stands still
    assert len(world.groups["judge"].members) <= 1
    await world.drain(SENT.end)
    found = facts(world)
    assert_true(found, SENT)
    assert_same(found, await clean(SENT))


def _new_names(i: int, rng: np.random.Generator) -> dict[str, Any]:
    """Six of 30 new features, which all appear in every pane, in any order."""
    made = plain(i, rng)
    if i >= 1_600:
        made |= {f"new {zlib.crc32(b'%d' % j) % 1_000:03}": 1.0 for j in range(i % 5, 30, 5)}
    return made


def _new_places(i: int, rng: np.random.Generator) -> dict[str, Any]:
    return {**plain(i, rng), "place": f"street {rng.zipf(1.3) % 5_000}"}


def _digests(fields: dict[str, bytes]) -> dict[str, str]:
    return {name: hashlib.sha256(data).hexdigest() for name, data in fields.items()}


@pytest.mark.parametrize("features", [_new_names, _new_places])
async def test_caps_do_not_ask_who_came_first(features: Features) -> None:
    """D36, D37: new names, and more categories than are told apart. Mutation: keep no more than the first name of
    the other in `PaneCounts.merge`."""
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
        assert found.profiles == made[0].profiles
        assert found.signals.keys() == made[0].signals.keys()
        assert _digests(found.detectors) == _digests(made[0].detectors)
