"""Detectors by name: what is taken, what is refused and how, and what they do to a monitor."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from driftline.stats.change import Change
from driftline.stats.detector_rules import BINARY, GENERAL, DetectorRule, detector_of, parse
from driftline.stats.monitors import ModelMonitors
from driftline.stats.opinions import Opinions
from driftline.stats.river_state import freeze, thaw
from driftline.stats.settings import DetectionSettings
from stats.worlds import PER_PANE, judge, panes_of, profile_of

Floats = NDArray[np.float64]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("KSWN(alpha=0.1)", "did you mean KSWIN"),
        ("river.drift.KSWIN(alph=0.1)", "no parameter 'alph'; did you mean alpha"),
        ("KSWIN(0.1)", "by name"),
        ("KSWIN(alpha=2)", "Alpha must be between 0 and 1"),
        ("ADWIN(delta='x')", "must be real number"),
        ("KSWIN(alpha=open('x'))", "a number, a text"),
        ("KSWIN(alpha=(1).__class__)", "a number, a text"),
        ("KSWIN(window=[1.0])", "no parameter 'window'"),
        ("KSWIN(**{'alpha': 0.1})", "no parameter None"),
        ("KSWIN(window_size=1000000)", "bounded by 10,000"),
        ("os.system('true')", "no detector"),
        ("__import__('os').system('true')", "not of the form"),
        ("(lambda: 1)()", "not of the form"),
        ("river.anomaly.ADWIN()", "no detector"),
        ("ADWIN(); ADWIN()", "not of the form"),
        ("DriftRetrainingClassifier()", "no detector"),
        ("x" * 500, "200 characters"),
        ("(" * 150, "not of the form"),
    ],
)
def test_what_is_no_detector_is_refused_with_what_was_meant(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DetectorRule(monitor="error:rate", detector=text)


def test_nothing_that_is_named_is_ever_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: `eval(text)` in `parse`."""
    ran: list[str] = []
    monkeypatch.setattr("os.system", ran.append)
    for text in ("__import__('os').system('x')", "KSWIN(alpha=__import__('os').system('x'))"):
        with pytest.raises(ValueError):
            parse(text)
    assert not ran


@pytest.mark.parametrize(
    "name", [*GENERAL, *BINARY, "river.drift.KSWIN", "river.drift.binary.HDDM_A", "drift.ADWIN"]
)
def test_all_of_the_list_is_taken(name: str) -> None:
    rule = DetectorRule(monitor="*:rate", detector=name)
    assert rule.name.startswith("river.drift.")
    assert DetectorRule(monitor="*:rate", detector=f" {name}() ").name == rule.name


def test_zeros_and_ones_are_for_rates() -> None:
    with pytest.raises(ValueError, match="must end in :rate"):
        detector_of({"monitor": "features.*:distribution", "detector": "DDM()"})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"monitor": "*", "detectr": "ADWIN"}, "did you mean detector"),
        ({"monitor": "*"}, "detector"),
        ({"monitor": "*", "detector": "ADWIN", "role": "shout"}, "annotate"),
    ],
)
def test_rules_that_are_malformed_are_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        detector_of(given)


def test_fhddm_hears_what_is_right() -> None:
    """river's own, fed errors, never notices that they grow. Mutation: empty `opinions.MIRRORED`."""
    bits = np.concatenate([np.random.default_rng(0).random(500) < 0.1, np.random.default_rng(1).random(500) < 0.6])
    raw = parse("FHDDM()").make()
    rule = DetectorRule(monitor="error:rate", detector="FHDDM()")
    ours = Opinions([rule])
    heard = []
    for i, bit in enumerate(bits.tolist()):
        raw.update(bit)
        assert not raw.drift_detected
        if rule.name in ours.update(float(bit), i):
            heard.append(i)
    assert heard and 500 < heard[0] < 600


def test_state_that_is_not_plain_is_not_written() -> None:
    made = parse("KSWIN()").make()
    made.window.append(object())
    with pytest.raises(TypeError, match="without pickle"):
        freeze(made)


