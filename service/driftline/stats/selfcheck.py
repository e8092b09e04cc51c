"""The self-check of a reference: its own panes, in random blocks, through the detectors that will judge the present,
what columns do together among them.

An ARL0 of weeks cannot be counted on hours of reference. So the level is that of one false alarm in a twentieth of
what is replayed: 20 alarms would be just within the promise. What is told is the ratio, at that level; evidence for
the level asked for it is not. Blocks are an eighth of the reference: what is correlated over longer is broken up.
Where a season is taken out, every pane keeps its place in the period.

A pure function of the reference; at most 1,000 panes, ten times its own, and a third of a second of one core
(20 columns).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from driftline.stats.block import PaneCounts
from driftline.stats.budget import weights
from driftline.stats.cbe import BlockDetector
from driftline.stats.duplicates import MONITOR as DUPLICATES
from driftline.stats.embedding import FEATURES
from driftline.stats.fit import Timeline
from driftline.stats.joint import MONITOR as JOINT
from driftline.stats.joint_rules import JointRules
from driftline.stats.season import PERIOD_MS
from driftline.stats.section import Section, SelfCheck
from driftline.stats.settings import DetectionSettings
from driftline.stats.units import DAY_MS, Units
from driftline.stats.witness import WIDTH

ALARMS_ALLOWED: Final = 20
BLOCKS: Final = 8
MOST_PANES: Final = 1_000
LEAST_PANES: Final = 400
MOST_CELLS: Final = 2_000_000
"""Cells of evidence that are updated: what bounds the time it takes."""
SEED: Final = 4

Index = NDArray[np.intp]


def self_check(
    section: Section, codes: NDArray[np.uint8], time: Timeline, settings: DetectionSettings
) -> SelfCheck | None:
    """`codes` [n, columns] of the reference's rows. None where nothing may page."""
    columns = section.monitored
    judged = {name: why_not for name, why_not in section.paging if name != DUPLICATES}  # these are no rows
    share = weights({name: name for name, why_not in judged.items() if not why_not})
    if not share:
        return None
    panes = len(time.middle)
    cells = 10 * (len(section.table.monitor) + (FEATURES if JOINT in share else 0))
    steps = int(np.clip(min(MOST_CELLS // cells, 10 * panes), LEAST_PANES, MOST_PANES))
    block = max(1, panes // BLOCKS)
    order = _blocks(section, time, steps, block)
    counts = _counts(section, codes, time, np.unique(order))
    place = np.searchsorted(np.unique(order), order)
    units = Units(section, settings.coalesce, in_events=settings.unit == "events")
    length = float(section.n / panes if units.in_events else time.pane_ms / DAY_MS) * steps
    arl0 = length / ALARMS_ALLOWED
    levels = {name: math.log(arl0 / weight) for name, weight in share.items()}
    level = np.array([levels.get(column.monitor, math.inf) for column in columns])
    sums = _sums(section, codes, time, np.unique(order)) if JOINT in share else []
    detector, joint = BlockDetector(section.table), _joint(section, settings)
    alarms = 0
    for pane, (source, at) in enumerate(zip(order.tolist(), place.tolist(), strict=True)):
        if sums and joint is not None:
            found = joint.update(pane, time.pane_ms, sums[at], levels[JOINT], ())
            if found is not None:
                alarms += 1
                detector, joint = BlockDetector(section.table), _joint(section, settings)
        unit = units.update(pane, int(time.middle[source]), time.pane_ms, counts[at].astype(np.int64))
        if unit is None:
            continue
        evidence = detector.update(unit.due, unit.y, unit.n, unit.ratio, unit.length, unit.start)
        if (evidence >= level).any():
            alarms += 1
            detector, joint = BlockDetector(section.table), _joint(section, settings)
    return SelfCheck(unit=settings.unit, arl0=arl0, length=length, alarms=alarms, panes=steps, block=block)


def _joint(section: Section, settings: DetectionSettings) -> JointRules | None:
    if section.joint is None:
        return None
    return JointRules(section, section.joint, settings.coalesce, in_events=settings.unit == "events")


def _sums(section: Section, codes: NDArray[np.uint8], time: Timeline, wanted: Index) -> list[PaneCounts]:
    """Of the wanted panes what columns do together; no column's own counts."""
    embedding = section.grid.embedding
    assert embedding is not None
    rows = np.flatnonzero(np.isin(time.pane_of, wanted))
    sizes = np.bincount(np.searchsorted(wanted, time.pane_of[rows]), minlength=len(wanted))
    bounds = np.concatenate(([0], np.cumsum(sizes)))
    sums = embedding.sums(np.ascontiguousarray(codes[rows].T), bounds.tolist())
    none = PaneCounts.empty(0)
    return [
        PaneCounts(n, none.counts, none.moments, {}, total) for n, total in zip(sizes.tolist(), sums, strict=True)
    ]


def _blocks(section: Section, time: Timeline, steps: int, block: int) -> Index:
    """Which pane of the reference stands in for each pane replayed."""
    # RandomState's stream is frozen for ever: whoever learns from these rows learns the same profile.
    draw = np.random.RandomState(SEED)
    panes = len(time.middle)
    seasons = {column.season.period for column in section.monitored if column.season is not None}
    if not seasons:
        starts = draw.randint(0, panes, steps // block + 1)
        return ((starts[:, None] + np.arange(block)) % panes).ravel()[:steps]
    period = max(PERIOD_MS[season] for season in seasons)
    first, number = time.middle[0] // period, time.middle // time.pane_ms
    periods = int(time.middle[-1] // period - first) + 1
    found: list[Index] = []
    held, at = 0, int(time.middle[0] % period)
    while held < steps:
        low = int((first + draw.randint(0, periods)) * period + at) // time.pane_ms
        part = np.arange(*np.searchsorted(number, (low, low + block)))
        found.append(part)
        held += len(part)
        at = (at + block * time.pane_ms) % period
    return np.concatenate(found)[:steps]


def _counts(section: Section, codes: NDArray[np.uint8], time: Timeline, wanted: Index) -> NDArray[np.int32]:
    """Coarse counts int32 [wanted panes, monitors, 64]."""
    place = np.full(len(time.middle), -1)
    place[wanted] = np.arange(len(wanted))
    rows = np.flatnonzero(place[time.pane_of] >= 0)
    pane = place[time.pane_of[rows]]
    found = np.empty((len(wanted), len(section.monitored), WIDTH), np.int32)
    for j, column in enumerate(section.monitored):
        coarse = column.coarse_map[codes[rows, section.grid.index[column.name]]]
        found[:, j] = np.bincount(pane * WIDTH + coarse, minlength=len(wanted) * WIDTH).reshape(-1, WIDTH)
    return found
