"""Var(mean of n events of one pane) = sigma^2 (a/n + b), fitted on the reference, never too small on purpose.

`a` (1 or more) is what autocorrelation between events does: Geyer's initial positive sequence, from the FFT of
each whole series (60,000 rows x 20 columns x 14 witnesses take about 2 s of one core, so nothing is skipped).
`b` (0 or more) is what more events in the pane do not average away: a pane's own weather. Without `b` evidence
grows with traffic for ever; without `a` one slow wave counts as many events.

At the traffic of the reference the two cannot be told apart: an effect of the pane correlates its events, so that
`a` takes all of it and nothing is left for `b`. Therefore a second line is fitted to the series freed of its unit
means (`without_unit_means`), which leaves such effects to `b`, and the larger of both variances counts.

C. J. Geyer, "Practical Markov chain Monte Carlo", Statistical Science 7 (1992).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

MAX_STRIDE = 16
MIN_AGGREGATES = 8
SIGNIFICANCE = 3.0
STRIDE_SIGNIFICANCE = 5.0
"""Fifteen more looks must not find in noise what is not there; what lockstep hides is far beyond this."""
FIRST_LAGS = 256
"""Where most sequences have ended; all lags are looked at only where one has not."""


def event_inflation(series: Floats) -> Floats:
    """`a` of each row of `series` [witnesses, n], which is in time order: float64 [witnesses], each >= 1.

    Independent streams interleaved in lockstep hide their autocorrelation at small lags, and show it at strides of
    their number: the sequence is taken at every stride from 1 to 16, and the largest counts. How events were
    partitioned does not matter.
    """
    n = series.shape[1]
    a = np.ones(len(series))
    varies = np.flatnonzero(np.ptp(series, axis=1) > 0.0) if n >= 4 * MAX_STRIDE else np.zeros(0, np.intp)
    if len(varies):
        rho = _autocorrelation(series[varies])
        strides = [_inflation(rho[:, ::stride], n, STRIDE_SIGNIFICANCE) for stride in range(2, MAX_STRIDE + 1)]
        a[varies] = np.maximum.reduce([_inflation(rho, n, SIGNIFICANCE), *strides])
    return a


def _inflation(rho: Floats, n: int, significance: float) -> Floats:
    """1 + 2 sum of rho over Geyer's initial positive sequence; 1 where the sum is within its noise."""
    lags = rho.shape[1] // 2 * 2
    seen = min(lags, FIRST_LAGS)
    while True:
        pairs = rho[:, 0:seen:2] + rho[:, 1:seen:2]
        ended = pairs <= 0.0
        if seen == lags or ended.any(axis=1).all():
            break
        seen = lags
    taken = np.where(ended.any(axis=1), ended.argmax(axis=1), pairs.shape[1])
    sums = np.cumsum(pairs, axis=1)
    total = np.where(taken > 0, sums[np.arange(len(sums)), np.maximum(taken - 1, 0)] - 1.0, 0.0)
    significant = total > significance * np.sqrt(2.0 * np.maximum(taken, 1) / n)
    return np.where(significant, np.maximum(1.0, 1.0 + 2.0 * total), 1.0)


def _autocorrelation(series: Floats) -> Floats:
    """Biased (hence positive semi-definite) autocorrelations at lags 0 .. n-1; zero where a series is constant."""
    n = series.shape[1]
    size = _fast_length(2 * n)
    centred = series - series.mean(axis=1, keepdims=True)
    spectrum = np.fft.rfft(centred, size, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    covariance = np.fft.irfft(power, size, axis=1)[:, :n]
    variance = covariance[:, :1]
    return np.divide(covariance, variance, out=np.zeros_like(covariance), where=variance > 1e-12 * n)


def _fast_length(n: int) -> int:
    """The least length of n or more that is 2^k, 3 x 2^k or 5 x 2^k."""
    return min(odd << (-(-n // odd) - 1).bit_length() for odd in (1, 3, 5))


def positive_run(series: Floats) -> int:
    """How many lags Geyer's initial positive sequence of `series` [n] lasts; 0 where it is within its noise."""
    n = len(series)
    if n < 4 * MAX_STRIDE:
        return 0
    rho = _autocorrelation(series[None])
    if _inflation(rho, n, SIGNIFICANCE)[0] == 1.0:
        return 0
    lags = n // 2 * 2
    ended = rho[0, 0:lags:2] + rho[0, 1:lags:2] <= 0.0
    return 2 * int(ended.argmax()) if ended.any() else n


def without_unit_means(series: Floats, unit: NDArray[np.intp]) -> Floats:
    """`series` [witnesses, n] less the mean of each unit; `unit` [n]: ascending from 0, every unit present."""
    starts = np.flatnonzero(np.diff(unit, prepend=-1))
    means = np.add.reduceat(series, starts, axis=1) / np.bincount(unit)
    return np.asarray(series - means[:, unit])


def pane_variance(means: Floats, n: Floats, variance: Floats, a: Floats) -> Floats:
    """`b` of each witness: float64 [witnesses], each >= 0.

    `means` [witnesses, K] are the means of consecutive units, `n` [K] their numbers of events, `variance` sigma^2.
    The largest excess over aggregations of 1, 2, 4, ... units with 8 aggregates or more; the observed variance is
    first raised by its own relative standard error sqrt(2/(K-1)), so that a short reference errs to the safe side.
    0 where there are fewer than 8 units (such a reference does not page).
    """
    b = np.zeros(len(means))
    g = 1
    while (k := len(n) // g) >= MIN_AGGREGATES:
        size = n[: k * g].reshape(k, g)
        total = (means[:, : k * g].reshape(-1, k, g) * size).sum(axis=2)
        size_g = size.sum(axis=1)
        observed = (total / size_g).var(axis=1, ddof=1) * (1.0 + np.sqrt(2.0 / (k - 1)))
        excess = np.divide(observed, variance, out=np.zeros_like(observed), where=variance > 0.0)
        b = np.maximum(b, excess - a * (1.0 / size_g).mean())
        g *= 2
    return b
