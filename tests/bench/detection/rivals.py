"""What others do, on the same events, as it is commonly done: river's ADWIN and Page-Hinkley on raw values,
a Kolmogorov-Smirnov test and a population stability index on windows; and the two baselines that show what a
count of found drifts is worth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from river import drift
from scipy.stats import ks_2samp

Floats = NDArray[np.float64]

WINDOW: Final = 1_000
BINS: Final = 10
NAMES: Final = ("ADWIN raw", "Page-Hinkley raw", "KS p < .05", "PSI > 0.2", "always fires", "never fires")


def alarms(name: str, reference: Floats, values: Floats) -> Iterator[int]:
    """After how many events [n] of one column each alarm comes; each detector begins anew after an alarm."""
    match name:
        case "ADWIN raw" | "Page-Hinkley raw":
            detector: Any = getattr(drift, name.removesuffix(" raw").replace("-", ""))()
            for i, value in enumerate(values.tolist()):
                detector.update(value)
                if detector.drift_detected:
                    yield i + 1
        case "KS p < .05":
            sample = reference[-WINDOW:]
            for end in range(WINDOW, len(values) + 1, WINDOW):
                if ks_2samp(sample, values[end - WINDOW : end]).pvalue < 0.05:
                    yield end
        case "PSI > 0.2":
            edges = np.unique(np.quantile(reference, np.linspace(0.0, 1.0, BINS + 1)[1:-1]))
            expected = _shares(reference, edges)
            for end in range(WINDOW, len(values) + 1, WINDOW):
                found = _shares(values[end - WINDOW : end], edges)
                if float((found - expected) @ np.log(found / expected)) > 0.2:
                    yield end
        case "always fires":
            yield from range(WINDOW, len(values) + 1, WINDOW)


def _shares(values: Floats, edges: Floats) -> Floats:
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return np.asarray((counts + 0.5) / (counts.sum() + 0.5 * len(counts)))
