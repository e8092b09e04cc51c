"""The columns of many grids side by side, so that values of all of them are binned in one go.

A column has a number here, for as long as its grid is kept. About 3.5 kB a column.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from driftline.stats.codes import WRONG_TYPE
from driftline.stats.grid import MOMENT_UNIT, Grid, GridColumn
from driftline.stats.lookup import CELLS, STRIDE, cells_on, place, settle
from driftline.stats.rows import Index

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

_STEPS: Final = (128, 64, 32, 16, 8, 4, 2, 1)
_NUMERIC: Final = 0
_RATE: Final = 1
_CATEGORICAL: Final = 2
_KINDS: Final = {"numeric": _NUMERIC, "rate": _RATE, "categorical": _CATEGORICAL}


class GridBank:
    """`columns[i]` is column i. Grows by doubling; a caller that has put in too much begins a new one."""

    def __init__(self) -> None:
        self.columns: list[GridColumn] = []
        self._edges = np.full((64, STRIDE), np.inf)
        self._cells = np.zeros((64, CELLS), np.uint8)
        self._cell_center = np.zeros(64)
        self._cell_factor = np.ones(64)
        self._kind = np.zeros(64, np.uint8)
        self._center = np.zeros(64)
        self._factor = np.ones(64)
        self._place = np.full(64, -1, np.intp)
        self._scores = np.zeros((64, STRIDE), np.int16)

    def add(self, grid: Grid) -> int:
        """The number of the grid's first column; the others follow in their order."""
        first, size = len(self.columns), len(self.columns) + len(grid.columns)
        self.columns += grid.columns
        if size >= len(self._kind):  # `settle` reads an edge too far
            self._grow(max(size + 1, 2 * len(self._kind)))
        for i, column in enumerate(grid.columns, first):
            edges = column.edge_values
            self._edges[i, : len(edges)] = edges
            self._cell_center[i], self._cell_factor[i], self._cells[i] = cells_on(edges)
            self._kind[i] = _KINDS[column.kind]
            self._center[i] = column.center
            self._factor[i] = MOMENT_UNIT / column.scale
        if grid.embedding is not None:
            looked_at = first + np.array(grid.embedding.columns)
            self._place[looked_at] = np.arange(len(looked_at))
            self._scores[looked_at] = grid.embedding.table
        return first

    def _grow(self, room: int) -> None:
        def longer(kept: npt.NDArray[Any], filler: float) -> npt.NDArray[Any]:
            new = np.full((room, *kept.shape[1:]), filler, kept.dtype)
            new[: len(kept)] = kept
            return new

        self._edges = longer(self._edges, np.inf)
        self._cells = longer(self._cells, 0)
        self._cell_center, self._cell_factor = longer(self._cell_center, 0), longer(self._cell_factor, 1)
        self._kind = longer(self._kind, 0)
        self._center, self._factor = longer(self._center, 0), longer(self._factor, 1)
        self._place = longer(self._place, -1)
        self._scores = longer(self._scores, 0)

    def measured(self, columns: Index) -> npt.NDArray[np.bool_]:
        """Which of the columns have moments."""
        found: npt.NDArray[np.bool_] = self._kind.take(columns) != _CATEGORICAL
        return found

    def codes(self, columns: Index, values: Floats) -> Codes:
        """The codes of finite values, each in its column: as `encode.encode_cells` gives them."""
        found = self._bins(columns, values)
        kind = self._kind.take(columns)
        if kind.any():
            rate = kind == _RATE
            numbers = values[rate]
            found[rate] = np.where(numbers == 0, 0, np.where(numbers == 1, 1, WRONG_TYPE))
            found[kind == _CATEGORICAL] = WRONG_TYPE
        return found

    def _bins(self, columns: Index, values: Floats) -> Codes:
        """How many of its column's edges are at or below each value."""
        cell = place(values, self._cell_center.take(columns), self._cell_factor.take(columns))
        cell += columns * CELLS
        found, crowded = settle(values, cell, self._cells.ravel(), self._edges.ravel(), columns * STRIDE)
        left = np.flatnonzero(crowded)
        if len(left):
            found[left] = self._searched(columns[left], values[left])
        return found

    def _searched(self, columns: Index, values: Floats) -> Codes:
        """The same by a binary search, all values in step."""
        edges, at = self._edges.ravel(), columns * STRIDE - 1
        found = np.zeros(len(values), np.uint8)
        for step in _STEPS:
            moved = np.where(edges.take(at + step) <= values, np.uint8(step), np.uint8(0))
            found += moved
            at += moved
        return found

    def places(self, columns: Index) -> Index:
        """The place of each column among those its grid's embedding looks at; -1 of one that it does not."""
        return np.asarray(self._place.take(columns))

    def scores(self, columns: Index, codes: Codes) -> npt.NDArray[np.int16]:
        """The scores of codes, each in its column."""
        return np.asarray(self._scores.ravel().take(columns * STRIDE + codes))

    def standardised(self, columns: Index, values: Floats) -> Floats:
        """Distances from each column's center in units of its scale / MOMENT_UNIT, neither clipped nor rounded."""
        with np.errstate(over="ignore"):  # a difference of huge numbers: clipped like any other
            distances: Floats = values - self._center.take(columns)
            distances *= self._factor.take(columns)
        return distances
