"""Sentences: rounded to their error bars, dated in UTC."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.stats.cbe import Run
from driftline.stats.quality import quality_of
from driftline.stats.reference import learn_section
from driftline.stats.section import ColumnReference
from driftline.stats.settings import DetectionSettings
from driftline.stats.wording import alarm_sentence, effect_of, moment, number, resolved_sentence
from stats.worlds import PANE, rows_of

APRIL = 1_366_984_800_000


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0"),
        (81.0, "81"),
        (-2.0312, "-2.031"),
        (12_345.678, "12,346"),
        (0.00012345, "0.0001234"),
        (1e-9, "1e-09"),
        (3.2e12, "3.2e+12"),
    ],
)
def test_numbers(value: float, words: str) -> None:
    assert number(value) == words


def test_moments_are_utc_and_never_fail() -> None:
    assert moment(APRIL) == "26 April 2013 14:00 UTC"
    assert moment(-1) == "31 December 1969 23:59 UTC"
    assert moment(10**18).startswith("31 December 9999")
    assert moment(-(10**18)).startswith("1 January 1 ")


def columns() -> dict[str, ColumnReference]:
    rng = np.random.default_rng(1)
    city: list[str | None] = [("Oslo\n", "Bergen")[i] for i in rng.integers(0, 2, 10_000)]
    x = rng.normal(50.0, 10.0, 10_000)
    section = learn_section(
        "predictions", rows_of({"features.temp": x, "features.city": city}), PANE, DetectionSettings()
    )
    error = (rng.random(10_000) < 0.244).astype(np.float64)
    pairs = learn_section("pairs", rows_of({"error": error}), PANE, DetectionSettings())
    quality = {f"{column.name}:q": quality_of(column) for column in section.columns}
    return {column.name: column for column in [*section.columns, *pairs.columns]} | quality


def said(name: str, form: str, y: float, n_eff: float) -> str:
    column = columns()[name]
    k = max(i for i, w in enumerate(column.witnesses) if w.form == form)
    effect = effect_of(column, column.witnesses[k], Run(k, 0, 0, 1_000.0, n_eff, y))
    return alarm_sentence(column, effect, APRIL)


def test_sentences() -> None:
    since = "since 26 April 2013 14:00 UTC."
    assert said("error", "is", 0.291, 2_550.0) == f"The error rate went from 24.2 % to 29.1 % (±1.8) {since}"
    low, high = (
        "features.temp: the share of values above the old P98 (",
        f") went from 2.2 % to 10.0 % (±1.9) {since}",
    )
    sentence = said("features.temp", "below", 0.9, 1_000.0)
    assert sentence.startswith(low)
    assert sentence.endswith(high)
    assert (
        said("features.temp", "mean", 0.5, 400.0)
        == f"features.temp: the mean went from 49.85 to 54.77 (±0.98) {since}"
    )
    assert "typical distance from the old mean went from 9.85 to 13.93" in said(
        "features.temp", "spread", 2.0, 400.0
    )
    assert "the share of unseen categories went from 0.0 % to 30.0 %" in said("features.city:q", "is", 0.3, 100.0)


def test_category_names_are_made_printable() -> None:
    column = columns()["features.city"]
    assert {w.label for w in column.witnesses} >= {'"Oslo?"', '"Bergen"'}


def test_error_bars_are_ordered_and_shares_stay_shares() -> None:
    column = columns()["features.temp"]
    witness = next(w for w in column.witnesses if w.complement)
    effect = effect_of(column, witness, Run(0, 0, 0, 10.0, 4.0, 0.99))
    assert 0.0 <= effect.current.low <= effect.current.value <= effect.current.high <= 1.0
    resolved = resolved_sentence(column, effect, APRIL)
    assert "is back" in resolved


@pytest.mark.parametrize("y", [-0.03, 1.02])
def test_a_share_less_its_season_may_lie_outside_and_is_said_all_the_same(y: float) -> None:
    """A night without errors, where the season expects some: the mean less the expectation is below nothing.

    Mutation: `y` in the place of the clipped share in `effect_of`'s sigma."""
    column = columns()["error"]
    effect = effect_of(column, column.witnesses[0], Run(0, 0, 0, 1_000.0, 50.0, y))
    assert effect.current.value == min(max(y, 0.0), 1.0)
    assert 0.0 <= effect.current.low <= effect.current.high <= 1.0
