"""How wrong a model version has been, day by day: so that two versions can be compared by whole days.

Each day of event time has its number of pairs and the sum of their errors, as integers: exact, the same in whatever
order and from however many partitions the pairs came. At most MAX_DAYS days are kept, the newest that were ever
seen; what comes for an older one is dropped, whenever it comes. About 12 bytes a day.
"""

from __future__ import annotations

import math
from collections import defaultdict
from typing import Final

import msgspec
import numpy as np

from driftline.contracts.blocks import PAIRS
from driftline.contracts.reactions import Day
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.codec import pack, unpack
from driftline.stats.codes import MISSING
from driftline.stats.grid import MOMENT_UNIT
from driftline.stats.rows import Rows
from driftline.stats.section import Section

ERRORS: Final = ("error", "loss", "abs_error")
"""Columns of pairs that say how wrong a model is, the plainest first: the first that has values is written down."""
DAY_MS: Final = 86_400_000
MAX_DAYS: Final = 120
MAX_PAGES: Final = 8
KIND: Final = "diary"
VERSION: Final = 1


class Page(msgspec.Struct, array_like=True):
    """Days that were counted in one unit, by number since the epoch: (pairs, units). The sum of a day's errors is
    `center * pairs + scale * units`. A new grid begins a new page."""

    column: str
    center: float
    scale: float
    days: dict[int, tuple[int, int]]


class Diary:
    """Changes by `add`. Its bytes are versioned and checksummed."""

    def __init__(self, pages: list[Page] | None = None) -> None:
        self._pages = pages or []

    def __bool__(self) -> bool:
        return bool(self._pages)

    def add(self, section: Section, pane: int, n: int, units: int) -> None:
        """Pairs of the pane that starts at `pane` ms, counted on the section's grid (`counted`)."""
        column = error_column(section)
        if column is None or not n:
            return
        day = pane // DAY_MS
        if not any(day in page.days for page in self._pages) and not self._room_for(day):
            return
        held = self._page(section, column)
        pairs, sum_ = held.days.get(day, (0, 0))
        held.days[day] = pairs + n, sum_ + units
        self._pages = [page for page in self._pages if page.days][-MAX_PAGES:]

    def _room_for(self, day: int) -> bool:
        """Whether a new day is among the newest; the oldest gives way."""
        known = {number for page in self._pages for number in page.days}
        if len(known) < MAX_DAYS:
            return True
        oldest = min(known)
        if day > oldest:
            for page in self._pages:
                page.days.pop(oldest, None)
        return day > oldest

    def _page(self, section: Section, column: int) -> Page:
        grid = section.grid.columns[column]
        center, scale = (0.0, 1.0) if grid.kind == "rate" else (grid.center, grid.scale / MOMENT_UNIT)
        unit = grid.name, center, scale
        for page in self._pages:
            if (page.column, page.center, page.scale) == unit:
                return page
        self._pages.append(Page(*unit, {}))
        return self._pages[-1]

    def read(self, waiting: list[Rows], since: int) -> tuple[str | None, list[Day]]:
        """(column, its days that end after `since` ms, in order). `waiting`: raw pairs that no grid has counted."""
        found: dict[str, dict[int, list[tuple[int, float]]]] = {}
        for page in self._pages:
            days = found.setdefault(page.column, defaultdict(list))
            for day, (n, units) in page.days.items():
                days[day].append((n, page.center * n + page.scale * units))
        for name, day, values in _by_day(waiting):
            days = found.setdefault(name, defaultdict(list))
            days[day].append((len(values), math.fsum(values)))
        column = next((name for name in ERRORS if name in found), None)
        if column is None:
            return None, []
        told = [
            Day(start=day * DAY_MS, n=sum(n for n, _ in parts), total=math.fsum(total for _, total in parts))
            for day, parts in sorted(found[column].items())
        ]
        return column, [day for day in told[-MAX_DAYS:] if day.start + DAY_MS > since]

    def to_bytes(self) -> bytes:
        pages = [Page(p.column, p.center, p.scale, dict(sorted(p.days.items()))) for p in self._pages]
        return pack(KIND, VERSION, msgspec.msgpack.encode(pages))

    @staticmethod
    def from_bytes(data: bytes) -> Diary:
        """Raises StateCorrupt, or StateTooNew, if these are not the bytes of a diary."""
        _, body = unpack(KIND, VERSION, data)
        try:
            return Diary(msgspec.msgpack.decode(body, type=list[Page]))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise StateCorrupt(f"{KIND}: {error}") from None


def error_column(section: Section) -> int | None:
    """Which column of a section of pairs is written down; None where there is none."""
    if section.stream != PAIRS:
        return None
    places = (section.grid.index.get(name) for name in ERRORS)
    return next((i for i in places if i is not None and section.columns[i].fine_counts[:MISSING].any()), None)


def counted(section: Section, counts: PaneCounts) -> tuple[int, int]:
    """(pairs, units) of the error in these counts."""
    column = error_column(section)
    if column is None:
        return 0, 0
    values = counts.counts[column]
    if section.grid.columns[column].kind == "rate":
        return int(values[0] + values[1]), int(values[1])
    return int(values[:MISSING].sum()), int(counts.moments[column, 0])


def _by_day(waiting: list[Rows]) -> list[tuple[str, int, list[float]]]:
    """(column, day, errors) of raw rows: of the first column that has any."""
    for name in ERRORS:
        found: dict[int, list[float]] = defaultdict(list)
        for rows in waiting:
            if name in rows.columns:
                numbers = rows.columns[name].numbers
                there = ~np.isnan(numbers)
                days = (rows.times[there] // DAY_MS).tolist()
                for day, value in zip(days, numbers[there].tolist(), strict=True):
                    found[day].append(value)
        if found:
            return [(name, day, values) for day, values in found.items()]
    return []
