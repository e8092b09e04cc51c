"""What is read of judge: event time, labels, and the mean error of pairs, in every stage of its life."""

from __future__ import annotations

import pytest

from driftline.judged import Judged
from driftline.react.core import Question
from driftline.runtime.memory_store import MemoryStore
from driftline.stats.settings import DetectionSettings
from faults.data import feed
from faults.world import World

SETTINGS = DetectionSettings()
BLOCKS = 2


async def judged_world(n: int) -> tuple[World, Judged]:
    world = World()
    made = feed(n=n, models=("flights",), poison=False)
    world.publish(made.messages)
    await world.drain(made.end)
    return world, Judged(MemoryStore(world.server), BLOCKS, SETTINGS)


async def test_nothing_is_known_before_a_judge_has_judged() -> None:
    judged = Judged(MemoryStore(), BLOCKS, SETTINGS)
    assert await judged.closed() is None
    assert await judged.facts([Question("flights", "1")]) == []


@pytest.mark.timeout(60)
async def test_event_time_is_what_all_judges_have_closed_and_errors_are_of_all_pairs() -> None:
    world, judged = await judged_world(1_700)
    closed = await judged.closed()
    assert closed is not None
    made = feed(n=1_700, models=("flights",), poison=False)
    assert closed >= made.end
    (fact,) = await judged.facts([Question("flights", "1"), Question("flights", "9")])
    assert (fact.model, fact.version, fact.labelled, fact.column) == ("flights", "1", True, "error")
    pairs = made.truth.pairs["flights"]
    assert 0.9 * pairs <= fact.n <= pairs
    assert fact.error == pytest.approx((2 * 0.1 + 0.35) / 3, abs=0.03)
    (recent,) = await judged.facts([Question("flights", "1", made.end - 120_000)])
    assert recent.error is not None and fact.error is not None
    assert recent.error > fact.error
    assert world.stands("judge", 0) is not None


@pytest.mark.timeout(60)
async def test_pairs_that_wait_for_a_reference_count() -> None:
    _, judged = await judged_world(100)
    (fact,) = await judged.facts([Question("flights", "1")])
    assert fact.labelled
    assert fact.n == feed(n=100, models=("flights",), poison=False).truth.pairs["flights"]
    assert fact.error is not None
    assert 0 <= fact.error < 0.4


async def test_what_cannot_be_read_is_not_known() -> None:
    world, judged = await judged_world(100)
    for slot, record in world.server.contents.slots.items():
        if slot.stage == "judge":
            record.fields["ledger"] = b"rubbish"
    assert await judged.closed() is None
