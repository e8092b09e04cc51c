"""The score of a pair and how its prediction turned out, in one number: `score + 2 x cell`.

A cell is one of the four of a confusion table. Scores lie within 0 and 1, so numbers of different cells never meet, and
one column of the pairs stream holds what a calibration is learnt from and what performance is measured by. Its bins are
the same in every cell, and their edges are edges of the column `score` of the predictions stream: whatever scores are
predicted today fall into the very bins in which outcomes were counted. What is added rounds a score, so no edge lies so
close above another that a score could change sides.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.stats.confusion import CELLS
from driftline.stats.grid import GridColumn

Floats = npt.NDArray[np.float64]

COLUMN: Final = "graded"
SCORE: Final = "score"
APART: Final = 2.0
MAX_BINS: Final = 60
"""Of each cell; the four of them fit the 248 of a column."""
MIN_PAIRS: Final = 50
"""Reference pairs to a bin: its share of positive outcomes is then known to 14 points or better (two errors)."""
PROBABILITIES: Final = (0.0, math.nextafter(1.0, 2.0))
"""Edges of the column of scores: what lies outside is no probability, and is counted on neither side."""
ROUNDING: Final = 1e-9
"""Far more than a score is rounded by where a cell is added to it."""


def graded(score: float | None, said: bool | None, is_so: bool | None) -> float | None:
    """The number of one pair; None where it has no probability for a score, or is no yes or no."""
    if score is None or said is None or is_so is None or not 0.0 <= score <= 1.0:
        return None
    return score + APART * (2 * is_so + said)


def graded_column(values: Floats, scores: GridColumn) -> GridColumn | None:
    """The column of the grid of pairs, for reference values (NaN where a pair has none): as many bins as the pairs
    allow, about as many pairs in each. None where scores are no numbers, or there are too few pairs for two bins."""
    held = values[~np.isnan(values)]
    edges = scores.edge_values
    # Not the one just above a value that has a bin of its own: with a cell added the value lies at it, no more below.
    clear = np.diff(edges, prepend=-np.inf) > ROUNDING
    edges = edges[clear & (edges > 0.0) & (edges <= 1.0)]
    if scores.kind != "numeric" or not len(held):
        return None
    cuts = _cuts(held, edges)
    if not len(cuts):
        return None
    between = APART * np.arange(1, len(CELLS)) - APART / 4
    every = np.sort(np.concatenate([between, (cuts + APART * np.arange(len(CELLS))[:, None]).ravel()]))
    return GridColumn(COLUMN, "numeric", every.astype("<f8").tobytes())


def _cuts(held: Floats, edges: Floats) -> Floats:
    """Edges with MIN_PAIRS of the values, or more, between any two of them and beyond the outer ones."""
    least = max(MIN_PAIRS, len(held) / MAX_BINS)
    cell = (held // APART).astype(np.intp)
    below = np.zeros(len(edges), np.int64)
    for c in range(len(CELLS)):  # compared as the lookup compares, to the last bit
        below += np.searchsorted(np.sort(held[cell == c]), edges + APART * c)
    cuts: list[float] = []
    last = 0
    for edge, count in zip(edges.tolist(), below.tolist(), strict=True):
        if count - last >= least and len(held) - count >= MIN_PAIRS:
            cuts.append(edge)
            last = count
    return np.array(cuts)


def bins_of(column: GridColumn) -> int:
    """Of each cell. The code of a number is `cell * bins + bin`."""
    return column.codes // len(CELLS)


def cuts_of(column: GridColumn) -> Floats:
    """The edges between the bins of the score."""
    return column.edge_values[: bins_of(column) - 1]


def bin_of_score(column: GridColumn, scores: GridColumn) -> npt.NDArray[np.intp] | None:
    """The bin of each of the codes of the column of scores, -1 for scores that are no probabilities; None where that
    has other edges."""
    cuts, edges = cuts_of(column), scores.edge_values
    if not np.isin(cuts, edges).all():
        return None
    bins = np.concatenate(([0], np.searchsorted(cuts, edges, side="right"))).astype(np.intp)
    bins[:-1][edges <= PROBABILITIES[0]] = -1
    bins[1:][edges >= PROBABILITIES[1]] = -1
    return bins
