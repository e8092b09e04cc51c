"""Estimated performance: what the scores of today say of outcomes nobody knows yet, and when it no longer holds."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from driftline.stats.block import fold_rows
from driftline.stats.calibration import Calibration, Scores
from driftline.stats.compare import compare
from driftline.stats.confusion import CELLS, METRICS, Metric, measure
from driftline.stats.graded import APART
from driftline.stats.grid import Grid
from driftline.stats.performance import Figures, estimated, expected, parted, read, realised
from driftline.stats.profile import Profile
from driftline.stats.settings import DetectionSettings
from stats.worlds import Floats, profile_of, rows_of

SETTINGS = DetectionSettings()
THRESHOLD = 0.4
Truth = Callable[[Floats], Floats]


def honest(score: Floats) -> Floats:
    """The model's scores are what they say, bent a little: calibration has to learn it."""
    return np.asarray(0.05 + 0.8 * score**1.3)


def world(rng: np.random.Generator, n: int, mean: float, truth: Truth) -> tuple[Floats, Floats, Floats]:
    """(score, graded score, error) of n events, scores about `mean`."""
    score = rng.beta(6 * mean, 6 * (1 - mean), size=n)
    is_so = rng.random(n) < truth(score)
    said = score >= THRESHOLD
    return score, score + APART * (2.0 * is_so + said), (said != is_so).astype(np.float64)


def reference(rng: np.random.Generator, n: int = 20_000) -> tuple[Profile, Scores]:
    score, graded, error = world(rng, n, 0.35, honest)
    profile = profile_of({"score": score}, SETTINGS, pairs={"error": error, "graded": graded})
    scores = profile.scores
    assert scores is not None
    return profile, scores


def seen(profile: Profile, scores: Scores, score: Floats) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], int]:
    panes = fold_rows(profile.predictions.grid, rows_of({"score": score}))
    return scores.seen(sum(pane.counts[0] for pane in panes.values())), len(panes)


def measured(profile: Profile, scores: Scores, graded: Floats, error: Floats) -> tuple[Figures, Figures]:
    """(realised, expected of the same scores)."""
    assert profile.pairs is not None
    grid: Grid = profile.pairs.grid
    panes = fold_rows(grid, rows_of({"error": error, "graded": graded}))
    table = scores.graded(sum(pane.counts[grid.index["graded"]] for pane in panes.values()))
    calibration = scores.calibration
    return (
        realised(calibration, table, len(panes)),
        estimated(calibration, table.sum(axis=0), len(panes)),
    )


