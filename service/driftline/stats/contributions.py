"""Which part of a distribution moved: bins and categories by what they contribute to a change.

Neighbouring parts of a numeric column that move the same way are told as one; parts within two standard errors of the
reference are not told. Edges are reference quantiles, so no single value is shown.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import Estimate, Part
from driftline.stats.coarse import LEVELS
from driftline.stats.grid import GridColumn
from driftline.stats.quality import WORDS
from driftline.stats.questions import printable
from driftline.stats.section import ColumnReference
from driftline.stats.wording import number

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

SHOWN: Final = 3


def parts_of(column: ColumnReference, grid: GridColumn, counts: Counts, inflation: float) -> list[Part]:
    """The three largest, largest first. `counts`: int64 [64] of the coarse bins since the change began;
    `inflation`: variance of a mean over that of as many independent values. Empty for rates, and where nothing
    is known of the present."""
    then, now = column.coarse_counts[: column.bins], counts[: column.bins]
    before, n = int(then.sum()), int(now.sum())
    if column.kind == "rate" or not before or not n:
        return []
    numeric = column.aspect == "values" and column.kind == "numeric"
    if numeric:
        starts = _stretches(column, then)
        then, now = np.add.reduceat(then, starts), np.add.reduceat(now, starts)
    p, q = then / before, now / n
    error = np.sqrt(inflation * (_variance(p, before) / before + _variance(q, n) / n))
    moved = np.where(np.abs(q - p) > 2.0 * error, np.sign(q - p), 0.0)
    found = []
    for first, last in _runs(moved, together=numeric):
        what = _stretch(column, grid, starts, first, last) if numeric else part_name(column, grid, first)
        was, share = float(p[first : last + 1].sum()), float(q[first : last + 1].sum())
        half = 2.0 * math.sqrt(inflation * float(_variance(np.float64(share), n)) / n)
        current = Estimate(value=share, low=max(share - half, 0.0), high=min(share + half, 1.0), unit="share")
        found.append(Part(what=what, reference=was, current=current))
    return sorted(found, key=lambda part: (-abs(part.current.value - part.reference), part.what))[:SHOWN]


def part_sentence(part: Part) -> str:
    """values 20 to 35: 10.0 % to 22.0 %."""
    return f"{part.what}: {100.0 * part.reference:.1f} % to {100.0 * part.current.value:.1f} %"


def _variance(share: Floats | np.float64, n: int) -> Floats:
    """Of one event's indicator; half an event each way, so that what was never seen is not certain."""
    smoothed = (share * n + 0.5) / (n + 1.0)
    return np.asarray(smoothed * (1.0 - smoothed))


def _stretches(column: ColumnReference, then: Counts) -> Counts:
    """First coarse bins of the stretches between the reference levels."""
    below = np.cumsum(then)[:-1] / max(int(then.sum()), 1)
    cuts = {int(np.argmin(np.abs(below - level))) + 1 for level in LEVELS} if len(below) else set()
    return np.array([0, *sorted(cuts)], np.int64)


def _runs(moved: Floats, *, together: bool) -> list[tuple[int, int]]:
    """(first, last) of the parts that moved; neighbours that moved the same way `together`."""
    runs: list[tuple[int, int]] = []
    for i in np.flatnonzero(moved).tolist():
        if together and runs and runs[-1][1] == i - 1 and moved[i] == moved[i - 1]:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return runs


def _stretch(column: ColumnReference, grid: GridColumn, starts: Counts, first: int, last: int) -> str:
    """What the values from one stretch to another are called."""
    begins = np.searchsorted(column.coarse_map[: grid.codes], np.arange(column.bins))  # first code of a coarse bin
    low, over = edge(grid, int(begins[starts[first]])) if first else ("", False)
    high, to = edge(grid, int(begins[starts[last + 1]])) if last + 1 < len(starts) else ("", False)
    if low and high:
        return f"values of {low}" if low == high else f"values {low} to {high}"
    if low:
        return f"values above {low}" if over else f"values from {low} on"
    return f"values up to {high}" if to else f"values below {high}"


def edge(grid: GridColumn, code: int) -> tuple[str, bool]:
    """The edge at which a code begins, and whether it is just above the value it is called by."""
    edge = float(grid.edge_values[code - 1])
    below = float(grid.edge_values[code - 2]) if code >= 2 else -math.inf
    above = edge == np.nextafter(below, np.inf)
    return number(below if above else edge), bool(above)


def part_name(column: ColumnReference, grid: GridColumn, part: int) -> str:
    """What a bin that stands for itself is called: a category, or a quality."""
    if column.aspect == "quality":
        return WORDS[part]
    own = column.bins - 2
    if part >= own:
        return ("the rarer categories", "unseen categories")[part - own]
    return f'"{printable(grid.categories[int(np.argmax(column.coarse_map == part))])}"'
