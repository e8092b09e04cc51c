"""What routes, silences and severities look at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from driftline.contracts.reactions import Alert, Cause
from driftline.contracts.records import Severity


@dataclass(frozen=True, slots=True)
class Subject:
    """An incident as it stands. `monitors`: all in alarm that are remembered by name; of a resolved one, the last."""

    model: str
    version: str
    cause: Cause
    severity: Severity
    team: str | None
    monitors: Sequence[str]


def of_alert(alert: Alert) -> Subject:
    """As much as an alert says of it: at most its ten gravest monitors."""
    return Subject(alert.model, alert.version, alert.cause, alert.severity, alert.team, alert.monitors)