def exact(score: Floats, graded: Floats) -> dict[Metric, float]:
    """The metrics of the events themselves, no bins in between."""
    cell = (graded // APART).astype(int)
    tn, fp, fn, tp = (int((cell == c).sum()) for c in range(4))
    order = np.argsort(score)
    rank = np.empty(len(score))
    rank[order] = np.arange(1, len(score) + 1)
    positive = cell >= 2
    p, n = int(positive.sum()), int((~positive).sum())
    return {
        "accuracy": (tp + tn) / len(cell),
        "precision": tp / (tp + fp),
        "recall": tp / (tp + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "auc": float(rank[positive].sum() - p * (p + 1) / 2) / (p * n),
    }


@pytest.mark.parametrize("mean", [0.2, 0.35, 0.55])
def test_scores_that_move_are_followed(mean: float) -> None:
    """Other inputs, the same relation: the estimate goes where the truth goes, without one outcome of it. Mutation:
    shares of the whole reference in the place of each bin's."""
    rng = np.random.default_rng(11)
    profile, scores = reference(rng)
    score, graded, _ = world(rng, 20_000, mean, honest)
    counts, panes = seen(profile, scores, score)
    found, truth = estimated(scores.calibration, counts, panes), exact(score, graded)
    assert found.keys() == set(METRICS)
    for metric in METRICS:
        assert abs(found[metric].value - truth[metric]) < 3.0 * found[metric].error, metric
    at_home = exact(*world(rng, 20_000, 0.35, honest)[:2])
    if mean != 0.35:
        assert abs(truth["accuracy"] - at_home["accuracy"]) > 5.0 * found["accuracy"].error  # it did move


def test_bins_cost_nothing_that_matters() -> None:
    rng = np.random.default_rng(12)
    profile, scores = reference(rng)
    score, graded, error = world(rng, 30_000, 0.5, honest)
    found, _ = measured(profile, scores, graded, error)
    for metric, value in exact(score, graded).items():
        assert found[metric].value == pytest.approx(value, abs=1e-3 if metric == "auc" else 1e-12)


@pytest.mark.parametrize("pairs", [2_000, 20_000])
def test_errors_are_as_large_as_they_are_said_to_be(pairs: int) -> None:
    """Over references and days made anew, realised less expected is within two of its errors in 95 % of cases, for
    every metric: neither much less nor much more. Mutation: leave out what the reference does not know (`known` 0)."""
    within = dict.fromkeys(METRICS, 0)
    runs = 150
    rng = np.random.default_rng([7, pairs])
    _, scores = reference(rng, 2_000)
    cuts = np.linspace(0.0, 1.0, scores.calibration.bins + 1)[1:-1]

    def table(n: int, mean: float) -> np.ndarray[tuple[int, int], np.dtype[np.int64]]:
        score, graded, _ = world(rng, n, mean, honest)
        cell = (graded // APART).astype(int) * scores.calibration.bins + np.searchsorted(cuts, score, side="right")
        return np.bincount(cell, minlength=len(scores.calibration.counts)).reshape(len(CELLS), -1)

    for _ in range(runs):
        known = table(pairs, 0.35)
        known[:, known.sum(axis=0) == 0] = 1
        calibration = Calibration(known.ravel().tolist(), pairs // 100)
        today = table(3_000, 0.45)
        found, hoped = realised(calibration, today, 30), estimated(calibration, today.sum(axis=0), 30)
        for metric in METRICS:
            within[metric] += not parted(found[metric], hoped[metric])
    for metric, count in within.items():
        assert 0.89 <= count / runs <= 1.0, (metric, count / runs)
    assert sum(within.values()) < len(METRICS) * runs  # bars so wide that nothing ever parts would say nothing


def test_a_relation_that_changes_parts_the_two() -> None:
    rng = np.random.default_rng(13)
    profile, scores = reference(rng)
    _, graded, error = world(rng, 5_000, 0.35, lambda score: honest(score) * 0.7)
    found, hoped = measured(profile, scores, graded, error)
    assert parted(found["precision"], hoped["precision"])
    assert found["precision"].value < hoped["precision"].value


def weathered(rng: np.random.Generator, n: int) -> tuple[Floats, Floats, Floats]:
    """Bad hours come whole: outcomes of 500 neighbours have something in common."""
    score = rng.beta(2, 4, size=n)
    bad = np.repeat(rng.normal(0.0, 0.15, size=n // 500), 500)
    is_so = rng.random(n) < np.clip(honest(score) + bad, 0.0, 1.0)
    said = score >= THRESHOLD
    return score, score + APART * (2.0 * is_so + said), (said != is_so).astype(np.float64)


def test_neighbours_that_resemble_each_other_widen_the_errors() -> None:
    """So that no day parts from its scores for its weather: 95 % lie within two errors, where far fewer would of those
    that take every pair to be independent. Mutations: `between` 1, or `b` 0, in `Inflation.of`."""
    rng = np.random.default_rng(14)
    wide, narrow, days = dict.fromkeys(METRICS, 0), dict.fromkeys(METRICS, 0), 0
    for _ in range(8):
        score, graded, error = weathered(rng, 40_000)
        profile = profile_of({"score": score}, SETTINGS, pairs={"error": error, "graded": graded})
        assert profile.scores is not None and profile.pairs is not None
        place, known = profile.pairs.grid.index["graded"], profile.scores.calibration
        plain = Calibration(known.counts, known.units)
        for _ in range(10):
            _, graded, error = weathered(rng, 5_000)
            folded = fold_rows(profile.pairs.grid, rows_of({"error": error, "graded": graded})).values()
            table = profile.scores.graded(sum(pane.counts[place] for pane in folded))
            nobody = np.zeros(known.bins, np.int64)
            for calibration, within in ((known, wide), (plain, narrow)):
                day = read(0, 1, calibration, nobody, 0, table, len(folded))
                for metric in METRICS:
                    within[metric] += not day.parted(metric)
            days += 1
    assert min(wide.values()) >= 0.88 * days, wide
    assert max(narrow.values()) <= 0.8 * days, narrow


@pytest.mark.parametrize("metric", METRICS)
def test_derivatives_are_derivatives(metric: Metric) -> None:
    table = np.random.default_rng(3).uniform(5.0, 50.0, size=(len(CELLS), 7))
    _, gradient = measure(metric, table)
    for place in np.ndindex(*table.shape):
        step = np.zeros_like(table)
        step[place] = 1e-4
        slope = (measure(metric, table + step)[0] - measure(metric, table - step)[0]) / 2e-4
        # Numbers of a bin are given: what matters are differences between its cells.
        base = np.zeros_like(table)
        base[0, place[1]] = 1e-4
        other = (measure(metric, table + base)[0] - measure(metric, table - base)[0]) / 2e-4
        assert gradient[place] - gradient[0, place[1]] == pytest.approx(slope - other, abs=1e-9)


def test_the_table_adds_up_and_undefined_metrics_are_left_out() -> None:
    _, scores = reference(np.random.default_rng(15), 2_000)
    calibration = scores.calibration
    nobody = np.zeros(calibration.bins, np.int64)
    assert estimated(calibration, nobody, 0) == {}
    low = nobody.copy()
    low[0] = 100
    table = expected(calibration, low)
    assert table.sum() == pytest.approx(100.0) and (table >= 0).all()
    only_negative = np.zeros((len(CELLS), calibration.bins), np.int64)
    only_negative[0] = 10
    assert realised(calibration, only_negative, 3).keys() == {"accuracy"}
    assert all(math.isfinite(one.error) for one in realised(calibration, only_negative, 3).values())


def test_without_graded_scores_nothing_is_estimated() -> None:
    rng = np.random.default_rng(16)
    score, graded, error = world(rng, 5_000, 0.4, honest)
    plain = profile_of({"score": score}, SETTINGS, pairs={"error": error})
    assert plain.scores is None and profile_of({"score": score}, SETTINGS).scores is None
    unscored = profile_of({"x": score}, SETTINGS, pairs={"error": error, "graded": graded})
    assert unscored.scores is None and unscored.pairs is not None and "graded" not in unscored.pairs.grid.index
    watched = profile_of({"score": score}, SETTINGS, pairs={"error": error, "graded": graded})
    assert watched.pairs is not None
    assert not [name for name, _ in watched.pairs.paging if "graded" in name]  # it costs no alarm budget
    assert {line.column for line in compare(watched, watched)} == {"score", "error"}  # and nobody reads it


def test_a_reading_says_all_there_is_to_say() -> None:
    rng = np.random.default_rng(17)
    profile, scores = reference(rng)
    score, graded, error = world(rng, 6_000, 0.3, honest)
    counts, panes = seen(profile, scores, score)
    assert profile.pairs is not None
    grid = profile.pairs.grid
    folded = fold_rows(grid, rows_of({"error": error[:2_000], "graded": graded[:2_000]})).values()
    table = scores.graded(sum(pane.counts[grid.index["graded"]] for pane in folded))
    reading = read(0, 1, scores.calibration, counts, panes, table, len(folded))
    assert (reading.predictions, reading.pairs) == (6_000, 2_000)
    assert reading.table.sum() == pytest.approx(6_000) and reading.counted.sum() == 2_000
    assert reading.counted.tolist() == np.bincount((graded[:2_000] // APART).astype(int), minlength=4).tolist()
    assert reading.measured["accuracy"].value == pytest.approx(1.0 - error[:2_000].mean())
    nothing = np.zeros_like(table)
    young = read(0, 1, scores.calibration, counts, panes, nothing, 0)
    assert young.estimated == reading.estimated and young.measured == {} and not young.parted("accuracy")
