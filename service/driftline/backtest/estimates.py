"""Performance as it is plotted: estimated from scores, and measured once outcomes are known."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.backtest.axes import Axes, roomy, shown_share
from driftline.backtest.report import short
from driftline.backtest.series import DAY_MS, LADDER, Series, Track
from driftline.contracts.blocks import PAIRS, PREDICTIONS
from driftline.registry import ModelKey
from driftline.stats.calibration import Scores
from driftline.stats.confusion import CELLS, METRICS, Metric
from driftline.stats.graded import COLUMN, SCORE
from driftline.stats.performance import Reading, read
from driftline.stats.profile import Profile

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NAMES: Final[Mapping[Metric, str]] = {
    "accuracy": "accuracy",
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
}
MOST_READINGS: Final = 60
"""Shorter buckets would mostly show chance."""


@dataclass(frozen=True)
class Estimates:
    """One metric of a model version over time, in readings at least one of which knows it."""

    model: str
    version: str
    metric: Metric
    readings: Sequence[Reading]

    @property
    def times(self) -> Floats:
        """Middles of the readings, ms."""
        return np.array([(one.start + one.end) / 2 for one in self.readings])

    @property
    def values(self) -> Floats:
        """NaN where nothing is estimated."""
        return self._of(lambda one: one.estimated[self.metric].value if self.metric in one.estimated else math.nan)

    @property
    def band(self) -> tuple[Floats, Floats]:
        """Two standard errors below and above, within 0 and 1."""
        bars = 2.0 * self._of(
            lambda one: one.estimated[self.metric].error if self.metric in one.estimated else math.nan
        )
        return np.maximum(self.values - bars, 0.0), np.minimum(self.values + bars, 1.0)

    @property
    def measured(self) -> list[tuple[float, Reading]]:
        """(middle, reading) of those with outcomes enough to know the metric."""
        pairs = zip(self.times.tolist(), self.readings, strict=True)
        return [(time, one) for time, one in pairs if self.metric in one.measured]

    def _of(self, figure: Callable[[Reading], float]) -> Floats:
        return np.array([figure(one) for one in self.readings], np.float64)


def estimates_of(readings: Mapping[ModelKey, Sequence[Reading]]) -> list[Estimates]:
    """One for each model version and metric that any reading knows."""
    return [
        Estimates(*key, metric, found)
        for key, found in sorted(readings.items())
        for metric in METRICS
        if any(metric in one.estimated or metric in one.measured for one in found)
    ]


def readings_of(series: Series, profiles: Mapping[ModelKey, Profile]) -> dict[ModelKey, list[Reading]]:
    """From the counts that a backtest has followed; of each model version whose scores its reference can read."""
    found = {}
    for key, profile in profiles.items():
        tracks = [series.tracks.get((key, stream)) for stream in (PREDICTIONS, PAIRS)]
        if profile.scores is not None and tracks[0] is not None:
            found[key] = list(_readings(profile, profile.scores, tracks[0], tracks[1]))
    return {key: readings for key, readings in found.items() if readings}


def _readings(profile: Profile, scores: Scores, seen: Track, graded: Track | None) -> Iterable[Reading]:
    tracks = [seen, graded] if graded is not None else [seen]
    starts = [start for track in tracks for start in track.buckets]
    width = _width(max(track.width for track in tracks), max(starts) - min(starts)) if starts else DAY_MS
    predicted = _by_bucket(seen, SCORE, width, scores.seen, scores.calibration.bins)
    paired = (
        _by_bucket(
            graded, COLUMN, width, lambda counts: scores.graded(counts).ravel(), len(scores.calibration.counts)
        )
        if graded is not None
        else {}
    )
    for start in sorted(predicted.keys() | paired.keys()):
        if start + width <= profile.judged_from:
            continue
        made = predicted.get(start, np.zeros(scores.calibration.bins, np.int64))
        known = paired.get(start, np.zeros(len(scores.calibration.counts), np.int64))
        panes = max(1, width // profile.pane_ms)
        yield read(
            start,
            start + width,
            scores.calibration,
            made,
            min(panes, max(1, int(made.sum()) // 30)),
            known.reshape(len(CELLS), -1),
            min(panes, max(1, int(known.sum()) // 30)),
        )


def _width(least: int, length: int) -> int:
    return next((w for w in LADDER if w >= least and length <= MOST_READINGS * w), max(least, LADDER[-1]))


def _by_bucket(track: Track, name: str, width: int, take: Callable[[Ints], Ints], length: int) -> dict[int, Ints]:
    place = track.section.grid.index.get(name)
    found: dict[int, Ints] = {}
    for start, counts in track.buckets.items() if place is not None else ():
        at = start // width * width
        found[at] = found.get(at, np.zeros(length, np.int64)) + take(counts.counts[place])
    return found


def estimate_figure(one: Estimates, *, several: bool) -> str:
    """A section of a page."""
    name = f"{one.model} {one.version} · {NAMES[one.metric]}" if several else NAMES[one.metric]
    parted = sum(reading.parted(one.metric) for _, reading in one.measured)
    said = (
        f"{parted} of {len(one.measured)} readings measured lie two errors or more from what was expected of their own "
        "scores" + (": equal scores no longer mean equal outcomes" if parted > 2 + len(one.measured) / 8 else "")
    )
    return (
        f"<section><h2>{html.escape(name)} <small>estimated and measured</small></h2>{_svg(one)}"
        f"<ul class=said><li>{said if one.measured else 'no outcomes yet'}</li></ul></section>"
    )


def _svg(one: Estimates) -> str:
    times, values, (below, above) = one.times, one.values, one.band
    dots = [(time, r.measured[one.metric].value, r) for time, r in one.measured]
    known = np.isfinite(values)
    spread = [*below[known].tolist(), *above[known].tolist(), *(value for _, value, _ in dots)]
    low, high = roomy(spread or [0.0, 1.0])
    axes = Axes((float(times[0]), max(float(times[-1]), float(times[0]) + 1.0)), low, high, shown_share)
    parts = [*axes.band(times, below, above), *axes.moments(), *axes.levels(), axes.line(times, values)]
    for time, value, reading in dots:
        kind = "parted" if reading.parted(one.metric) else "dot"
        parts.append(axes.dot(kind, time, value, f"{short(int(time))} {_words(one.metric, reading)}"))
    return axes.svg(parts, times, [_words(one.metric, reading) for reading in one.readings])


def _words(metric: Metric, one: Reading) -> str:
    parts = []
    if metric in one.estimated:
        figure = one.estimated[metric]
        parts.append(f"estimated {shown_share(figure.value)} ± {200.0 * figure.error:.2g} ({one.predictions:,})")
    if metric in one.measured:
        parts.append(f"measured {shown_share(one.measured[metric].value)} ({one.pairs:,})")
    return ", ".join(parts) or "no value"
