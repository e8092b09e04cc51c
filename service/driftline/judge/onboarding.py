"""Learning a reference from the first events, the same whatever partitions and in whatever order they came.

A reference is all events of the first closed panes (10 s of event time) that together hold N events and are at
least 60: the variance between panes is part of it. Where traffic is so dense that 60 panes would be more than 8 N
events, 8 N have to do (and the monitors say that they do not page, if that is too few). Pairs start one 99th
percentile of the label delay in, because the first pairs are the fast ones, and biased.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from driftline.stats.rows import Rows

ONBOARDING_PANE_MS: Final = 10_000
MIN_PANES: Final = 60
RAW_FACTOR: Final = 8
"""Raw rows of a stream are kept up to somewhat more than so many times the size of its reference."""
GROWTH: Final = 1.25
DELAY_COLUMN: Final = "label_delay_s"


def first_events(parts: Sequence[Rows], closed: int, wanted: int) -> tuple[Rows, int] | None:
    """(reference rows sorted by (time, id), end of the reference in ms), or None while there are too few.

    `closed` is the watermark: events before it are all here."""
    times = np.sort(np.concatenate([p.times for p in parts])) if parts else np.empty(0, np.int64)
    complete = _complete(times, closed)
    count = _enough(times[:complete], wanted, ONBOARDING_PANE_MS)
    return None if count is None else _before(parts, _pane_end(int(times[count - 1])))


def first_pairs(parts: Sequence[Rows], closed: int, wanted: int, pane_ms: int) -> tuple[Rows, int] | None:
    """As `first_events`, for joined pairs: enough that `wanted`, in 60 panes of the profile's length, are left one
    p99 label delay after the first.

    The candidates are fixed counts in order of time (wanted, and 1.25 times the last), so the answer does not
    depend on when the question is asked."""
    if sum(p.n for p in parts) < wanted:
        return None
    rows = Rows.concat(parts).sorted()
    complete = _complete(rows.times, closed)
    count = wanted
    while count <= complete:
        end = _pane_end(int(rows.times[count - 1]))
        upto = int(np.searchsorted(rows.times, end))
        start = int(np.searchsorted(rows.times, rows.times[0] + _delay_p99_ms(rows, upto)))
        if _enough(rows.times[start:upto], wanted, pane_ms) is not None:
            return _before(parts, end)
        count = int(count * GROWTH) + 1
    return None


def _complete(times: npt.NDArray[np.int64], closed: int) -> int:
    return int(np.searchsorted(times, closed // ONBOARDING_PANE_MS * ONBOARDING_PANE_MS))


def _enough(times: npt.NDArray[np.int64], wanted: int, pane_ms: int) -> int | None:
    """The shortest prefix of sorted times that holds `wanted` events in MIN_PANES panes, or RAW_FACTOR times as
    many events; None if there is none."""
    if len(times) < wanted:
        return None
    panes = np.cumsum(np.diff(times // pane_ms, prepend=times[0] // pane_ms - 1) != 0)
    by_panes = int(np.searchsorted(panes, MIN_PANES)) + 1
    count = min(max(wanted, by_panes), RAW_FACTOR * wanted)
    return count if count <= len(times) else None


def _delay_p99_ms(rows: Rows, upto: int) -> int:
    column = rows.columns.get(DELAY_COLUMN)
    if column is None:
        return 0
    delays = column.numbers[:upto]
    known: npt.NDArray[np.float64] = delays[~np.isnan(delays)]
    return int(1000 * np.quantile(known, 0.99)) if len(known) else 0


def _pane_end(time: int) -> int:
    return (time // ONBOARDING_PANE_MS + 1) * ONBOARDING_PANE_MS


def _before(parts: Sequence[Rows], end: int) -> tuple[Rows, int]:
    rows = Rows.concat(parts)
    return rows.take(np.flatnonzero(rows.times < end)).sorted(), end
