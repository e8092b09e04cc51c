"""Means of days and their differences, with an error bar that knows that bad days come whole.

Events of a day share its weather, and so do neighbouring days. So a standard error rests on the spread between days,
never below what chance does within them, and its square is raised by (1 + r) / (1 - r) for days that resemble the day
before (r: lag-1 autocorrelation, corrected for the bias of short series, at least 0.2). Bars are two standard errors,
wider where days are few: Student's t at the same 95.4 %.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

FEW: Final = 5
"""With fewer days of either series the spread of days is not known."""
LEAST_LIKENESS: Final = 0.2
MOST_LIKENESS: Final = 0.8


@dataclass(frozen=True, slots=True)
class DayMean:
    """One day that starts at `start` ms: `n` events, at least one, and their mean."""

    start: int
    n: int
    mean: float


Days = Sequence[DayMean]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of the means `one` and `other`; `bar`: two standard errors of it, infinite where no spread is known."""

    one: float
    other: float
    bar: float

    @property
    def value(self) -> float:
        return self.one - self.other

    @property
    def sign(self) -> int:
        """-1 or 1 where the difference is clear, 0 where it may be chance."""
        if abs(self.value) <= self.bar + 1e-12 * max(abs(self.one), abs(self.other)):
            return 0
        return 1 if self.value > 0 else -1


def mean(days: Days) -> float:
    """Of all events of the days, at least one."""
    return sum(d.n * d.mean for d in days) / _count(days)


def apart(one: Days, other: Days, *, rate: bool) -> Difference:
    """Two series of different days. `rate`: values are 0 or 1, so what chance does within a day is known as well.

    The spread of days is that of both series together, each around its own mean: the worse days would otherwise
    vouch for the better ones, whose spread is smaller by chance."""
    freedom = len(one) + len(other) - 2
    if max(len(one), len(other)) < FEW:
        return Difference(mean(one), mean(other), math.inf)
    beyond = [[d.mean - mean(days) for d in days] for days in (one, other)]
    n = [d.n for d in (*one, *other)]
    total = sum(n)
    squares = sum(k * x * x for k, x in zip(n, beyond[0] + beyond[1], strict=True))
    spread = squares / total * len(n) / freedom
    chance = _binomial(mean((*one, *other)), total) if rate else 0.0
    between = max(0.0, spread - chance * len(n))
    variance = sum(
        between * sum(d.n**2 for d in days) / _count(days) ** 2
        + (_binomial(mean(days), _count(days)) if rate else 0)
        for days in (one, other)
    )
    return Difference(mean(one), mean(other), _two_errors(freedom) * math.sqrt(variance * _inflation(beyond)))


def together(one: Days, other: Days) -> Difference:
    """Two series of the same days, at least FEW, day by day: what a day does to both falls out. Days count by the
    events of the version that has fewer."""
    weights = [a.n * b.n / (a.n + b.n) for a, b in zip(one, other, strict=True)]
    total = sum(weights)
    first = sum(w * d.mean for w, d in zip(weights, one, strict=True)) / total
    second = sum(w * d.mean for w, d in zip(weights, other, strict=True)) / total
    difference, k = first - second, len(weights)
    beyond = [w * (a.mean - b.mean - difference) for w, a, b in zip(weights, one, other, strict=True)]
    variance = k / (k - 1) * sum(x * x for x in beyond) / total**2
    return Difference(first, second, _two_errors(k - 1) * math.sqrt(variance * _inflation([beyond])))


def _count(days: Days) -> int:
    return sum(d.n for d in days)


def _binomial(share: float, n: int) -> float:
    """Variance of a share of n, above 0 also where nothing or everything was an error."""
    share = (share * n + 1.0) / (n + 2.0)
    return share * (1.0 - share) / n


def _inflation(series: Sequence[Sequence[float]]) -> float:
    """By how much the variance of a mean is larger, because days resemble the day before. `series`: what days are
    beyond their series' mean."""
    squares = sum(x * x for beyond in series for x in beyond)
    if not squares:
        return 1.0
    neighbours = sum(a * b for beyond in series for a, b in pairwise(beyond))
    days = sum(len(beyond) for beyond in series)
    likeness = neighbours / squares + len(series) / days
    likeness = min(max(likeness, LEAST_LIKENESS), MOST_LIKENESS)
    return (1.0 + likeness) / (1.0 - likeness)


def _two_errors(freedom: float) -> float:
    """Student's t where the normal distribution has 2 (Cornish-Fisher, within 1 % from 4 degrees of freedom on)."""
    z, f = 2.0, freedom
    return (
        z
        + (z**3 + z) / (4 * f)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * f**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * f**3)
    )
