"""a and b: what autocorrelation and a pane's own weather do to the variance of a mean."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.stats.variance import MIN_AGGREGATES, event_inflation, pane_variance
from stats.worlds import autoregressive


def test_independent_events_are_not_inflated() -> None:
    """The significance rule: chance correlations of 40 series in 40 do not count."""
    series = np.random.default_rng(1).normal(size=(40, 10_000))
    assert event_inflation(series).max() == 1.0


@pytest.mark.parametrize(("phi", "truth"), [(0.5, 3.0), (0.9, 19.0)])
def test_autoregressive_inflation_is_found(phi: float, truth: float) -> None:
    series = autoregressive(np.random.default_rng(2), 50_000, phi)
    assert event_inflation(series[None])[0] == pytest.approx(truth, rel=0.2)


def test_interleaved_partitions_do_not_hide_it() -> None:
    """Mutation: MAX_STRIDE = 1 (then it finds 1)."""
    rng = np.random.default_rng(3)
    parts = np.stack([autoregressive(rng, 12_500, 0.9) for _ in range(16)], axis=1)
    assert event_inflation(parts.reshape(1, -1))[0] > 12.0


def test_constant_and_short_series() -> None:
    assert event_inflation(np.ones((2, 1_000))).tolist() == [1.0, 1.0]
    assert event_inflation(np.ones((1, 2))).tolist() == [1.0]


def test_pane_effects_are_found_and_noise_is_nearly_none() -> None:
    rng = np.random.default_rng(4)
    n = np.full(400, 100.0)
    quiet = rng.normal(0, np.sqrt(1 / 100), (20, 400))
    moved = quiet + rng.normal(0, np.sqrt(0.05), (20, 400))
    one = np.ones(20)
    assert pane_variance(quiet, n, one, one).max() < 0.006
    assert pane_variance(moved, n, one, one) == pytest.approx(0.05, rel=0.35)


def test_a_slow_wave_is_pane_variance_too() -> None:
    """A wave over 64 panes is as large after averaging 32 of them, and known less well: 1.36 times as large a b.

    Mutation: stop at g = 1 in `pane_variance`."""
    rng = np.random.default_rng(5)
    n = rng.integers(30, 90, 512).astype(np.float64)
    level = np.repeat([0.1, -0.1] * 4, 64)
    means = level + rng.normal(0, 1, (20, 512)) / np.sqrt(n)
    one = np.ones(20)
    assert pane_variance(means, n, one, one).mean() > 0.0135


def test_too_few_units_say_nothing() -> None:
    few = MIN_AGGREGATES - 1
    assert pane_variance(np.ones((1, few)), np.ones(few), np.ones(1), np.ones(1)).tolist() == [0.0]
