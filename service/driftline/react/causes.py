"""What monitors have in common, and which is graver."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from driftline.contracts.reactions import Alert, Cause, Witnessed
from driftline.contracts.records import Severity

_ERRORS: Final = frozenset({"error", "loss", "abs_error", "false_negative", "false_positive", "false_discovery"})
_ANSWERS: Final = frozenset({"prediction", "score"})
SEGMENTS: Final = "segments."
"""Monitors of who gets which answers."""
_QUALITY: Final = frozenset(
    {"schema", "cardinality", "quality", "constant", "freshness", "duplicates", "silence", "flood"}
)
_RANKS: Final[dict[Severity, int]] = {"critical": 3, "error": 2, "warning": 1, "info": 0}


def cause_of(monitor: str) -> Cause:
    """The cause a monitor (`column:kind`) speaks for."""
    column, _, kind = monitor.rpartition(":")
    if monitor.startswith("system:"):
        return "service"
    if kind in _QUALITY or kind.startswith("missing_share "):  # a hard limit is named after its metric
        return "quality"
    if column in _ERRORS:
        return "performance"
    if column in _ANSWERS or column.startswith(("scores.", SEGMENTS)):
        return "prediction"
    return "data"


def column_of(monitor: str) -> str:
    return monitor.rpartition(":")[0]


def rank(severity: Severity) -> int:
    return _RANKS[severity]


def gravest(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=rank, default="info")


def by_gravity(firing: Iterable[Witnessed]) -> list[Witnessed]:
    """The gravest first; among equals the one with more evidence, then by name."""
    return sorted(firing, key=lambda w: (-rank(w.severity), -(w.log_evidence or 0.0), w.monitor))


def compared(alert: Alert) -> bool:
    """Whether it says what has become of a deployment. Its incident was never open, so nothing is over by it."""
    return alert.cause == "retraining" and "verdict" in alert.details
