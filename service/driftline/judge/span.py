"""A profile and the panes of its time: of the one in force, and of those still to take force."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from driftline.contracts.blocks import NO_WATERMARK, PAIRS, PREDICTIONS, BinnedBlock
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts, add_block, fold_rows
from driftline.stats.profile import Profile
from driftline.stats.rows import Rows
from driftline.stats.section import Section

STREAMS = (PREDICTIONS, PAIRS)
Panes = dict[str, dict[int, PaneCounts]]


def no_panes() -> Panes:
    return {stream: {} for stream in STREAMS}


@dataclass
class Span:
    """A profile and the open panes of its time, by stream and start (ms)."""

    profile: Profile
    panes: Panes = field(default_factory=no_panes)

    def add_binned(self, section: Section, block: BinnedBlock, closed: int) -> int:
        """Merge a block of this grid; how many of its rows were late: their pane is judged, so they went to the open
        one. StateCorrupt if the block's bytes are none."""
        pane = open_pane(section, block.pane, closed)
        add_block(self._pane(section, pane), block, section.grid)
        return block.n if pane != block.pane else 0

    def add_counts(self, section: Section, start: int, counts: PaneCounts, closed: int) -> int:
        """Merge what a block of the pane from `start` holds; how many of its rows were late."""
        pane = open_pane(section, start, closed)
        self._pane(section, pane).merge(counts)
        return counts.n if pane != start else 0

    def _pane(self, section: Section, start: int) -> PaneCounts:
        panes = self.panes[section.stream]
        if start not in panes:
            panes[start] = PaneCounts.empty(len(section.grid.columns), section.grid.joint)
        return panes[start]

    def add_rows(self, section: Section, rows: Rows, closed: int) -> tuple[int, int]:
        """Bin rows and merge them: (how many are older than what is judged, and were left out; how many were late)."""
        fresh = rows.times >= self.profile.since(section.stream)
        early = rows.n - int(np.count_nonzero(fresh))
        if early:
            rows = rows.take(np.flatnonzero(fresh))
        late = 0
        panes = self.panes[section.stream]
        for start, counts in fold_rows(section.grid, rows).items():
            pane = open_pane(section, start, closed)
            late += counts.n if pane != start else 0
            if pane in panes:
                panes[pane].merge(counts)
            else:
                panes[pane] = counts
        return early, late

    def rows_held(self) -> int:
        return sum(counts.n for panes in self.panes.values() for counts in panes.values())

    def to_record(self) -> dict[str, dict[int, bytes]]:
        return {
            stream: {pane: counts.to_bytes() for pane, counts in panes.items()}
            for stream, panes in self.panes.items()
            if panes
        }

    def read(self, record: Mapping[str, Mapping[int, bytes]]) -> bool:
        """Take in panes that `to_record` gave; False where one of them could not be read."""
        whole = True
        for stream, panes in record.items():
            section = self.profile.section(stream)
            if section is None:
                continue
            for pane, data in panes.items():
                try:
                    self.panes[stream][pane] = PaneCounts.from_bytes(section.grid, data)
                except StateCorrupt:
                    whole = False
        return whole


def open_pane(section: Section, pane: int, closed: int = NO_WATERMARK) -> int:
    """The pane itself while it is open, else the one the watermark stands in. What a stream has not judged yet is
    open, wherever the watermark is: its reference may only just have been learnt."""
    length = section.grid.pane_ms
    return pane if pane + length > closed else closed // length * length
