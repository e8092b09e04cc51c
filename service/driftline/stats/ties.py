"""Numeric columns that go together in the reference: what one upstream column feeds.

Spearman's rank correlation of the bins, over the rows where both hold a value; 0.8 or more, either way, is a tie.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES, MISSING
from driftline.stats.grid import GridColumn

STRONG: Final = 0.8
MOST_ROWS: Final = 10_000
"""Rows looked at, spread evenly: enough to tell 0.8 from 0.75."""
MOST_TIES: Final = 1_000
FEWEST: Final = 30


def tied_columns(columns: Sequence[GridColumn], codes: NDArray[np.uint8]) -> list[tuple[str, str]]:
    """Pairs by name, in order; the strongest where there are more than 1,000. `codes` [n, columns]."""
    numeric = [i for i, column in enumerate(columns) if column.kind == "numeric"]
    if len(numeric) < 2:
        return []
    step = -(-len(codes) // MOST_ROWS)
    some = codes[::step, numeric].T
    held = (some < MISSING).astype(np.float64)
    z = np.stack([_ranks(row) for row in some])
    n = held @ held.T
    # Where both hold a value, a column's mean and spread may differ from its own: each pair has its own sums.
    first, square = z @ held.T, np.square(z) @ held.T
    with np.errstate(invalid="ignore", divide="ignore"):
        covariance = z @ z.T / n - first * first.T / (n * n)
        variance = square / n - np.square(first / n)
        r = np.abs(covariance) / np.sqrt(variance * variance.T)
    strong = (r >= STRONG) & (n >= FEWEST) & (variance > 1e-9) & (variance.T > 1e-9)
    pairs = [(i, j) for i, j in np.argwhere(np.triu(strong, 1)).tolist()]
    # Rounded, so that the last bits of a sum decide nothing.
    pairs = sorted(pairs, key=lambda pair: (-round(float(r[pair]), 6), pair))[:MOST_TIES]
    return sorted((columns[numeric[i]].name, columns[numeric[j]].name) for i, j in pairs)


def _ranks(codes: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mid-ranks of the values within (-0.5, 0.5), 0 for what is none."""
    counts = np.bincount(codes, minlength=CODES)
    counts[MISSING:] = 0
    n = max(int(counts.sum()), 1)
    middle = (np.cumsum(counts) - counts / 2.0) / n - 0.5
    middle[MISSING:] = 0.0
    return np.asarray(middle[codes])
