"""Rows to codes and fixed-point moments: the only work that Driftline does for every single value.

The code of a cell and its share in the moments depend on the cell alone; sums are of integers. So it does not
matter where, in what order or in how many parts rows are encoded.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.stats.codes import MISSING, WRONG_TYPE
from driftline.stats.grid import MOMENT_UNIT, Grid, GridColumn
from driftline.stats.rows import Column, Index, Rows
from driftline.stats.vectors import settled

MAX_Z: Final = 1_000
"""z is clipped here: 2^27 rows at the clip fit a pane."""
CHUNK: Final = 2_048
"""Rows encoded at once. 20 columns of so many stay in the cache, and their sums are exact in float64:
CHUNK * MAX_Z^2 * MOMENT_UNIT < 2^53."""


@dataclass(slots=True)
class Encoded:
    """Rows by pane: those of pane `panes[p]` are `codes[:, bounds[p]:bounds[p + 1]]`. `moments`: sums of z and
    z^2 in units of 1/65536, int64 [p, measured column, 2]. `order` is where each row came from, None: as is."""

    panes: list[int]
    bounds: list[int]
    codes: npt.NDArray[np.uint8]
    moments: npt.NDArray[np.int64]
    order: Index | None


def encode_cells(grid: Grid, rows: Rows) -> npt.NDArray[np.uint8]:
    """The code of every cell, uint8 [n, F], rows in the order given."""
    codes = np.empty((len(grid.columns), rows.n), np.uint8)
    bounds = np.array([0, rows.n], np.intp)
    _encode(grid, settled(rows, grid.vectors), None, bounds, codes)
    return codes.T


def encode_panes(grid: Grid, rows: Rows) -> Encoded:
    """Rows, at least one, grouped by pane; the pane of a time is the multiple of `pane_ms` at or below it."""
    pane = rows.times // grid.pane_ms
    order = None
    changes = np.flatnonzero(pane[1:] != pane[:-1])
    if len(changes) and (pane[1:] < pane[:-1]).any():
        order = np.argsort(pane, kind="stable")
        pane = pane[order]
        changes = np.flatnonzero(pane[1:] != pane[:-1])
    bounds = np.empty(len(changes) + 2, np.intp)
    bounds[0], bounds[1:-1], bounds[-1] = 0, changes + 1, rows.n
    codes = np.empty((len(grid.columns), rows.n), np.uint8)
    moments = _encode(grid, rows, order, bounds, codes)
    panes = (pane[bounds[:-1]] * grid.pane_ms).tolist()
    return Encoded(panes, bounds.tolist(), codes, moments, order)


def _encode(
    grid: Grid, rows: Rows, order: Index | None, bounds: Index, codes: npt.NDArray[np.uint8]
) -> npt.NDArray[np.int64]:
    """Fill `codes`, return the moments of each pane."""
    for i, column in enumerate(grid.columns):
        if column.kind == "categorical":
            found = _text_codes(column, rows.columns.get(column.name), rows.n)
            codes[i] = found if order is None else found[order]
    names = grid.measured_names
    moments = np.zeros((len(bounds) - 1, len(names), 2), np.int64)
    if not names:
        return moments
    held = [rows.columns.get(name) or Column.missing(rows.n) for name in names]
    for low in range(0, rows.n, CHUNK):
        high = min(low + CHUNK, rows.n)
        part = slice(low, high) if order is None else order[low:high]
        values = np.array([column.numbers[part] for column in held])
        void = _number_codes(grid, held, values, part, codes[:, low:high])
        _to_fixed_point(grid, values, void)
        first, last, starts = 0, len(bounds) - 1, bounds[:-1]
        if rows.n > CHUNK:
            first = int(bounds.searchsorted(low, side="right")) - 1
            last = int(bounds.searchsorted(high, side="left"))
            starts = np.maximum(bounds[first:last] - low, 0)
        moments[first:last, :, 0] += np.add.reduceat(values, starts, axis=1).T.astype(np.int64)
        squares = np.rint(values * values / MOMENT_UNIT)
        moments[first:last, :, 1] += np.add.reduceat(squares, starts, axis=1).T.astype(np.int64)
    return moments


def _text_codes(column: GridColumn, cells: Column | None, n: int) -> npt.NDArray[np.uint8]:
    if cells is None:
        return np.full(n, MISSING, np.uint8)
    if cells.texts is None:
        codes = np.full(n, MISSING, np.uint8)
    else:
        codes = np.fromiter(map(column.table.__getitem__, cells.texts), np.uint8, n)
    without = codes == MISSING
    if without.any():
        codes[without & ~np.isnan(cells.numbers)] = WRONG_TYPE
        if cells.status is not None:
            told = np.flatnonzero(without & (cells.status != 0))
            codes[told] = cells.status[told]
    return codes


def _number_codes(
    grid: Grid,
    held: list[Column],
    values: npt.NDArray[np.float64],
    part: slice | Index,
    codes: npt.NDArray[np.uint8],
) -> npt.NDArray[np.bool_]:
    """Write the codes of `values` [measured column, row]; return where there is no value. That is 0 then."""
    void = np.isnan(values)
    broken: list[int] = []
    if void.any():
        broken = np.flatnonzero(void.any(axis=1)).tolist()
        values[void] = 0.0
    codes[grid.measured] = grid.lookup.bins(values)
    for at in grid.rates:
        numbers = values[at]
        codes[grid.measured[at]] = np.where(numbers == 0, 0, np.where(numbers == 1, 1, WRONG_TYPE))
    for at in broken:
        lost = void[at]
        codes[grid.measured[at], lost] = _status_codes(held[at], part, lost)
    for at in grid.rates:
        void[at] = codes[grid.measured[at]] >= MISSING
    return void


def _status_codes(cells: Column, part: slice | Index, nan: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Why the rows of `part` where `nan` hold no number: as told, a text, or nothing there."""
    rows = (np.arange(part.start, part.stop) if isinstance(part, slice) else part)[nan]
    codes = np.full(len(rows), MISSING, np.uint8)
    if cells.texts is not None:
        texts = cells.texts
        codes[[texts[row] is not None for row in rows.tolist()]] = WRONG_TYPE
    if cells.status is not None:
        told = cells.status[rows]
        codes = np.where(told != 0, told, codes)
    return codes


def _to_fixed_point(grid: Grid, values: npt.NDArray[np.float64], void: npt.NDArray[np.bool_]) -> None:
    """In place: z in units of 1/65536, whole numbers; 0 where there is no value."""
    center, factor = grid.standards
    with np.errstate(over="ignore"):  # a difference of huge numbers: clipped like any other
        values -= center
        values *= factor
    np.maximum(values, -MAX_Z * MOMENT_UNIT, out=values)
    np.minimum(values, MAX_Z * MOMENT_UNIT, out=values)
    np.rint(values, out=values)
    values[void] = 0.0
