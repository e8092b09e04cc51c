"""The watch on a and b: says so where means have come to vary more than the reference says, and only there."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest

from driftline.stats.change import Change
from driftline.stats.monitors import ModelMonitors
from driftline.stats.settings import DetectionSettings
from stats.worlds import Floats, autoregressive, judge, panes_of, profile_of

SETTINGS = DetectionSettings()
PROFILE = profile_of({"features.x": np.random.default_rng(1).normal(size=30_000)}, SETTINGS)
MONITOR = "predictions:variance"


def said(*parts: Floats) -> list[Change]:
    monitors = ModelMonitors(PROFILE, SETTINGS)
    panes = panes_of(PROFILE, "predictions", {"features.x": np.concatenate(parts)})
    return [change for _, change in judge(monitors, "predictions", panes) if change.monitor == MONITOR]


def noise(seed: int, n: int, mean: float = 0.0, scale: float = 1.0) -> Floats:
    return np.random.default_rng(seed).normal(mean, scale, n)


def test_grown_autocorrelation_is_said_once_and_taken_back() -> None:
    """AR(1) .6 has 4 times the variance of a mean. Nobody's mean moves.

    Mutation: no `self.variance.update` in `_judge`."""
    found = said(noise(2, 30_000), autoregressive(np.random.default_rng(3), 40_000, 0.6), noise(4, 40_000))
    assert [(c.state, c.severity) for c in found] == [("alarm", "warning"), ("resolved", "warning")]
    alarm = found[0]
    assert alarm.effect is not None
    assert alarm.effect.current.value > 2.0
    assert "times as much as the reference says" in alarm.sentence
    since = (alarm.onset - PROFILE.judged_from) / 600.0
    assert 30_000 - 3_200 <= since <= 45_000


@pytest.mark.parametrize("kind", ["quiet", "heavy", "shift", "spread"])
def test_nothing_is_said_of_anything_else(kind: str) -> None:
    """100,000 quiet events; a drift of the mean, or a wider spread, is its own monitor's business."""
    match kind:
        case "quiet":
            assert said(noise(5, 100_000)) == []
        case "heavy":
            assert said(noise(5, 30_000), np.random.default_rng(6).standard_t(3, 30_000)) == []
        case "shift":
            assert said(noise(5, 20_000), noise(6, 20_000, 1.0), noise(7, 20_000)) == []
        case _:
            assert said(noise(5, 20_000), noise(6, 20_000, 0.0, 2.0)) == []


def test_state_goes_on_in_the_middle_of_a_batch() -> None:
    """Mutation: leave "squares" out of `FIELDS`."""
    panes = panes_of(PROFILE, "predictions", {"features.x": autoregressive(np.random.default_rng(3), 9_000, 0.6)})
    straight, broken = ModelMonitors(PROFILE, SETTINGS), ModelMonitors(PROFILE, SETTINGS)
    for start, counts in panes:
        straight.update("predictions", start, counts)
        broken.update("predictions", start, counts)
        broken = ModelMonitors.from_bytes(PROFILE, SETTINGS, broken.to_bytes())
    assert straight.to_bytes() == broken.to_bytes()
    assert straight.streams["predictions"].variance.log_r[0] > -math.inf


def test_what_never_pages_is_not_watched() -> None:
    column = msgspec.structs.replace(PROFILE.predictions.columns[0], why_not="said")
    section = msgspec.structs.replace(PROFILE.predictions, columns=[column])
    monitors = ModelMonitors(msgspec.structs.replace(PROFILE, predictions=section), SETTINGS)
    panes = panes_of(PROFILE, "predictions", {"features.x": autoregressive(np.random.default_rng(3), 30_000, 0.9)})
    assert [c for _, c in judge(monitors, "predictions", panes) if c.monitor == MONITOR] == []
