"""Seasons: found where the reference holds four periods and taken out, swallowed or refused where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.stats.block import fold_rows
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile, make_profile
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.season import FINE, SLOT_MS, Season
from driftline.stats.section import ColumnReference
from driftline.stats.settings import DetectionSettings, SeasonWanted

PANE = 600_000
DAY = 86_400_000
PER_PANE = 40


def days_of(
    seed: int, days: float, *, wave: float = 0.5, weekend: float = 0.0, shift: float = 0.0, start: int = 0
) -> Rows:
    """Forty events every ten minutes: noise, a daily wave, a step at the weekend."""
    n = round(days * 144) * PER_PANE
    at = np.arange(n)
    times = start + at // PER_PANE * PANE + at % PER_PANE * (PANE // PER_PANE)
    x = np.random.default_rng(seed).normal(shift, 1.0, n) + wave * np.sin(2.0 * np.pi * times / DAY)
    x += weekend * (times // DAY % 7 >= 5)
    return Rows(times.astype(np.int64), at.astype(np.uint64), {"features.x": Column(x)})


def learnt(days: float, season: SeasonWanted = "auto", *, wave: float = 0.5, weekend: float = 0.0) -> Profile:
    section = learn_section(
        "predictions", days_of(1, days, wave=wave, weekend=weekend), PANE, DetectionSettings(season=season)
    )
    return make_profile(
        model="m", version="1", source="training", created=0, judged_from=round(days * DAY), predictions=section
    )


def column(profile: Profile) -> ColumnReference:
    return profile.predictions.columns[0]


def inflation(profile: Profile) -> float:
    """Variance of the mean of a unit of 40 events, over what independent events would have."""
    mean = next(w for w in column(profile).witnesses if w.form == "mean")
    return PER_PANE * mean.inflation(PER_PANE)


def alarms(profile: Profile, rows: Rows) -> list[float]:
    """Hours after the reference at which x alarmed."""
    monitors = ModelMonitors(profile, DetectionSettings())
    found = [
        change
        for start, counts in sorted(fold_rows(profile.predictions.grid, rows).items())
        for change in monitors.update("predictions", start, counts)
    ]
    return [(c.time - profile.judged_from) / 3.6e6 for c in found if c.state == "alarm"]


def test_a_daily_season_is_found_and_taken_out() -> None:
    """Ten days of the same are quiet, and .2 SD is found in half a day, for all a wave of .5 SD.

    Mutation: leave `y[k] -= expected` out of `Units._take`."""
    profile = learnt(7)
    season = column(profile).season
    assert season is not None
    assert (season.period, season.periods) == ("daily", 7)
    assert season.left < 0.15
    assert inflation(profile) < 1.5
    assert column(profile).note.startswith("a daily season is taken out: known from 7 periods")
    assert alarms(profile, days_of(2, 10, start=7 * DAY)) == []
    found = alarms(profile, days_of(3, 2, start=7 * DAY, shift=0.2))
    assert len(found) == 1
    assert found[0] < 12.0


def test_three_days_are_too_few_and_it_is_said() -> None:
    """Nothing is taken out; a and b swallow the wave, and ten days of it are quiet."""
    profile = learnt(3)
    assert column(profile).season is None
    assert inflation(profile) > 5.0
    assert "3.0 days of the 4 it takes to tell a daily season" in column(profile).note
    assert column(profile).why_not == ""
    assert alarms(profile, days_of(2, 10, start=3 * DAY)) == []


def test_less_than_two_periods_of_a_slow_wave_never_page() -> None:
    """Mutation: `why_not = ""` in `fit`. Noise as short may page; two whole days of the wave may too."""
    profile = learnt(1.5)
    assert "moves slowly all through it" in column(profile).why_not
    assert [c.why_not for c in profile.predictions.monitored if c.aspect == "quality"] == [""]
    assert column(learnt(1.5, wave=0.0)).why_not == ""
    assert column(learnt(2)).why_not == ""
    assert column(learnt(1.5, "none")).why_not == ""


def test_a_weekly_season_takes_four_weeks() -> None:
    assert (four := column(learnt(28, weekend=1.0)).season) is not None
    assert (four.period, four.periods) == ("weekly", 4)
    assert (three := column(learnt(21, weekend=1.0)).season) is not None
    assert three.period == "daily"


def test_noise_has_no_season_and_settings_are_heeded() -> None:
    """Mutation: GAIN = 2."""
    assert column(learnt(6, wave=0.0)).season is None
    assert column(learnt(6, "none")).season is None
    forced = column(learnt(6, "daily", wave=0.0)).season
    assert forced is not None
    assert forced.period == "daily"
    assert column(learnt(6, "weekly")).season is None


def test_the_error_of_the_profile_is_in_a() -> None:
    """(1 + 1/P) / (1 - 1/P). Mutation: `error_factor` 1."""
    assert inflation(learnt(4)) >= 0.99 * 5.0 / 3.0
    assert inflation(learnt(8)) >= 0.99 * 9.0 / 7.0


def make_season(ratios: list[int]) -> Season:
    slots = np.arange(24, dtype=np.int8)
    return Season(
        period="daily",
        periods=4,
        left=0.1,
        step=[0.5],
        deviations=slots.tobytes(),
        ratios=np.resize(ratios, 24).astype(np.uint8).tobytes(),
    )


def test_the_profile_is_linear_between_the_middles_of_slots() -> None:
    season, slot = make_season([8]), SLOT_MS["daily"]
    for at, expected in ((3.5, 3.0), (4.0, 3.5), (0.0, 11.5), (23.5, 23.0), (23.75, 17.25)):
        found = season.at(round(at * slot) + 5 * DAY)
        assert found[0, 0] == expected * FINE
        assert found.dtype == np.int64
    assert season.expected(np.array([round(3.5 * slot)]))[0, 0] == pytest.approx(1.5)
    assert (season.at(7)[1] * season.unit[1]).tolist() == [1.0]


def test_wide_slots_count_for_less() -> None:
    """The noise is three times as wide by day as by night: a slot's events count by its own variance."""
    n = 6 * 144 * PER_PANE
    rows = days_of(1, 6, wave=0.0)
    by_day = rows.times % DAY < DAY // 2
    x = np.random.default_rng(5).normal(size=n) * np.where(by_day, 3.0, 1.0)
    section = learn_section(
        "predictions",
        Rows(rows.times, rows.ids, {"features.x": Column(x)}),
        PANE,
        DetectionSettings(season="daily"),
    )
    season = section.columns[0].season
    assert season is not None
    mean = next(i for i, w in enumerate(section.columns[0].witnesses) if w.form == "mean")
    ratios = [(season.at(h * 3_600_000)[1] * season.unit[1])[mean] for h in (6, 18)]
    assert ratios[0] == pytest.approx(9.0 / 5.0, rel=0.1)
    assert ratios[1] == 1.0


def test_state_in_the_middle_of_a_unit_goes_on_bit_for_bit() -> None:
    """Mutation: leave "season" out of `Units.to_state`."""
    profile = learnt(5)
    settings = DetectionSettings(coalesce=100)
    panes = sorted(fold_rows(profile.predictions.grid, days_of(2, 0.3, start=5 * DAY)).items())
    straight, broken = ModelMonitors(profile, settings), ModelMonitors(profile, settings)
    for start, counts in panes:
        straight.update("predictions", start, counts)
        broken.update("predictions", start, counts)
        broken = ModelMonitors.from_bytes(profile, settings, broken.to_bytes())
    assert straight.to_bytes() == broken.to_bytes()
