"""Conventional distances between two histograms on the same bins. For display: they never page.

Both histograms are counts; each must hold at least one row.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.contracts.records import Distances

Counts = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

FLOOR: Final = 1e-4
"""PSI takes a smaller share for this one, as is usual: an empty bin would make it infinite. So a bin that holds
nothing in the reference adds at most (1 - 0.0001) ln 10,000 = 9.21."""


def distances(
    reference: Counts, current: Counts, representatives: Floats | None = None, sd: float = 1.0
) -> Distances | None:
    """All four, or None where either side is empty. `representatives` of an ordered column are the values that
    stand for its first bins, ascending; bins past them (missing, wrong type) have no place in KS and Wasserstein.
    These two are None for a column without an order, and where a side holds no value at all."""
    if not reference.sum() or not current.sum():
        return None
    n = int(current.sum())
    whole = psi(reference, current), js(reference, current)
    if representatives is None:
        return Distances(psi=whole[0], js=whole[1], ks=None, wasserstein_sd=None, n=n)
    ordered_reference, ordered = reference[: len(representatives)], current[: len(representatives)]
    if not ordered_reference.sum() or not ordered.sum():
        return Distances(psi=whole[0], js=whole[1], ks=None, wasserstein_sd=None, n=n)
    return Distances(
        psi=whole[0],
        js=whole[1],
        ks=ks(ordered_reference, ordered),
        wasserstein_sd=wasserstein_sd(ordered_reference, ordered, representatives, sd),
        n=n,
    )


def psi(reference: Counts, current: Counts) -> float:
    """Population stability index, sum (q - p) ln (q / p), shares floored at 0.0001. At least 0; below 0.1 is
    usually called stable, above 0.2 shifted. Two samples of one law have about (bins - 1) (1/n + 1/m)."""
    p = np.maximum(_shares(reference), FLOOR)
    q = np.maximum(_shares(current), FLOOR)
    return float(((q - p) * np.log(q / p)).sum())


def js(reference: Counts, current: Counts) -> float:
    """Jensen-Shannon divergence, base 2: 0 for equal shares, 1 for disjoint ones."""
    p, q = _shares(reference), _shares(current)
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return min(max(divergence, 0.0), 1.0)


def ks(reference: Counts, current: Counts) -> float:
    """Largest distance of the two distribution functions on the edges of the bins: at most the Kolmogorov-Smirnov
    statistic of the values, short of it by no more than the largest share inside one bin."""
    return float(np.abs(_gap(reference, current)).max(initial=0.0))


def wasserstein_sd(reference: Counts, current: Counts, representatives: Floats, sd: float) -> float:
    """Wasserstein-1 distance with every bin's rows at its representative (ascending), in units of `sd` > 0."""
    return float((np.abs(_gap(reference, current))[:-1] * np.diff(representatives)).sum() / sd)


def _shares(counts: Counts) -> Floats:
    shares: Floats = counts / counts.sum()
    return shares


def _gap(reference: Counts, current: Counts) -> Floats:
    """Difference of the distribution functions at the upper edge of each bin, from integers: equal is exactly 0."""
    n, m = int(reference.sum()), int(current.sum())
    gap: Floats = np.cumsum(current) / m - np.cumsum(reference) / n
    return gap


def _relative_entropy(p: Floats, q: Floats) -> float:
    held = p > 0
    return float((p[held] * np.log2(p[held] / q[held])).sum())
