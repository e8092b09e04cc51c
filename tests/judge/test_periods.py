"""Scorecards by day, week and month."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from driftline.judge.periods import MOST, Period, fitting, readings
from driftline.judge.scorecard import DAY_MS, MAX_DAYS, Scorecard
from driftline.stats.block import fold_rows
from driftline.stats.calibration import Scores
from driftline.stats.profile import Profile
from driftline.stats.settings import DetectionSettings
from stats.worlds import profile_of, rows_of

RNG = np.random.default_rng(4)
SCORE = RNG.uniform(size=1_000)
FIRST = round(datetime(2024, 2, 27, tzinfo=UTC).timestamp()) // 86_400
"""A Tuesday; the month has 29 days."""


@pytest.fixture(scope="module")
def profile() -> Profile:
    graded = SCORE + 2.0 * RNG.integers(4, size=1_000)
    return profile_of({"score": SCORE}, DetectionSettings(), pairs={"error": SCORE, "graded": graded})


def card_of(profile: Profile, days: int, *calibrations: str) -> Scorecard:
    scores, (counts,) = profile.scores, fold_rows(profile.predictions.grid, rows_of({"score": SCORE[:80]})).values()
    assert scores is not None
    card = Scorecard()
    for day in range(days):
        for name in calibrations or (scores.id,):
            named = Scores(scores.calibration, scores.bin_of, name)
            card.add(named, profile.predictions, (FIRST + day) * DAY_MS, counts)
    return card


def shown(time: int) -> str:
    return f"{datetime.fromtimestamp(time / 1000, UTC):%m-%d %a}"


@pytest.mark.parametrize(
    ("period", "begins", "predictions"),
    [
        (
            "day",
            ["02-27 Tue", "02-28 Wed", "02-29 Thu", "03-01 Fri", "03-02 Sat", "03-03 Sun", "03-04 Mon"],
            [80] * 7,
        ),
        ("week", ["02-26 Mon", "03-04 Mon"], [480, 80]),
        ("month", ["02-01 Thu", "03-01 Fri"], [240, 320]),
    ],
)
def test_days_are_put_together(profile: Profile, period: Period, begins: list[str], predictions: list[int]) -> None:
    """Mutation: weeks from the first day there is."""
    found = readings(card_of(profile, 7), period)
    assert [shown(one.start) for one in found] == begins
    assert [one.predictions for one in found] == predictions
    for one, following in pairwise(found):
        assert one.end == following.start


def test_a_replaced_reference_makes_a_reading_of_its_own(profile: Profile) -> None:
    found = readings(card_of(profile, 3, "old", "new"), "month")
    assert [(shown(one.start), one.predictions) for one in found] == [("02-01 Thu", 240)] * 2


def test_rows_that_a_person_can_look_over(profile: Profile) -> None:
    assert fitting(card_of(profile, MOST)) == "day" and fitting(card_of(profile, MOST + 1)) == "week"
    assert fitting(card_of(profile, MAX_DAYS)) == "week" and fitting(Scorecard()) == "day"
    assert readings(Scorecard(), "day") == []
