"""Columns that disappear, change type, appear or overflow: one warning each, one resolution."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.change import Change
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.monitors import ModelMonitors
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.schema_rules import MOST_NAMES, UNITS, SchemaRules
from driftline.stats.settings import DetectionSettings
from stats.worlds import PANE, Cells, judge, panes_of, profile_of, rows_of

SETTINGS = DetectionSettings()
RNG = np.random.default_rng(1)


def make(**reference: Cells) -> ModelMonitors:
    columns: dict[str, Cells] = {"features.x": RNG.normal(size=6_000), "features.c": cities(6_000), **reference}
    return ModelMonitors(profile_of(columns, SETTINGS), SETTINGS)


def cities(n: int) -> list[str | None]:
    return [("a", "b", "c")[i] for i in RNG.integers(0, 3, n)]


def run(monitors: ModelMonitors, columns: dict[str, Cells], after: int) -> list[tuple[int, str, str]]:
    found = judge(monitors, "predictions", panes_of(monitors.profile, "predictions", columns, after=after))
    return [(i, c.monitor, c.state) for i, c in found if c.monitor.endswith((":schema", ":cardinality"))]


def test_faults_d35_a_column_that_disappears() -> None:
    """D35: once told, once resolved. Mutation: leave `broken[i].any()` False in `_columns`."""
    monitors = make()
    x, none = RNG.normal(size=1_000), np.full(1_000, np.nan)
    assert run(monitors, {"features.x": x, "features.c": cities(1_000)}, 0) == []
    gone = run(monitors, {"features.x": none, "features.c": cities(1_000)}, 10)
    assert gone == [(UNITS - 1, "features.x:schema", "alarm")]
    back = run(monitors, {"features.x": x, "features.c": cities(1_000)}, 20)
    assert back == [(UNITS - 1, "features.x:schema", "resolved")]


def test_faults_d35_a_column_that_changes_type() -> None:
    """D35. Mutation: look at MISSING alone, in `update`."""
    monitors = make()
    words: list[str | None] = ["1.5"] * 1_000
    found = run(monitors, {"features.x": words, "features.c": cities(1_000)}, 0)
    assert found == [(UNITS - 1, "features.x:schema", "alarm")]


def test_faults_d35_a_column_that_appears() -> None:
    """D35. Mutation: leave `_names` out of `update`."""
    monitors = make()
    columns: dict[str, Cells] = {"features.x": RNG.normal(size=1_000), "features.c": cities(1_000)}
    found = run(monitors, {**columns, "features.new": np.ones(1_000)}, 0)
    assert found == [(UNITS - 1, "features.new:schema", "alarm")]
    assert run(monitors, columns, 10) == [(UNITS - 1, "features.new:schema", "resolved")]
    stray = np.full(1_000, np.nan)
    stray[7] = 1.0
    assert run(monitors, {**columns, "features.stray": stray}, 20) == []


def test_gaps_that_the_reference_has_are_no_news() -> None:
    """Five panes in twenty without a value. Mutation: `needed=UNITS` in `_columns` (a storm of 40)."""

    def gappy(n: int) -> Cells:
        return np.where(np.arange(n) // 100 % 20 < 5, np.nan, RNG.normal(size=n))

    monitors = make(**{"features.x": gappy(6_000)})
    found = run(monitors, {"features.x": gappy(40_000), "features.c": cities(40_000)}, 0)
    assert found == []
    for_good = run(monitors, {"features.x": np.full(2_000, np.nan), "features.c": cities(2_000)}, 400)
    assert for_good == [(10, "features.x:schema", "alarm")]


def test_faults_d36_one_new_category_an_event() -> None:
    """D36: told as cardinality, in bounded bytes. Mutation: leave `touched` as it is in `update`."""
    monitors = make()
    size = len(monitors.to_bytes())
    new: list[str | None] = [f"id-{i}" for i in range(3_000)]
    found = run(monitors, {"features.x": RNG.normal(size=3_000), "features.c": new}, 0)
    assert [(m, s) for _, m, s in found] == [("features.c:cardinality", "alarm")]
    assert found[0][0] <= 2
    assert len(monitors.to_bytes()) < size + 8_000
    resolved = run(monitors, {"features.x": RNG.normal(size=6_000), "features.c": cities(6_000)}, 30)
    assert [(m, s) for _, m, s in resolved] == [("features.c:cardinality", "resolved")]


def test_a_few_new_categories_are_no_overflow() -> None:
    monitors = make()
    cells: list[str | None] = [f"id-{i}" if i % 20 == 0 else "a" for i in range(10_000)]
    assert run(monitors, {"features.x": RNG.normal(size=10_000), "features.c": cells}, 0) == []


def test_faults_d37_names_without_end_stay_bounded() -> None:
    """D37: 32 new names every third pane. Mutation: leave `[:room]` out of `_names`."""
    section = learn_section("predictions", rows_of({"x": RNG.normal(size=3_000)}), PANE, SETTINGS)
    rules = SchemaRules(section)
    for pane in range(200):
        extra = {f"n{pane // 3}-{i}": 100 for i in range(MOST_NAMES)}
        counts = fold_rows(section.grid, rows_of({"x": RNG.normal(size=100)}))[0]
        rules.update(pane * PANE, (pane + 1) * PANE, PaneCounts(100, counts.counts, counts.moments, extra))
        assert len(rules.verdicts) <= MOST_NAMES
        assert len(pack_arrays(rules.to_state())) < 4_000


def test_restored_rules_go_on_as_they_were() -> None:
    section = learn_section(
        "predictions", rows_of({"x": RNG.normal(size=3_000), "c": cities(3_000)}), PANE, SETTINGS
    )
    straight, broken = SchemaRules(section), SchemaRules(section)
    told: list[Change] = []
    for pane in range(60):
        gone = 20 <= pane < 40
        rows = Rows(
            np.arange(20, dtype=np.int64),
            np.arange(20, dtype=np.uint64),
            {
                "x": Column(np.full(20, np.nan if gone else 0.0)),
                "c": Column(np.full(20, np.nan), [f"new{pane}-{i}" for i in range(20)]),
                "y": Column(np.ones(20)),
            },
        )
        counts = fold_rows(section.grid, rows)[0]
        changes = straight.update(pane * PANE, (pane + 1) * PANE, counts)
        assert broken.update(pane * PANE, (pane + 1) * PANE, counts) == changes
        told += changes
        broken = SchemaRules.from_state(section, unpack_arrays(pack_arrays(broken.to_state())))
        assert pack_arrays(broken.to_state()) == pack_arrays(straight.to_state())
    assert [(c.monitor, c.state) for c in told if c.monitor == "x:schema"] == [
        ("x:schema", "alarm"),
        ("x:schema", "resolved"),
    ]


def test_states_of_other_columns_are_refused() -> None:
    one = learn_section("predictions", rows_of({"x": RNG.normal(size=3_000)}), PANE, SETTINGS)
    two = learn_section(
        "predictions", rows_of({"x": RNG.normal(size=3_000), "y": RNG.normal(size=3_000)}), PANE, SETTINGS
    )
    with pytest.raises(StateCorrupt):
        SchemaRules.from_state(two, {**SchemaRules(one).to_state(), "status": np.zeros((3, 2))})
    with pytest.raises(StateCorrupt):
        SchemaRules.from_state(two, {})
    with pytest.raises(ValueError, match="shape"):
        SchemaRules(two).update(0, PANE, PaneCounts.empty(1))
