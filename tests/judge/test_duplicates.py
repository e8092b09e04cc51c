"""Duplicates: counted in the pane of their time, judged against the reference's share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.duplicate_rules import DuplicateRules
from driftline.stats.duplicates import learn_duplicates
from faults.data import STEP_MS, T0, Message
from faults.extra import alarms, bundles, end_of, in_order, plain, signals, stream, tallies
from faults.oracle import facts
from faults.scenario import KILL, STEP, WIPE, play
from faults.world import Shape, World

N = 2_400
PANE = 10_000
MONITOR = "predictions:duplicates"


def doubled(share: float, seed: int = 3) -> list[Message]:
    """The last third comes twice with so large a share, on either partition."""
    rng = np.random.default_rng(seed)
    messages = stream(N)
    again = [
        replace(m, due=m.due + 2_000.0, route=f"{m.route}/again" if rng.random() < 0.5 else m.route)
        for i, m in enumerate(messages)
        if i >= 1_600 and rng.random() < share
    ]
    return in_order([*messages, *again])


async def run(messages: list[Message], shape: Shape | None = None) -> World:
    world = World(shape)
    world.publish(messages)
    await world.drain(end_of(N))
    return world


async def test_what_comes_twice_is_told_once() -> None:
    """Mutation: leave `duplicates` out of what `_judge_until` gives `update`."""
    world = await run(doubled(0.2))
    assert (MONITOR, "alarm") in alarms(world)
    assert [monitor for monitor, _ in alarms(world)] == [MONITOR]
    (said,) = [s for s in signals(world) if s.monitor == MONITOR]
    assert said.effect is not None and 0.12 < said.effect.current.value < 0.3
    assert said.onset is not None and abs(said.onset - (T0 + 1_600 * STEP_MS)) <= 3 * PANE
    of_time = sum(sum(t.duplicates_at.values()) for b in bundles(world) for t in b.tallies)
    assert of_time == tallies(world, "m")["duplicate_predictions"] > 100


async def test_few_that_come_twice_are_nobodys_concern() -> None:
    assert not alarms(await run(doubled(0.01)))


@pytest.mark.parametrize("shape", [Shape(partitions=4, max_batch=90), Shape(max_batch=37, judge_batch=1)])
async def test_batches_and_partitions_do_not_matter(shape: Shape) -> None:
    """Mutation: count duplicates in the pane the watermark stands in."""
    one, other = facts(await run(doubled(0.2))), facts(await run(doubled(0.2), shape))
    assert one.signals == other.signals
    assert one.detectors == other.detectors
    assert one.profiles == other.profiles


async def test_a_judge_that_dies_counts_none_twice() -> None:
    """A worker after the other, each killed at its second commit; and a store that is lost and rebuilt.

    Mutation: leave `duplicates` out of the model's record."""
    world = World(Shape(max_batch=100, judge_batch=1))
    world.publish(doubled(0.2))
    for _ in range(40):
        await play(world, [STEP("ingest", 2), KILL("judge", "after_commit", skip=1, soon=True)])
    assert tallies(world, "m")["duplicate_predictions"] > 100
    await world.drain(end_of(N))
    clean = facts(await run(doubled(0.2)))
    assert facts(world).signals == clean.signals
    assert facts(world).detectors == clean.detectors
    rebuilt = World(Shape(max_batch=200))
    rebuilt.publish(doubled(0.2))
    for _ in range(10):
        await play(rebuilt, [STEP("ingest"), STEP("judge")])
    await play(rebuilt, [WIPE()])
    await rebuilt.drain(end_of(N))
    assert facts(rebuilt).signals == clean.signals


async def test_a_partition_that_is_replayed_is_told() -> None:
    """Every event comes again, late: nothing but duplicates, of panes that are judged."""
    messages = stream(N)
    world = World()
    world.publish(messages)
    await world.quiet()
    later = stream(2 * N, plain)[N:]
    world.publish(in_order([replace(m, due=0.0) for m in messages[1_400:]]))
    await world.quiet()
    world.publish(later[:200])
    await world.drain(end_of(N + 200))
    assert (MONITOR, "alarm") in alarms(world)


async def test_a_replay_while_nothing_else_comes_is_told() -> None:
    """In a pane that holds no row. Mutation: in `StreamMonitors.update`, return for panes without rows."""
    world = await run(stream(N))
    hour = 3_600_000
    world.publish([replace(m, due=0.0) for m in stream(N)[1_400:]])
    await world.drain(end_of(N) + hour)
    (said,) = [s for s in signals(world) if s.monitor == MONITOR]
    assert said.state == "alarm"
    assert end_of(N) + hour - PANE < said.time <= end_of(N) + hour + PANE
    assert said.effect is not None and said.effect.current.value == 1.0


def rules(share: float = 0.02, seed: int = 0) -> DuplicateRules:
    rng = np.random.default_rng(seed)
    times = np.arange(3_000, dtype=np.int64) * 300
    held = {at * PANE: int(rng.binomial(34, share)) for at in range(90)}
    return DuplicateRules(learn_duplicates(times, held, PANE, 3.0), in_events=True)


def test_at_the_bound_false_alarms_are_within_the_budget() -> None:
    """Mutation: 1,000 for `n` in `dt`."""
    rng, arl0, alarmed, panes = np.random.default_rng(1), 20_000, 0, 20_000
    watched = rules()
    for i, bad in enumerate(rng.binomial(40, watched.reference.bound, panes).tolist()):
        if watched.update(i * PANE, (i + 1) * PANE, 40 - bad, bad, float(np.log(arl0))):
            watched, alarmed = rules(), alarmed + 1
    assert alarmed <= 1.5 * 40 * panes / arl0


def test_only_duplicates_then_none_and_the_state_in_between() -> None:
    watched, told = rules(), []
    for i in range(200):
        rows, bad = (0, 20) if 50 <= i < 55 else (40, 0)
        told += watched.update(i * PANE, (i + 1) * PANE, rows, bad, 9.0)
        after = rules()
        after.restore(unpack_arrays(pack_arrays(watched.to_state())))
        watched = after
    assert [change.state for change in told] == ["alarm", "resolved"]
    assert 50 * PANE < told[0].time <= 53 * PANE
    assert told[0].onset == 50 * PANE


def test_bursts_of_the_reference_are_known() -> None:
    times = np.arange(30_000, dtype=np.int64) * 300
    held: dict[int, Any] = {at * PANE: 100 for at in range(0, 900, 90)}
    bursts = learn_duplicates(times, held, PANE, 3.0)
    even = learn_duplicates(times, {at * PANE: 1 for at in range(900)}, PANE, 3.0)
    assert bursts.inflation > 20 and even.inflation < 1.5
    assert bursts.bound > even.bound > 0.03
    assert learn_duplicates(times, {}, PANE, 3.0).bound == pytest.approx(0.01, abs=1e-4)
