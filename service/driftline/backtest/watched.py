"""What the judges hold at the end: which monitors there were, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from driftline.backtest.result import Result
from driftline.judge.model import load_models
from driftline.stats.settings import DetectionSettings


def look_at(result: Result, slots: Sequence[Mapping[str, bytes]], detection: DetectionSettings) -> None:
    """Put monitors, tallies and late events into the result."""
    for fields in slots:
        models, _ = load_models(fields, detection)
        for key, model in models.items():
            result.tallies.update(model.tallies)
            if model.monitors is not None:
                result.watched[key] = {s.monitor: (s.n, s.why_not) for s in model.monitors.describe()}
    result.summary.late = result.tallies["late"] + result.tallies["backfilled"]
