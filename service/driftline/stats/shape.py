"""A distribution then and now, in so few bars that a picture in a message can hold them.

At most 20 bars and 2 kB. Numbers: bars of nearly equal width between the ends of the reference, whose edges are
reference quantiles, so no single value is shown; categories: the largest of then or now, the rest together.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import Shape
from driftline.stats.contributions import edge, part_name
from driftline.stats.grid import GridColumn
from driftline.stats.section import ColumnReference

Counts = NDArray[np.int64]

BARS: Final = 20
_PLACES: Final = 4


def shape_of(column: ColumnReference, grid: GridColumn, counts: Counts) -> Shape | None:
    """`counts`: int64 [64] of the coarse bins since the change began. None for rates and freshness, which a number
    says, and where nothing is known of then or now."""
    then, now = column.coarse_counts[: column.bins], counts[: column.bins]
    if column.kind == "rate" or column.aspect == "freshness" or not then.sum() or not now.sum():
        return None
    if column.aspect == "values" and column.kind == "numeric":
        starts = _equal_widths(column, grid)
        labels = [_from(column, grid, int(start)) for start in starts]
        then, now = np.add.reduceat(then, starts), np.add.reduceat(now, starts)
    else:
        kept = _largest(then, now)
        labels = [part_name(column, grid, int(i)).strip('"') for i in kept]
        rest = len(kept) < len(then)
        others = [then.sum() - then[kept].sum()], [now.sum() - now[kept].sum()]
        then = np.concatenate([then[kept], others[0] if rest else []])
        now = np.concatenate([now[kept], others[1] if rest else []])
        labels += ["all others"] if rest else []
    return Shape(labels=labels, reference=_shares(then), current=_shares(now))


def _shares(counts: NDArray[np.float64] | Counts) -> list[float]:
    return [round(float(share), _PLACES) for share in counts / counts.sum()]


def _equal_widths(column: ColumnReference, grid: GridColumn) -> Counts:
    """First coarse bins of the bars: at the edges nearest to equal steps between the first and the last edge."""
    edges = np.array([_begin(column, grid, start) for start in range(1, column.bins)])
    if not len(edges):
        return np.zeros(1, np.int64)
    edges /= max(2.0 * float(np.abs(edges).max()), 1e-300)  # a difference of the largest numbers is none
    steps = np.linspace(edges[0], edges[-1], BARS - 1)
    nearest = {int(np.argmin(np.abs(edges - step))) + 1 for step in steps}
    return np.array([0, *sorted(nearest)], np.int64)


def _begin(column: ColumnReference, grid: GridColumn, start: int) -> float:
    return float(grid.edge_values[_first_code(column, grid, start) - 1])


def _first_code(column: ColumnReference, grid: GridColumn, start: int) -> int:
    return int(np.searchsorted(column.coarse_map[: grid.codes], start))


def _from(column: ColumnReference, grid: GridColumn, start: int) -> str:
    """Where a bar begins; the first begins nowhere."""
    if not start:
        text, above = edge(grid, _first_code(column, grid, 1)) if column.bins > 1 else ("", False)
        return f"up to {text}" if above else f"below {text}" if text else "all values"
    text, above = edge(grid, _first_code(column, grid, start))
    return f"above {text}" if above else text


def _largest(then: Counts, now: Counts) -> Counts:
    """The bins with a bar of their own: those that hold anything, the largest of then or now, in their own order."""
    size = np.maximum(then / then.sum(), now / now.sum())
    held = np.flatnonzero(size)
    if len(held) > BARS:
        held = np.sort(held[np.argsort(-size[held], kind="stable")[: BARS - 1]])
    return held.astype(np.int64)
