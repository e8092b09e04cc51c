"""What the hour of the day, or of the week, explains of a column: a slot profile per witness.

With four periods or more in the reference the expectation of a unit is mu plus the piecewise-linear profile at the
middles of its panes, weighted by their counts. What is left is judged: n_eff is divided by the slot's own variance
over the whole's, where that is larger, and a and b are raised by `error_factor` for the profile's own error.

A season is believed if, in periods left out of the fit, it foretells the slots better than one mean does. Slots are
of UTC: where clocks change, a season of local time is an hour off for half of the year, and pages if that matters.

Memory: 2 bytes a slot and witness, 24 slots a day or 84 a week. Integers only, so that equal counts give equal sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

Period = Literal["daily", "weekly"]
HOUR_MS: Final = 3_600_000
PERIOD_MS: Final[dict[Period, int]] = {"daily": 24 * HOUR_MS, "weekly": 168 * HOUR_MS}
SLOT_MS: Final[dict[Period, int]] = {"daily": HOUR_MS, "weekly": 2 * HOUR_MS}
MIN_PERIODS: Final = 4
GAIN: Final = 0.9
"""A season must leave at most so much of the squared error that one mean leaves (a weekly one: of what a daily
season leaves). Chance alone makes it larger than 1."""
FINE: Final = 256
"""Parts of a slot's width that the interpolation tells apart."""
RATIO_UNIT: Final = 8


class Season(msgspec.Struct, frozen=True, dict=True, kw_only=True):
    """`step` [K]: unit of a witness's deviations; `deviations` int8 [K, slots], `ratios` uint8 [K, slots]: variance
    of a slot's events over sigma^2, at least 1, in eighths. `periods`: the fewest any known slot rests on.
    `left`: share of the squared error of slots that the season did not foretell."""

    period: Period
    periods: int
    left: float
    step: list[float]
    deviations: bytes
    ratios: bytes

    @property
    def error_factor(self) -> float:
        """Events of a slot share the error of its mean, which rests on P periods, and the fit has taken as much out
        of what a and b were estimated from: (1 + 1/P) / (1 - 1/P)."""
        return (self.periods + 1.0) / (self.periods - 1.0)

    @cached_property
    def table(self) -> Counts:
        """int64 [2, slots, K]: deviations in steps, and ratios in eighths."""
        k = len(self.step)
        deviations = np.frombuffer(self.deviations, np.int8).reshape(k, -1)
        ratios = np.frombuffer(self.ratios, np.uint8).reshape(k, -1)
        return np.stack([deviations.T, ratios.T]).astype(np.int64)

    def at(self, time: int) -> Counts:
        """int64 [2, K]: the profile at `time` (ms), in units of 1/256."""
        slot = SLOT_MS[self.period]
        index, rest = divmod(2 * (time % PERIOD_MS[self.period]) - slot, 2 * slot)
        right = rest * FINE // (2 * slot)
        slots = self.table.shape[1]
        found: Counts = self.table[:, index % slots] * (FINE - right) + self.table[:, (index + 1) % slots] * right
        return found

    @cached_property
    def unit(self) -> Floats:
        """float64 [2, K]: what one unit of `at` is worth."""
        return np.stack([np.asarray(self.step) / FINE, np.full(len(self.step), 1.0 / (FINE * RATIO_UNIT))])

    def expected(self, times: Counts) -> Floats:
        """Deviations float64 [len(times), K]."""
        fine, back = np.unique(times % PERIOD_MS[self.period], return_inverse=True)
        if not len(fine):
            return np.zeros((0, len(self.step)))
        return np.asarray(np.stack([self.at(int(t))[0] for t in fine])[back] * self.unit[0])


@dataclass(frozen=True, slots=True)
class PaneSums:
    """What the witnesses of a column saw in each pane of a reference, in order of time. `middle` int64 [panes], ms;
    `n`, `sum`, `squares` float64 [panes, K]: values seen, sums of f and of f^2."""

    middle: Counts
    n: Floats
    sum: Floats
    squares: Floats


def can_hold(period: Period, span_ms: int, pane_ms: int) -> bool:
    """Whether a reference of `span_ms` can tell such a season: four periods, and panes no longer than its slots."""
    return (
        span_ms >= MIN_PERIODS * PERIOD_MS[period]
        and pane_ms <= SLOT_MS[period]
        and PERIOD_MS[period] % pane_ms == 0
    )


