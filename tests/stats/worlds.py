"""Made-up worlds for the monitors: rows in panes of a minute, profiles learnt from them, panes judged in turn."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from driftline.stats.block import PaneCounts, fold_rows
from driftline.stats.change import Change
from driftline.stats.monitors import ModelMonitors
from driftline.stats.profile import Profile, make_profile
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.section import Stream
from driftline.stats.settings import DetectionSettings

Floats = NDArray[np.float64]
Cells = Floats | list[str | None]

PANE = 60_000
"""With 100 events a pane."""
DAY_EVENTS = 144_000
PER_PANE = 100


def rows_of(columns: dict[str, Cells], *, start: int = 0, per: int = PER_PANE) -> Rows:
    """`per` rows a minute from `start` (ms) on. NaN and None are missing."""
    n = len(next(iter(columns.values())))
    at = np.arange(n)
    times = start + at // per * PANE + at % per * (PANE // per)
    cells = {
        name: Column(values) if isinstance(values, np.ndarray) else Column(np.full(n, np.nan), values)
        for name, values in columns.items()
    }
    return Rows(times.astype(np.int64), at.astype(np.uint64), cells)


def profile_of(
    reference: dict[str, Cells],
    settings: DetectionSettings,
    *,
    pairs: dict[str, Cells] | None = None,
    per: int = PER_PANE,
) -> Profile:
    """Judged from the first pane after the reference on."""
    rows = rows_of(reference, per=per)
    predictions = learn_section("predictions", rows, PANE, settings)
    outcomes = None
    if pairs is not None:
        outcomes = learn_section("pairs", rows_of(pairs, per=per), PANE, settings, scores=predictions.scores)
    return make_profile(
        model="m",
        version="1",
        source="training",
        created=0,
        judged_from=int(rows.times[-1]) // PANE * PANE + PANE,
        predictions=predictions,
        pairs=outcomes,
    )


def panes_of(
    profile: Profile, stream: Stream, columns: dict[str, Cells], *, per: int = PER_PANE, after: int = 0
) -> list[tuple[int, PaneCounts]]:
    """Panes in order of time, the first `after` panes past `judged_from`."""
    section = profile.section(stream)
    assert section is not None
    rows = rows_of(columns, start=profile.judged_from + after * PANE, per=per)
    return sorted(fold_rows(section.grid, rows).items())


def judge(
    monitors: ModelMonitors, stream: Stream, panes: Sequence[tuple[int, PaneCounts]]
) -> list[tuple[int, Change]]:
    """Changes with the number of the pane, from 0, that brought each."""
    return list(_judge(monitors, stream, panes))


def _judge(
    monitors: ModelMonitors, stream: Stream, panes: Sequence[tuple[int, PaneCounts]]
) -> Iterator[tuple[int, Change]]:
    for i, (start, counts) in enumerate(panes):
        for change in monitors.update(stream, start, counts):
            yield i, change


def autoregressive(rng: np.random.Generator, n: int, phi: float) -> Floats:
    """AR(1) of variance 1."""
    noise = rng.normal(0.0, (1.0 - phi * phi) ** 0.5, n)
    series = np.empty(n)
    last = rng.normal()
    for i, step in enumerate(noise.tolist()):
        series[i] = last = phi * last + step
    return series
