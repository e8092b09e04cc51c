"""What is promised of delays, against the detector itself."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.stats.explain import Delay, MonitorPlan, explain
from driftline.stats.monitors import ModelMonitors
from driftline.stats.section import Stream
from driftline.stats.settings import DetectionSettings
from stats.worlds import Floats, judge, panes_of, profile_of

SETTINGS = DetectionSettings()
PROFILE = profile_of(
    {"features.x": np.random.default_rng(1).normal(size=30_000)},
    SETTINGS,
    pairs={"error": (np.random.default_rng(2).random(30_000) < 0.1).astype(np.float64)},
)
PLANS = {m.monitor: m for s in explain(PROFILE, SETTINGS).streams for m in s.monitors}


def delay_of(plan: MonitorPlan, shift: float) -> Delay:
    return next(delay for delay in plan.delays if delay.shift == shift)


def measured(stream: Stream, name: str, shift: float) -> float:
    """Median delay in values, of seven runs."""
    found = []
    for seed in range(7):
        rng = np.random.default_rng(10 + seed)
        n = 16_000
        mean = stream == "predictions"
        values: Floats = rng.normal(shift, 1.0, n) if mean else (rng.random(n) < 0.1 + shift).astype(np.float64)
        panes = panes_of(PROFILE, stream, {name: values})
        told = [i for i, c in judge(ModelMonitors(PROFILE, SETTINGS), stream, panes) if c.state == "alarm"]
        found.append(100.0 * (told[0] + 1) if told else float("inf"))
    return float(np.median(found))


@pytest.mark.parametrize("shift", [0.1, 0.2, 0.5])
def test_delays_of_a_mean_are_as_expected(shift: float) -> None:
    """Within a factor of 1.8. Mutation: leave `math.log(length)` out of `expected_delay`."""
    expected = delay_of(PLANS["features.x:distribution"], shift)
    assert expected.values is not None
    assert 1 / 1.8 <= expected.values / measured("predictions", "features.x", shift) <= 1.8
    assert expected.hours == pytest.approx(expected.values / 6_000, rel=0.01)


def test_delays_of_an_error_rate_are_as_expected() -> None:
    plan = PLANS["error:rate"]
    expected = delay_of(plan, 5.0)
    assert expected.values is not None
    assert 0.5 <= expected.values / measured("pairs", "error", 0.05) <= 2.0
    assert delay_of(plan, 2.0).values is None
    assert plan.smallest_shift == "2 percentage points of the share of error"


def test_what_never_pages_has_no_delay() -> None:
    few = profile_of({"features.x": np.random.default_rng(1).normal(size=2_000)}, SETTINGS)
    plans = explain(few, SETTINGS).streams[0]
    assert plans.check is None
    assert all(m.level is None and m.why_not for m in plans.monitors)
    assert all(delay.values is None for m in plans.monitors for delay in m.delays)


def test_the_budget_adds_up() -> None:
    assert sum(m.weight for m in PLANS.values()) == pytest.approx(1.0)
