"""Witnesses of a column with everything that is estimated: season, a, b and eps.

A pure function of the rows in order of time. Where the reference is too short to tell a season from drift, nothing is
taken out: a and b swallow it (safe, slow), and `Fitted.note` says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.questions import Question
from driftline.stats.season import MIN_PERIODS, PERIOD_MS, PaneSums, Period, Season, can_hold, learn_season
from driftline.stats.settings import DetectionSettings
from driftline.stats.variance import event_inflation, pane_variance, positive_run, without_unit_means
from driftline.stats.witness import MISSING_BIN, WIDTH, Witness, witness_values

Floats = NDArray[np.float64]
Index = NDArray[np.intp]

LONG_RUN: Final = 8
"""A wave of which the reference holds two periods is positively correlated over an eighth of it."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """Rows of a section in order of time: `pane_of` [n] from 0, `middle` [panes] ms, `span_ms`, `pane_ms`."""

    pane_of: Index
    middle: NDArray[np.int64]
    span_ms: int
    pane_ms: int


@dataclass(frozen=True, slots=True)
class Fitted:
    """`why_not`: why the column must not page; empty where it may."""

    witnesses: list[Witness]
    season: Season | None
    note: str
    why_not: str


@dataclass(frozen=True, slots=True)
class _Data:
    """What a column's questions see: f [K, 64]."""

    questions: list[Question]
    f: Floats
    sigma: Floats
    prior: Floats
    bins: NDArray[np.uint8]


def fit(
    questions: list[Question],
    bins: NDArray[np.uint8],
    bounds: Index,
    scores: Floats,
    time: Timeline,
    settings: DetectionSettings,
) -> Fitted:
    """`bins`: coarse bin of each row, in order of time; `bounds`: rows at which units end, from 0."""
    if not questions:
        return Fitted([], None, "", "")
    rest = (1.0 - sum(q.prior for q in questions)) / max(sum(not q.prior for q in questions), 1)
    prior = np.array([q.prior or rest for q in questions])
    data = _Data(
        questions,
        np.stack([witness_values(q.form, q.bin, scores) for q in questions]),
        np.array([q.sigma for q in questions]),
        prior / prior.sum(),
        bins,
    )
    season = None
    if settings.season != "none" and any(can_hold(p, time.span_ms, time.pane_ms) for p in PERIOD_MS):
        sums = _pane_sums(data, time)
        season = learn_season(settings.season, sums, data.prior, data.sigma, time.span_ms, time.pane_ms)
    expected = None if season is None else season.expected(time.middle)
    witnesses = _witnesses(data, bounds, time, expected, 1.0 if season is None else season.error_factor, settings)
    why_not = "" if season is not None or settings.season == "none" else _too_short(data, time, settings)
    return Fitted(witnesses, season, _note(season, time, settings), why_not)


def _pane_sums(data: _Data, time: Timeline) -> PaneSums:
    panes = len(time.middle)
    cells = time.pane_of * WIDTH + data.bins
    counts = np.bincount(cells, minlength=panes * WIDTH).reshape(panes, WIDTH).astype(np.float64)
    values = counts.sum(axis=1) - counts[:, MISSING_BIN]
    n = np.repeat(values[:, None], len(data.questions), axis=1)
    return PaneSums(time.middle, n, counts @ data.f.T, counts @ np.square(data.f).T)


def _witnesses(
    data: _Data,
    bounds: Index,
    time: Timeline,
    expected: Floats | None,
    error_factor: float,
    settings: DetectionSettings,
) -> list[Witness]:
    units = len(bounds) - 1
    unit_of = np.repeat(np.arange(units), np.diff(bounds))
    keep = data.bins != MISSING_BIN
    series = data.f[:, data.bins[keep]]
    if expected is not None:
        series = series - expected[time.pane_of[keep]].T
    unit = unit_of[keep[: len(unit_of)]]
    a, b, error = unit_variance(series, data.sigma, unit, units, error_factor, settings)
    return [
        Witness(
            form=q.form,
            bin=q.bin,
            label=q.label,
            weight=float(data.prior[i]),
            mu=q.mu,
            sigma=q.sigma,
            a=_single(a[0, i]),
            b=_single(b[0, i]),
            a_within=_single(a[1, i]),
            b_within=_single(b[1, i]),
            eps=max(q.smallest, _single(error[i])),
            up=q.up,
            down=q.down,
            complement=q.complement,
        )
        for i, q in enumerate(data.questions)
    ]


def unit_variance(
    series: Floats, sigma: Floats, unit: Index, units: int, error_factor: float, settings: DetectionSettings
) -> tuple[Floats, Floats, Floats]:
    """(a [2, K], b [2, K], error of the reference itself [K]) of `series` [K, rows] in order of time, of SD `sigma`.
    `unit`: of each row, but of those after the last unit. Whatever comes of a season is `error_factor` times as
    large."""
    n = np.bincount(unit, minlength=units).astype(np.float64)
    seen = n > 0
    means = np.stack([np.bincount(unit, row[: len(unit)], units) for row in series])[:, seen] / n[seen]
    a = error_factor * np.stack([event_inflation(series), _inflation_within(series, unit)])
    b = np.stack([pane_variance(means, n[seen], np.square(sigma), line / error_factor) for line in a])
    b *= error_factor
    error = settings.z_ref * sigma * np.sqrt((a / series.shape[1] + b / max(units, 1)).max(axis=0))
    return a, b, error


def _single(x: float) -> float:
    """In single precision: what is estimated to a few per cent need not take eight bytes of a profile."""
    return float(np.float32(x))


def _inflation_within(series: Floats, unit: Index) -> Floats:
    """`a` of what varies inside units; what follows the last unit is left out. `unit` of each row, from 0."""
    if not len(unit):
        return np.ones(len(series))
    _, unit = np.unique(unit, return_inverse=True)
    return event_inflation(without_unit_means(series[:, : len(unit)], unit))


def _too_short(data: _Data, time: Timeline, settings: DetectionSettings) -> str:
    """Why a reference of less than two periods must not page: its values go one way for an eighth of it."""
    period: Period = "weekly" if settings.season == "weekly" else "daily"
    values = data.bins[data.bins != MISSING_BIN]
    if time.span_ms >= 2 * PERIOD_MS[period] or not len(values):
        return ""
    if positive_run(data.f[int(np.argmax(data.prior))][values]) * LONG_RUN < len(values):
        return ""
    return (
        f"the reference holds {_periods(time.span_ms, period)} and moves slowly all through it: season and drift "
        f"cannot be told apart before it holds 2"
    )


def _note(season: Season | None, time: Timeline, settings: DetectionSettings) -> str:
    if season is not None:
        explained = max(0.0, 100.0 * (1.0 - season.left))
        return (
            f"a {season.period} season is taken out: known from {season.periods} periods, it foretells "
            f"{explained:.0f} % of how the slots differ"
        )
    if settings.season == "none":
        return "no season is looked for (detection.season is none)"
    missing = [p for p in PERIOD_MS if not can_hold(p, time.span_ms, time.pane_ms)]
    if settings.season != "auto":
        missing = [p for p in missing if p == settings.season]
    if not missing:
        return "no season found"
    return (
        f"the reference holds {_periods(time.span_ms, missing[0])} of the {MIN_PERIODS} it takes to tell a "
        f"{missing[0]} season: where there is one, it counts as noise (safe, slow)"
    )


def _periods(span_ms: int, period: Period) -> str:
    held = span_ms / PERIOD_MS[period]
    return f"{held:.1f} {'days' if period == 'daily' else 'weeks'}"
