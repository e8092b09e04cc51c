"""How well each version was expected to do before outcomes were known, and how well it did: as judge keeps it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from driftline.config import Config
from driftline.contracts.times import rfc3339
from driftline.judge.periods import readings
from driftline.judged import Judged
from driftline.stats.performance import Figures, Reading
from driftline.wiring import detection_settings, redis_store


async def foretold_rows(config: Config, model: str) -> list[dict[str, Any]]:
    """A row for each version and month; of the days that judge keeps."""
    store = redis_store(config)
    try:
        judged = Judged(store, config.topics.partitions.blocks, detection_settings(config))
        versions = await judged.versions(model)
    finally:
        await store.close()
    return [_row(state.version, one) for state in versions for one in readings(state.scorecard, "month")]


def _row(version: str, one: Reading) -> dict[str, Any]:
    row: dict[str, Any] = {
        "version": version,
        "month": rfc3339(one.start)[:7],
        "predictions": one.predictions,
        "outcomes": one.pairs,
    }
    for name, figures in (("estimated", one.estimated), ("measured", one.measured), ("expected", one.hoped)):
        row[name] = _figures(figures)
    return row


def _figures(figures: Figures) -> dict[str, dict[str, float]]:
    """`bar`: two standard errors."""
    return {metric: {"value": one.value, "bar": 2.0 * one.error} for metric, one in figures.items()}


def counted(rows: Sequence[Mapping[str, Any]], version: str) -> tuple[int, int]:
    """(predictions, outcomes) that the rows of a version rest on."""
    mine = [row for row in rows if row["version"] == version]
    return sum(row["predictions"] for row in mine), sum(row["outcomes"] for row in mine)
