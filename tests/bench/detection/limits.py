"""A hard limit on the false-negative rate, judged through blocks and panes, beside detectors of change.

Measured for a rate that changes while the limit is 0.5 %: how many labelled positives come until an alarm:
the limit itself, our monitor of change on the same column's rate, and river's ADWIN and Page-Hinkley on every
positive. ARL0 is in labelled positives: a million, and 30,000 (30 days of 1,000 a day). Each trial starts with 20,000
at the old rate, alarms on which are counted apart. The floor is (ln(ARL0 K) - 1) / K with K = KL(new : limit): no
test that keeps its ARL0 at the limit is faster, and none at all is possible while the new rate is within it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from driftline.contracts.blocks import PAIRS
from driftline.stats.block import PaneCounts, add_block, rows_to_blocks
from driftline.stats.limit_rules import LimitRule
from driftline.stats.limits import Limits
from driftline.stats.opinions import river_drift
from driftline.stats.reference import learn_section
from driftline.stats.rows import Column, Rows
from driftline.stats.section import Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.stream_monitors import StreamMonitors

Floats = NDArray[np.float64]

LIMIT: Final = 0.005
ARL0S: Final = (1_000_000.0, 30_000.0)
REFERENCE: Final = 50_000
PANE: Final = 100
PANE_MS: Final = 100_000
LEAD: Final = 20_000
SEARCHED: Final = 200_000
CHUNK: Final = 5_000
CHANGES: Final = ((0.001, 0.004), (0.002, 0.006), (0.002, 0.01), (0.002, 0.02))
OURS: Final = ("limit", "change of rate")
DETECTORS: Final = (*OURS, "ADWIN", "Page-Hinkley")


@dataclass(frozen=True, slots=True)
class Row:
    """`detector` on a change from `before` to `after`: the median and 90 % quantile of positives until its alarm
    (inf where fewer found it), the share of trials in which it did, and in how many it alarmed on the quiet lead.
    `arl0` and `floor` are None where there is no such budget."""

    detector: str
    arl0: float | None
    before: float
    after: float
    trials: int
    median: float
    p90: float
    found: float
    early: int
    floor: float | None


def rows(before: float, after: float, trials: int, detectors: tuple[str, ...] = DETECTORS) -> list[Row]:
    """`trials` of one change, by every detector."""
    section = _reference(before)
    streams = [_stream(before, after, seed) for seed in range(trials)]
    found = []
    for detector in detectors:
        for arl0 in ARL0S if detector in OURS else (None,):
            firsts = [_first(_alarms(detector, arl0, section, values)) for values in streams]
            found.append(_row(detector, arl0, before, after, firsts))
    return found


def _alarms(detector: str, arl0: float | None, section: Section, values: Floats) -> Iterator[int]:
    match detector:
        case "limit":
            return _limit(section, settings_of(arl0 or ARL0S[0]), values)
        case "change of rate":
            return _change(section, settings_of(arl0 or ARL0S[0]), values)
        case "ADWIN":
            return _river(river_drift().ADWIN(), values)
        case _:
            return _river(river_drift().PageHinkley(), values)


def _row(detector: str, arl0: float | None, before: float, after: float, firsts: list[float]) -> Row:
    delays = np.array([first if first > 0 else math.inf for first in firsts])
    median, p90 = np.quantile(delays, (0.5, 0.9), method="higher").tolist()
    share = float(np.isfinite(delays).mean())
    early = sum(first <= 0 for first in firsts)
    least = floor(after, arl0) if arl0 else None
    return Row(detector, arl0, before, after, len(firsts), median, p90, share, early, least)


def floor(after: float, arl0: float) -> float | None:
    """Positives until an alarm that no test against the limit of this ARL0 can be below; inf within the limit. None
    where ARL0 K is below 10: the formula is an asymptote."""
    if after <= LIMIT:
        return math.inf
    k = after * math.log(after / LIMIT) + (1.0 - after) * math.log((1.0 - after) / (1.0 - LIMIT))
    return (math.log(arl0 * k) - 1.0) / k if arl0 * k >= 10.0 else None


def settings_of(arl0: float) -> DetectionSettings:
    rule = LimitRule(metric="false_negative_rate", at_most=LIMIT, min_count=200)
    return DetectionSettings(arl0_events=arl0, limits=(rule,))


def _reference(before: float) -> Section:
    values = (np.random.default_rng(77).random(REFERENCE) < before).astype(np.float64)
    return learn_section(PAIRS, _rows(values, 0), PANE_MS, settings_of(ARL0S[0]))


def _stream(before: float, after: float, seed: int) -> Floats:
    rates = np.repeat((before, after), (LEAD, SEARCHED))
    return (np.random.default_rng((seed, round(1e6 * after))).random(LEAD + SEARCHED) < rates).astype(np.float64)


def _rows(values: Floats, start: int) -> Rows:
    """One positive a second."""
    at = np.arange(start, start + len(values))
    return Rows(at * 1_000, at.astype(np.uint64), {"false_negative": Column(values), "error": Column(values)})


def _first(alarms: Iterator[int]) -> float:
    """Positives since the change until the first alarm: 0 or less on the lead, inf for none."""
    return next((at - LEAD for at in alarms), math.inf)


def _panes(section: Section, values: Floats) -> Iterator[tuple[int, int, PaneCounts]]:
    """(positives so far, start, counts) of each pane, by way of blocks."""
    for first in range(0, len(values), CHUNK):
        for block in rows_to_blocks(section.grid, _rows(values[first : first + CHUNK], first), "m", "1", PAIRS):
            counts = PaneCounts.empty(len(section.grid.columns), section.grid.joint)
            add_block(counts, block, section.grid)
            yield block.pane // 1_000 + PANE, block.pane, counts


def _limit(section: Section, settings: DetectionSettings, values: Floats) -> Iterator[int]:
    limits = Limits(section, settings)
    for at, start, counts in _panes(section, values):
        if any(change.state == "alarm" for change in limits.update(start, start + PANE_MS, counts)):
            yield at


def _change(section: Section, settings: DetectionSettings, values: Floats) -> Iterator[int]:
    """The same zeros and ones as `error`, whose rate has a monitor of its own; it has the whole budget."""
    monitors = StreamMonitors(section, settings, 0)
    thresholds = np.full(len(monitors.columns), math.log(settings.arl0))
    for at, start, counts in _panes(section, values):
        changes = monitors.update(start, counts, thresholds)
        if any(change.monitor == "error:rate" and change.state == "alarm" for change in changes):
            yield at


def _river(detector: Any, values: Floats) -> Iterator[int]:
    for i, value in enumerate(values.tolist()):
        detector.update(value)
        if detector.drift_detected:
            yield i + 1
