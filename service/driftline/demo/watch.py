"""What can be seen while the demo runs: error by week from `blocks`, signals as they are said."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np

from driftline.contracts.blocks import NO_WATERMARK, PAIRS, BinnedBlock, Bundle, blocks_partition
from driftline.demo.model import MODEL
from driftline.demo.signals import SYSTEM
from driftline.runtime.kafka_reader import KafkaReader
from driftline.stats.grid import Grid
from driftline.stats.layout import decode_counts
from driftline.stats.profile import decode_profile

WEEK_MS: Final = 7 * 86_400_000
_MONDAY_MS: Final = 4 * 86_400_000
"""5 January 1970 was the first Monday."""
_decode: Final = msgspec.msgpack.Decoder(Bundle).decode


def week_of(time: int) -> int:
    """The Monday, 00:00 UTC, of a time in ms."""
    return (time - _MONDAY_MS) // WEEK_MS * WEEK_MS + _MONDAY_MS


@dataclass
class Seen:
    """`weeks`: by Monday, outcomes and errors among them. `signals`: (state, monitor, event time ms, sentence) in
    order. `watermark`: event time up to which every source has been read; None at first."""

    weeks: dict[int, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    signals: list[tuple[str, str, int, str]] = field(default_factory=list)
    watermark: int | None = None


class Watch:
    """Follows the topics. For the display only: the audit looks for itself."""

    def __init__(self, reader: KafkaReader, blocks: str, partitions: int, signals: str, profiles: str) -> None:
        self._reader = reader
        self._blocks = blocks
        self._partition = blocks_partition(MODEL, partitions)
        self._signals = signals
        self._profiles = profiles
        self._grid: Grid | None = None
        self._ends: dict[int, int] = {}
        self._watermarks: dict[int, int] = {}
        self._positions = {blocks: 0, signals: 0}
        self.seen = Seen()

    async def look(self) -> None:
        """Take in what is new. Transient passes through."""
        if self._grid is None:
            for record in await self._reader.read(self._profiles, 0, 0, 1 << 60):
                profile = decode_profile(record.value or b"")
                self._grid = profile.pairs.grid if profile.pairs else None
        for value in await self._fresh(self._blocks, self._partition):
            self._take(_decode(value))
        for value in await self._fresh(self._signals, 0):
            signal = msgspec.json.decode(value)
            if not signal["monitor"].startswith(SYSTEM):
                said = (signal["state"], signal["monitor"], signal["time"], signal["sentence"])
                if said not in self.seen.signals:
                    self.seen.signals.append(said)

    async def _fresh(self, topic: str, partition: int) -> list[bytes]:
        records = await self._reader.read(topic, partition, self._positions[topic], 1 << 60)
        if records:
            self._positions[topic] = records[-1].offset + 1
        return [record.value for record in records if record.value is not None]

    def _take(self, bundle: Bundle) -> None:
        if bundle.first < self._ends.get(bundle.source, 0):
            return  # published a second time after a crash
        self._ends[bundle.source] = bundle.next
        if bundle.watermark > NO_WATERMARK:
            self._watermarks[bundle.source] = bundle.watermark
        if len(self._watermarks) == bundle.sources:
            self.seen.watermark = min(self._watermarks.values())
        for block in bundle.blocks:
            if isinstance(block, BinnedBlock) and block.stream == PAIRS and self._grid is not None:
                self._count(block, self._grid)

    def _count(self, block: BinnedBlock, grid: Grid) -> None:
        if block.grid != grid.id:
            return
        counts = decode_counts(grid, block.n, block.layout, block.codes, block.counts)
        right, wrong = counts[grid.index["error"], :2].astype(np.int64).tolist()
        week = self.seen.weeks[week_of(block.pane)]
        week[0] += right + wrong
        week[1] += wrong
