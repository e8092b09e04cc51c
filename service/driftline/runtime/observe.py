"""Hooks of the consumer loop, all no-ops: telemetry overrides the ones it wants (`telemetry/loop_metrics.py`)."""

from __future__ import annotations

from driftline.runtime.stage import Counts


class Observer:
    """Told what happens in a loop. Methods must be quick and must not raise."""

    def beat(self) -> None:
        """The loop has gone round: it is alive and not stuck."""

    def folded(self, stage: str, partition: int, records: int, seconds: float) -> None: ...

    def committed(self, stage: str, partition: int, verdict: str, size: int) -> None: ...

    def counted(self, stage: str, partition: int, counts: Counts) -> None:
        """What a fold has counted (`Folded.counts`), after its write."""

    def published(self, stage: str, partition: int, records: int, dead_letters: int) -> None: ...

    def position(self, stage: str, partition: int, next_offset: int, end: int | None) -> None: ...

    def owned(self, stage: str, partition: int, start: int, again: int) -> None:
        """A partition was taken over, to read on at `start` after folding `again` ranges once more."""

    def released(self, stage: str, partition: int, reason: str) -> None: ...

    def state_lost(self, stage: str, partition: int, detail: str) -> None: ...

    def gap(self, stage: str, partition: int, detail: str) -> None: ...

    def config_changed(self, stage: str, partition: int) -> None:
        """The state was written under other settings that change results: it goes on under ours."""

    def quarantined(self, stage: str, partition: int, field: str) -> None: ...

    def paused(self, stage: str, partition: int, reason: str, seconds: float | None) -> None: ...

    def resumed(self, stage: str, partition: int) -> None: ...

    def retrying(self, stage: str, what: str, attempt: int, error: str) -> None: ...

    def fold_failed(self, stage: str, partition: int, offset: int, error: str) -> None:
        """`error` is an `errors.origin`, or a reason: nothing of the record."""

    def stalled(self, stage: str, partition: int, position: int, end: int) -> None: ...
