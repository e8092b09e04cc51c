"""A distribution then and now in at most 20 bars: a picture of it looks like it, and shows no single value."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from driftline.contracts.records import Shape
from driftline.stats.contributions import edge
from driftline.stats.encode import encode_cells
from driftline.stats.reference import learn_section
from driftline.stats.settings import DetectionSettings
from driftline.stats.shape import BARS, shape_of
from driftline.stats.witness import WIDTH
from stats.worlds import PANE, Cells, rows_of

N = 20_000


def shape(reference: Cells, present: Cells) -> Shape | None:
    learnt = learn_section("predictions", rows_of({"x": reference}), PANE, DetectionSettings())
    codes = encode_cells(learnt.grid, rows_of({"x": present}))[:, 0]
    now = np.bincount(learnt.columns[0].coarse_map[codes], minlength=WIDTH).astype(np.int64)
    found = shape_of(learnt.columns[0], learnt.grid.columns[0], now)
    if found is not None:
        assert len(found.labels) == len(found.reference) == len(found.current) <= BARS
        assert sum(found.reference) == pytest.approx(1.0, abs=1e-3)
        assert sum(found.current) == pytest.approx(1.0, abs=1e-3)
        assert len(msgspec.json.encode(found)) < 2_000
    return found


def test_a_bell_looks_like_a_bell_and_its_shift_like_a_shift() -> None:
    """Mutation: take every coarse bin's neighbours together by threes in `_equal_widths`; the bell is flat."""
    rng = np.random.default_rng(1)
    found = shape(rng.normal(size=N), rng.normal(1.0, 1.0, 2_000))
    assert found is not None
    then, now = np.array(found.reference), np.array(found.current)
    assert len(then) >= 10
    middle = int(np.argmax(then[1:-1])) + 1
    assert then[middle] > 3.0 * then[1]
    assert (then * np.arange(len(then))).sum() + 1.5 < (now * np.arange(len(now))).sum()
    assert found.labels[0].startswith("below -")


def test_categories_are_bars_and_the_smallest_are_taken_together() -> None:
    rng = np.random.default_rng(1)
    names = np.array([f"c{i:02}" for i in range(30)])
    found = shape(rng.choice(names, N).tolist(), rng.choice(names[:5], 2_000).tolist())
    assert found is not None
    assert len(found.labels) == BARS
    assert {"c00", "c04"} <= set(found.labels)
    assert found.labels[-1] == "all others"
    now = dict(zip(found.labels, found.current, strict=True))
    assert sum(now[name] for name in names[:5].tolist()) > 0.9


def test_nothing_known_is_no_picture() -> None:
    rng = np.random.default_rng(1)
    assert shape(rng.normal(size=N), [None] * 100) is None


def test_the_ends_of_the_numbers_do_not_overflow() -> None:
    rng = np.random.default_rng(1)
    x = rng.choice([-1.0, 1.0], N) * rng.uniform(1e307, 1.7e308, N)
    assert shape(x, x[:2_000]) is not None


def test_edges_are_those_of_the_reference() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=N)
    learnt = learn_section("predictions", rows_of({"x": values}), PANE, DetectionSettings())
    grid = learnt.grid.columns[0]
    known = {edge(grid, code)[0] for code in range(1, grid.codes)}
    found = shape(values, values[:2_000])
    assert found is not None
    assert {label.removeprefix("below ").removeprefix("above ") for label in found.labels} <= known
