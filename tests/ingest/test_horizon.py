"""How long a half is remembered: until the source that is furthest behind has gone by."""

from __future__ import annotations

import msgspec
import orjson
import pytest

from driftline.clock import ManualClock
from driftline.contracts.decode import Decoder
from driftline.ingest.stage import (
    DAY_MS,
    STATE,
    STATE_KIND,
    STATE_VERSION,
    IngestSettings,
    IngestStage,
    IngestState,
)
from driftline.registry import ProfileRegistry
from driftline.runtime.memory_log import MemoryLog, MemoryReader, MemoryRecord
from driftline.runtime.memory_store import MemoryStore
from driftline.runtime.stage import Batch
from driftline.runtime.store import Slot, Write
from driftline.stats.codec import pack

NOW = 20_000 * DAY_MS


class Sources:
    """Two sources of one stage on one store."""

    def __init__(self) -> None:
        clock = ManualClock(NOW)
        reader = MemoryReader(MemoryLog(clock, {"profiles": 1}))
        self.store = MemoryStore()
        settings = IngestSettings(sources=2, blocks_partitions=1, join_days=30, lateness_ms=0)
        registry = ProfileRegistry(reader, "profiles", clock)
        self.stage = IngestStage(settings, Decoder(), self.store, reader, registry)

    async def stands(self, source: int, state: IngestState) -> None:
        slot = Slot("ingest", source)
        body = pack(STATE_KIND, STATE_VERSION, msgspec.msgpack.encode(state))
        await self.store.acquire(slot, "token")
        await self.store.commit(
            slot, Write(token="token", batch=f"{source}", begin=None, next=0, set={STATE: body})
        )

    async def reads(self, source: int, day: int, offset: int) -> None:
        """One prediction of its own, on a day."""
        event = {
            "type": "prediction",
            "id": f"{source}/{offset}",
            "model": "m",
            "version": "1",
            "time": day * DAY_MS,
        }
        record = MemoryRecord("events", source, offset, NOW, None, orjson.dumps(event))
        batch = Batch(source, offset, offset + 1, [record], NOW)
        await self.stage.prepare(IngestState(), batch)

    async def waiting(self) -> tuple[int, int]:
        """Predictions that wait, and that were let go."""
        totals = await self.store.join_totals()
        return totals.pending_predictions, totals.expired_predictions


@pytest.mark.parametrize(
    ("other", "kept"),
    [
        (IngestState(watermark=15_100 * DAY_MS), True),
        (IngestState(watermark=15_131 * DAY_MS), False),
        (IngestState(), True),
        (IngestState(watermark=15_100 * DAY_MS, idle=True), False),
        (IngestState(idle=True), False),
    ],
    ids=["behind", "as far", "not begun", "idle", "idle from the begin"],
)
async def test_a_source_ahead_takes_nothing_from_one_behind(other: IngestState, kept: bool) -> None:
    """Two sources of a replay drift apart by more than the memory is deep.

    Mutation: expire by the batch's own day: the halves of the source behind are gone before their others come.
    """
    sources = Sources()
    await sources.reads(1, 15_100, 0)
    await sources.stands(1, other)
    await sources.reads(0, 15_131, 0)
    assert await sources.waiting() == ((2, 0) if kept else (1, 1))
