"""Catalogue D: a producer that sends what nobody can read, told once, through kills and losses."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.contracts.records import Signal
from faults.data import Message
from faults.extra import end_of, in_order, signals, stream
from faults.scenario import KILL, STEP, WIPE, Op, play
from faults.world import STAGES, Shape, World

N = 2_400
MONITOR = "system:invalid_events:"


def sent(share: float) -> list[Message]:
    """Two partitions; what is broken goes to the first, and the second hears of no such thing."""
    rng = np.random.default_rng(5)
    messages = [Message(f"={i % 2}", m.due, m.value) for i, m in enumerate(stream(2 * N))]
    broken = [Message("=0", m.due + 1.0, b"{") for m in messages[1_000:] if rng.random() < share]
    return in_order([*messages, *broken])


async def run(share: float, shape: Shape | None = None) -> World:
    world = World(shape)
    world.publish(sent(share))
    await world.drain(end_of(2 * N))
    return world


def said(world: World) -> list[Signal]:
    return [s for s in signals(world) if s.monitor.startswith(MONITOR)]


async def test_more_than_may_be_are_told_once() -> None:
    """Mutation: say `windows` in every `blocks` partition: the sequence number is given twice."""
    (alarm,) = said(await run(0.1))
    assert (alarm.monitor, alarm.state, alarm.sequence) == (MONITOR + "0", "alarm", 1)
    assert "json" in alarm.sentence and "on the topic deadletter" in alarm.sentence
    assert not said(await run(0.004))


@pytest.mark.parametrize(
    "shape", [Shape(max_batch=37, judge_batch=1), Shape(blocks=3, max_batch=900), Shape(blocks=1, max_batch=100)]
)
async def test_batches_do_not_matter(shape: Shape) -> None:
    """Mutation: judge what is there with every bundle in `Refusals.take`."""
    assert said(await run(0.1, shape)) == said(await run(0.1))


ROUND = [op for stage in STAGES for op in (STEP(stage), KILL(stage, "after_commit", skip=2, soon=True))]


@pytest.mark.parametrize(
    "ops", [9 * ROUND, [*(7 * [STEP("ingest", 2), STEP("judge", 2)]), WIPE()]], ids=["killed", "lost"]
)
async def test_processes_that_die_and_stores_that_are_lost(ops: list[Op]) -> None:
    """The same signals, whatever was folded again. Mutation: leave `open` out of `Refusals.to_bytes`."""
    world = World(Shape(max_batch=150, judge_batch=1))
    world.publish(sent(0.1))
    await play(world, ops)
    await world.drain(end_of(2 * N))
    found = {s.id: s for s in said(world)}
    assert list(found.values()) == said(await run(0.1))
