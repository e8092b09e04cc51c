"""Prometheus' and Alertmanager's files: sound, tested, of metrics that exist, each alert with its paragraph."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from support.prometheus import ROOT, RULES, succeeds, tool, unknown_in, unknown_labels

HERE: Final = ROOT / "deploy" / "prometheus"
ALERTS: Final = [rule for rule in RULES if "alert" in rule]


def test_the_rules_are_sound_and_pass_their_tests(tmp_path: Path) -> None:
    promtool = tool("promtool")
    shutil.copytree(HERE, tmp_path / "prometheus")
    succeeds(promtool, "check", "config", "prometheus.yml", cwd=tmp_path / "prometheus")
    succeeds(promtool, "test", "rules", "rules_test.yml", cwd=tmp_path / "prometheus")


def test_the_rules_tests_can_fail(tmp_path: Path) -> None:
    promtool = tool("promtool")
    shutil.copytree(HERE, tmp_path / "prometheus")
    rules = tmp_path / "prometheus" / "rules.yml"
    rules.write_text(rules.read_text().replace("driftline_react_active) == 0", "driftline_react_active) == 7"))
    with pytest.raises(AssertionError, match="DriftlineReactInactive"):
        succeeds(promtool, "test", "rules", "rules_test.yml", cwd=tmp_path / "prometheus")


def test_alertmanager_takes_its_file() -> None:
    succeeds(tool("amtool"), "check-config", "alertmanager.yml", cwd=ROOT / "deploy" / "alertmanager")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule.get("alert") or rule.get("record")))
def test_a_rule_is_of_metrics_that_exist(rule: dict[str, Any]) -> None:
    """Mutation: misspell a metric in rules.yml; it is found here."""
    assert unknown_in(rule["expr"]) == set()
    assert unknown_labels(rule["expr"]) == set()


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert rule["annotations"]["summary"].endswith(".")
    name = rule["alert"]
    assert rule["annotations"]["runbook"] == f"docs/operations.md#{name.lower()}"
    page = (ROOT / "docs/operations.md").read_text()
    assert f"\n### {name}\n" in page


def test_every_alert_has_a_unit_test_that_fires_and_one_that_does_not() -> None:
    tests = yaml.safe_load((HERE / "rules_test.yml").read_text())["tests"]
    checks = [check for test in tests for check in test.get("alert_rule_test", ())]
    names = {rule["alert"] for rule in ALERTS}
    assert {check["alertname"] for check in checks if check.get("exp_alerts")} == names
    assert {check["alertname"] for check in checks if not check.get("exp_alerts")} == names
    summaries = {rule["alert"]: rule["for"] for rule in ALERTS if "for" in rule}
    assert len(summaries) >= 12, "an alert that fires on one look is an exception"


def test_alertmanager_inhibits_what_there_is() -> None:
    names = {rule["alert"] for rule in ALERTS}
    rules = yaml.safe_load((ROOT / "deploy/alertmanager/alertmanager.yml").read_text())["inhibit_rules"]
    for rule in rules:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            pattern = re.search(r'"(.+)"', matcher)
            assert pattern and any(re.fullmatch(pattern[1], name) for name in names), matcher
