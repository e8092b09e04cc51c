"""One budget of false alarms for a fleet: to the letter in the levels, and by simulation."""

from __future__ import annotations

import functools
import math

import msgspec
import numpy as np
import pytest

from driftline.stats.explain import Plan, explain
from driftline.stats.limit_rules import LimitRule
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile
from driftline.stats.settings import DetectionSettings
from stats.test_guarantees import altered, budget, normal
from stats.worlds import judge, panes_of, profile_of

N = 20
BEYOND = LimitRule(metric="share_above", column="features.x", value=2.0, at_most=0.1)
ALONE = DetectionSettings(arl0_days=30.0, limits=(BEYOND,))
FLEET = msgspec.structs.replace(ALONE, fleet_models=N)


@functools.cache
def reference() -> Profile:
    errors = (np.random.default_rng(2).random(20_000) < 0.1).astype(np.float64)
    return profile_of({"features.x": normal(1, 20_000)}, ALONE, pairs={"error": errors})


def levels(plan: Plan) -> dict[tuple[str, str], float]:
    return {(s.stream, m.monitor): m.level for s in plan.streams for m in s.monitors if m.level is not None}


def test_every_monitor_pages_at_the_log_of_n_more() -> None:
    """So that over N models the shares of the budget, A / exp(level), add up to 1.

    Mutation: `return self.asked` in `DetectionSettings.arl0`."""
    alone, fleet = (levels(explain(reference(), settings)) for settings in (ALONE, FLEET))
    assert alone.keys() == fleet.keys() and len(fleet) >= 4
    assert [fleet[key] - alone[key] for key in fleet] == [pytest.approx(math.log(N))] * len(fleet)
    assert N * sum(ALONE.asked / math.exp(level) for level in fleet.values()) == pytest.approx(1.0)


def test_the_levels_told_are_those_alarmed_at() -> None:
    """Mutation: `self.settings.asked` in `ModelMonitors._share_out`, in `Limits` the same."""
    profile = reference()
    panes = panes_of(profile, "predictions", {"features.x": normal(7, 8_000) + 3.0})
    told = levels(explain(profile, FLEET))
    found = {c.monitor: c for _, c in judge(ModelMonitors(profile, FLEET), "predictions", panes)}
    alarm = found["features.x:distribution"]
    assert alarm.evidence is not None
    assert alarm.evidence.log_threshold == pytest.approx(told["predictions", alarm.monitor])
    limit = found[BEYOND.monitor]
    assert limit.evidence is not None
    assert limit.evidence.log_threshold == pytest.approx(math.log(30.0 * N))


@pytest.mark.parametrize("shared", [True, False])
def test_a_fleet_of_twenty_keeps_one_budget(shared: bool) -> None:
    """20 models, each 20,000 quiet events, one false alarm allowed among them in the time of 5,000. Without an
    allowance, which is held elsewhere: it would hide the loss. The twin is one budget each.

    Mutation: as above; both are the twin."""
    settings = DetectionSettings(arl0_events=5_000, fleet_models=N if shared else None)
    profile = profile_of({"features.x": normal(1, 50_000)}, settings)
    profile = msgspec.structs.replace(profile, predictions=altered(profile.predictions, eps=1e-3))
    total = 0
    for model in range(N):
        panes = panes_of(profile, "predictions", {"features.x": normal(500 + model, 20_000)})
        monitors = ModelMonitors(profile, settings)
        for start, counts in panes:
            if monitors.update("predictions", start, counts):
                monitors, total = ModelMonitors(profile, settings), total + 1
    assert (total <= budget(4.0)) == shared


def test_what_it_costs_is_told() -> None:
    """Mutation: `own / shared` in `explain._fleet`."""
    plan = explain(reference(), FLEET)
    assert plan.fleet is not None
    assert (plan.arl0, plan.fleet.arl0, plan.fleet.models) == (600.0, 30.0, N)
    assert plan.fleet.nats == pytest.approx(math.log(N))
    assert plan.fleet.later is not None and 0.05 < plan.fleet.later < 1.0
    assert explain(reference(), ALONE).fleet is None


def test_a_fleet_of_none_is_refused() -> None:
    with pytest.raises(ValueError, match="how many model versions"):
        DetectionSettings(fleet_models=0)
