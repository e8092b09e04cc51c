"""Scorecards read by days, weeks (from Monday) or months of UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from driftline.judge.scorecard import DAY_MS, Scorecard
from driftline.stats.confusion import CELLS
from driftline.stats.performance import Reading, read

Ints = npt.NDArray[np.int64]
Period = Literal["day", "week", "month"]
PERIODS: Final[tuple[Period, ...]] = get_args(Period)
MOST: Final = 31
"""Readings that a person still looks over."""


def fitting(card: Scorecard) -> Period:
    """The shortest period that makes no more than MOST readings."""
    starts = [start for start, _, _ in card.days()]
    return next((p for p in PERIODS if len({_begin(start, p) for start in starts}) <= MOST), "month")


def readings(card: Scorecard, period: Period) -> list[Reading]:
    """In order of time. Where the reference was replaced within a period, it makes a reading for each."""
    pages: dict[tuple[int, str], list[tuple[Ints, int, Ints, int]]] = {}
    for start, calibration, page in card.days():
        numbers = np.array(page.seen, np.int64), page.seen_panes, np.array(page.graded, np.int64), page.graded_panes
        pages.setdefault((_begin(start, period), calibration), []).append(numbers)
    found = []
    for (begin, calibration), days in pages.items():
        seen, graded = np.sum([day[0] for day in days], axis=0), np.sum([day[2] for day in days], axis=0)
        panes = sum(day[1] for day in days), sum(day[3] for day in days)
        reference = card.calibrations[calibration]
        table = graded.reshape(len(CELLS), -1)
        found.append(read(begin, _end(begin, period), reference, seen, panes[0], table, panes[1]))
    return found


def _begin(time: int, period: Period) -> int:
    at = datetime.fromtimestamp(time / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    match period:
        case "week":
            at -= timedelta(days=at.weekday())
        case "month":
            at = at.replace(day=1)
    return round(at.timestamp() * 1000)


def _end(begin: int, period: Period) -> int:
    match period:
        case "day":
            return begin + DAY_MS
        case "week":
            return begin + 7 * DAY_MS
        case "month":
            return _begin(begin + 32 * DAY_MS, "month")
