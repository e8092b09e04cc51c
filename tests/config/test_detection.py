"""Hard limits and detectors in the configuration: from YAML or the environment to what judge is given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from driftline.backtest.tune import ARL0_DAYS, settings_around
from driftline.config import Config, load
from driftline.config.describe import in_force
from driftline.errors import Misconfigured
from driftline.wiring import detection_settings, ingest_settings

FILE = """
detection:
  limits:
    - {model: 'churn*', metric: false_negative_rate, at_most: 0.005, min_count: 200}
    - metric: share_above
      column: latency_ms
      value: 200
      at_most: 0.01
  detectors:
    - {monitor: 'features.*:distribution', detector: 'river.drift.KSWIN(alpha=0.001)'}
    - {monitor: 'error:rate', detector: HDDM_A, role: page, model: fraud}
  positive_class: {'churn*': left}
"""


def config_of(text: str, tmp_path: Path) -> Config:
    file = tmp_path / "driftline.yaml"
    file.write_text(text, encoding="utf-8")
    return load(file, {}).config


def test_limits_and_detectors_reach_the_models_they_are_for(tmp_path: Path) -> None:
    config = config_of(FILE, tmp_path)
    settings = detection_settings(config)
    churn, fraud = settings.for_model("churn-eu"), settings.for_model("fraud")
    assert [rule.monitor for rule in churn.limits] == [
        "false_negative:false_negative_rate <= 0.005",
        "latency_ms:share_above 200 <= 0.01",
    ]
    assert [rule.min_count for rule in churn.limits] == [200, 100]
    assert [rule.monitor for rule in fraud.limits] == ["latency_ms:share_above 200 <= 0.01"]
    assert [(rule.name, rule.role) for rule in fraud.detectors] == [
        ("river.drift.KSWIN(alpha=0.001, seed=0)", "annotate"),
        ("river.drift.binary.HDDMA()", "page"),
    ]
    assert (churn.positive_class, fraud.positive_class) == ({"*": "left"}, {})
    assert ingest_settings(config, 1, 1, 1).positive_class == {"churn*": "left"}
    assert churn.for_model("churn-eu") == churn


def test_the_environment_gives_them_as_json() -> None:
    limits = [{"metric": "error_rate", "at_most": 0.1}]
    loaded = load(None, {"DRIFTLINE_DETECTION__LIMITS": json.dumps(limits)})
    assert detection_settings(loaded.config).limits[0].monitor == "error:error_rate <= 0.1"
    shown = {".".join(path): text for path, text, _ in in_force(loaded)}
    assert shown["detection.limits"] == "{metric: error_rate, at_most: 0.1}"
    assert loaded.config.redacted()["detection"]["limits"] == limits


def test_a_fleet_has_one_budget_in_days_or_events(tmp_path: Path) -> None:
    """Mutation: no `fleet_models` in `wiring.detection_settings`."""
    days = detection_settings(config_of("detection: {arl0_days: 7, fleet_models: 40}", tmp_path))
    assert (days.asked, days.arl0, days.unit) == (7.0, 280.0, "days")
    events = detection_settings(config_of("detection: {arl0_events: 1e6, fleet_models: 40}", tmp_path))
    assert (events.asked, events.arl0, events.unit) == (1e6, 4e7, "events")
    one = config_of("detection: {fleet_models: 1}", tmp_path)
    assert detection_settings(one).arl0 == detection_settings(Config()).arl0 == 30.0
    assert one.fingerprint("judge") != Config().fingerprint("judge")


def test_settings_that_are_tried_are_those_of_the_fleet(tmp_path: Path) -> None:
    config = config_of("detection: {arl0_days: 7, fleet_models: 40}", tmp_path)
    tried = {detection_settings(setting.of(config)).arl0 for setting in settings_around(config)}
    assert tried == {280.0, *(40.0 * days for days in ARL0_DAYS)}


def test_a_limit_belongs_to_the_fingerprints_of_both_stages(tmp_path: Path) -> None:
    """Of ingest too: one on a segment says what blocks count."""
    config = config_of("detection: {limits: [{metric: error_rate, at_most: 0.1}]}", tmp_path)
    assert config.fingerprint("judge") != Config().fingerprint("judge")
    assert config.fingerprint("ingest") != Config().fingerprint("ingest")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fleet_models: 0", "detection.fleet_models"),
        ("fleet_models: 2.5", "detection.fleet_models"),
        ("fleet_model: 5", "did you mean detection.fleet_models"),
        ("limits: [{metric: fnr, at_most: 0.1}]", "there is no metric 'fnr'"),
        ("limits: [{metric: error_rat, at_most: 0.1}]", "did you mean error_rate"),
        ("limits: [{metric: error_rate, atmost: 0.1}]", "a limit has no 'atmost'; did you mean at_most"),
        ("limits: [{metric: error_rate, at_most: 0.1}, {metric: loss, at_most: 7}]", "detection.limits.1"),
        ("limits: {metric: error_rate, at_most: 0.1}", "detection.limits"),
        ("detectors: [{monitor: 'error:rate', detector: KSWN}]", "did you mean KSWIN"),
        ("detectors: [{monitor: 'error:rate', detector: 'KSWIN(alpa=1)'}]", "did you mean alpha"),
        ("detectors: [{monitor: 'error:rate', detector: 'ADWIN', role: pager}]", "annotate or page"),
    ],
)
def test_mistakes_are_told_with_their_place_and_what_was_meant(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(Misconfigured) as caught:
        config_of(f"detection: {{{text}}}", tmp_path)
    assert said in str(caught.value)
