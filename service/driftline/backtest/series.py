"""What every column did over time, from the blocks: counts in some hundred buckets of event time.

The blocks are the same that judge takes; what waits raw for a reference is binned when there is one. Merged counts
are exact, so a bucket says what all its events say. Memory is bounded by columns and BUCKETS, not by traffic.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import BinnedBlock, Bundle, RawBlock
from driftline.registry import ModelKey
from driftline.runtime.memory_log import MemoryRecord
from driftline.stats.block import PaneCounts, add_block, fold_rows
from driftline.stats.profile import Profile
from driftline.stats.rows import Rows
from driftline.stats.section import Section
from driftline.stats.witness import WIDTH

BUCKETS: Final = 400
MINUTE_MS: Final = 60_000
DAY_MS: Final = 1_440 * MINUTE_MS
LADDER: Final = (
    *(MINUTE_MS, 10 * MINUTE_MS, 60 * MINUTE_MS, 360 * MINUTE_MS),
    *(DAY_MS, 7 * DAY_MS, 28 * DAY_MS, 364 * DAY_MS, 3_640 * DAY_MS),
)

_bundles: Final = msgspec.msgpack.Decoder(Bundle)


@dataclass
class Track:
    """One stream of a model version. `buckets`: counts by start, each `width` ms long."""

    section: Section
    width: int
    buckets: dict[int, PaneCounts] = field(default_factory=dict)

    def bucket(self, time: int) -> PaneCounts:
        start = time // self.width * self.width
        counts = self.buckets.get(start)
        if counts is None:
            if len(self.buckets) >= BUCKETS:
                self._widen()
                return self.bucket(time)
            counts = self.buckets[start] = PaneCounts.empty(len(self.section.grid.columns), self.section.grid.joint)
        return counts

    def _widen(self) -> None:
        self.width = next((w for w in LADDER if w > self.width), 2 * self.width)
        former, self.buckets = self.buckets, {}
        for start, counts in former.items():
            at = start // self.width * self.width
            if at in self.buckets:
                self.buckets[at].merge(counts)
            else:
                self.buckets[at] = counts

    def coarse(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """(starts [buckets], counts [buckets, monitored columns, coarse bins]), in order of time."""
        index, columns = self.section.grid.index, self.section.monitored
        starts = sorted(self.buckets)
        found = np.zeros((len(starts), len(columns), WIDTH), np.int64)
        for i, start in enumerate(starts):
            counts = self.buckets[start].counts
            for j, column in enumerate(columns):
                found[i, j] = np.bincount(column.coarse_map, counts[index[column.name]], WIDTH)
        return np.array(starts, np.int64), found


class Series:
    """Follows a backtest as a watcher."""

    def __init__(self) -> None:
        self.tracks: dict[tuple[ModelKey, str], Track] = {}
        self._waiting: dict[tuple[ModelKey, str], list[RawBlock]] = {}

    def blocks(self, records: Sequence[MemoryRecord], profiles: dict[ModelKey, Profile]) -> None:
        for record in records:
            for block in _bundles.decode(record.value or b"").blocks:
                self._take(block, profiles)
        for key in [key for key in self._waiting if self._track(key, profiles) is not None]:
            for raw in self._waiting.pop(key):
                self._take(raw, profiles)

    def _track(self, key: tuple[ModelKey, str], profiles: dict[ModelKey, Profile]) -> Track | None:
        track = self.tracks.get(key)
        profile = profiles.get(key[0])
        section = profile.section(key[1]) if profile is not None else None
        if section is None:
            return track
        if track is None or track.section.grid.id != section.grid.id:
            pane = section.grid.pane_ms
            track = self.tracks[key] = Track(section, next((w for w in LADDER if w >= pane), pane))
        return track

    def _take(self, block: RawBlock | BinnedBlock, profiles: dict[ModelKey, Profile]) -> None:
        key = ((block.model, block.version), block.stream)
        track = self._track(key, profiles)
        if track is None:
            if isinstance(block, RawBlock):
                self._waiting.setdefault(key, []).append(block)
        elif isinstance(block, BinnedBlock):
            if block.grid == track.section.grid.id:
                add_block(track.bucket(block.pane), block, track.section.grid)
        else:
            for start, counts in fold_rows(track.section.grid, Rows.from_raw_block(block)).items():
                track.bucket(start).merge(counts)
