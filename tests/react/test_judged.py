"""What is read of judge: event time, labels, and the mean error of pairs, in every stage of its life."""

from __future__ import annotations

import pytest

from driftline.ingest.stage import IngestSettings
from driftline.judge.diary import Diary
from driftline.judged import Judged
from driftline.react.core import Question
from driftline.runtime.memory_store import MemoryStore
from driftline.stats.settings import DetectionSettings
from faults.data import feed
from faults.world import Shape, World
from react.making import DAY

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
    assert sum(day.n for day in fact.days) == pairs
    assert sum(day.total for day in fact.days) / pairs == pytest.approx((2 * 0.1 + 0.35) / 3, abs=0.03)
    assert fact.reference == pytest.approx(0.1, abs=0.05)
    assert fact.label_delay_ms is not None
    (later,) = await judged.facts([Question("flights", "1", made.end + DAY)])
    assert later.days == []
    assert world.stands("judge", 0) is not None


@pytest.mark.timeout(60)
async def test_pairs_that_wait_for_a_reference_count() -> None:
    _, judged = await judged_world(100)
    (fact,) = await judged.facts([Question("flights", "1")])
    assert fact.labelled
    assert fact.reference is None
    assert sum(day.n for day in fact.days) == feed(n=100, models=("flights",), poison=False).truth.pairs["flights"]
    assert 0 <= sum(day.total for day in fact.days) < 0.4 * 100


async def test_what_cannot_be_read_is_not_known() -> None:
    world, judged = await judged_world(100)
    for slot, record in world.server.contents.slots.items():
        if slot.stage == "judge":
            record.fields["ledger"] = b"rubbish"
    assert await judged.closed() is None


@pytest.mark.timeout(60)
async def test_the_diary_is_the_same_however_the_pairs_came() -> None:
    """In one piece or in many, over one partition or three: pairs are counted raw, in the reference, and after it.

    Mutation: leave the rows of the reference out in JudgeStage._learn."""
    made = feed(n=1_700, models=("flights",), poison=False)
    diaries = set()
    for partitions, step in ((2, len(made.messages)), (1, 211), (3, 97)):
        shape = Shape(partitions=partitions, ingest=IngestSettings(sources=partitions, blocks_partitions=2))
        world = World(shape)
        for start in range(0, len(made.messages), step):
            world.publish(made.messages[start : start + step])
            await world.quiet()
        await world.drain(made.end)
        (held,) = [
            data
            for slot, record in world.server.contents.slots.items()
            for name, data in record.fields.items()
            if slot.stage == "judge" and name.startswith("e:")
        ]
        diaries.add(held)
    assert len(diaries) == 1
    ((_, days),) = [Diary.from_bytes(held).read([], 0) for held in diaries]
    assert sum(day.n for day in days) == made.truth.pairs["flights"]
