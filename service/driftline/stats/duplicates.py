"""What a reference knows of duplicates: their share of rows and duplicates, and how they cluster."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.questions import smoothed_share

MONITOR: Final = "predictions:duplicates"
SMALLEST: Final = 0.01
"""A share so much larger than the reference's is nobody's concern."""
LARGEST: Final = 0.99
SPANS: Final = (1, 4, 16)
"""Panes over which bursts are looked for."""
MIN_SPANS: Final = 8


class DuplicateReference(msgspec.Struct, frozen=True, kw_only=True):
    """`share` of rows and duplicates, the `bound` that is judged, and the variance of duplicates in a pane, in that of
    independent ones (`inflation`, 1 or more)."""

    share: float
    bound: float
    inflation: float

    @property
    def smallest_shift(self) -> str:
        return f"a share above {100.0 * self.bound:.2g} % (reference {100.0 * self.share:.2g} %)"


def learn_duplicates(
    times: NDArray[np.int64], held: Mapping[int, int], pane_ms: int, z: float
) -> DuplicateReference:
    """`times` (ms) of the rows; `held`: duplicates by time (ms). `z` standard errors of the share are allowed for."""
    at, rows = np.unique(times // pane_ms, return_counts=True)
    panes = np.array(sorted({*at.tolist(), *(time // pane_ms for time in held)}), np.int64)
    bad = np.zeros(len(panes), np.int64)
    np.add.at(
        bad, np.searchsorted(panes, [time // pane_ms for time in sorted(held)]), [held[t] for t in sorted(held)]
    )
    n = bad.copy()
    n[np.searchsorted(panes, at)] += rows
    total = int(n.sum())
    share = smoothed_share(int(bad.sum()), total)
    inflation = 1.0
    for span in SPANS:
        starts = np.arange(0, len(panes) // span * span, span)
        if len(starts) >= MIN_SPANS:
            k, m = np.add.reduceat(bad, starts), np.add.reduceat(n, starts)
            expected = float(m.sum()) * share * (1.0 - share)
            inflation = max(inflation, float(np.square(k - share * m).sum()) / expected)
    error = math.sqrt(inflation * share * (1.0 - share) / total)
    bound = min(share + max(SMALLEST, z * error), LARGEST)
    return DuplicateReference(share=share, bound=bound, inflation=inflation)
