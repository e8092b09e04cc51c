"""A reference learnt anew from counts: units, panes and the bins of quality are those of rows."""

from __future__ import annotations

from functools import reduce
from operator import add

import numpy as np
import pytest

from driftline.stats.block import fold_rows
from driftline.stats.reference import learn_section
from driftline.stats.relearn import relearn_section
from driftline.stats.rows import Rows
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.shown import Shown
from stats.worlds import PANE, rows_of

SETTINGS = DetectionSettings()
PANES = 50
"""In a bucket."""


def anew(original: Section, rows: Rows) -> Section:
    panes = fold_rows(original.grid, rows)
    starts = sorted(panes)
    shown = [Shown.of(original, panes[start]) for start in starts]
    buckets = [reduce(add, shown[i : i + PANES]) for i in range(0, len(starts), PANES)]
    return relearn_section(original, buckets, starts[0], starts[-1] + PANE, PANES * PANE, SETTINGS)


def with_gaps(rng: np.random.Generator, n: int) -> Rows:
    x = rng.normal(size=n)
    half = np.where(rng.random(n) < 0.5, np.nan, rng.normal(size=n))
    return rows_of({"x": x, "half": half}, per=20)


def test_units_and_panes_are_about_those_of_the_rows() -> None:
    """Mutation: `panes=len(buckets)`, or `units=held`."""
    rows = with_gaps(np.random.default_rng(1), 40_000)
    original = learn_section("predictions", rows, PANE, SETTINGS)
    found = anew(original, rows)
    assert (found.panes, found.n) == (original.panes, original.n)
    for before, after in zip(original.monitored, found.monitored, strict=True):
        assert after.monitor == before.monitor
        assert after.units == pytest.approx(before.units, rel=0.2)
        assert not after.too_few


def test_an_end_of_the_range_that_was_not_seen_again_stays_in_it() -> None:
    """Mutation: in `quality_of`, make the bins of the counts there are."""
    rng = np.random.default_rng(2)
    original = learn_section("predictions", rows_of({"x": rng.normal(size=40_000)}), PANE, SETTINGS)
    found = anew(original, rows_of({"x": np.clip(rng.normal(size=40_000), -1.5, 1.5)}))
    (_, before), (_, after) = original.monitored, found.monitored
    assert after.coarse == before.coarse
    assert all(w.eps >= v.eps for w, v in zip(after.witnesses, before.witnesses, strict=True))


def test_too_few_spans_say_so_of_quality_too() -> None:
    """Mutation: leave `too_few` out of `_relearn_column`."""
    rows = with_gaps(np.random.default_rng(3), 8_000)
    original = learn_section("predictions", rows, PANE, SETTINGS)
    found = anew(original, rows)
    assert all("spans of time" in column.why_not for column in found.monitored)
