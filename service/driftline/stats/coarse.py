"""Coarse bins: the fine codes of a column summed into at most 64 bins, on which all evidence rests.

Numeric: at most 62 bins of nearly equal reference share, with a bin edge as near as the grid allows to each
witness level. Categorical: each category of 1 % or more (60 at the most), the others, the unseen. Rate: 0 and 1.
The last bin of every column (`MISSING_BIN`) counts its cells without a usable value. Sums of integers: exact.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES, UNSEEN, UNSEEN_COUNTERS
from driftline.stats.witness import MISSING_BIN

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
CoarseMap = NDArray[np.uint8]

MOST_BINS: Final = 62
MOST_CATEGORIES: Final = 60
OWN_SHARE: Final = 0.01
LEVELS: Final = (0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98)
TAIL_LEVEL: Final = 0.998
"""One more for columns whose tail is what hurts: latency, absolute error."""


def coarsen_numbers(counts: Counts, bins: int, levels: tuple[float, ...]) -> tuple[CoarseMap, int, list[int]]:
    """(map of the 256 codes, number of coarse bins, cuts). A cut c splits coarse bins < c from the rest at the
    fine edge nearest to a level; levels that share an edge share a cut. `bins`: fine bins in use."""
    below = np.cumsum(counts[:bins])[:-1] / max(int(counts[:bins].sum()), 1)  # share under each inner edge
    cuts = sorted({_nearest(below, level) for level in levels}) if bins > 1 else []
    edges = range(1, bins)
    if bins > MOST_BINS:
        room = MOST_BINS - len(cuts)
        edges = sorted({*cuts, *(_nearest(below, i / room) for i in range(1, room))})  # type: ignore[assignment]
    mapping = np.full(CODES, MISSING_BIN, np.uint8)
    mapping[:bins] = np.searchsorted(np.asarray(edges, np.int64), np.arange(bins), side="right")
    return mapping, len(edges) + 1, cuts


def _nearest(below: Floats, level: float) -> int:
    return int(np.argmin(np.abs(below - level))) + 1


def coarsen_categories(counts: Counts, categories: int) -> tuple[CoarseMap, list[int]]:
    """(map, own): the categories `own` (codes, largest first) have bins 0 .. len(own)-1; then come the others
    and the unseen. `categories`: length of the table, which is ordered by count."""
    total = max(int(counts[: UNSEEN + UNSEEN_COUNTERS].sum()), 1)
    own = [code for code in range(categories) if counts[code] >= OWN_SHARE * total][:MOST_CATEGORIES]
    mapping = np.full(CODES, MISSING_BIN, np.uint8)
    mapping[:categories] = len(own)
    mapping[own] = np.arange(len(own))
    mapping[UNSEEN : UNSEEN + UNSEEN_COUNTERS] = len(own) + 1
    return mapping, own


def representatives(
    values: Floats, bins: NDArray[np.intp], n_bins: int, edges: Floats, low: float, high: float
) -> Floats:
    """Mean of each coarse bin's values, clipped to [low, high]; where the reference has none, the middle of the
    bin so clipped. `edges` are the n_bins-1 inner edges. All in a unit in which no value exceeds 1."""
    clipped = np.clip(values, low, high)
    counts = np.bincount(bins, minlength=n_bins)
    sums = np.bincount(bins, weights=clipped, minlength=n_bins)
    around = np.concatenate(([low], np.clip(edges, low, high), [high]))
    return np.where(counts > 0, sums / np.maximum(counts, 1), (around[:-1] + around[1:]) / 2.0)
