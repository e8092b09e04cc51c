"""A4 while the broker is away: a stop waits for nothing that the store has already."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest

from driftline.runtime.cycle import LAST_COMMIT_S
from driftline.runtime.loop import LAST_STEP_S
from faults.data import feed
from faults.oracle import assert_same, assert_true, facts
from faults.runs import clean
from faults.world import Shape, World
from support.virtual_time import in_virtual_time

SHAPE = Shape(max_batch=150)
PATIENT = replace(SHAPE.loop, revoke_deadline_s=5.0)


async def stopped(point: str, skip: int = 0, *, asked_at: str = "", commit_every_s: float = 0.0) -> float:
    """Seconds that a stop takes which is asked for at a point, `point` if not another one, while the broker answers
    nothing from `point` on. The next process loses nothing."""
    sent, loop, asked = feed(), asyncio.get_running_loop(), list[float]()
    world = World(replace(SHAPE, loop=replace(PATIENT, commit_every_s=commit_every_s)))
    world.publish(sent.messages)
    worker = await world.start("ingest")
    world.groups["ingest"].expel(worker.member)  # `run` joins by itself

    async def ask() -> None:
        asked.append(loop.time())
        worker.loop.stop()
        worker.loop.stop()

    async def hang() -> None:
        await asyncio.Event().wait()

    worker.traps.set(asked_at or point, ask, skip)
    worker.traps.set(point, hang, skip, times=1_000)
    await worker.loop.run()
    took = loop.time() - asked[0]
    world.workers.remove(worker)
    await world.drain(sent.end)
    found = facts(world)
    assert_true(found, sent)
    assert_same(found, await clean(sent))
    return took


@pytest.mark.parametrize("skip", [0, 3])
@pytest.mark.parametrize("point", ["before_publish", "in_publish", "before_kafka_commit"])
def test_a_step_that_hangs_is_cut_short(point: str, skip: int) -> None:
    """Mutations: do not `reschedule` in `Loop.stop`: it never ends; leave `abandoned` as it is in `Loop.run`: the
    commit of a broker that did not answer is waited for too."""
    assert in_virtual_time(stopped(point, skip)) == pytest.approx(LAST_STEP_S)


def test_the_last_commit_is_cut_short() -> None:
    """Mutation: give it the whole deadline in `Cycle.courtesy_commit`."""
    took = in_virtual_time(stopped("before_kafka_commit", asked_at="after_publish", commit_every_s=math.inf))
    assert took == pytest.approx(LAST_COMMIT_S)
