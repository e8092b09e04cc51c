"""What a monitor can notice, and how fast: from its reference alone.

A shift of a witness beyond its allowance makes evidence grow by so many nats a unit, from the length of one unit on the
clock, with which every unit starts evidence anew, times the prior of the cell that gets there first, up to arl0 / v.
Delays are in whole units. Other witnesses of the monitor may see the same shift sooner.
"""

from __future__ import annotations

import math

import numpy as np

from driftline.stats.codes import MISSING
from driftline.stats.section import ColumnReference, Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.units import DAY_MS
from driftline.stats.witness import EFFECT_PRIOR, SIGNS, Witness, bernoulli_evidence, tail_variance, tilt_evidence
from driftline.stats.wording import number


def main_witness(column: ColumnReference) -> int:
    """The witness that stands for a column: the mean, else the first: the largest category, the error rate."""
    return next((i for i, witness in enumerate(column.witnesses) if witness.form == "mean"), 0)


def unit_events(column: ColumnReference, section: Section) -> float:
    """Values that a unit holds at the reference's traffic."""
    held = column.rows if column.aspect != "values" else int(column.fine_counts[:MISSING].sum())
    return max(held, 1) / max(column.units, 1) if column.units else max(held / max(section.panes, 1), 1.0)


def unit_length(column: ColumnReference, section: Section, settings: DetectionSettings) -> float:
    """Length of a unit on the clock of arl0: days of traffic, or events."""
    units = max(column.units, 1)
    if settings.unit == "events":
        return section.n / units
    return section.panes * section.grid.pane_ms / DAY_MS / units


def smallest_shift(column: ColumnReference, witness: Witness) -> str:
    """In words: what the size of the reference, and the smallest effect worth a page, let the monitor see."""
    if witness.form == "mean":
        return f"{number(witness.eps * column.sd)} of the mean ({number(witness.eps)} SD)"
    return f"{100.0 * witness.eps:.2g} percentage points of the share of {witness.label}"


def expected_delay(
    column: ColumnReference, witness: Witness, shift: float, log_threshold: float, unit: float, length: float
) -> int | None:
    """Values until the alarm, about, after `shift` (in units of the witness; its sign is the direction) at `unit`
    values a unit of `length` on the clock. None where that never pages: within the allowance, or of no interest."""
    sign = 0 if shift > 0.0 else 1
    if log_threshold == math.inf or not (witness.up, witness.down)[sign]:
        return None
    if witness.share:
        cells = bernoulli_evidence(witness.mu, witness.eps, SIGNS[sign])
    else:
        cells = tilt_evidence(column.values(witness), column.shares, witness.mu, witness.eps, SIGNS[sign])
    if cells is None or (witness.share and not 0.0 <= witness.mu + shift <= 1.0):
        return None
    slope, offset = cells
    variance = witness.inflation(unit) + tail_variance(column.common, witness.sigma, slope)
    growth = (slope * (witness.mu + shift) + offset) / variance
    grows = growth > 0.0
    if abs(shift) <= witness.eps or not grows.any():
        return None
    growth, prior = growth[grows], witness.weight / (witness.up + witness.down) * np.asarray(EFFECT_PRIOR)[grows]
    # Every unit since the shift is a start of its own: a geometric sum.
    nats = log_threshold - np.log(prior * length) + np.log(-np.expm1(-growth))
    return max(1, math.ceil(float((nats / growth).min()))) * math.ceil(unit)
