"""What the judges hold at the end: which monitors there were, and what was counted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from driftline.backtest.result import Result
from driftline.judge.stored import load_models
from driftline.stats.settings import DetectionSettings


def look_at(result: Result, slots: Sequence[Mapping[str, bytes]], detection: DetectionSettings) -> None:
    """Put monitors, tallies and late events into the result."""
    for fields in slots:
        models, _ = load_models(fields, detection)
        for key, model in models.items():
            result.tallies.update(model.tallies)
            if model.monitors is not None:
                status = model.monitors.describe()
                result.watched[key] = {one.monitor: (one.n, one.why_not) for one in status}
                result.delays += [one.delay for one in status if not one.why_not]
    result.summary.late = result.tallies["late"] + result.tallies["backfilled"]
