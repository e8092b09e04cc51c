"""What a model version has predicted and how it turned out, day by day, in bins of the score.

Enough to say, of any day, how well the model was expected to do before its outcomes were known, and how well it did.
Predictions are in the day they were made on, pairs in the day their outcome became known. Integers, exact in whatever
order events came; the newest MAX_DAYS days are kept, 350 to 700 bytes each.
"""

from __future__ import annotations

import re
from typing import Final, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from driftline.contracts.blocks import PAIRS
from driftline.errors import StateCorrupt
from driftline.stats.block import PaneCounts
from driftline.stats.calibration import Calibration, Scores
from driftline.stats.codec import pack, unpack
from driftline.stats.confusion import CELLS
from driftline.stats.graded import COLUMN, SCORE
from driftline.stats.section import Section

Ints = npt.NDArray[np.int64]

DAY_MS: Final = 86_400_000
MAX_DAYS: Final = 92
MAX_CALIBRATIONS: Final = 16
CALIBRATIONS: Final = "calibrations"
T = TypeVar("T")
KIND: Final = "scorecard"
VERSION: Final = 1


class Page(msgspec.Struct, array_like=True):
    """One day under one calibration: predictions `seen` in each bin of the score, pairs `graded` in each bin of each
    cell, and in how many panes they were."""

    seen: list[int]
    graded: list[int]
    seen_panes: int = 0
    graded_panes: int = 0


Day = dict[str, Page]
"""By the id of the calibration: a reference that is replaced begins another page."""


class Scorecard:
    """Changes by `add`. Days are kept as bytes; those touched since the last flush are open."""

    def __init__(self) -> None:
        self.calibrations: dict[str, Calibration] = {}
        self._days: dict[int, bytes] = {}
        self._open: dict[int, Day] = {}
        self._gone: set[int] = set()
        self._learnt = False

    @property
    def cost(self) -> int:
        """About how many bytes the next flush writes."""
        return 512 * len(self._open) + (2_048 if self._learnt else 0)

    def add(self, scores: Scores | None, section: Section, pane: int, counts: PaneCounts) -> None:
        """A pane that was judged, which starts at `pane` ms. Nothing where no calibration says what scores mean."""
        name = COLUMN if section.stream == PAIRS else SCORE
        if scores is None or name not in section.grid.index:
            return
        values = counts.counts[section.grid.index[name]]
        found = scores.graded(values).ravel() if name == COLUMN else scores.seen(values)
        if not found.any():
            return
        day = pane // DAY_MS
        page = self._page(day, scores)
        if page is None:
            return
        if name == COLUMN:
            page.graded = (np.array(page.graded, np.int64) + found).tolist()
            page.graded_panes += 1
        else:
            page.seen = (np.array(page.seen, np.int64) + found).tolist()
            page.seen_panes += 1

    def _page(self, day: int, scores: Scores) -> Page | None:
        """None for a day older than all that are kept."""
        known = self._days.keys() | self._open.keys()
        if day not in known and len(known) >= MAX_DAYS:
            oldest = min(known)
            if day < oldest:
                return None
            self._days.pop(oldest, None)
            self._open.pop(oldest, None)
            self._gone.add(oldest)
        if scores.id not in self.calibrations:
            self.calibrations[scores.id] = scores.calibration
            self._forget_calibrations()
            self._learnt = True
        if day not in self._open:
            self._open[day] = _day_of(self._days[day]) if day in self._days else {}
            self._gone.discard(day)
        bins, pages = scores.calibration.bins, self._open[day]
        if scores.id not in pages or len(pages[scores.id].seen) != bins:
            pages[scores.id] = Page([0] * bins, [0] * (bins * len(CELLS)))
        return pages[scores.id]

    def _forget_calibrations(self) -> None:
        """Of more than MAX_CALIBRATIONS the first learnt: what its days say can no longer be read."""
        while len(self.calibrations) > MAX_CALIBRATIONS:
            del self.calibrations[next(iter(self.calibrations))]

    def days(self) -> list[tuple[int, str, Page]]:
        """(start of the day in ms, id of the calibration, page), in order of time."""
        held = {day: _day_of(data) for day, data in self._days.items()} | self._open
        return [
            (day * DAY_MS, calibration, page)
            for day, pages in sorted(held.items())
            for calibration, page in pages.items()
            if calibration in self.calibrations and len(page.seen) == self.calibrations[calibration].bins
        ]

    def flush(self) -> dict[str, bytes | None]:
        """What has changed since the last flush, by name; None: to be deleted."""
        out: dict[str, bytes | None] = {str(day): None for day in sorted(self._gone)}
        for day, pages in sorted(self._open.items()):
            self._days[day] = pack(KIND, VERSION, msgspec.msgpack.encode(pages))
            out[str(day)] = self._days[day]
        if self._learnt:
            out[CALIBRATIONS] = pack(KIND, VERSION, msgspec.msgpack.encode(self.calibrations))
        self._open, self._gone, self._learnt = {}, set(), False
        return out

    def forget(self) -> dict[str, bytes | None]:
        """Begin anew. Returns the names to be deleted."""
        names = [CALIBRATIONS, *map(str, sorted(self._days.keys() | self._open.keys() | self._gone))]
        self.calibrations, self._days, self._open, self._gone, self._learnt = {}, {}, {}, set(), False
        return dict.fromkeys(names)

    def read(self, name: str, data: bytes) -> None:
        """Raises StateCorrupt, or StateTooNew, for bytes that `flush` did not give under this name."""
        if name == CALIBRATIONS:
            found = _decoded(data, dict[str, Calibration])
            for one in found.values():
                if len(one.counts) % len(CELLS) or not one.counts or not one.table.sum(axis=0).all():
                    raise StateCorrupt(f"{KIND}: a calibration of no whole bins, or of empty ones")
            self.calibrations = found
            return
        _day_of(data)
        if not re.fullmatch("0|-?[1-9][0-9]{0,6}", name):
            raise StateCorrupt(f"{KIND}: {name!r} is no day")
        self._days[int(name)] = data


def _day_of(data: bytes) -> Day:
    day = _decoded(data, Day)
    if any(len(page.graded) != len(CELLS) * len(page.seen) for page in day.values()):
        raise StateCorrupt(f"{KIND}: a page of no whole bins")
    return day


def _decoded(data: bytes, kind: type[T]) -> T:
    _, body = unpack(KIND, VERSION, data)
    try:
        return msgspec.msgpack.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StateCorrupt(f"{KIND}: {error}") from None
