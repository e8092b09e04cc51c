"""The columns of many grids of one width side by side, so that rows of all of them are binned in one go.

A grid has a number here, for as long as it is kept. About 3 kB a column.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from driftline.stats.codes import MISSING, WRONG_TYPE
from driftline.stats.encode import MAX_Z
from driftline.stats.grid import MOMENT_UNIT, GridColumn
from driftline.stats.lookup import CELLS, CROWDED, STRIDE, cells_on, place
from driftline.stats.rows import Index

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

_STEPS: Final = (128, 64, 32, 16, 8, 4, 2, 1)
_NUMERIC: Final = 0
_RATE: Final = 1
_CATEGORICAL: Final = 2
_KINDS: Final = {"numeric": _NUMERIC, "rate": _RATE, "categorical": _CATEGORICAL}
_CLIP: Final = float(MAX_Z * MOMENT_UNIT)


class GridBank:
    """Grids of `width` columns each. Grows by doubling; a caller that has put in too much begins a new one."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.grids = 0
        self._edges = np.full((8 * width + 1, STRIDE), np.inf)  # `_bins` reads an edge too far
        self._cells = np.zeros((8 * width, CELLS), np.uint8)
        self._cell_center = np.zeros((8, width))
        self._cell_factor = np.ones((8, width))
        self._center = np.zeros((8, width))
        self._factor = np.ones((8, width))
        self._kind = np.zeros((8, width), np.uint8)
        self._special = np.zeros(8, np.bool_)
        self._order = np.zeros((8, width), np.intp)

    def add(self, columns: Sequence[GridColumn]) -> int:
        """The number of the grid that has these columns."""
        number, self.grids = self.grids, self.grids + 1
        if number == len(self._kind):
            self._grow(2 * number)
        for i, column in enumerate(columns):
            at, edges = number * self.width + i, column.edge_values
            self._edges[at, : len(edges)] = edges
            center, factor, self._cells[at] = cells_on(edges)
            self._cell_center[number, i], self._cell_factor[number, i] = center, factor
            self._center[number, i], self._factor[number, i] = column.center, MOMENT_UNIT / column.scale
            self._kind[number, i] = _KINDS[column.kind]
        self._special[number] = self._kind[number].any()
        return number

    def _grow(self, room: int) -> None:
        def longer(kept: npt.NDArray[Any], filler: float, per_grid: int = 1, more: int = 0) -> npt.NDArray[Any]:
            new = np.full((room * per_grid + more, *kept.shape[1:]), filler, kept.dtype)
            new[: len(kept)] = kept
            return new

        self._edges = longer(self._edges, np.inf, self.width, 1)
        self._cells = longer(self._cells, 0, self.width)
        self._cell_center, self._cell_factor = longer(self._cell_center, 0), longer(self._cell_factor, 1)
        self._center, self._factor = longer(self._center, 0), longer(self._factor, 1)
        self._kind, self._special = longer(self._kind, 0), longer(self._special, 0)
        self._order = longer(self._order, 0)

    def lay_out(self, number: int, order: Index) -> None:
        """Where in rows of this grid, as `arranged` gets them, the value of each of its columns stands."""
        self._order[number] = order

    def arranged(self, grids: Index, laid_out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Rows in the order of their grids' columns. `grids`: the number of each row's."""
        at = self._order.take(grids, axis=0)
        at += np.arange(0, laid_out.size, self.width)[:, None]
        return np.asarray(laid_out.ravel().take(at))

    def measured(self, grids: Index) -> npt.NDArray[np.bool_] | None:
        """Which of the grids' columns have moments; None if all do."""
        if not self._special.take(grids).any():
            return None
        return np.asarray(self._kind.take(grids, axis=0) != _CATEGORICAL)

    def encoded(self, grids: Index, values: Floats, told: Codes | None) -> tuple[Codes, Floats]:
        """The codes of rows, as `encode.encode_cells` gives them, and their z in units of 1/65536: whole numbers, 0
        where there is no value, anything where the column has no moments. `grids`: the number of each row's; `values`
        [row, column], NaN where there is none: then `told` is the code. None: there are values everywhere."""
        none = None
        if told is not None:
            none = np.isnan(values)
            values = np.where(none, 0.0, values)
        codes = self._bins(grids, values)
        special = bool(self._special.take(grids).any())
        if special:
            kind = self._kind.take(grids, axis=0)
            rate = kind == _RATE
            numbers = values[rate]
            codes[rate] = np.where(numbers == 0, 0, np.where(numbers == 1, 1, WRONG_TYPE))
            codes[kind == _CATEGORICAL] = WRONG_TYPE
        if none is not None and told is not None:
            codes[none] = told[none]
        with np.errstate(over="ignore"):  # a difference of huge numbers: clipped like any other
            z = values - self._center.take(grids, axis=0)
            z *= self._factor.take(grids, axis=0)
        np.clip(z, -_CLIP, _CLIP, out=z)
        np.rint(z, out=z)
        if special or none is not None:
            z[codes >= MISSING] = 0.0
        return codes, z

    def _bins(self, grids: Index, values: Floats) -> Codes:
        """How many of its column's edges are at or below each value. Most cells hold no edge, which their neighbour
        tells: with many grids it is the memory of the edges that costs."""
        columns = (grids * self.width)[:, None] + np.arange(self.width)
        cell = place(values, self._cell_center.take(grids, axis=0), self._cell_factor.take(grids, axis=0))
        cell += columns * CELLS
        table, at = self._cells.ravel(), cell.astype(np.intp)
        found = table.take(at)
        at += 1
        left = np.flatnonzero((table.take(at) != found) | (found == CROWDED))
        if len(left):
            some, values, first_edge = found.ravel(), values.ravel().take(left), columns.ravel().take(left) * STRIDE
            bins = some.take(left)
            crowded = np.flatnonzero(bins == CROWDED)
            edges = self._edges.ravel()
            edge = bins + first_edge
            bins += values >= edges.take(edge)
            edge += 1
            bins += values >= edges.take(edge)
            bins[crowded] = self._searched(first_edge.take(crowded), values.take(crowded))
            some[left] = bins
        return found

    def _searched(self, first_edge: Index, values: Floats) -> Codes:
        """The same by a binary search, all values in step."""
        edges, at = self._edges.ravel(), first_edge - 1
        found = np.zeros(len(values), np.uint8)
        for step in _STEPS:
            moved = np.where(edges.take(at + step) <= values, np.uint8(step), np.uint8(0))
            found += moved
            at += moved
        return found
