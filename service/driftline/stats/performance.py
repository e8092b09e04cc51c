"""How well a model does, measured on labelled pairs and estimated from scores alone (CBPE).

The reference says, for each bin of the score, how often each cell of the confusion table came of it. Today's scores,
put into the same bins, then say what the table is expected to be before any outcome is known, and with it accuracy,
precision, recall, F1 and AUC. The estimate holds as long as equal scores mean equal outcomes: it follows inputs that
move, and cannot see the relation to the outcome change. So what is measured later is compared with what was expected
of the very same scores, and where the two part, that relation has changed.

Errors are standard errors by the delta method, bin by bin, of two independent things: how well the reference knows the
shares of a bin, and what n outcomes with these shares do by chance. Both are inflated by a and b of the error's own
witness, because errors of neighbouring events resemble each other.

J. Bialek, W. Kuberski et al., "Estimating Model Performance Under Covariate Shift Without Labels" (2024),
arXiv:2401.08348, for the estimate; the errors are ours.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.stats.codes import CODES
from driftline.stats.graded import CELLS, COLUMN, bin_of_score, bins_of
from driftline.stats.section import Section

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Metric = Literal["accuracy", "precision", "recall", "f1", "auc"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
_TN, _FP, _FN, _TP = range(len(CELLS))


@dataclass(frozen=True, slots=True)
class Figure:
    """A metric's value. `known`: the standard error of what is expected, because the reference is finite; `chance`:
    that of what so many outcomes show."""

    value: float
    known: float
    chance: float

    @property
    def error(self) -> float:
        return math.hypot(self.known, self.chance)


Figures = Mapping[Metric, Figure]
"""Those metrics that are defined: of nothing predicted positive there is no precision."""


class Calibration(msgspec.Struct, frozen=True, array_like=True):
    """What the reference knows: `counts` of pairs, cell after cell, by bin of the score, in so many `panes`;
    `events` and `between`: a and b of the error's variance, sigma^2 (a/n + b/panes) for the mean of n pairs, as the two
    lines of a witness have them (`variance`)."""

    counts: tuple[int, ...]
    panes: int
    events: tuple[float, float] = (1.0, 1.0)
    between: tuple[float, float] = (0.0, 0.0)

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
        """Of each bin, how often it came to each cell: float64 [4, bins], half a pair in each cell beforehand, so that
        no share is held to be certain."""
        table = self.table + 0.5 * _possible(self.table)
        return np.asarray(table / table.sum(axis=0))

    def inflation(self, n: float, panes: float) -> float:
        """By how much the variance of a mean of n pairs in so many panes is larger than that of independent ones."""
        return max(1.0, *(a + b * n / max(panes, 1.0) for a, b in zip(self.events, self.between, strict=True)))


def _possible(table: Floats) -> Floats:
    """1 for the cells that a bin may come to: where the prediction hangs on the score alone, a bin comes to two."""
    said = (table[[_FP, _TP]].sum(axis=0) > 0)[None, :]
    unsaid = (table[[_TN, _FN]].sum(axis=0) > 0)[None, :]
    return np.concatenate([unsaid, said, unsaid, said]).astype(np.float64)


@dataclass(frozen=True, slots=True)
class Scores:
    """How the codes of a profile's columns are read. `bin_of`: of each of the 256 codes of the column of scores, -1
    for those that are no value. `id`: of the calibration, by its content."""

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


def learn_scores(predictions: Section, pairs: Section | None) -> Scores | None:
    """None where pairs have no graded scores, or not in the bins of these predictions."""
    scores = predictions.scores
    if pairs is None or scores is None or COLUMN not in pairs.grid.index:
        return None
    column = pairs.grid.columns[pairs.grid.index[COLUMN]]
    places = bin_of_score(column, scores)
    if places is None:
        return None
    bin_of = np.full(CODES, -1, np.intp)
    bin_of[: len(places)] = places
    counts = pairs.columns[pairs.grid.index[COLUMN]].fine_counts[: len(CELLS) * bins_of(column)]
    error = next((c.witnesses[0] for c in pairs.columns if c.name == "error" and c.witnesses), None)
    calibration = Calibration(tuple(counts.tolist()), pairs.panes)
    if error is not None:
        calibration = msgspec.structs.replace(
            calibration, events=(error.a, error.a_within), between=(error.b, error.b_within)
        )
    content = hashlib.blake2b(msgspec.msgpack.encode(calibration), digest_size=8)
    return Scores(calibration, bin_of, content.hexdigest())


def expected(calibration: Calibration, seen: Ints) -> Floats:
    """The confusion table, by bin, that is expected of so many predictions in each bin of the score: [4, bins]."""
    return calibration.shares * seen


def estimated(calibration: Calibration, seen: Ints, panes: float) -> Figures:
    """The metrics expected of predictions by bin, in so many panes of time; `chance` is what as many outcomes would
    show around them."""
    return _figures(expected(calibration, seen), calibration, seen, panes)


def realised(calibration: Calibration, graded: Ints, panes: float) -> Figures:
    """The metrics of pairs [4, bins] in so many panes of time. `known` is 0: they are what they are."""
    found = _figures(graded.astype(np.float64), calibration, graded.sum(axis=0), panes)
    return {metric: Figure(one.value, 0.0, one.chance) for metric, one in found.items()}


def parted(measured: Figure, hoped: Figure) -> bool:
    """Whether pairs measured lie two standard errors or more from what was expected of their own scores."""
    return abs(measured.value - hoped.value) > 2.0 * math.hypot(measured.chance, hoped.known)


@dataclass(frozen=True, slots=True)
class Reading:
    """Event time from `start` to `end` (ms): `predictions` made, and `pairs` whose outcome became known. `estimated`:
    of the predictions, before outcomes; `measured`: of the pairs; `hoped`: what was expected of the scores of these
    very pairs. `table`: the confusion table expected of the predictions, `counted`: that of the pairs, [4] each."""

    start: int
    end: int
    predictions: int
    pairs: int
    estimated: Figures
    measured: Figures
    hoped: Figures
    table: Floats
    counted: Ints

    def parted(self, metric: Metric) -> bool:
        """Whether equal scores no longer mean equal outcomes, by this metric; one reading in twenty says so by
        chance."""
        return metric in self.measured and parted(self.measured[metric], self.hoped[metric])


def read(
    start: int, end: int, calibration: Calibration, seen: Ints, seen_panes: int, graded: Ints, graded_panes: int
) -> Reading:
    """`seen`: predictions by bin of the score, `graded`: pairs [4, bins], each in so many panes."""
    return Reading(
        start=start,
        end=end,
        predictions=int(seen.sum()),
        pairs=int(graded.sum()),
        estimated=estimated(calibration, seen, seen_panes),
        measured=realised(calibration, graded, graded_panes),
        hoped=estimated(calibration, graded.sum(axis=0), graded_panes),
        table=expected(calibration, seen).sum(axis=1),
        counted=graded.sum(axis=1),
    )


def _figures(table: Floats, calibration: Calibration, seen: Ints, panes: float) -> Figures:
    shares, n = calibration.shares, float(seen.sum())
    if not n:
        return {}
    reference = calibration.table.sum(axis=0)
    by_chance = seen * calibration.inflation(n, panes)
    by_reference = np.square(seen) / reference * calibration.inflation(float(reference.sum()), calibration.panes)
    found: dict[Metric, Figure] = {}
    for metric in METRICS:
        value, gradient = _metric(metric, table)
        if math.isfinite(value):
            spread = (shares * np.square(gradient)).sum(axis=0) - np.square((shares * gradient).sum(axis=0))
            spread = np.maximum(spread, 0.0)
            found[metric] = Figure(
                value, math.sqrt(float(by_reference @ spread)), math.sqrt(float(by_chance @ spread))
            )
    return found


def _metric(metric: Metric, table: Floats) -> tuple[float, Floats]:
    """(value, its derivative by each cell of each bin) of a table [4, bins]; NaN where it is not defined."""
    gradient = np.zeros_like(table)
    tn, fp, fn, tp = table.sum(axis=1).tolist()
    match metric:
        case "accuracy":
            gradient[[_TN, _TP]] = 1.0 / (tn + fp + fn + tp)
            return (tn + tp) / (tn + fp + fn + tp), gradient
        case "precision" if tp + fp > 0:
            gradient[_TP], gradient[_FP] = fp / (tp + fp) ** 2, -tp / (tp + fp) ** 2
            return tp / (tp + fp), gradient
        case "recall" if tp + fn > 0:
            gradient[_TP], gradient[_FN] = fn / (tp + fn) ** 2, -tp / (tp + fn) ** 2
            return tp / (tp + fn), gradient
        case "f1" if tp + fp + fn > 0:
            whole = 2 * tp + fp + fn
            gradient[_TP], gradient[[_FP, _FN]] = 2 * (fp + fn) / whole**2, -2 * tp / whole**2
            return 2 * tp / whole, gradient
        case "auc" if (tp + fn) * (tn + fp) > 0:
            return _auc(table, gradient)
        case _:
            return math.nan, gradient


def _auc(table: Floats, gradient: Floats) -> tuple[float, Floats]:
    """Of a positive and a negative, how often the positive has the higher bin of the score; half where the bin is the
    same. Mann and Whitney's U over the number of pairs."""
    positive, negative = table[[_FN, _TP]].sum(axis=0), table[[_TN, _FP]].sum(axis=0)
    p, n = float(positive.sum()), float(negative.sum())
    below = np.cumsum(negative) - negative / 2.0
    above = p - np.cumsum(positive) + positive / 2.0
    value = float(positive @ below) / (p * n)
    gradient[[_FN, _TP]] = (below / n - value) / p
    gradient[[_TN, _FP]] = (above / p - value) / n
    return value, gradient