def learn_season(
    wanted: str, sums: PaneSums, weight: Floats, sigma: Floats, span_ms: int, pane_ms: int
) -> Season | None:
    """The season of a column; None where there is none or it cannot be told. `wanted`: "auto", "none", or a period,
    which is then taken without evidence. `weight`, `sigma` [K]: prior and SD of an event of each witness."""
    best: tuple[float, Period] | None = None
    for period in PERIOD_MS:
        if wanted not in ("auto", period) or not can_hold(period, span_ms, pane_ms):
            continue
        left = _left(period, sums, weight, sigma)
        enough = GAIN * (best[0] if best else 1.0)
        if wanted == period or left <= enough:
            best = left, period
    return None if best is None else _fit(best[1], best[0], sums, sigma)


def _cells(period: Period, sums: PaneSums) -> tuple[Floats, Floats, Floats]:
    """(n, sum, squares), each [periods, slots, K]."""
    slots = PERIOD_MS[period] // SLOT_MS[period]
    which = sums.middle // PERIOD_MS[period]
    which -= which[0]
    cell = which * slots + sums.middle % PERIOD_MS[period] // SLOT_MS[period]
    shape = ((int(which[-1]) + 1) * slots, sums.n.shape[1])
    found = []
    for values in (sums.n, sums.sum, sums.squares):
        total = np.zeros(shape)
        np.add.at(total, cell, values)
        found.append(total.reshape(-1, slots, shape[1]))
    return found[0], found[1], found[2]


def _left(period: Period, sums: PaneSums, weight: Floats, sigma: Floats) -> float:
    """Squared error with which the slots of a period are foretold from the other periods, over that of their mean."""
    n, total, _ = _cells(period, sums)
    mean = np.divide(total, n, out=np.zeros_like(n), where=n > 0.0)

    def error(others_sum: Floats, others_n: Floats) -> float:
        known = (n > 0.0) & (others_n > 0.0)
        guess = np.divide(others_sum, others_n, out=mean.copy(), where=known)
        squares = (n * np.square(mean - guess)).sum(axis=(0, 1))
        return float(weight @ np.divide(squares, np.square(sigma), out=np.zeros_like(sigma), where=sigma > 0.0))

    seasonal = error(total.sum(axis=0) - total, n.sum(axis=0) - n)
    all_n, all_sum = n.sum(axis=(0, 1)), total.sum(axis=(0, 1))
    flat = error(
        np.broadcast_to(all_sum - total.sum(axis=1, keepdims=True), n.shape),
        np.broadcast_to(all_n - n.sum(axis=1, keepdims=True), n.shape),
    )
    return seasonal / flat if flat > 0.0 else 1.0


def _fit(period: Period, left: float, sums: PaneSums, sigma: Floats) -> Season:
    n, total, squares = _cells(period, sums)
    held = (n > 0.0).sum(axis=0)
    known = held >= MIN_PERIODS - 1
    n, total, squares = n.sum(axis=0), total.sum(axis=0), squares.sum(axis=0)
    slots, k = n.shape
    deviations, ratios = np.zeros((k, slots)), np.ones((k, slots))
    at = np.arange(slots)
    for i in range(k):
        there = known[:, i]
        if not there.any() or sigma[i] <= 0.0:
            continue
        mean = total[there, i] / n[there, i]
        ratio = np.maximum(squares[there, i] / n[there, i] - np.square(mean), 0.0) / sigma[i] ** 2
        overall = total[:, i].sum() / n[:, i].sum()
        deviations[i] = np.interp(at, at[there], mean - overall, period=slots)
        ratios[i] = float(ratio.max())
        ratios[i, there] = ratio
    coded = np.clip(np.ceil(RATIO_UNIT * np.maximum(ratios, 1.0)), 0, 255).astype(np.uint8).tobytes()

    def season(values: Floats) -> Season:
        step = np.abs(values).max(axis=1) / 127.0
        whole = np.divide(values, step[:, None], out=np.zeros_like(values), where=step[:, None] > 0.0)
        return Season(
            period=period,
            periods=int(held[known].min(initial=int(held.max()))),
            left=round(left, 4),
            step=[float(np.float32(x)) for x in step],
            deviations=np.rint(whole).astype(np.int8).tobytes(),
            ratios=coded,
        )

    # What the profile adds to the reference's own rows must be nothing on average.
    seen = sums.n.sum(axis=0)
    shift = (season(deviations).expected(sums.middle) * sums.n).sum(axis=0) / np.maximum(seen, 1.0)
    return season(deviations - shift[:, None])
