"""Fixed thresholds on distances: crossed and left, honest about chance, and given up with the configuration."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.errors import StateCorrupt
from driftline.stats.change import Change
from driftline.stats.distance_limits import DistanceLimits, Threshold
from driftline.stats.distance_rules import DistanceRule, distance_rule_of
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile
from driftline.stats.settings import DetectionSettings
from driftline.stats.witness import WIDTH
from stats.worlds import Cells, autoregressive, judge, panes_of, profile_of

RULE = DistanceRule(distance="psi", above=0.2, events=2_000)
NAME = "features.x:psi > 0.2"
PSI = "features.x:psi"


def profile(*rules: DistanceRule) -> tuple[Profile, DetectionSettings]:
    rng = np.random.default_rng(1)
    settings = DetectionSettings(distances=rules)
    columns: dict[str, Cells] = {"features.x": rng.normal(size=20_000), "features.c": ["a", "b", "c", "d"] * 5_000}
    return profile_of(columns, settings), settings


def said_of(monitors: ModelMonitors, x: NDArray[np.float64]) -> list[Change]:
    """What is said while these values come, from `judged_from` on, of the PSI of x."""
    texts: list[str | None] = [*"abcd"] * (len(x) // 4)
    panes = panes_of(monitors.profile, "predictions", {"features.x": x, "features.c": texts})
    return [change for _, change in judge(monitors, "predictions", panes) if change.monitor.startswith(PSI)]


def test_a_threshold_is_crossed_and_left() -> None:
    """One signal each; what stays above it says nothing more. Mutation: compare with `>` whatever the state."""
    found, settings = profile(RULE)
    monitors = ModelMonitors(found, settings)
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.normal(size=6_000), rng.normal(0.8, 1.0, size=8_000), rng.normal(size=6_000)])
    said = said_of(monitors, x)
    assert [change.state for change in said] == ["alarm", "resolved"]
    alarm, resolved = said
    assert alarm.distances is not None and alarm.distances.psi > 0.2 and alarm.distances.n >= 2_000
    assert alarm.onset == found.judged_from + 6_000 // 100 * 60_000 and alarm.severity == "warning"
    assert "PSI from the reference is above its threshold of 0.2" in alarm.sentence
    assert "back within 0.2" in resolved.sentence
    assert monitors.streams["predictions"].in_alarm.count(NAME) == 0


def test_whom_a_rule_concerns() -> None:
    """Distances along an axis are none of categories. Mutation: no ORDERED."""
    rules = [DistanceRule(distance=d, above=0.5, events=5_000) for d in ("psi", "js", "ks", "wasserstein_sd")]
    found, settings = profile(*rules)
    limits = DistanceLimits(found.predictions, settings)
    assert [one.monitor for one in limits.thresholds] == [
        "features.c:js > 0.5",
        "features.c:psi > 0.5",
        *(f"features.x:{d} > 0.5" for d in ("js", "ks", "psi", "wasserstein_sd")),
    ]
    only = DetectionSettings(distances=(DistanceRule(distance="psi", above=0.5, model="other"),)).for_model("m")
    assert DistanceLimits(found.predictions, only).thresholds == []
    twice = DetectionSettings(distances=(RULE, msgspec.structs.replace(RULE, events=9_000)))
    assert [t.rule.events for t in DistanceLimits(found.predictions, twice).thresholds] == [2_000, 2_000]


@pytest.mark.parametrize("distance", ["psi", "js", "ks", "wasserstein_sd"])
def test_what_chance_brings_is_known(distance: Any) -> None:
    """The average over batches of one law, within a fourth, and what hardly any exceeds, also of two values.

    Mutations: no 1/n of the batch; twice the mean for the rare one."""
    rule = DistanceRule(distance=distance, above=0.99, events=500)
    rng = np.random.default_rng(3)
    settings = DetectionSettings(distances=(rule,))
    columns: dict[str, Cells] = {
        "features.x": rng.normal(size=20_000),
        "features.two": np.where(rng.random(20_000) < 0.3, 1.0, 0.0),
        "features.c": ["y" if u < 0.3 else "n" for u in rng.random(20_000)],
    }
    for one in DistanceLimits(profile_of(columns, settings).predictions, settings).thresholds:
        p = one.column.coarse_counts / one.column.coarse_counts.sum()
        values = []
        for _ in range(2_000):
            told = one.take(rng.multinomial(500, p).astype(np.int64), 0)
            assert told is not None
            values.append(getattr(told, distance))
        mean, most = one.by_chance
        assert mean / 1.25 <= float(np.mean(values)) <= 1.25 * mean or one.column.name != "features.x"
        assert mean < most and float(np.mean(np.array(values) > most)) <= 0.006, one.monitor


def test_a_threshold_that_chance_comes_near_is_not_judged() -> None:
    """It says why, and what would do; it raises nothing. Mutation: `why_not` ignored in `update`."""
    found, settings = profile(DistanceRule(distance="psi", above=0.02, events=100))
    monitors = ModelMonitors(found, settings)
    (line,) = (line for line in monitors.limits() if line.startswith("features.x:psi"))
    assert "not judged: by chance alone the PSI of 100 values would be about" in line
    assert said_of(monitors, np.random.default_rng(4).normal(2.0, 1.0, size=3_000)) == []
    (one,) = (t for t in monitors.streams["predictions"].thresholds.thresholds if t.column.name == "features.x")
    many = Threshold(msgspec.structs.replace(one.rule, events=2_000), one.column, one.at, one.counts)
    enough = msgspec.structs.replace(many.rule, above=many.by_chance[1] * 1.01)
    assert not Threshold(enough, one.column, one.at, one.counts).why_not


@pytest.mark.parametrize("distance", ["psi", "js"])
@pytest.mark.parametrize("events", [100, 200, 400, 1_000, 5_000])
def test_what_is_judged_is_crossed_about_once_in_a_thousand_batches(distance: Any, events: int) -> None:
    """And of batches so small that some bins are empty by chance, PSI is not judged: it was beyond its rare value in
    one of eight. Mutation: `_enough` 1."""
    rng = np.random.default_rng(8)
    rule = DistanceRule(distance=distance, above=5.0 if distance == "psi" else 0.99, events=events)
    settings = DetectionSettings(distances=(rule,))
    columns: dict[str, Cells] = {
        "features.x": rng.normal(size=20_000),
        "features.n": rng.poisson(3.0, 20_000).astype(np.float64),
        "features.c": [f"c{min(int(k), 19)}" for k in rng.geometric(0.15, 20_000)],
        "features.two": ["y" if u < 0.3 else "n" for u in rng.random(20_000)],
    }
    judged = 0
    for one in DistanceLimits(profile_of(columns, settings).predictions, settings).thresholds:
        if one.why_not:
            assert "events or more" in one.why_not
            continue
        judged += 1
        p = one.column.coarse_counts / one.column.coarse_counts.sum()
        found = [one.take(rng.multinomial(events, p).astype(np.int64), 0) for _ in range(1_500)]
        most = one.by_chance[1]
        assert np.mean([getattr(told, distance) > most for told in found]) <= 0.004, one.monitor
    assert 1 <= judged <= 4 and (judged == 4 or events < 1_000)


def test_autocorrelation_is_part_of_chance() -> None:
    """Mutation: inflation 1."""
    settings, rng = DetectionSettings(distances=(RULE,)), np.random.default_rng(5)
    chances = []
    for x in (rng.normal(size=30_000), autoregressive(rng, 30_000, 0.9)):
        (one,) = DistanceLimits(profile_of({"features.x": x}, settings).predictions, settings).thresholds
        chances.append(one.by_chance[0])
    assert chances[1] > 4.0 * chances[0]


def test_state_goes_on_and_what_is_no_longer_asked_ends() -> None:
    """A restart with the same rules says nothing twice; without them the alarm ends, and says why.

    Mutation: `dropped` left empty in `restore`."""
    found, settings = profile(RULE)
    monitors = ModelMonitors(found, settings)
    moved = np.random.default_rng(6).normal(1.0, 1.0, size=4_000)
    assert [change.state for change in said_of(monitors, moved)] == ["alarm"]
    again = ModelMonitors.from_bytes(found, settings, monitors.to_bytes())
    assert again.to_bytes() == monitors.to_bytes()
    without = ModelMonitors.from_bytes(found, DetectionSettings(), monitors.to_bytes())
    (ended,) = (c for c in without.elapse(found.judged_from + 4_000 // 100 * 60_000) if c.monitor == NAME)
    assert ended.state == "resolved" and "taken out of the configuration" in ended.sentence
    assert NAME not in without.streams["predictions"].in_alarm


def test_what_is_no_state_is_refused() -> None:
    found, settings = profile(RULE)
    limits = DistanceLimits(found.predictions, settings)
    odd = {NAME: {"counts": np.zeros(3), "since": 0, "alarm": False}}
    states: list[dict[str, Any]] = [{}, {"of": {}}, {"of": odd, "dropped": []}]
    for state in states:
        with pytest.raises(StateCorrupt):
            limits.restore(state)
    with pytest.raises(ValueError, match="shape"):
        limits.update(0, 1, np.zeros((1, WIDTH), np.int64))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"distance": "psy", "above": 0.2}, "did you mean psi?"),
        ({"distance": "psi", "abov": 0.2}, "did you mean above?"),
        ({"distance": "psi"}, "above"),
        ({"distance": "psi", "above": float("nan")}, "positive number"),
        ({"distance": "ks", "above": 1.5}, "never above 1"),
        ({"distance": "psi", "above": 0.2, "events": 5}, "30 or more"),
    ],
)
def test_what_is_no_rule_says_what_was_meant(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")):
        distance_rule_of(given)
