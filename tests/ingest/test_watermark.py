"""How far a range takes the watermark, and where it goes once nothing follows."""

from __future__ import annotations

import orjson
import pytest

from driftline.clock import ManualClock
from driftline.contracts.decode import Decoder
from driftline.ingest.stage import LAST, IngestSettings, IngestStage, IngestState
from driftline.registry import ProfileRegistry
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryRecord
from driftline.runtime.memory_store import MemoryStore
from driftline.runtime.stage import Batch

NOW = 1_700_000_000_000
T0 = NOW - 10_000_000
EVENT = {"type": "prediction", "model": "m", "version": "1"}


async def reached(times: list[int], state: IngestState | None = None) -> tuple[int, int]:
    """(watermark, tail) after one range of predictions of these times, without lateness."""
    clock = ManualClock(NOW)
    reader = MemoryReader(MemoryLog(clock, {"profiles": 1}))
    settings = IngestSettings(sources=1, blocks_partitions=1, lateness_ms=0, join=False)
    stage = IngestStage(settings, Decoder(), MemoryStore(), reader, ProfileRegistry(reader, "profiles", clock))
    records = [
        MemoryRecord("events", 0, i, NOW, None, orjson.dumps({**EVENT, "id": str(i), "time": time}))
        for i, time in enumerate(times)
    ]
    prepared = await stage.prepare(state or IngestState(), Batch(0, 0, len(records), records, NOW))
    return prepared.watermark, prepared.tail


async def test_the_tail_of_a_long_range_is_that_of_its_last_events() -> None:
    """An hour and more in one poll. Mutation: the tail of all events alone."""
    times = [T0 + i * 1_000 for i in range(4_000)]
    assert await reached(times) == (times[1_999], times[-1 - LAST // 10])


@pytest.mark.parametrize("wrong", [1, LAST // 10])
async def test_a_few_bad_clocks_do_not_move_it(wrong: int) -> None:
    """The very last events are 50 s ahead. Mutation: in `_watermark`, ten tenths of the last."""
    times = [T0 + i for i in range(4_000)]
    assert await reached([*times[:-wrong], *(time + 50_000 for time in times[-wrong:])]) < (times[2_000], times[-1])


async def test_old_events_behind_it_do_not_take_it_back() -> None:
    """A second model's history, shorter than the first's. Mutation: the tail of the last events alone."""
    first, second = [T0 + i * 1_000 for i in range(4_000)], [T0 + i * 1_000 for i in range(200)]
    _, tail = await reached([*first, *second])
    assert tail > first[3_500]
    assert await reached(second, IngestState(watermark=first[1_999], tail=tail)) == (first[1_999], tail)
