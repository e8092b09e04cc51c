"""Error bars over days: they hold where nothing has changed, however much days differ, and a halving is seen."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from driftline.stats.daily import DayMean, apart, mean, together

DAY = 86_400_000


def effects(rng: np.random.Generator, days: int, likeness: float, sd: float = 0.35) -> list[float]:
    """What each day does to the log-odds of an error; a day resembles the day before."""
    found = [float(rng.normal(0, sd))]
    while len(found) < days:
        found.append(likeness * found[-1] + float(rng.normal(0, sd * math.sqrt(1 - likeness**2))))
    return found


def series(
    rng: np.random.Generator, share: float, moved: Sequence[float], a_day: int, first: int = 0
) -> list[DayMean]:
    odds = math.log(share / (1 - share))
    days = []
    for i, by in enumerate(moved):
        n = int(rng.poisson(a_day)) + 1
        days.append(DayMean((first + i) * DAY, n, int(rng.binomial(n, 1 / (1 + math.exp(-odds - by)))) / n))
    return days


@pytest.mark.parametrize("likeness", [0.0, 0.3])
@pytest.mark.parametrize(("before", "a_day"), [(13, 200), (3, 500), (20, 5_000)])
def test_where_nothing_has_changed_a_clear_difference_is_rare(likeness: float, before: int, a_day: int) -> None:
    """Days of one world, cut in two. Mutation: return 1.0 from daily._inflation."""
    rng, runs = np.random.default_rng(7), 600
    signs = []
    for _ in range(runs):
        moved = effects(rng, before + 7, likeness)
        days = series(rng, 0.2, moved, a_day)
        signs.append(apart(days[before:], days[:before], rate=True).sign)
    assert signs.count(-1) / runs <= 0.03
    assert signs.count(1) / runs <= 0.045


def test_on_the_same_days_nothing_is_seen_where_nothing_is_and_little_is_seen() -> None:
    rng, false, true, runs = np.random.default_rng(8), 0, 0, 400
    for _ in range(runs):
        moved = effects(rng, 9, 0.5, sd=0.8)
        old = series(rng, 0.2, moved, 1_000)
        false += together(series(rng, 0.2, moved, 1_000), old).sign == -1
        true += together(series(rng, 0.15, moved, 1_000), old).sign == -1
    assert false / runs <= 0.03
    assert true / runs >= 0.9


def test_a_halving_is_seen() -> None:
    rng, runs = np.random.default_rng(9), 200
    seen = 0
    for _ in range(runs):
        moved = effects(rng, 20, 0.3)
        seen += apart(series(rng, 0.15, moved[13:], 300), series(rng, 0.3, moved[:13], 300), rate=True).sign == -1
    assert seen / runs >= 0.9


def test_without_days_enough_nothing_is_clear() -> None:
    few = [DayMean(0, 10_000, 0.1), DayMean(DAY, 10_000, 0.1)]
    other = [DayMean(0, 10_000, 0.9)]
    assert apart(few, other, rate=True).bar == math.inf
    assert apart(few, other, rate=True).sign == 0


def test_equal_days_differ_by_nothing() -> None:
    days = [DayMean(i * DAY, 3, 0.1 + 0.2) for i in range(7)]
    shifted = [DayMean(i * DAY, 7, 0.3) for i in range(7)]
    assert apart(days, shifted, rate=False).sign == 0
    assert together(days, shifted).sign == 0
    assert mean([DayMean(0, 1, 1.0), DayMean(DAY, 3, 0.0)]) == 0.25
