"""Stuck columns: told once, ended once, never for habits of the reference."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.errors import StateCorrupt
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.constant_rules import ConstantRules, longest_run
from driftline.stats.monitors import ModelMonitors
from driftline.stats.settings import DetectionSettings
from stats.worlds import Cells, Floats, autoregressive, judge, panes_of, profile_of

SETTINGS = DetectionSettings()
REFERENCE = 10_000


def draw(law: str, seed: int, n: int) -> Cells:
    rng = np.random.default_rng(seed)
    match law:
        case "normal":
            return rng.normal(50.0, 10.0, n)
        case "mostly zero":
            return np.where(rng.random(n) < 0.995, 0.0, rng.normal(size=n))
        case "changes daily":
            return np.repeat(rng.integers(0, 7, n // 500 + 1), 500)[:n].astype(np.float64)
        case "slow":
            return autoregressive(rng, n, 0.99)
        case "grows":
            return np.arange(n, dtype=np.float64) * 100.0 + seed * 1e9
    return [("a", "b", "c")[i] for i in rng.integers(0, 3, n)]


def told(law: str, present: Cells, monitors: ModelMonitors | None = None) -> list[tuple[int, str]]:
    profile = profile_of({"features.x": draw(law, 1, REFERENCE)}, SETTINGS)
    found = judge(
        monitors or ModelMonitors(profile, SETTINGS),
        "predictions",
        panes_of(profile, "predictions", {"features.x": present}),
    )
    return [(pane, c.state) for pane, c in found if c.monitor == "features.x:constant"]


@pytest.mark.parametrize("law", ["normal", "mostly zero", "changes daily", "slow", "grows", "categories"])
def test_no_column_is_stuck_by_habit(law: str) -> None:
    """100,000 events each. Mutation: leave both comparisons with TIMES_LONGEST out of `_too_long`."""
    assert told(law, draw(law, 2, 100_000)) == []


def test_faults_a_stuck_number_is_told_and_ends() -> None:
    x = draw("normal", 2, 3_000)
    assert isinstance(x, np.ndarray)
    x[1_000:2_000] = 47.0
    assert told("normal", x) == [(10, "alarm"), (20, "resolved")]


def test_a_stuck_category_is_told_also_a_new_one() -> None:
    for value in ("a", "new"):
        cells = draw("categories", 2, 3_000)
        assert isinstance(cells, list)
        cells[1_000:2_000] = [value] * 1_000
        assert told("categories", cells) == [(10, "alarm"), (20, "resolved")]


def test_values_beyond_the_clip_are_not_one_value() -> None:
    """Mutation: leave the comparison with MAX_Z out of `_only_value`."""
    assert told("normal", np.random.default_rng(2).normal(1e7, 1e5, 3_000)) == []


def test_missing_values_neither_end_a_run_nor_make_one() -> None:
    x = np.full(3_000, np.nan)
    assert told("normal", x) == []
    x[::3] = 47.0
    assert [state for _, state in told("normal", x)] == ["alarm"]


def test_a_constant_reference_is_none_of_it() -> None:
    profile = profile_of({"features.x": np.full(5_000, 7.0)}, SETTINGS)
    panes = panes_of(profile, "predictions", {"features.x": np.full(5_000, 7.0)})
    assert judge(ModelMonitors(profile, SETTINGS), "predictions", panes) == []


def test_restored_rules_go_on_as_they_were() -> None:
    x: Floats = np.random.default_rng(2).normal(50.0, 10.0, 3_000)
    x[1_000:2_000] = 47.0
    profile = profile_of({"features.x": draw("normal", 1, REFERENCE)}, SETTINGS)
    straight, broken = ConstantRules(profile.predictions), ConstantRules(profile.predictions)
    for start, counts in panes_of(profile, "predictions", {"features.x": x}):
        assert straight.update(start, start + 60_000, counts) == broken.update(start, start + 60_000, counts)
        broken = ConstantRules.from_state(profile.predictions, unpack_arrays(pack_arrays(broken.to_state())))
        assert pack_arrays(broken.to_state()) == pack_arrays(straight.to_state())
    with pytest.raises(StateCorrupt):
        ConstantRules.from_state(profile.predictions, {"held": np.zeros(7)})


def test_longest_run_is_of_values() -> None:
    codes = np.array([1, 1, 252, 1, 2, 2, 252], np.uint8)
    assert longest_run(codes, np.arange(7) * 10) == (3, 30)
    assert longest_run(np.full(3, 252, np.uint8), np.arange(3)) == (0, 0)
