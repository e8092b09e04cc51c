"""What the reference knows of outcomes by their score: how often each bin came to each cell of the confusion table.

And how far a metric of n outcomes strays by chance from what their scores promise. Each metric has its own derivative
by the cells; a pair's share in it, less what its bin's pairs share on average, is a number a pair, and of these
numbers the reference has the variance of means, sigma^2 (a/n + b/units), as of any witness (`variance`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.stats.codes import CODES, MISSING
from driftline.stats.confusion import CELLS, FN, FP, METRICS, TN, TP, Metric, measure
from driftline.stats.fit import Index, unit_variance
from driftline.stats.graded import bin_of_score, bins_of
from driftline.stats.grid import GridColumn
from driftline.stats.settings import DetectionSettings
from driftline.stats.variance import event_inflation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
UNIT_PAIRS: Final = 30
"""A unit holds so many pairs or more."""


class Inflation(msgspec.Struct, frozen=True, array_like=True):
    """Why means of a metric stray further than those of independent pairs: `a` and `b` as of a witness (`variance`), of
    pairs less what their unit has in common; `between`: that units resemble their neighbours; `whole`: a of the pairs
    as they came."""

    a: float = 1.0
    b: float = 0.0
    between: float = 1.0
    whole: float = 1.0

    def of(self, n: float, panes: float) -> float:
        """By how much the variance of a mean of n pairs in so many panes is larger than that of independent ones."""
        units = max(1.0, min(panes, n / UNIT_PAIRS))
        return max(1.0, self.whole, (self.a + self.b * n / units) * self.between)


class Calibration(msgspec.Struct, frozen=True, array_like=True):
    """`counts` of reference pairs, cell after cell, by bin of the score, in so many `units`; `inflation` of each metric
    that the reference can measure."""

    counts: list[int]
    units: int
    inflation: Mapping[Metric, Inflation] = {}

    @property
    def bins(self) -> int:
        return len(self.counts) // len(CELLS)

    @property
    def table(self) -> Floats:
        """float64 [4, bins]."""
        table: Floats = np.array(self.counts, np.float64).reshape(len(CELLS), -1)
        return table

    @property
    def shares(self) -> Floats:
        """Of each bin, how often it came to each cell: float64 [4, bins]; half a pair in each cell beforehand, so that
        no share is held to be certain."""
        table = self.table + 0.5 * _possible(self.table)
        return np.asarray(table / table.sum(axis=0))

    @property
    def id(self) -> str:
        """By the content."""
        return hashlib.blake2b(msgspec.msgpack.encode(self), digest_size=8).hexdigest()

    def chance(self, metric: Metric, seen: Ints, panes: float) -> Floats:
        """Variance of the number of pairs in a bin, over that of a single one: what `seen` outcomes by bin do, in so
        many panes."""
        inflation = self.inflation.get(metric, Inflation()).of(float(seen.sum()), panes)
        return seen.astype(np.float64) * inflation

    def ignorance(self, metric: Metric, seen: Ints) -> Floats:
        """Likewise: what is not known of `seen` outcomes by bin, because the reference is finite."""
        known = self.table.sum(axis=0)
        inflation = self.inflation.get(metric, Inflation()).of(float(known.sum()), self.units)
        return np.asarray(np.square(seen.astype(np.float64)) / known * inflation)


def _possible(table: Floats) -> Floats:
    """1 for the cells that a bin may come to: where the prediction hangs on the score alone, a bin comes to two."""
    said, unsaid = table[[FP, TP]].sum(axis=0) > 0, table[[TN, FN]].sum(axis=0) > 0
    return np.stack([unsaid, said, unsaid, said]).astype(np.float64)


def learn_calibration(
    column: GridColumn, codes: npt.NDArray[np.uint8], bounds: Index, settings: DetectionSettings
) -> Calibration:
    """`codes` [n] of the graded column, of the reference's pairs in order of time; `bounds`: rows at which units end,
    from 0."""
    counts = np.bincount(codes, minlength=CODES)[: len(CELLS) * bins_of(column)]
    units = len(bounds) - 1
    plain = Calibration(counts.tolist(), units)
    unit_of = np.repeat(np.arange(units), np.diff(bounds))
    held = codes < MISSING
    found: dict[Metric, Inflation] = {}
    for metric in METRICS:
        value, gradient = measure(metric, plain.table)
        strays = (gradient - (plain.shares * gradient).sum(axis=0)).ravel()[codes[held]]
        sigma = float(strays.std())
        if math.isfinite(value) and sigma > 0.0 and units:
            series = (strays - strays.mean())[None, :] / sigma
            unit = unit_of[held[: len(unit_of)]]
            a, b, _ = unit_variance(series, np.ones(1), unit, units, 1.0, settings)
            n = np.bincount(unit, minlength=units)
            means = np.bincount(unit, series[0, : len(unit)], units)[n > 0] / n[n > 0]
            between = event_inflation(means[None, :])
            found[metric] = Inflation(float(a[1, 0]), float(b[1, 0]), float(between[0]), float(a[0, 0]))
    return msgspec.structs.replace(plain, inflation=found)


@dataclass(frozen=True, slots=True)
class Scores:
    """How the codes of a profile's columns are read. `bin_of`: of each of the 256 codes of the column of scores, -1
    for those that are no probability."""

    calibration: Calibration
    bin_of: npt.NDArray[np.intp]
    id: str

    def seen(self, counts: Ints) -> Ints:
        """Predictions by bin of the score, from counts [256] of the column of scores."""
        there = self.bin_of >= 0
        return np.bincount(self.bin_of[there], counts[there], self.calibration.bins).astype(np.int64)

    def graded(self, counts: Ints) -> Ints:
        """Pairs [4, bins], from counts [256] of the graded column."""
        return counts[: len(self.calibration.counts)].reshape(len(CELLS), -1)


def scores_of(scores: GridColumn, graded: GridColumn, calibration: Calibration) -> Scores | None:
    """None where the pairs were graded in bins of other scores."""
    places = bin_of_score(graded, scores)
    if places is None:
        return None
    bin_of = np.full(CODES, -1, np.intp)
    bin_of[: len(places)] = places
    return Scores(calibration, bin_of, calibration.id)
