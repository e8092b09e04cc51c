"""How much traffic a stream has: rows per event time as the reference had them, for telling silence and flood.

Time is counted in rows that the reference would have brought: by the hour of the week where it holds four weeks, by
the hour of the day where it holds seven days (a weekend among them), else evenly. Silence: a gap of more than three
times the reference's longest, in such rows, and never under an hour where the reference holds less than a day: then
the nights are unknown. Flood: more than three times (ten times, of less than a day) the rows of the reference's
busiest stretch of that hour.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS
STRETCH_MS: Final = 300_000
TIMES: Final = 3.0
TIMES_UNKNOWN: Final = 10.0
FEWEST_ROWS: Final = 10.0
"""A gap of so many rows is nobody's loss: chance alone leaves it out once in e^10."""
LEAST_REFERENCE: Final = 100


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """`rates`: rows an hour by slot, an hour each (one slot: all hours are alike); `gap`: the longest without rows,
    in rows; `floor_ms`: shorter gaps are never silence; `busiest`: most rows of a stretch of `stretch_ms` by slot;
    `times`: how often that makes a flood."""

    rates: list[float]
    gap: float
    floor_ms: int
    stretch_ms: int
    busiest: list[int]
    times: float

    def slot(self, time: int) -> int:
        return time // HOUR_MS % len(self.rates)

    def expected(self, start: int, end: int) -> float:
        """Rows the reference would have brought between two times."""
        return self._until(end, start) - self._until(start, start)

    def _until(self, time: int, origin: int) -> float:
        """Since the start of the period that holds `origin`."""
        period = len(self.rates) * HOUR_MS
        periods, inside = divmod(time - origin // period * period, period)
        slot, part = divmod(inside, HOUR_MS)
        whole = math.fsum(self.rates)
        return periods * whole + math.fsum(self.rates[:slot]) + self.rates[slot] * part / HOUR_MS

    @property
    def limit(self) -> float:
        """A gap of more rows than that is silence."""
        return TIMES * max(self.gap, FEWEST_ROWS)

    def most(self, time: int) -> float:
        """More rows than that in the stretch that starts at `time` are a flood."""
        return self.times * self.record(time) + 3.0 * FEWEST_ROWS

    def record(self, time: int) -> int:
        """Most rows that a stretch of about this hour ever held."""
        slot, slots = self.slot(time), len(self.busiest)
        return max(self.busiest[(slot + step) % slots] for step in (-1, 0, 1))


def learn_traffic(times: NDArray[np.int64], pane_ms: int) -> Traffic | None:
    """From the times (ms, ascending) of all rows that a stream held from the first to the last. None of too few."""
    if len(times) < LEAST_REFERENCE:
        return None
    stretch = max(STRETCH_MS, pane_ms)
    start, end = int(times[0]) // pane_ms * pane_ms, int(times[-1]) // pane_ms * pane_ms + pane_ms
    span = end - start
    slots = 168 if span >= 28 * DAY_MS else 24 if span >= 7 * DAY_MS else 1
    slots = slots if pane_ms <= HOUR_MS else 1
    rates = _rates(times, start, end, slots)
    busiest = np.zeros(slots, np.int64)
    at, rows = np.unique(times // stretch, return_counts=True)
    np.maximum.at(busiest, at * stretch // HOUR_MS % slots, rows)
    short = span < DAY_MS
    plain = Traffic(
        rates=rates,
        gap=0.0,
        floor_ms=HOUR_MS if short else 0,
        stretch_ms=stretch,
        busiest=busiest.tolist(),
        times=TIMES_UNKNOWN if short else TIMES,
    )
    panes = np.unique(times // pane_ms) * pane_ms
    holes = np.flatnonzero(np.diff(panes) > pane_ms)
    gap = max((plain.expected(int(panes[i]) + pane_ms, int(panes[i + 1])) for i in holes), default=0.0)
    return msgspec.structs.replace(plain, gap=gap)


def _rates(times: NDArray[np.int64], start: int, end: int, slots: int) -> list[float]:
    """Rows an hour of each slot, over the hours of it that lie between start and end."""
    if slots == 1:
        return [len(times) * HOUR_MS / (end - start)]
    hours = np.arange(start // HOUR_MS, -(-end // HOUR_MS))
    held = np.minimum(hours * HOUR_MS + HOUR_MS, end) - np.maximum(hours * HOUR_MS, start)
    exposure = np.bincount(hours % slots, held, slots) / HOUR_MS
    rows = np.bincount(times // HOUR_MS % slots, minlength=slots)
    return [float(rate) for rate in rows / exposure]
