"""Embedding vectors through the whole of it: a centroid that moves is found, a length that changes is told."""

from __future__ import annotations

import numpy as np
import orjson
import pytest
from numpy.typing import NDArray

from driftline.contracts.events import Prediction
from driftline.ingest.columns import BlockMaker, FeatureColumns, prediction_rows
from driftline.stats.block import PaneCounts, add_block, fold_rows
from driftline.stats.codes import WRONG_TYPE
from driftline.stats.grid import learn_grid
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile, make_profile
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.settings import DetectionSettings
from driftline.stats.vectors import lengths_of, part_names, vectors_among

SETTINGS = DetectionSettings(season="none")
DIMENSION = 64
PANE = 60_000


def vectors(seed: int, n: int, shift: float = 0.0) -> NDArray[np.float64]:
    """Of unit length, around a centroid; `shift`: how far along a direction of its own the centroid has moved."""
    base, way = np.random.default_rng(0).normal(size=(2, DIMENSION))
    x = base + np.random.default_rng(seed).normal(size=(n, DIMENSION)) + shift * way
    return np.asarray(x / np.linalg.norm(x, axis=1, keepdims=True))


def events_of(features: list[dict[str, object]], start: int) -> list[Prediction]:
    return [
        Prediction(id=str(i), model="m", version="1", time=start + i * 600, features=orjson.dumps(one))
        for i, one in enumerate(features)
    ]


def profile_of(events: list[Prediction]) -> Profile:
    rows = prediction_rows(events, FeatureColumns(None), with_ids=True)
    section = learn_section("predictions", rows, PANE, SETTINGS)
    since = (events[-1].time // PANE + 1) * PANE
    return make_profile(
        model="m", version="1", source="training", created=0, judged_from=since, predictions=section
    )


def told(profile: Profile, features: list[dict[str, object]]) -> list[str]:
    """The monitors that alarm, by way of blocks."""
    events = events_of(features, profile.judged_from)
    grid = profile.predictions.grid
    ((_, blocks, _),) = BlockMaker().predictions({("m", "1"): events}, {("m", "1"): [profile]})
    monitors = ModelMonitors(profile, SETTINGS)
    found = []
    for block in blocks:
        pane = PaneCounts.empty(len(grid.columns), grid.joint)
        add_block(pane, block, grid)  # type: ignore[arg-type]
        found += [c.monitor for c in monitors.update("predictions", block.pane, pane)]  # type: ignore[union-attr]
    return found


def lists(x: NDArray[np.float64]) -> list[dict[str, object]]:
    return [{"v": row.tolist(), "x": float(row[0])} for row in x]


REFERENCE = profile_of(events_of(lists(vectors(1, 6_000)), 0))


def test_ten_columns_whatever_the_dimension() -> None:
    names = [name for name in REFERENCE.predictions.grid.index if ".v" in name]
    assert sorted(names) == sorted(part_names("features.v"))
    assert REFERENCE.predictions.grid.vectors == {"features.v": DIMENSION}


def test_a_moved_centroid_is_found() -> None:
    """Vectors of length one, whose norm never tells. Mutation: no projections in `PARTS`."""
    assert told(REFERENCE, lists(vectors(2, 4_000))) == []
    found = told(REFERENCE, lists(vectors(3, 4_000, 0.5)))
    assert sum(name.startswith("features.v.p") for name in found) >= 3


def test_another_length_is_of_the_wrong_type() -> None:
    """Mutation: in `settled`, `wrong` nowhere."""
    other = [{"v": [1.0] * 32, "x": 0.0} for _ in range(200)]
    events = events_of(other, REFERENCE.judged_from)
    grid = REFERENCE.predictions.grid
    rows = prediction_rows(events, FeatureColumns(grid), with_ids=False)
    for pane in fold_rows(grid, rows).values():
        assert pane.counts[grid.index["features.v.p3"], WRONG_TYPE] == pane.n
    found = told(REFERENCE, other)
    assert {"features.v.norm:quality", "features.v.length:quality"} <= set(found)


@pytest.mark.parametrize("value", [[1.0, 2.0], [], ["a"], [[1.0]], 5.0, None, "text"])
def test_the_same_counts_from_raw_rows_and_from_rows_decoded_by_the_grid(value: object) -> None:
    """Of a vector that the grid knows (v), and of one that it does not (x)."""
    mixed = lists(vectors(4, 20)) + [{"v": value, "x": 1.0}, {"v": vectors(5, 1)[0].tolist(), "x": value}] * 5
    events = events_of(mixed, REFERENCE.judged_from)
    grid = REFERENCE.predictions.grid
    raw = prediction_rows(events, FeatureColumns(None), with_ids=False)
    assert fold_rows(grid, raw) == fold_rows(grid, prediction_rows(events, FeatureColumns(grid), with_ids=False))


def test_lists_that_never_held_a_vector_have_no_columns() -> None:
    rows = prediction_rows(
        events_of([{"tags": ["a", "b"], "x": 1.0}] * 50, 0), FeatureColumns(None), with_ids=False
    )
    assert lengths_of(rows) == {}
    assert set(learn_grid(rows, PANE).index) == {"features.tags", "features.x"}


def test_the_length_most_rows_have() -> None:
    n = 5
    columns = {part: Column(np.zeros(n)) for part in part_names("v")}
    columns["v.length"] = Column(np.array([3.0, 8.0, 3.0, 8.0, np.nan]))
    assert vectors_among([*columns, "w.length"]) == ["v"]
    assert lengths_of(Rows(np.arange(n), np.zeros(n, np.uint64), columns)) == {"v": 3}
