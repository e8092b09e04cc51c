"""The self-check: a sound reference passes it by far, one whose variance is understated does not."""

from __future__ import annotations

import msgspec
import numpy as np

from driftline.stats.encode import encode_cells
from driftline.stats.fit import Timeline
from driftline.stats.reference import learn_section
from driftline.stats.section import SelfCheck
from driftline.stats.selfcheck import ALARMS_ALLOWED, MOST_PANES, _blocks, self_check
from driftline.stats.settings import DetectionSettings
from stats.test_season import learnt
from stats.worlds import PANE, PER_PANE, autoregressive, rows_of

SETTINGS = DetectionSettings()


def test_a_sound_reference_alarms_less_than_asked_for() -> None:
    """AR(1) .9 and independent columns together."""
    rng = np.random.default_rng(1)
    columns = {"features.slow": autoregressive(rng, 20_000, 0.9), "features.x": rng.normal(size=20_000)}
    check = learn_section("predictions", rows_of({**columns}), PANE, SETTINGS).check
    assert check is not None
    assert (check.unit, check.panes, check.block) == ("days", MOST_PANES, 25)
    assert check.length == MOST_PANES * PANE / 86_400_000
    assert check.length / check.arl0 == ALARMS_ALLOWED
    assert check.ratio >= 3.0


def test_an_understated_variance_is_found_out() -> None:
    """The same, with a = 1 and b = 0 and no allowance. Mutation: no alarm counted in `self_check`."""
    rows = rows_of({"features.x": autoregressive(np.random.default_rng(2), 20_000, 0.95)})
    section = learn_section("predictions", rows, PANE, SETTINGS)
    column = section.columns[0]
    bold = [
        msgspec.structs.replace(w, a=1.0, b=0.0, a_within=1.0, b_within=0.0, eps=0.01) for w in column.witnesses
    ]
    altered = msgspec.structs.replace(section, columns=[msgspec.structs.replace(column, witnesses=bold)])
    panes = len(np.unique(rows.times // PANE))
    time = Timeline(np.arange(rows.n) // PER_PANE, np.arange(panes) * PANE + PANE // 2, panes * PANE, PANE)
    check = self_check(altered, encode_cells(section.grid, rows), time, SETTINGS)
    assert check is not None
    assert check.ratio < 1.0


def test_what_columns_do_together_is_checked_too() -> None:
    """Two columns that go together in runs, with a = 1 and b = 0 in what is known of that alone.

    Mutation: no alarm counted of `joint`."""
    rng = np.random.default_rng(6)
    x, other = rng.normal(size=(2, 20_000))
    together = np.repeat(np.where(rng.random(100) < 0.5, 0.9, -0.9), 200)
    y = together * x + np.sqrt(1.0 - together**2) * other
    rows = rows_of({"features.x": x, "features.y": y})
    section = learn_section("predictions", rows, PANE, SETTINGS)
    assert section.joint is not None and section.check is not None
    assert section.check.ratio >= 3.0
    bold = [
        msgspec.structs.replace(w, a=1.0, b=0.0, a_within=1.0, b_within=0.0, eps=0.01)
        for w in section.joint.witnesses
    ]
    altered = msgspec.structs.replace(section, joint=msgspec.structs.replace(section.joint, witnesses=bold))
    panes = len(np.unique(rows.times // PANE))
    time = Timeline(np.arange(rows.n) // PER_PANE, np.arange(panes) * PANE + PANE // 2, panes * PANE, PANE)
    check = self_check(altered, encode_cells(section.grid, rows), time, SETTINGS)
    assert check is not None and check.ratio < 1.0


def test_events_are_a_clock_too_and_what_never_pages_has_no_check() -> None:
    x = np.random.default_rng(3).normal(size=20_000)
    check = learn_section("predictions", rows_of({"features.x": x}), PANE, DetectionSettings(arl0_events=1e6)).check
    assert check is not None
    assert (check.unit, check.length) == ("events", MOST_PANES * PER_PANE)
    assert learn_section("predictions", rows_of({"features.x": x[:900]}), PANE, SETTINGS).check is None


def test_seasonal_panes_keep_their_hour() -> None:
    """Mutation: the blocks of `_blocks` without a period where there is a season."""
    section = learnt(5).predictions
    middle = np.arange(5 * 144) * 600_000 + 300_000
    time = Timeline(np.zeros(0, np.intp), middle, 5 * 86_400_000, 600_000)
    order = _blocks(section, time, 1_000, 90)
    hour = middle[order] % 86_400_000
    assert (np.diff(hour) % 86_400_000 == 600_000).all()
    assert len(np.unique(middle[order] // 86_400_000)) == 5


def test_the_ratio_is_a_bound_where_nothing_alarms() -> None:
    check = SelfCheck(unit="days", arl0=0.5, length=10.0, alarms=0, panes=100, block=10)
    assert check.ratio == 20.0
    assert msgspec.structs.replace(check, alarms=40).ratio == 0.5