@pytest.mark.parametrize("evil", [["object", "Popen", {}], ["compiled", "os", [], b""], {"a": 1}, [1, 2]])
def test_state_names_no_class_outside_the_table(evil: object) -> None:
    made = parse("PageHinkley()").make()
    frozen = freeze(made)
    frozen[0] = evil
    with pytest.raises((ValueError, TypeError)):
        thaw(made, frozen)


def test_other_arguments_start_cold() -> None:
    one = [DetectorRule(monitor="*", detector="KSWIN(alpha=0.001)")]
    other = [DetectorRule(monitor="*", detector="KSWIN(alpha=0.002)")]
    heard = Opinions(one)
    for i in range(50):
        heard.update(float(i), i)
    moved = Opinions.from_bytes(heard.to_bytes(), other)
    assert moved.noticed.keys() == {"adwin", "page_hinkley", other[0].name}
    assert Opinions.from_bytes(moved.to_bytes(), other).to_bytes() == moved.to_bytes()


def _watched(rule: DetectorRule, values: Floats) -> tuple[ModelMonitors, list[tuple[int, Change]]]:
    """Two columns of the same values; the block e-detector is told to see nothing under 3 SD."""
    settings = DetectionSettings(detectors=(rule,), min_effect_sd=3.0)
    rng = np.random.default_rng(5)
    profile = profile_of({"x": rng.normal(size=20_000), "y": rng.normal(size=20_000)}, settings)
    monitors = ModelMonitors(profile, settings)
    return monitors, judge(monitors, "predictions", panes_of(profile, "predictions", {"x": values, "y": values}))


def test_a_detector_that_pages_raises_alarms_on_its_own_monitors() -> None:
    """Mutation: leave the rules out of `_pagers`."""
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(0.0, 1.0, 20_000), rng.normal(1.0, 1.0, 6_000)])
    _, changes = _watched(DetectorRule(monitor="x:*", detector="KSWIN(alpha=0.0001)", role="page"), values)
    alarms = [(at, change) for at, change in changes if change.state == "alarm"]
    assert [(change.monitor, change.evidence.detector if change.evidence else "") for _, change in alarms] == [
        ("x:distribution", "river.drift.KSWIN(alpha=0.0001, seed=0)")
    ]
    assert 200 < alarms[0][0] < 240


def test_row_46_a_detector_that_may_page_no_more_ends_its_alarm_with_a_reason() -> None:
    """And only its own. Mutation: leave `raised` out of StreamMonitors.from_state; the alarm lasts."""
    rng = np.random.default_rng(6)
    values = np.concatenate([rng.normal(0.0, 1.0, 20_000), rng.normal(1.0, 1.0, 6_000)])
    rule = DetectorRule(monitor="x:*", detector="KSWIN(alpha=0.0001)", role="page")
    _, ((alarmed, _), *_) = _watched(rule, values)
    monitors, changes = _watched(rule, values[: (alarmed + 1) * PER_PANE])
    assert [change.state for _, change in changes] == ["alarm"]
    data = monitors.to_bytes()
    same = ModelMonitors.from_bytes(monitors.profile, DetectionSettings(detectors=(rule,), min_effect_sd=3.0), data)
    assert same.to_bytes() == data
    until = 10**12
    assert [c for c in same.elapse(until) if c.monitor == "x:distribution"] == []
    after = ModelMonitors.from_bytes(monitors.profile, DetectionSettings(min_effect_sd=3.0), data)
    (over,) = [c for c in after.elapse(until) if c.monitor == "x:distribution"]
    assert over.state == "resolved"
    assert "KSWIN" in over.sentence and "configuration" in over.sentence
    assert [c for c in after.elapse(until + 1) if c.monitor == "x:distribution"] == []
    assert "x:distribution" not in [status.monitor for status in after.describe() if status.alarm]


def test_a_detector_that_annotates_stands_beside() -> None:
    rule = DetectorRule(monitor="x:*", detector="river.drift.KSWIN(alpha=0.001)")
    monitors, changes = _watched(rule, np.random.default_rng(7).normal(size=12_000))
    assert not changes
    names = {status.monitor: set(status.opinions) for status in monitors.describe()}
    assert names["x:distribution"] == {"adwin", "page_hinkley", "river.drift.KSWIN(alpha=0.001, seed=0)"}
    assert names["y:distribution"] == {"adwin", "page_hinkley"}
