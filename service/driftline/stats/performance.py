"""How well a model does, measured on labelled pairs and estimated from scores alone (CBPE).

The reference says, for each bin of the score, how often each cell of the confusion table came of it. Today's scores,
put into the same bins, then say what the table is expected to be before any outcome is known, and with it accuracy,
precision, recall, F1 and AUC. The estimate holds as long as equal scores mean equal outcomes: it follows inputs that
move, and cannot see the relation to the outcome change. So what is measured later is compared with what was expected
of the very same scores, and where the two part, that relation has changed.

Errors are standard errors by the delta method, bin by bin, of two independent things: how well the reference knows the
shares of a bin, and what n outcomes with these shares do by chance. Both are inflated by what outcomes of neighbouring
events have in common (`calibration`).

J. Bialek, W. Kuberski et al., "Estimating Model Performance Under Covariate Shift Without Labels" (2024),
arXiv:2401.08348, for the estimate; the errors are ours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline.stats.calibration import Calibration
from driftline.stats.confusion import METRICS, Metric, measure

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
    if not seen.any():
        return {}
    shares, found = calibration.shares, dict[Metric, Figure]()
    for metric in METRICS:
        value, gradient = measure(metric, table)
        if math.isfinite(value):
            mean = (shares * gradient).sum(axis=0)
            spread = (shares * np.square(gradient - mean)).sum(axis=0)
            known = math.sqrt(float(calibration.ignorance(metric, seen) @ spread))
            found[metric] = Figure(value, known, math.sqrt(float(calibration.chance(metric, seen, panes) @ spread)))
    return found
