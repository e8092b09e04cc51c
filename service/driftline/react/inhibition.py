"""Inhibition: a broken pipeline explains the drift it causes, so only the first is told while it lasts.

An incident of data or predictions is explained by the incident of quality of the same model version, where that has
each of its columns, or is of the whole stream: no events, or outcomes that are late. What columns do together is
explained by any broken one. Errors are never explained away: they are what it costs.
"""

from __future__ import annotations

from typing import Final

from driftline.react.causes import column_of
from driftline.react.incident import Incident

WHOLE: Final = frozenset({"silence", "freshness"})
EXPLAINED: Final = frozenset({"data", "prediction"})
TOGETHER: Final = "features"
"""The column of the monitor that asks what columns do together."""


def explains(quality: Incident, other: Incident) -> bool:
    if other.cause not in EXPLAINED or quality.cause != "quality" or not quality.count:
        return False
    monitors = [*quality.firing, *quality.more]
    if any(monitor.rpartition(":")[2] in WHOLE for monitor in monitors):
        return True
    broken = {column_of(monitor) for monitor in monitors}
    if any(column.startswith("features.") for column in broken):
        broken.add(TOGETHER)
    return {column_of(monitor) for monitor in other.monitors} <= broken
