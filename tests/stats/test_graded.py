"""Graded scores: bins of pairs are bins of the scores that were predicted."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from driftline.stats.confusion import CELLS
from driftline.stats.graded import (
    APART,
    MAX_BINS,
    MIN_PAIRS,
    PROBABILITIES,
    bin_of_score,
    bins_of,
    graded_column,
)
from driftline.stats.grid import GridColumn, learn_grid
from stats.worlds import PANE, Floats, rows_of

RNG = np.random.default_rng(5)
SHAPES: dict[str, Callable[[int], Floats]] = {
    "even": lambda n: RNG.uniform(size=n),
    "rare": lambda n: RNG.beta(0.3, 30.0, size=n),
    "few values": lambda n: RNG.choice(np.array([0.0, 0.1, 0.1 + 1e-16, 0.3, 0.7, 1.0]), size=n),
    "two ends": lambda n: np.where(RNG.random(n) < 0.5, RNG.beta(1, 60, n), RNG.beta(60, 1, n)),
    "logits": lambda n: 1.0 / (1.0 + np.exp(-RNG.normal(0.0, 3.0, n))),
}


def column_of(scores: Floats) -> GridColumn:
    grid = learn_grid(rows_of({"score": scores}), PANE)
    return grid.columns[0]


def codes(column: GridColumn, values: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.searchsorted(column.edge_values, values, side="right")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("pairs", [200, 1_000, 30_000])
def test_a_pair_and_its_score_fall_into_one_bin(shape: str, pairs: int) -> None:
    """Also where a score is an edge to the last bit, or has a bin of its own up to the next number there is. Mutations:
    side="left" in bin_of_score; `clear` left out of graded_column."""
    scores = column_of(SHAPES[shape](20_000))
    held = SHAPES[shape](pairs)
    cells = RNG.integers(len(CELLS), size=pairs)
    column = graded_column(held + APART * cells, scores)
    assert column is not None
    bins = bins_of(column)
    assert 2 <= bins <= MAX_BINS
    places = bin_of_score(column, scores)
    assert places is not None and len(places) == scores.codes
    fresh = np.concatenate([SHAPES[shape](20_000), scores.edge_values[(scores.edge_values <= 1)], [0.0, 1.0]])
    fresh = fresh[fresh >= 0.0]
    by_score = places[codes(scores, fresh)]
    for cell in range(len(CELLS)):
        graded = codes(column, fresh + APART * cell)
        assert (graded // bins == cell).all()
        assert (graded % bins == by_score).all()


@pytest.mark.parametrize("shape", SHAPES)
def test_every_bin_holds_enough_reference_pairs(shape: str) -> None:
    """Mutation: count from the start instead of from the last cut."""
    scores = column_of(SHAPES[shape](20_000))
    held = SHAPES[shape](4_000) + APART * RNG.integers(len(CELLS), size=4_000)
    column = graded_column(held, scores)
    assert column is not None
    bins = bins_of(column)
    counts = np.bincount(codes(column, held) % bins, minlength=bins)
    assert counts.min() >= MIN_PAIRS
    if shape in ("even", "logits"):
        assert bins >= 50  # not lost either


def test_no_bins_without_scores_or_pairs_enough() -> None:
    scores = column_of(RNG.uniform(size=5_000))
    assert graded_column(np.full(100, np.nan), scores) is None
    assert graded_column(RNG.uniform(size=2 * MIN_PAIRS - 1), scores) is None
    for alone in (0.0, 0.3, 1.0):  # one value tells nothing apart, whatever came of it
        held = np.full(5_000, alone) + APART * RNG.integers(len(CELLS), size=5_000)
        assert graded_column(held, column_of(np.full(5_000, alone))) is None
    texts = learn_grid(rows_of({"score": ["a", "b"] * 500}), PANE).columns[0]
    assert graded_column(RNG.uniform(size=5_000), texts) is None


def test_scores_that_are_no_probabilities_have_no_bin() -> None:
    """Mutation: no -1 in bin_of_score."""
    values = RNG.normal(0.5, 0.5, size=5_000)
    grid = learn_grid(rows_of({"score": values}), PANE, {"score": PROBABILITIES})
    (scores,) = grid.columns
    held = values[(values >= 0.0) & (values <= 1.0)]
    column = graded_column(held + APART * RNG.integers(len(CELLS), size=len(held)), scores)
    assert column is not None
    places = bin_of_score(column, scores)
    assert places is not None
    fresh = np.concatenate([RNG.normal(0.5, 0.5, size=5_000), [0.0, 1.0, -1e-300, np.nextafter(1.0, 2.0)]])
    assert ((places[codes(scores, fresh)] >= 0) == ((fresh >= 0.0) & (fresh <= 1.0))).all()


def test_other_edges_are_known_as_such() -> None:
    column = graded_column(RNG.uniform(size=5_000), column_of(RNG.uniform(size=5_000)))
    assert column is not None
    assert bin_of_score(column, column_of(RNG.uniform(size=5_000))) is None
