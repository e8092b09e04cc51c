"""Columns that go together in the reference."""

from __future__ import annotations

import numpy as np

from driftline.stats.reference import learn_section
from driftline.stats.settings import DetectionSettings
from stats.worlds import PANE, rows_of


def test_strongly_associated_columns_are_tied_by_rank() -> None:
    """Either way, and however they are scaled; missing values in one do not matter. Mutation: `r` without abs."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=8_000)
    noise = rng.normal(size=8_000)
    holes = np.where(rng.random(8_000) < 0.5, np.nan, 3.0 * x + 0.5 * noise)
    rows = rows_of(
        {
            "a": x,
            "b": np.exp(5.0 * x),
            "c": -x + 0.2 * noise,
            "d": x + rng.normal(size=8_000),
            "e": noise,
            "f": holes,
            "g": np.ones(8_000),
        }
    )
    section = learn_section("predictions", rows, PANE, DetectionSettings())
    assert section.tied == [("a", "b"), ("a", "c"), ("a", "f"), ("b", "c"), ("b", "f"), ("c", "f")]
