"""Metrics are a contract: declared, typed, documented, and nothing else."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from driftline.telemetry.declared_events import EVENTS
from driftline.telemetry.declared_labels import MODEL
from driftline.telemetry.declared_metrics import METRICS
from driftline.telemetry.metric import MAX_VALUE, OTHER, Metric, capped
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
        labels = dict.fromkeys(metric.label_names, "x")
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


def test_row_37_every_label_has_a_cap_and_none_is_free_text() -> None:
    """Mutation: declare driftline_panes_total with capped("model", 0); it is found here."""
    for metric in METRICS:
        for label in metric.labels:
            assert 0 < label.most <= 1_024, (metric.name, label.name)
            assert not (label.values and label.cap), (metric.name, label.name)
    names = {label.name for metric in METRICS for label in metric.labels}
    assert names.isdisjoint({"model_version", "feature", "monitor", "id", "topic", "key"})
    with_model = [metric.name for metric in METRICS if "model" in metric.label_names]
    assert with_model == ["driftline_incidents_open"]


def test_row_37_a_value_beyond_the_cap_is_other(metrics: Metrics) -> None:
    """Mutation: let Metrics._value return the value at the cap, too; a hundred and first model has a series."""
    told = [({"model": f"m{i}", "cause": "data", "severity": "error"}, 1.0) for i in range(MODEL.cap + 7)]
    metrics.show("driftline_incidents_open", told)
    series = {"cause": "data", "severity": "error"}
    assert metrics.value("driftline_incidents_open", model="m0", **series) == 1
    assert metrics.value("driftline_incidents_open", model=OTHER, **series) == 7
    assert metrics.value("driftline_label_overflow_total", metric="driftline_incidents_open") == 7
    assert metrics.render().decode().count("driftline_incidents_open{") == MODEL.cap + 1


def test_row_37_a_value_that_is_not_listed_is_other(metrics: Metrics) -> None:
    metrics.inc("driftline_refused_total", reason="moon_phase")
    assert metrics.value("driftline_refused_total", reason=OTHER) == 1
    assert metrics.value("driftline_label_overflow_total", metric="driftline_refused_total") == 1
    with pytest.raises(UndeclaredMetric):
        Metrics(process=False, strict=True).inc("driftline_refused_total", reason="moon_phase")


def test_what_has_not_happened_yet_stands_at_zero(metrics: Metrics) -> None:
    """Else the first time is no increase.

    Mutation: leave the loop over declared counters out of Metrics.__init__; there is no such line."""
    text = metrics.render().decode()
    assert 'driftline_state_lost_total{stage="judge"} 0.0' in text
    assert 'driftline_refused_total{reason="future"} 0.0' in text
    assert text.count("\ndriftline_") < 500


def test_a_long_value_is_cut(metrics: Metrics) -> None:
    told = {"model": "m" * 10_000, "cause": "data", "severity": "error"}
    metrics.show("driftline_incidents_open", [(told, 1)])
    assert f'model="{"m" * MAX_VALUE}"' in metrics.render().decode()


def test_what_is_shown_replaces_what_was(metrics: Metrics) -> None:
    """Room at the cap comes back with it."""
    for round_ in range(3):
        told = [({"model": f"m{round_}-{i}", "cause": "data", "severity": "error"}, 2.0) for i in range(MODEL.cap)]
        metrics.show("driftline_incidents_open", told)
    assert metrics.value("driftline_incidents_open", model="m2-0", cause="data", severity="error") == 2
    assert metrics.render().decode().count("driftline_incidents_open{") == MODEL.cap
    metrics.show("driftline_incidents_open", [])
    assert "driftline_incidents_open{" not in metrics.render().decode()
    with pytest.raises(UndeclaredMetric):
        metrics.show("driftline_panes_total", [])
    with pytest.raises(UndeclaredMetric):
        metrics.show("driftline_incidents_open", [({"model": "m"}, 1)])


def test_room_of_a_partition_that_was_released_is_free_again() -> None:
    few = Metric("driftline_few", "gauge", "", (capped("partition", 2),), "Few.")
    metrics = Metrics((few,), process=False, strict=True)
    for partition in range(10):
        metrics.set("driftline_few", 1, partition=partition)
        metrics.forget(partition=partition)
    metrics.set("driftline_few", 1, partition=10)
    metrics.set("driftline_few", 1, partition=11)
    with pytest.raises(UndeclaredMetric):
        metrics.set("driftline_few", 1, partition=12)


def test_a_process_has_a_bounded_number_of_series() -> None:
    """Of those that do not grow with partitions; a histogram's buckets left out."""
    fixed = {metric.name: metric.most_series for metric in METRICS if "partition" not in metric.label_names}
    assert fixed["driftline_incidents_open"] <= 5_000
    assert sum(fixed.values()) <= 6_000
    room = next(m for m in METRICS if m.name == "driftline_label_overflow_total").labels[0].cap
    assert room >= sum(bool(metric.labels) for metric in METRICS)


def literals(function: str) -> Iterator[tuple[str, str]]:
    """(where, first argument) of every call of `function` with a literal, in all of our code."""
    for file in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not node.args or not isinstance(node.args[0], ast.Constant):
                continue
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == function and isinstance(node.args[0].value, str):
                yield f"{file.name}:{node.lineno}", node.args[0].value


def test_our_code_names_declared_metrics_only_and_all_of_them() -> None:
    """A metric that nothing emits would be a promise of a dashboard that stays empty."""
    declared = {metric.name for metric in METRICS}
    named = {
        node.value: f"{file.name}:{node.lineno}"
        for file in SOURCE.rglob("*.py")
        if not file.name.startswith("declared_")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"driftline_[a-z_]+", node.value)
    }
    assert {name: where for name, where in named.items() if name not in declared} == {}
    assert declared - named.keys() == set()


def test_our_code_names_declared_events_only() -> None:
    declared = {event.name for event in EVENTS}
    used = [use for use in literals("log") if "." in use[1]]
    assert used
    assert [(where, name) for where, name in used if name not in declared] == []
