"""Changes of unit are named, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest

from driftline.stats.block import fold_rows
from driftline.stats.grid import learn_grid
from driftline.stats.monitors import ModelMonitors
from driftline.stats.settings import DetectionSettings
from driftline.stats.unit_change import KNOWN, unit_change, unit_sentence
from stats.worlds import Floats, judge, panes_of, profile_of, rows_of

N = 20_000


def draw(law: str, seed: int, n: int) -> Floats:
    rng = np.random.default_rng(seed)
    match law:
        case "weights":
            return rng.normal(80.0, 15.0, n)
        case "lengths":
            return rng.normal(170.0, 10.0, n)
        case "times":
            return rng.lognormal(3.0, 1.0, n)
        case "temperatures":
            return rng.normal(15.0, 8.0, n)
        case "counts":
            return rng.poisson(12.0, n).astype(np.float64)
    return rng.normal(size=n)


def said(law: str, values: Floats) -> str:
    """What one pane of so many values looks like."""
    grid = learn_grid(rows_of({"x": draw(law, 1, N)}), 60_000)
    reference = fold_rows(grid, rows_of({"x": draw(law, 1, N)}, per=N))[0]
    pane = fold_rows(grid, rows_of({"x": values}, per=len(values)))[0]
    found = unit_change(grid.columns[0], reference.counts[0], pane.counts[0], pane.moments[0], float(len(values)))
    return "" if found is None else unit_sentence(found)


@pytest.mark.parametrize(
    ("law", "scale", "words"),
    [
        ("weights", 1_000.0, "values are 1,000 times the reference's."),
        ("weights", 1 / 1_000.0, "values are the reference's divided by 1,000."),
        ("weights", 1 / 0.45359237, "2.205 times the reference's (kilograms to pounds)."),
        ("lengths", 0.01, "divided by 100."),
        ("lengths", 1 / 2.54, "divided by 2.54 (centimetres to inches)."),
        ("lengths", 10.0, "10 times"),
        ("times", 1_000.0, "1,000 times"),
        ("counts", 100.0, "100 times"),
        ("normal", 100.0, "100 times"),
    ],
)
def test_a_change_of_unit_is_named(law: str, scale: float, words: str) -> None:
    """Mutation: leave the quartiles out of `grid._outer_edges`."""
    for seed in (2, 3, 4):
        assert words in said(law, draw(law, seed, 200) * scale)


def test_degrees_are_named() -> None:
    celsius = draw("temperatures", 2, 200)
    assert "plus 32 (Celsius to Fahrenheit)" in said("temperatures", celsius * 1.8 + 32.0)
    assert "less 32, divided by 1.8 (Fahrenheit to Celsius)" in said("temperatures", (celsius - 32.0) / 1.8)


@pytest.mark.parametrize("law", ["weights", "lengths", "times", "temperatures", "counts", "normal"])
def test_nothing_else_is_named(law: str) -> None:
    """Shifts, spreads, other factors, sentinels, mixtures, and nothing at all.

    Mutation: leave the moments out of the misfit; or take the best whatever the second."""
    rng = np.random.default_rng(9)
    for seed in range(5):
        x = draw(law, 20 + seed, 200)
        sd = float(draw(law, 1, N).std())
        some = rng.random(200) < 0.4
        for other in (
            *(x, x[:15] * 1_000.0, x + 0.5 * sd, x + 3.0 * sd, x - 3.0 * sd, -x),
            *(x * 1.3, x * 3.7, x * 30.0, x * 300.0, x / 30.0, x / 5.0),
            *(np.full(200, 99_999.0), np.full(200, -1.0), np.zeros(200), np.where(some, 99_999.0, x)),
            *(np.where(some, x * 1_000.0, x), np.sort(x) * rng.uniform(0.2, 5.0, 200)),
        ):
            assert said(law, other) == ""


def test_it_is_said_with_the_alarm() -> None:
    profile = profile_of({"features.kg": draw("weights", 1, N)}, DetectionSettings())
    panes = panes_of(profile, "predictions", {"features.kg": draw("weights", 2, 1_000) * 1_000.0})
    found = [c for _, c in judge(ModelMonitors(profile, DetectionSettings()), "predictions", panes)]
    assert [(c.monitor, c.state) for c in found] == [
        ("features.kg:distribution", "alarm"),
        ("features.kg:quality", "alarm"),
    ]
    for change in found:
        assert change.sentence.endswith("Looks like a change of unit: values are 1,000 times the reference's.")
        assert change.effect is not None and change.effect.unit_change is not None
        assert change.effect.unit_change.scale == 1_000.0


def test_every_change_has_its_words() -> None:
    assert len({unit_sentence(change) for change in KNOWN}) == len(KNOWN)
