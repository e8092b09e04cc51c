"""What react tells, as metrics and log events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from driftline.contracts.reactions import Alert
from driftline.react.causes import rank
from driftline.react.draft import Note, Said
from driftline.react.incident import Incident
from driftline.react.notify.hiding import hidden_text
from driftline.react.observe import ReactObserver
from driftline.react.state import Model, State
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
        self.stands(State())

    def stands(self, state: State) -> None:
        """The gravest incidents have the room that the label `model` leaves."""
        counts = Counter(
            (model.name, incident.cause, incident.severity)
            for model in state.models.values()
            for incident in _incidents_of(model)
        )
        ranked = sorted(counts.items(), key=lambda item: (-rank(item[0][2]), item[0]))
        self._metrics.show(
            "driftline_incidents_open",
            [({"model": model, "cause": cause, "severity": severity}, n) for (model, cause, severity), n in ranked],
        )

    def said(self, said: Said) -> None:
        """A log is read by more people than the topic: it names no category and no value, whatever messages may."""
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
                sentence=hidden_text(said.sentence),
            )
        else:
            self._metrics.inc("driftline_retraining_requests_total", rule=said.rule)

    def noted(self, note: Note) -> None:
        log(note.event, **note.fields)

    def pending(self, receiver: str, notifications: int) -> None:
        self._metrics.set("driftline_notifications_pending", notifications, receiver=receiver)

    def dropped(self, receiver: str, id: str) -> None:
        self._metrics.inc("driftline_notifications_total", receiver=receiver, outcome="dropped")
        log("notification.dropped", receiver=receiver, id=id)

    def notified(self, receiver: str, id: str, outcome: str, detail: str) -> None:
        self._metrics.inc("driftline_notifications_total", receiver=receiver, outcome=outcome)
        log(f"notification.{outcome}", receiver=receiver, id=id, detail=detail)


def _incidents_of(model: Model) -> Iterator[Incident]:
    for version in model.versions.values():
        yield from version.incidents.values()
