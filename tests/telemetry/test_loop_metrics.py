"""What the loop tells is declared, and a released partition's gauges go."""

from __future__ import annotations

import pytest

from driftline.clock import ManualClock
from driftline.runtime.observe import Observer
from driftline.telemetry.loop_metrics import LoopMetrics
from driftline.telemetry.metrics import Metrics
from driftline.telemetry.progress import Progress


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(5_000)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(process=False)


@pytest.fixture
def observer(metrics: Metrics, clock: ManualClock) -> LoopMetrics:
    return LoopMetrics("ingest", metrics, Progress(60, clock), clock)


def test_every_hook_is_answered_with_declared_names(observer: LoopMetrics, metrics: Metrics) -> None:
    observer.beat()
    observer.owned("ingest", 1, 10, 2)
    observer.folded("ingest", 1, 100, 0.1)
    observer.committed("ingest", 1, "applied", 1_000)
    observer.published("ingest", 1, 5, 2)
    observer.position("ingest", 1, 110, 150)
    observer.state_lost("ingest", 1, "gone")
    observer.gap("ingest", 1, "gap")
    observer.config_changed("ingest", 1)
    observer.quarantined("ingest", 1, "field")
    observer.paused("ingest", 1, "dead_letter_rate", 2.0)
    observer.fold_failed("ingest", 1, 3, "boom")
    observer.stalled("ingest", 1, 3, 9)
    assert metrics.value("driftline_records_total", stage="ingest") == 100
    assert metrics.value("driftline_dead_letters_total", stage="ingest") == 2
    assert metrics.value("driftline_lag_records", stage="ingest", partition=1) == 40
    assert metrics.value("driftline_paused", stage="ingest", partition=1) == 1
    assert metrics.value("driftline_partitions_owned", stage="ingest") == 1
    assert metrics.value("driftline_last_progress_timestamp_seconds", stage="ingest") == 5
    observer.resumed("ingest", 1)
    assert metrics.value("driftline_paused", stage="ingest", partition=1) == 0


def test_no_hook_is_left_out() -> None:
    hooks = {name for name in vars(Observer) if not name.startswith("_")}
    assert hooks <= set(vars(LoopMetrics))


def test_a_released_partition_reports_no_lag(observer: LoopMetrics, metrics: Metrics) -> None:
    observer.owned("ingest", 1, 0, 0)
    observer.position("ingest", 1, 0, 50)
    observer.released("ingest", 1, "revoked")
    assert b'partition="1"' not in metrics.render()
    assert metrics.value("driftline_partitions_owned", stage="ingest") == 0


def test_an_end_of_log_that_lags_behind_is_no_negative_lag(observer: LoopMetrics, metrics: Metrics) -> None:
    observer.position("ingest", 1, 60, 50)
    assert metrics.value("driftline_lag_records", stage="ingest", partition=1) == 0


def test_retries_are_logged_ever_more_seldom(observer: LoopMetrics, caplog: pytest.LogCaptureFixture) -> None:
    for attempt in range(1, 101):
        observer.retrying("ingest", "commit", attempt, "away")
    assert [record.__dict__["fields"]["attempt"] for record in caplog.records] == [1, 10, 20, 40, 80]
