"""What the consumer loop tells, as metrics, log events and progress."""

from __future__ import annotations

from driftline.clock import Clock
from driftline.runtime.observe import Observer
from driftline.runtime.stage import Counts
from driftline.telemetry.logs import log
from driftline.telemetry.metrics import Metrics
from driftline.telemetry.progress import Progress


class LoopMetrics(Observer):
    """One for each stage's loop. Retries are logged when they begin and at attempts 10, 20, 40 ..., not each."""

    def __init__(self, stage: str, metrics: Metrics, progress: Progress, clock: Clock) -> None:
        self._stage = stage
        self._metrics = metrics
        self._progress = progress
        self._clock = clock
        self._owned = 0
        self._owning(0)

    def _owning(self, change: int) -> None:
        self._owned = max(0, self._owned + change)
        self._metrics.set("driftline_partitions_owned", self._owned, stage=self._stage)

    def beat(self) -> None:
        self._progress.beat(self._stage)
        self._metrics.set(
            "driftline_last_progress_timestamp_seconds", self._clock.now_ms() / 1000, stage=self._stage
        )

    def folded(self, stage: str, partition: int, records: int, seconds: float) -> None:
        self._metrics.inc("driftline_records_total", records, stage=stage)
        self._metrics.observe("driftline_batch_records", records, stage=stage)
        self._metrics.observe("driftline_batch_seconds", seconds, stage=stage)

    def committed(self, stage: str, partition: int, verdict: str, size: int) -> None:
        self._metrics.inc("driftline_commits_total", stage=stage, verdict=verdict)
        self._metrics.observe("driftline_commit_bytes", size, stage=stage)

    def counted(self, stage: str, partition: int, counts: Counts) -> None:
        on = {"stage": stage, "partition": str(partition)}
        for (name, value), count in counts.items():
            metric = self._metrics.declared(name)
            labels = {label: on.get(label, value) for label in metric.label_names}
            emit = self._metrics.inc if metric.kind == "counter" else self._metrics.set
            emit(name, count, **labels)

    def published(self, stage: str, partition: int, records: int, dead_letters: int) -> None:
        self._metrics.inc("driftline_published_total", records, stage=stage)
        if dead_letters:
            self._metrics.inc("driftline_dead_letters_total", dead_letters, stage=stage)

    def position(self, stage: str, partition: int, next_offset: int, end: int | None) -> None:
        self._metrics.set("driftline_position", next_offset, stage=stage, partition=partition)
        if end is not None:
            # A broker's end of log may lag behind the truth: that is no negative lag.
            lag = max(0, end - next_offset)
            self._metrics.set("driftline_lag_records", lag, stage=stage, partition=partition)

    def owned(self, stage: str, partition: int, start: int, again: int) -> None:
        self._owning(+1)
        self._metrics.inc("driftline_rebalances_total", stage=stage, what="assigned")
        if again:
            self._metrics.inc("driftline_refolded_total", again, stage=stage)
        self._metrics.set("driftline_position", start, stage=stage, partition=partition)
        self._metrics.set("driftline_paused", 0, stage=stage, partition=partition)
        log("partition.owned", stage=stage, partition=partition, start=start, again=again)

    def released(self, stage: str, partition: int, reason: str) -> None:
        self._owning(-1)
        self._metrics.inc("driftline_rebalances_total", stage=stage, what=reason)
        self._metrics.forget(stage=stage, partition=partition)
        log("partition.released", stage=stage, partition=partition, reason=reason)

    def state_lost(self, stage: str, partition: int, detail: str) -> None:
        self._metrics.inc("driftline_state_lost_total", stage=stage)
        log("state.lost", stage=stage, partition=partition, detail=detail)

    def gap(self, stage: str, partition: int, detail: str) -> None:
        self._metrics.inc("driftline_log_gaps_total", stage=stage)
        log("log.gap", stage=stage, partition=partition, detail=detail)

    def config_changed(self, stage: str, partition: int) -> None:
        log("config.changed", stage=stage, partition=partition)

    def quarantined(self, stage: str, partition: int, field: str) -> None:
        self._metrics.inc("driftline_state_quarantined_total", stage=stage)
        log("state.quarantined", stage=stage, partition=partition, field=field)

    def paused(self, stage: str, partition: int, reason: str, seconds: float | None) -> None:
        self._metrics.set("driftline_paused", 1, stage=stage, partition=partition)
        log("partition.paused", stage=stage, partition=partition, reason=reason, seconds=seconds)

    def resumed(self, stage: str, partition: int) -> None:
        self._metrics.set("driftline_paused", 0, stage=stage, partition=partition)
        log("partition.resumed", stage=stage, partition=partition)

    def retrying(self, stage: str, what: str, attempt: int, error: str) -> None:
        self._metrics.inc("driftline_retries_total", stage=stage, what=what)
        if attempt == 1 or (attempt % 10 == 0 and (attempt // 10).bit_count() == 1):
            log("call.retrying", stage=stage, what=what, attempt=attempt, error=error)

    def fold_failed(self, stage: str, partition: int, offset: int, error: str) -> None:
        self._metrics.inc("driftline_fold_failures_total", stage=stage)
        log("fold.failed", stage=stage, partition=partition, offset=offset, error=error)

    def stalled(self, stage: str, partition: int, position: int, end: int) -> None:
        self._metrics.inc("driftline_stalls_total", stage=stage)
        log("partition.stalled", stage=stage, partition=partition, position=position, end=end)
