"""What the panes of a span of time have shown: coarse counts, and what the features of the embedding summed up to.

All of it integers, so the sum of spans does not depend on the order of their panes. About 60 bytes a column where
values fill some 20 bins, and 0.6 kB for the embedding.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.codec import pack, unpack
from driftline.stats.section import Section
from driftline.stats.witness import WIDTH

Counts = NDArray[np.int64]

SQUARE_UNIT: Final = 16
"""Squares are kept in parts of so many: what rounding adds to a variance is far below a feature's least."""
KIND: Final = "span"
VERSION: Final = 2
_HEAD: Final = np.dtype("<i8")


@dataclass(frozen=True, slots=True)
class Shown:
    """`rows` in `panes`. `counts`: coarse counts [monitored columns, WIDTH]; `sums`: of the embedding's features
    over all rows [features]; `squares`: over panes, the square of their sum over their rows [features], in parts of
    `SQUARE_UNIT`: what tells how much the means of panes vary. Both hold nothing where there is no embedding."""

    rows: int
    panes: int
    counts: Counts
    sums: Counts
    squares: Counts

    @staticmethod
    def of(section: Section, counts: PaneCounts) -> Shown:
        """Of one pane that holds rows. Each square is rounded by itself, alike on every machine."""
        squares = np.square(counts.joint.astype(np.float64))
        squares *= SQUARE_UNIT / counts.n
        coarse = section.coarsen(counts.counts)
        return Shown(counts.n, 1, coarse, counts.joint.copy(), np.rint(squares).astype(np.int64))

    def __add__(self, other: Shown) -> Shown:
        """Raises ValueError for what was shown on another grid."""
        if not self.alike(other):
            raise ValueError("spans of other columns do not add up")
        return Shown(
            self.rows + other.rows,
            self.panes + other.panes,
            self.counts + other.counts,
            self.sums + other.sums,
            self.squares + other.squares,
        )

    def alike(self, other: Shown) -> bool:
        return self.counts.shape == other.counts.shape and self.sums.shape == other.sums.shape

    def to_bytes(self) -> bytes:
        head = np.array([self.rows, self.panes, len(self.sums)])
        parts = (head, self.sums, self.squares, self.counts.ravel())
        return pack(KIND, VERSION, zlib.compress(np.concatenate(parts).astype(_HEAD).tobytes(), 1))

    @staticmethod
    def from_bytes(data: bytes) -> Shown:
        """Raises StateCorrupt for bytes that `to_bytes` did not give, StateTooNew for those of later code."""
        version, body = unpack(KIND, VERSION, data)
        if version != VERSION:
            raise StateCorrupt(f"{KIND}: written as version {version}, which did not know all that is asked of it")
        try:
            held = np.frombuffer(zlib.decompress(body), _HEAD).astype(np.int64)
            rows, panes, features = held[:3].tolist()
            if not 1 <= panes <= rows or not 0 <= 2 * features <= len(held) - 3:
                raise StateCorrupt(f"{KIND}: {len(held)} numbers, {rows} rows, {panes} panes, {features} features")
            sums, squares, counts = np.split(held[3:], (features, 2 * features))
            return Shown(rows, panes, counts.reshape(-1, WIDTH), sums, squares)
        except (zlib.error, ValueError) as error:
            raise StateCorrupt(f"{KIND}: {error}") from None
