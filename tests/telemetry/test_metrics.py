"""Metrics are a contract: declared, typed, documented, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.telemetry.declared_events import EVENTS
from driftline.telemetry.declared_metrics import METRICS
from driftline.telemetry.metrics import Metrics, UndeclaredMetric

SOURCE = Path(__file__).parents[2] / "service" / "driftline"
UNITS = {"histogram": ("_seconds", "_bytes", "_records"), "counter": ("_total",)}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(process=False)


def test_a_declared_metric_is_emitted_and_rendered(metrics: Metrics) -> None:
    metrics.inc("driftline_records_total", 3, stage="ingest")
    metrics.inc("driftline_records_total", stage="ingest")
    metrics.set("driftline_lag_records", 7, stage="ingest", partition=0)
    metrics.observe("driftline_batch_seconds", 0.02, stage="judge")
    assert metrics.value("driftline_records_total", stage="ingest") == 4
    text = metrics.render().decode()
    assert 'driftline_records_total{stage="ingest"} 4.0' in text
    assert 'driftline_lag_records{partition="0",stage="ingest"} 7.0' in text
    assert 'driftline_batch_seconds_bucket{le="0.025",stage="judge"} 1.0' in text
    assert "_created" not in text


def test_row_37_an_undeclared_metric_or_label_is_refused(metrics: Metrics) -> None:
    """Mutation: drop the comparison of label names in Metrics._find; the label `model` is no longer our refusal."""
    with pytest.raises(UndeclaredMetric):
        metrics.inc("driftline_nothing_total")
    with pytest.raises(UndeclaredMetric):
        metrics.inc("driftline_records_total", stage="ingest", model="m")
    with pytest.raises(UndeclaredMetric):
        metrics.inc("driftline_records_total")
    with pytest.raises(UndeclaredMetric):
        metrics.value("driftline_nothing")


@pytest.mark.parametrize("verb", ["inc", "set", "observe"])
def test_a_verb_fits_one_kind_only(metrics: Metrics, verb: str) -> None:
    fitting = {"inc": "counter", "set": "gauge", "observe": "histogram"}[verb]
    for metric in METRICS:
        labels = dict.fromkeys(metric.labels, "x")
        if metric.kind == fitting:
            getattr(metrics, verb)(metric.name, 1, **labels)
        else:
            with pytest.raises(UndeclaredMetric):
                getattr(metrics, verb)(metric.name, 1, **labels)


def test_a_released_partition_is_forgotten_but_counters_stay(metrics: Metrics) -> None:
    for partition in (1, 2):
        metrics.set("driftline_lag_records", 9, stage="ingest", partition=partition)
    metrics.set("driftline_lag_records", 9, stage="judge", partition=1)
    metrics.inc("driftline_records_total", stage="ingest")
    metrics.forget(stage="ingest", partition=1)
    text = metrics.render().decode()
    assert 'driftline_lag_records{partition="1",stage="ingest"}' not in text
    assert 'driftline_lag_records{partition="2",stage="ingest"}' in text
    assert 'driftline_lag_records{partition="1",stage="judge"}' in text
    assert 'driftline_records_total{stage="ingest"}' in text
    metrics.set("driftline_lag_records", 1, stage="ingest", partition=1)
    assert metrics.value("driftline_lag_records", stage="ingest", partition=1) == 1


def test_instances_share_nothing() -> None:
    first, second = Metrics(process=False), Metrics(process=False)
    first.inc("driftline_panes_total")
    assert second.value("driftline_panes_total") == 0


def test_the_process_is_measured_too() -> None:
    assert b"process_start_time_seconds" in Metrics().render()


def test_names_are_unique_and_end_in_their_unit() -> None:
    names = [metric.name for metric in METRICS]
    assert len(names) == len(set(names))
    for metric in METRICS:
        assert re.fullmatch(r"driftline_[a-z_]+", metric.name)
        assert metric.meaning.endswith("."), metric.name
        assert not metric.action or metric.action.endswith("."), metric.name
        assert metric.name.endswith(UNITS.get(metric.kind, "")), metric.name
        assert (metric.kind == "histogram") == bool(metric.buckets), metric.name


def test_row_37_no_label_takes_a_name_that_others_choose() -> None:
    """Mutation: declare driftline_models with the label `model`; it is found here."""
    labels = {label for metric in METRICS for label in metric.labels}
    assert labels.isdisjoint({"model", "model_version", "feature", "monitor", "id", "topic", "key"})


def literals(function: str) -> Iterator[tuple[str, str]]:
    """(where, first argument) of every call of `function` with a literal, in all of our code."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == function and isinstance(node.args[0].value, str):
                yield f"{file.name}:{node.lineno}", node.args[0].value


def test_our_code_names_declared_metrics_only() -> None:
    declared = {metric.name for metric in METRICS}
    used = [use for verb in ("inc", "set", "observe") for use in literals(verb)]
    assert used
    assert [(where, name) for where, name in used if name.startswith("driftline_") and name not in declared] == []


def test_our_code_names_declared_events_only() -> None:
    declared = {event.name for event in EVENTS}
    used = [use for use in literals("log") if "." in use[1]]
    assert used
    assert [(where, name) for where, name in used if name not in declared] == []
