"""Whether a numeric column looks as if its unit had changed: all values times a factor that people know.

Of a short list of changes of unit (and of no change) one is named only if the values of the pane fit the reference
so rescaled (its distribution function on the grid's edges, its mean, its SD), do not fit it as it is, and fit no other
change of the list half as well. A pure function of integers and of the reference.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.records import UnitChange
from driftline.stats.codes import MISSING
from driftline.stats.encode import MAX_Z
from driftline.stats.grid import FACTORS, MOMENT_UNIT, GridColumn

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FACTORS: Final = (*FACTORS, 24.0, 2.54, 1.609344, 1 / 0.45359237)
_NAMES: Final = {
    2.54: ("inches to centimetres", "centimetres to inches"),
    1.609344: ("miles to kilometres", "kilometres to miles"),
    1 / 0.45359237: ("kilograms to pounds", "pounds to kilograms"),
}
KNOWN: Final = (
    *(UnitChange(scale=f, offset=0.0) for f in _FACTORS),
    *(UnitChange(scale=1.0 / f, offset=0.0) for f in _FACTORS),
    UnitChange(scale=1.8, offset=32.0),
    UnitChange(scale=1.0 / 1.8, offset=-32.0 / 1.8),
)
_FAR_APART: Final = frozenset({*FACTORS, *(1.0 / f for f in FACTORS)})
NONE: Final = UnitChange(scale=1.0, offset=0.0)

FEWEST: Final = 20.0
MOST: Final = 400.0
"""Values at work: more would hold the rest of a drift against a change of unit that is plain to see."""
FITS: Final = 1.5
OTHERS: Final = 3.0
AS_IS: Final = 4.0
NEIGHBOURS: Final = 2.0
UNRESOLVED: Final = 0.02
"""A spread of so few SDs is lost in the rounding of squares to fixed point."""
INTERPOLATION: Final = 0.01
NEAR: Final = 2.0
CLOSE: Final = 1.15
"""What is so much larger or smaller must not fit: factors that others are near need more to be believed."""
COLD_AND_HOT: Final = (-40.0, 60.0)
FREEZING_AND_HOT: Final = (-40.0, 140.0)
"""Means that a column of degrees Celsius, of degrees Fahrenheit may have."""


def unit_change(
    column: GridColumn, reference: Ints, counts: Ints, moments: Ints, n_eff: float
) -> UnitChange | None:
    """`reference`, `counts`: int64 [256] of the column, then and in one pane; `moments`: int64 [2] of the pane;
    `n_eff`: how many independent values the pane's are worth."""
    n = int(counts[:MISSING].sum())
    total = int(reference[:MISSING].sum())
    worth = min(n_eff, float(n), MOST)
    if worth < FEWEST or not total or len(column.edges) < 16:
        return None
    present = _Present(column, reference, counts, moments, worth)
    known = [change for change in KNOWN if present.allows(change)]
    misfits = np.array([present.misfit(change) for change in known])
    best = int(np.argmin(misfits))
    change = known[best]
    plain = (
        misfits[best] <= FITS
        and present.misfit(NONE) >= AS_IS
        and np.delete(misfits, best).min() >= max(OTHERS, 2.0 * misfits[best])
        and all(present.misfit(other) >= max(NEIGHBOURS, 2.0 * misfits[best]) for other in _neighbours(change))
    )
    return change if plain else None


def _neighbours(change: UnitChange) -> list[UnitChange]:
    """What must not fit either. Degrees have none: their scale and their offset must both be right."""
    if change.offset:
        return []
    near = NEAR if change.scale in _FAR_APART else CLOSE
    return [UnitChange(scale=change.scale * f, offset=0.0) for f in (near, 1.0 / near)]


class _Present:
    """What a pane holds, to be held against the reference rescaled."""

    def __init__(self, column: GridColumn, reference: Ints, counts: Ints, moments: Ints, worth: float) -> None:
        self._column = column
        self._edges = column.edge_values
        m = len(self._edges)
        n = int(counts[:MISSING].sum())
        self._now = np.cumsum(counts[:m]) / n
        self._before = np.cumsum(reference[:m]) / int(reference[:MISSING].sum())
        self._mean, self._spread = _mean_and_spread(n, moments)
        self._clipped = abs(self._mean) + 5.0 * self._spread >= MAX_Z
        self._root = math.sqrt(worth)
        self._kurtosis = _kurtosis(self._edges, np.diff(self._before))

    def allows(self, change: UnitChange) -> bool:
        """Whether such a change could be told, and could be."""
        if change.offset:
            low, high = COLD_AND_HOT if change.scale > 1.0 else FREEZING_AND_HOT
            return low <= self._column.center <= high
        return not self._clipped or change.scale in FACTORS

    def misfit(self, change: UnitChange) -> float:
        """About 1 where the present is the reference so rescaled."""
        then = np.interp((self._edges - change.offset) / change.scale, self._edges, self._before, 0.0, 1.0)
        distance = max(float(np.abs(self._now - then).max()) - INTERPOLATION, 0.0) * self._root / 1.6
        if self._clipped:
            return distance
        # In SDs of the reference, from its mean.
        column = self._column
        expected = ((change.scale - 1.0) * column.center + change.offset) / column.scale
        off = abs(self._mean - expected) / change.scale * self._root / 3.0
        if max(self._spread, change.scale) < UNRESOLVED:
            return max(distance, off)
        if self._spread <= 0.0:
            return math.inf
        error = math.sqrt((self._kurtosis - 1.0) / 4.0) / self._root
        wider = abs(math.log(self._spread / change.scale)) / (3.0 * error)
        return max(distance, off, wider)


def _kurtosis(edges: Floats, shares: Floats) -> float:
    """Of the reference, from its bins: how uncertain an SD is. That of a normal at the least."""
    middle = (edges[1:] + edges[:-1]) / 2.0
    mean = float(shares @ middle)
    largest = float(np.abs(middle - mean).max(initial=0.0)) or 1.0
    z = np.square((middle - mean) / largest)
    second = float(shares @ z)
    return max(float(shares @ np.square(z)) / (second * second), 3.0) if second > 0.0 else 3.0


def _mean_and_spread(n: int, moments: Ints) -> tuple[float, float]:
    """In SDs of the reference, from its mean. Rounding to fixed point is taken out of the spread."""
    first, second = int(moments[0]), int(moments[1])
    variance = (n * second * MOMENT_UNIT - first * first) / (n * n * MOMENT_UNIT * MOMENT_UNIT)
    return first / (n * MOMENT_UNIT), math.sqrt(max(variance, 0.0))


def unit_sentence(change: UnitChange) -> str:
    """Looks like a change of unit: values are 1,000 times the reference's."""
    if change.offset:
        how = (
            "1.8 times the reference's plus 32 (Celsius to Fahrenheit)"
            if change.scale > 1.0
            else "the reference's less 32, divided by 1.8 (Fahrenheit to Celsius)"
        )
    else:
        up = change.scale > 1.0
        factor = next(f for f in _FACTORS if math.isclose(f, change.scale if up else 1.0 / change.scale))
        names = _NAMES.get(factor)
        shown = f"{factor:,.4g}" if factor % 1 else f"{factor:,.0f}"
        how = f"{shown} times the reference's" if up else f"the reference's divided by {shown}"
        how += f" ({names[not up]})" if names else ""
    return f"Looks like a change of unit: values are {how}."
