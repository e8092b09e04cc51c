"""What a plot shows of each monitor: its figure over time, what the reference leads one to expect, its alarms.

The figure is that of the witness that raised the first alarm (a mean, a share), else of the monitor's main one. The
band is the reference's value, give or take the smallest effect that counts and two standard errors of a bucket of
the usual size: outside it lies what a detector should notice, inside what it should bear.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftline.backtest.result import Alarm, Result
from driftline.backtest.series import Series, Track
from driftline.backtest.truth import Change
from driftline.stats.section import ColumnReference
from driftline.stats.witness import MISSING_BIN, Witness
from driftline.stats.wording import shown_value, subject_of

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """`times` are middles of buckets (ms); `values` NaN where a bucket holds none. Without values only the alarms
    are known. `share`: values are shares of 1."""

    model: str
    version: str
    monitor: str
    what: str
    times: Floats
    values: Floats
    low: float
    middle: float
    high: float
    share: bool
    alarms: Sequence[Alarm]
    changes: Sequence[Change]
    reference_until: int
    why_not: str = ""


def panels_of(result: Result, series: Series, changes: Sequence[Change]) -> list[Panel]:
    """Monitors with alarms first, in order of their first alarm; then errors, predictions, features."""
    by_monitor: dict[tuple[str, str, str], list[Alarm]] = {}
    for alarm in result.alarms():
        by_monitor.setdefault((alarm.model, alarm.version, alarm.monitor), []).append(alarm)
    found: dict[tuple[str, str, str], Panel] = {}
    for ((model, version), stream), track in series.tracks.items():
        profile = result.profiles.get((model, version))
        until = profile.since(stream) if profile is not None else 0
        starts, coarse = track.coarse()
        for j, column in enumerate(track.section.monitored):
            key = (model, version, column.monitor)
            alarms = by_monitor.get(key, [])
            found[key] = _panel(key, column, track, starts, coarse[:, j], alarms, changes, until)
    for key in by_monitor.keys() - found.keys():
        found[key] = _bare(key, by_monitor[key], changes)
    order = {key: i for i, key in enumerate(sorted(found, key=lambda key: (not _about_errors(key[2]), key)))}
    return [
        found[key]
        for key in sorted(
            found, key=lambda key: (by_monitor[key][0].time if key in by_monitor else math.inf, order[key])
        )
    ]


def _about_errors(monitor: str) -> bool:
    return not monitor.startswith("features.")


def _panel(
    key: tuple[str, str, str],
    column: ColumnReference,
    track: Track,
    starts: npt.NDArray[np.int64],
    counts: npt.NDArray[np.int64],
    alarms: Sequence[Alarm],
    changes: Sequence[Change],
    until: int,
) -> Panel:
    witness = _witness(column, alarms)
    f = column.values(witness)
    rows = counts.sum(axis=1)
    n = (rows - counts[:, MISSING_BIN]).astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(n > 0, counts @ f / n, np.nan)
    usual = float(np.median(n[n > 0])) if (n > 0).any() else 1.0
    units = max(1.0, min(track.width / track.section.grid.pane_ms, usual / 30.0))
    room = witness.eps + 2.0 * witness.sigma * math.sqrt(witness.inflation(usual, units))
    edges = sorted(shown_value(column, witness, x) for x in (witness.mu - room, witness.mu + room))
    return Panel(
        *key,
        what=subject_of(column, witness),
        times=starts.astype(np.float64) + track.width / 2,
        values=np.array([shown_value(column, witness, y) for y in means]),
        low=edges[0],
        middle=shown_value(column, witness, witness.mu),
        high=edges[1],
        share=witness.share,
        alarms=alarms,
        changes=[change for change in changes if _concerns(change, key)],
        reference_until=until,
        why_not=column.why_not,
    )


def _bare(key: tuple[str, str, str], alarms: Sequence[Alarm], changes: Sequence[Change]) -> Panel:
    nothing = np.empty(0)
    concerned = [change for change in changes if _concerns(change, key)]
    return Panel(*key, "", nothing, nothing, 0.0, 0.0, 0.0, False, alarms, concerned, 0)


def _concerns(change: Change, key: tuple[str, str, str]) -> bool:
    return (not change.model or change.model == key[0]) and key[2].startswith(change.monitor)


def _witness(column: ColumnReference, alarms: Sequence[Alarm]) -> Witness:
    effect = next((alarm.effect for alarm in alarms if alarm.effect is not None), None)
    if effect is not None:
        for witness in column.witnesses:
            if subject_of(column, witness) == effect.witness:
                return witness
    mean = next((w for w in column.witnesses if w.form == "mean"), None)
    return mean or next((w for w in column.witnesses if w.form == "is"), column.witnesses[0])
