"""What react tells, as metrics and log events."""

from __future__ import annotations

from driftline.contracts.reactions import Alert
from driftline.react.draft import Note, Said
from driftline.react.observe import ReactObserver
from driftline.telemetry.logs import log
from driftline.telemetry.loop_metrics import LoopMetrics


class ReactMetrics(LoopMetrics, ReactObserver):
    """As `LoopMetrics`, and what only react has to say."""

    def owned(self, stage: str, partition: int, start: int, again: int) -> None:
        super().owned(stage, partition, start, again)
        self._metrics.set("driftline_react_active", 1)

    def released(self, stage: str, partition: int, reason: str) -> None:
        super().released(stage, partition, reason)
        self._metrics.set("driftline_react_active", 0)

    def said(self, said: Said) -> None:
        if isinstance(said, Alert):
            self._metrics.inc("driftline_alerts_total", cause=said.cause, status=said.status)
            log(
                "alert.published",
                id=said.id,
                model=said.model,
                version=said.version,
                cause=said.cause,
                status=said.status,
                severity=said.severity,
                sentence=said.sentence,
            )
        else:
            self._metrics.inc("driftline_retraining_requests_total", rule=said.rule)

    def noted(self, note: Note) -> None:
        log(note.event, **note.fields)

    def pending(self, notifications: int) -> None:
        self._metrics.set("driftline_notifications_pending", notifications)

    def dropped(self, id: str) -> None:
        self._metrics.inc("driftline_notifications_total", outcome="dropped")
        log("notification.dropped", id=id)

    def notified(self, id: str, outcome: str, detail: str) -> None:
        self._metrics.inc("driftline_notifications_total", outcome=outcome)
        log(f"notification.{outcome}", id=id, detail=detail)
