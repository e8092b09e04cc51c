"""Data quality of a column: one monitor, told by what is wrong with it; quiet where nothing is."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.stats.block import fold_rows
from driftline.stats.change import Change
from driftline.stats.codes import NON_FINITE, WRONG_TYPE
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column
from driftline.stats.settings import DetectionSettings
from stats.worlds import DAY_EVENTS, PANE, Cells, Floats, autoregressive, judge, panes_of, profile_of, rows_of

SETTINGS = DetectionSettings()
STRICT = DetectionSettings(arl0_days=10_000 / DAY_EVENTS)


def cities(rng: np.random.Generator, n: int) -> list[str | None]:
    return [("a", "b", "c")[i] for i in rng.integers(0, 3, n)]


def world() -> Profile:
    rng = np.random.default_rng(1)
    x = rng.normal(size=20_000)
    x[rng.random(20_000) < 0.05] = np.nan
    return profile_of({"features.x": x, "features.c": cities(rng, 20_000)}, SETTINGS)


WORLD = world()


def told(x: Floats, c: list[str | None], status: tuple[int, float] | None = None) -> list[Change]:
    """Changes of quality; `status`: a status code and the share of the numbers that have it instead."""
    rng = np.random.default_rng(3)
    x = x.copy()
    x[rng.random(len(x)) < 0.05] = np.nan
    rows = rows_of({"features.x": x, "features.c": c}, start=WORLD.judged_from, per=100)
    if status is not None:
        bad = rng.random(len(x)) < status[1]
        rows.columns["features.x"] = Column(
            np.where(bad, np.nan, x), None, np.where(bad, status[0], 0).astype(np.uint8)
        )
    panes = sorted(fold_rows(WORLD.predictions.grid, rows).items())
    found = judge(ModelMonitors(WORLD, SETTINGS), "predictions", panes)
    return [change for _, change in found if change.monitor.endswith(":quality")]


@pytest.mark.parametrize(
    ("code", "words"),
    [(WRONG_TYPE, "values of another type"), (NON_FINITE, "values that are not finite")],
)
def test_values_of_no_use_are_told_by_their_kind(code: int, words: str) -> None:
    """3 % of another type, or infinite, where the reference has none."""
    rng = np.random.default_rng(2)
    (found,) = told(rng.normal(size=5_000), cities(rng, 5_000), (code, 0.03))
    assert (found.monitor, found.severity) == ("features.x:quality", "warning")
    assert found.effect is not None
    assert found.effect.witness == f"share of {words}"
    assert found.effect.current.value == pytest.approx(0.03, abs=0.03)
    assert words in [part.what for part in found.effect.parts]


@pytest.mark.parametrize(("value", "where"), [(-999.0, "below"), (999.0, "above")])
def test_values_out_of_range_are_told(value: float, where: str) -> None:
    """A sentinel in 5 % of the rows. Mutation: in `quality_map`, leave values out of the range sound."""
    rng = np.random.default_rng(2)
    x = rng.normal(size=5_000)
    x[rng.random(5_000) < 0.05] = value
    (found,) = told(x, cities(rng, 5_000))
    assert found.effect is not None
    assert found.effect.witness == f"share of values {where} all of the reference"
    assert "999" not in found.sentence


def test_unseen_categories_are_told() -> None:
    rng = np.random.default_rng(2)
    c = [None if i % 50 == 0 else "new" if i % 20 == 0 else cell for i, cell in enumerate(cities(rng, 5_000))]
    found = told(rng.normal(size=5_000), c)
    assert {change.monitor for change in found} == {"features.c:quality"}
    assert found[0].effect is not None
    assert found[0].effect.witness == "share of unseen categories"


def test_fewer_missing_values_are_told_fewer_unseen_are_not() -> None:
    rng = np.random.default_rng(2)
    columns: dict[str, Cells] = {"features.x": rng.normal(size=20_000), "features.c": cities(rng, 20_000)}
    found = judge(ModelMonitors(WORLD, SETTINGS), "predictions", panes_of(WORLD, "predictions", columns))
    assert [(c.monitor, c.state) for _, c in found] == [("features.x:quality", "alarm")]
    assert found[0][1].sentence.startswith("features.x: the share of rows without a value went from 5.")


def test_a_mended_column_is_told_once() -> None:
    rng = np.random.default_rng(2)
    x = rng.normal(size=20_000)
    x[:4_000][rng.random(4_000) < 0.2] = 50.0
    found = told(x, cities(rng, 20_000))
    assert [c.state for c in found] == ["alarm", "resolved"]


@pytest.mark.parametrize("law", ["lognormal", "slow", "missing in bursts", "rare categories"])
def test_quiet_streams_stay_quiet(law: str) -> None:
    """One false alarm in 10,000 events is allowed to the model, a fifth of it to quality; 200,000 events: 4.

    Mutation: `slow`: return `own` from `_lend`; `bursts`: b = 0 in `fit`."""

    def draw(seed: int, n: int) -> Cells:
        rng = np.random.default_rng(seed)
        match law:
            case "lognormal":
                return rng.lognormal(size=n)
            case "slow":
                return autoregressive(rng, n, 0.98)
            case "rare categories":
                return [f"id{i}" for i in np.minimum(rng.zipf(1.6, n), 100_000)]
        bad = np.repeat(rng.random(n // 50) < 0.1, 50) & (rng.random(n) < 0.5)
        return np.where(bad, np.nan, rng.normal(size=n))

    profile = profile_of({"features.x": draw(1, 3_500 if law == "slow" else 30_000)}, STRICT)
    panes = panes_of(profile, "predictions", {"features.x": draw(2, 200_000)})
    found = judge(ModelMonitors(profile, STRICT), "predictions", panes)
    assert sum(c.state == "alarm" and c.monitor.endswith(":quality") for _, c in found) <= 4


def test_a_drift_of_the_mean_is_not_bad_data() -> None:
    """A shift of half an SD takes few values out of range."""
    rng = np.random.default_rng(2)
    assert told(rng.normal(0.5, 1.0, 20_000), cities(rng, 20_000)) == []


def test_late_outcomes_are_told_as_freshness() -> None:
    """Delays twice as long. Mutation: `monitored` without quality."""
    rng = np.random.default_rng(1)
    reference = {
        "error": (rng.random(10_000) < 0.1).astype(np.float64),
        "label_delay_s": rng.exponential(60, 10_000),
    }
    profile = profile_of({"features.x": rng.normal(size=5_000)}, SETTINGS, pairs=dict(reference))
    quiet = {"error": (rng.random(20_000) < 0.1).astype(np.float64), "label_delay_s": rng.exponential(60, 20_000)}
    monitors = ModelMonitors(profile, SETTINGS)
    assert judge(monitors, "pairs", panes_of(profile, "pairs", dict(quiet))) == []
    late = quiet | {"label_delay_s": rng.exponential(120, 20_000)}
    found = judge(monitors, "pairs", panes_of(profile, "pairs", dict(late), after=200))
    assert [(c.monitor, c.state, c.severity) for _, c in found] == [("pairs:freshness", "alarm", "warning")]
    assert "outcomes later than the old P98 of delays" in found[0][1].sentence


def test_quality_is_in_the_section_however_the_rows_came() -> None:
    rng = np.random.default_rng(1)
    rows = rows_of(
        {"x": np.where(rng.random(4_000) < 0.1, np.nan, rng.normal(size=4_000)), "c": cities(rng, 4_000)}
    )
    one = learn_section("predictions", rows, PANE, SETTINGS, live=True)
    other = learn_section("predictions", rows.take(rng.permutation(4_000)), PANE, SETTINGS, live=True)
    assert one.fingerprint == other.fingerprint
    assert [c.monitor for c in one.monitored] == ["c:distribution", "x:distribution", "c:quality", "x:quality"]


def test_the_range_of_a_slow_reference_is_not_watched() -> None:
    """AR(1) .995: 3,500 rows are worth ten. Mutation: `range_is_known` true for ever."""
    rng = np.random.default_rng(1)
    columns = {"slow": autoregressive(rng, 3_500, 0.995), "x": rng.normal(size=3_500)}
    section = learn_section("predictions", rows_of({**columns}), PANE, DetectionSettings())
    asked = {column.name: {w.label for w in column.quality} for column in section.columns}
    assert "values above all of the reference" in asked["x"] - asked["slow"]
    assert "rows without a value" in asked["slow"]
    assert "its range is not watched" in section.columns[section.grid.index["slow"]].note
