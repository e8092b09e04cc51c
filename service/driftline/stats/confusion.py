"""Metrics of a confusion table that is kept by bin of the score, and their derivatives by each of its cells."""

from __future__ import annotations

import math
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Metric = Literal["accuracy", "precision", "recall", "f1", "auc"]
METRICS: Final[tuple[Metric, ...]] = get_args(Metric)
CELLS: Final = ("true_negative", "false_positive", "false_negative", "true_positive")
"""Rows of a table [4, bins]; bins ascend in the score."""
TN, FP, FN, TP = range(len(CELLS))


def measure(metric: Metric, table: Floats) -> tuple[float, Floats]:
    """(value, its derivative by each cell of each bin) of a table [4, bins]; NaN where it is not defined."""
    gradient = np.zeros_like(table)
    tn, fp, fn, tp = table.sum(axis=1).tolist()
    match metric:
        case "accuracy":
            gradient[[TN, TP]] = 1.0 / (tn + fp + fn + tp)
            return (tn + tp) / (tn + fp + fn + tp), gradient
        case "precision" if tp + fp > 0:
            gradient[TP], gradient[FP] = fp / (tp + fp) ** 2, -tp / (tp + fp) ** 2
            return tp / (tp + fp), gradient
        case "recall" if tp + fn > 0:
            gradient[TP], gradient[FN] = fn / (tp + fn) ** 2, -tp / (tp + fn) ** 2
            return tp / (tp + fn), gradient
        case "f1" if tp + fp + fn > 0:
            whole = 2 * tp + fp + fn
            gradient[TP], gradient[[FP, FN]] = 2 * (fp + fn) / whole**2, -2 * tp / whole**2
            return 2 * tp / whole, gradient
        case "auc" if (tp + fn) * (tn + fp) > 0:
            return _auc(table, gradient)
        case _:
            return math.nan, gradient


def _auc(table: Floats, gradient: Floats) -> tuple[float, Floats]:
    """Of a positive and a negative, how often the positive has the higher bin of the score; half where the bin is the
    same. Mann and Whitney's U over the number of pairs."""
    positive, negative = table[[FN, TP]].sum(axis=0), table[[TN, FP]].sum(axis=0)
    p, n = float(positive.sum()), float(negative.sum())
    below = np.cumsum(negative) - negative / 2.0
    above = p - np.cumsum(positive) + positive / 2.0
    value = float(positive @ below) / (p * n)
    gradient[[FN, TP]] = (below / n - value) / p
    gradient[[TN, FP]] = (above / p - value) / n
    return value, gradient
