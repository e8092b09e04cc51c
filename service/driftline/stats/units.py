"""Units: the consecutive panes that a monitor judges as one.

A monitor's unit ends once it holds `coalesce` values of its own, or the rows (`most_rows`) in which the reference
held twice as many. What is handed on is exact: sums of integers over panes, divided once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.errors import StateCorrupt
from driftline.stats.section import Section
from driftline.stats.witness import MISSING_BIN, WIDTH

DAY_MS: Final = 86_400_000

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]
Bools = NDArray[np.bool_]
Starts = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Unit:
    """Of the monitors that are `due` [M]: `length` in days or events, `start` the first pane, `values` how many.
    Of every witness [K]: `n` events, `y` their mean less the season's expectation, `raw` the mean as it is, `ratio`
    the variance of an event over the reference's, 1 or more."""

    due: Bools
    length: Floats
    start: Starts
    values: Counts
    n: Floats
    y: Floats
    raw: Floats
    ratio: Floats


class Units:
    """The panes waiting, of all monitors of a section."""

    def __init__(self, section: Section, coalesce: int, *, in_events: bool) -> None:
        self.columns = section.monitored
        self.coalesce = coalesce
        self.in_events = in_events
        pairs = [(column, witness) for column in self.columns for witness in column.witnesses]
        self._of = section.table.monitor
        self._f = np.array([column.values(witness) for column, witness in pairs]).reshape(-1, WIDTH)
        self._most_rows = np.array([column.most_rows for column in self.columns], np.int64)
        first = 0
        self._seasons = []
        for column in self.columns:
            if column.season is not None:
                self._seasons.append((column.season, slice(first, first + len(column.witnesses))))
            first += len(column.witnesses)
        m = len(self.columns)
        self.counts = np.zeros((m, WIDTH), np.int64)
        self.ms = np.zeros(m, np.int64)
        self.start = np.zeros(m, np.int32)
        self.season = np.zeros((2, len(pairs) if self._seasons else 0), np.int64)

    def update(self, pane: int, middle: int, ms: int, coarse: Counts) -> Unit | None:
        """One pane: its number, its middle and length in ms, its counts int64 [M, 64]. None while nothing is due."""
        self.start[self.ms == 0] = pane
        self.counts += coarse
        self.ms += ms
        if self._seasons:
            seen = (coarse.sum(axis=1) - coarse[:, MISSING_BIN])[self._of]
            for season, k in self._seasons:
                self.season[:, k] += season.at(middle) * seen[k]
        rows = self.counts.sum(axis=1)
        values = rows - self.counts[:, MISSING_BIN]
        due = (values >= self.coalesce) | (rows >= self._most_rows)
        return self._take(due, rows, values) if due.any() else None

    def _take(self, due: Bools, rows: Counts, values: Counts) -> Unit:
        of = self._of
        n = values[of].astype(np.float64)
        sums = np.einsum("kw,kw->k", self._f, self.counts.astype(np.float64)[of])  # a product of 64 a witness
        raw = sums / np.maximum(n, 1.0)
        y, ratio = raw, np.ones(len(n))
        if self._seasons:
            y = raw.copy()
            for season, k in self._seasons:
                expected, variance = self.season[:, k] * season.unit / np.maximum(n[k], 1.0)
                y[k] -= expected
                ratio[k] = np.maximum(variance, 1.0)
            self.season[:, due[of]] = 0
        length = rows.astype(np.float64) if self.in_events else self.ms / DAY_MS
        unit = Unit(due, length, self.start.copy(), values, n, y, raw, ratio)
        self.counts[due] = 0
        self.ms[due] = 0
        return unit

    def to_state(self) -> dict[str, Any]:
        held = np.flatnonzero(self.counts)
        return {
            "at": held.astype(np.uint32),
            "counts": self.counts.ravel()[held],
            "ms": self.ms,
            "start": self.start,
            "season": self.season,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on where `to_state` left off. Raises StateCorrupt for arrays of other shapes."""
        try:
            self.counts.ravel()[state["at"]] = state["counts"]
            for name in ("ms", "start", "season"):
                held = getattr(self, name)
                if state[name].shape != held.shape:
                    raise ValueError(f"{name} of shape {state[name].shape}")
                held[...] = state[name]
        except (KeyError, IndexError, ValueError, TypeError, AttributeError) as error:
            raise StateCorrupt(f"units: {error}") from None
