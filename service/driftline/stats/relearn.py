"""A reference learnt anew from counts and sums: what a rolling profile and a successor's first profile are made of.

Counts know shares and how they vary from bucket to bucket; they do not know the order of events, nor where new bin
edges should lie. So p, mu, sigma and b come from the counts, the grid, the bins and `a` from the original, and `b` is
never less than the original's: buckets are longer than panes, and what varies inside one is not in their means
(docs/decisions/0009).
"""

from __future__ import annotations

import math
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from driftline.stats.codes import CODES
from driftline.stats.questions import rate_effect, smoothed_share
from driftline.stats.relearn_joint import relearn_joint
from driftline.stats.section import ColumnReference, Section
from driftline.stats.settings import DetectionSettings
from driftline.stats.shown import Shown
from driftline.stats.variance import pane_variance
from driftline.stats.witness import MISSING_BIN, WIDTH, Witness, share_step

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]

SHOWN_QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)


def relearn_section(
    original: Section, buckets: list[Shown], start: int, end: int, bucket_ms: int, settings: DetectionSettings
) -> Section:
    """The reference of what `buckets` of `bucket_ms` hold, in order of time, of events from `start` to `end` (ms).
    Every column keeps its questions; one that holds nothing any more never pages. Panes and units are what the buckets
    would make with rows in every pane. Traffic stays as it was."""
    counts = np.stack([bucket.counts for bucket in buckets])
    n = sum(bucket.rows for bucket in buckets)
    panes = max(1, len(buckets) * bucket_ms // original.grid.pane_ms)
    anew: dict[str, ColumnReference] = {column.name: column for column in original.columns}
    for j, column in enumerate(original.monitored):
        if column.aspect == "values":
            anew[column.name] = _relearn_column(column, counts[:, j], panes, settings)
        else:
            rows = int(counts[:, j].sum())
            anew[column.name] = msgspec.structs.replace(
                anew[column.name],
                rows=rows,
                quality=[_refit(column, witness, counts[:, j], settings) for witness in column.witnesses],
                quality_units=_units(rows, panes, settings.coalesce),
            )
    units = _units(n, panes, settings.coalesce)
    return msgspec.structs.replace(
        original,
        n=n,
        panes=panes,
        start=start,
        end=end,
        columns=list(anew.values()),
        check=None,
        joint=None if original.joint is None else relearn_joint(original.joint, buckets, units, settings),
    )


def moved_by(original: ColumnReference, counts: Counts) -> float:
    """Total variation distance of coarse counts [WIDTH], missing values among them, from the original's, beyond
    what sampling alone would give on average: about half of sum sqrt(2/pi p (1/n + 1/m))."""
    n, m = max(int(original.coarse_counts.sum()), 1), max(int(counts.sum()), 1)
    p, q = original.coarse_counts / n, counts / m
    noise = np.sqrt(2.0 / math.pi * p * (1.0 - p) * (1.0 / n + 1.0 / m)).sum() / 2.0
    return max(0.0, float(np.abs(p - q).sum() / 2.0 - noise))


def _units(held: int, panes: int, coalesce: int) -> int:
    """Units of whole panes, `coalesce` or more of `held` in each."""
    return panes // math.ceil(coalesce * panes / held) if held else 0


def _relearn_column(
    column: ColumnReference, buckets: Counts, panes: int, settings: DetectionSettings
) -> ColumnReference:
    total = buckets.sum(axis=0)
    values = int(total[:MISSING_BIN].sum())
    if not values:
        return msgspec.structs.replace(column, why_not=f"no value of {column.name} in the time it was learnt from")
    held = int((buckets[:, :MISSING_BIN].sum(axis=1) > 0).sum())
    too_few = column.too_few
    if not too_few and held < settings.min_reference_panes:
        too_few = f"the reference holds {held} spans of time with values of {column.name}"
    return msgspec.structs.replace(
        column,
        counts=_spread(column, total).astype("<i8").tobytes(),
        rows=int(total.sum()),
        units=_units(values, panes, settings.coalesce),
        witnesses=[_refit(column, witness, buckets, settings) for witness in column.witnesses],
        quantiles=_quantiles(column, total),
        too_few=too_few,
        why_not=column.why_not or too_few,
    )


def _refit(column: ColumnReference, w: Witness, buckets: Counts, settings: DetectionSettings) -> Witness:
    f = column.values(w)
    over = buckets[:, :MISSING_BIN]
    f = f[:MISSING_BIN]
    n = over.sum(axis=1).astype(np.float64)
    seen = n > 0
    total = over.sum(axis=0)
    if w.share:
        mu = smoothed_share(int(total @ (f > 0)), int(total.sum()))
        sigma = math.sqrt(mu * (1.0 - mu))
    else:
        p = total / total.sum()
        mu = float(p @ f)
        sigma = math.sqrt(max(float(p @ np.square(f - mu)), 0.0))
    if sigma <= 1e-9:
        return w  # nothing varies any more: what was known of it is the better guess
    means = (over[seen] @ f / n[seen])[None, :]
    variance = np.array([sigma * sigma])
    b = max(w.b, float(pane_variance(means, n[seen], variance, np.array([w.a]))[0]))
    b_within = max(w.b_within, float(pane_variance(means, n[seen], variance, np.array([w.a_within]))[0]))
    fitted = msgspec.structs.replace(w, mu=mu, sigma=sigma, b=b, b_within=b_within)
    error = settings.z_ref * sigma * math.sqrt(fitted.inflation(float(total.sum()), float(seen.sum())))
    smallest = _smallest(column, fitted, settings)
    if column.aspect != "values":
        smallest = max(smallest, w.eps)  # what is not the quality's to tell stays so
    return msgspec.structs.replace(fitted, eps=max(smallest, error))


def _smallest(column: ColumnReference, w: Witness, settings: DetectionSettings) -> float:
    match w.form:
        case "below":
            return settings.min_effect_sd * share_step(w.mu)
        case "is":
            return rate_effect(w.mu, settings)
        case "mean" if column.name == "loss":
            return rate_effect(column.mean + column.sd * w.mu, settings) / column.sd
        case _:
            return settings.min_effect_sd * w.sigma


def _spread(column: ColumnReference, total: Counts) -> Counts:
    """Coarse counts over the fine codes, in the original's proportions within each bin; exact in every bin."""
    mapping, fine = column.coarse_map, column.fine_counts
    found = np.zeros(CODES, np.int64)
    for bin_ in range(WIDTH):
        codes = np.flatnonzero(mapping == bin_)
        if not total[bin_] or not len(codes):
            continue
        weights = fine[codes] if fine[codes].any() else np.ones(len(codes), np.int64)
        edges = np.cumsum(weights) * int(total[bin_]) // int(weights.sum())
        found[codes] = np.diff(edges, prepend=0)
    return found


def _quantiles(column: ColumnReference, total: Counts) -> list[float]:
    """Of a numeric column, from the representatives of its bins: for display."""
    if not column.scores:
        return column.quantiles
    below = np.cumsum(total[: len(column.scores)]) / max(int(total[: len(column.scores)].sum()), 1)
    at = np.minimum(np.searchsorted(below, SHOWN_QUANTILES), len(column.scores) - 1)
    return [column.mean + column.sd * column.scores[i] for i in at.tolist()]
