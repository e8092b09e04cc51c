"""Recent windows of one model's stream: 5 min, 1 h and 1 d of merged counts, the last closed and the open one
of each.

Memory is six arrays whatever the traffic. Per level the two latest intervals that hold a pane are kept, so the
same panes give the same windows in whatever order they come.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from driftline.errors import StateCorrupt
from driftline.stats.codec import pack, pack_arrays, unpack, unpack_arrays

LEVELS_MS: Final = (300_000, 3_600_000, 86_400_000)
KIND: Final = "windows"
VERSION: Final = 1

Counts = npt.NDArray[np.int64]


@dataclass(slots=True)
class Window:
    """Counts of the panes that start in `[first, last]`, ms; `bucket` is the number of the interval they lie in."""

    bucket: int
    first: int
    last: int
    counts: Counts

    def add(self, pane: int, counts: Counts) -> None:
        self.first, self.last = min(self.first, pane), max(self.last, pane)
        self.counts += counts

    def joined(self, later: Window) -> Window:
        first, last = min(self.first, later.first), max(self.last, later.last)
        return Window(later.bucket, first, last, self.counts + later.counts)


class Windows:
    """The ladder. Counts are int64 of one shape, fixed at the start: [columns, bins]."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._open: list[Window | None] = [None] * len(LEVELS_MS)
        self._closed: list[Window | None] = [None] * len(LEVELS_MS)

    def update(self, pane: int, counts: Counts) -> None:
        """Add the counts of the pane that starts at `pane` ms. Raises ValueError for another shape."""
        if counts.shape != self.shape:
            raise ValueError(f"counts of shape {counts.shape}, wanted {self.shape}")
        for level, length in enumerate(LEVELS_MS):
            bucket = pane // length
            window, closed = self._open[level], self._closed[level]
            if window is None or bucket > window.bucket:
                self._closed[level] = window
                self._open[level] = Window(bucket, pane, pane, counts.astype(np.int64))
            elif bucket == window.bucket:
                window.add(pane, counts)
            elif closed is not None and bucket == closed.bucket:
                closed.add(pane, counts)
            elif closed is None or bucket > closed.bucket:
                self._closed[level] = Window(bucket, pane, pane, counts.astype(np.int64))

    def covering(self, since: int) -> Window | None:
        """The longest window up to now that holds nothing before `since` ms; where there is none, the shortest
        there is. None before the first pane. The counts are a copy."""
        best: Window | None = None
        for window in self._recent():
            if best is None or _rank(window, since) > _rank(best, since):
                best = window
        return best

    def _recent(self) -> list[Window]:
        found = []
        for window, closed in zip(self._open, self._closed, strict=True):
            if window is not None:
                found.append(Window(window.bucket, window.first, window.last, window.counts.copy()))
                if closed is not None:
                    found.append(closed.joined(window))
        return found

    def to_bytes(self) -> bytes:
        levels = [[_to_list(window) for window in pair] for pair in zip(self._open, self._closed, strict=True)]
        return pack(KIND, VERSION, pack_arrays({"lengths": list(LEVELS_MS), "levels": levels}))

    @staticmethod
    def from_bytes(shape: tuple[int, int], data: bytes) -> Windows:
        """Raises StateCorrupt, or StateTooNew, if these are not the bytes of windows of this shape."""
        state = unpack_arrays(unpack(KIND, VERSION, data)[1])
        windows = Windows(shape)
        levels = state.get("levels")
        if state.get("lengths") != list(LEVELS_MS) or not isinstance(levels, list):
            raise StateCorrupt("windows: other lengths than ours")
        if len(levels) != len(LEVELS_MS) or any(not isinstance(p, list) or len(p) != 2 for p in levels):
            raise StateCorrupt("windows: not an open and a closed one a level")
        windows._open = [_from_list(shape, pair[0]) for pair in levels]
        windows._closed = [_from_list(shape, pair[1]) for pair in levels]
        return windows


def _rank(window: Window, since: int) -> tuple[bool, int]:
    """Inside the span asked for: the earlier it starts the better; outside it: the later."""
    inside = window.first >= since
    return inside, -window.first if inside else window.first


def _to_list(window: Window | None) -> list[Any] | None:
    return None if window is None else [window.bucket, window.first, window.last, window.counts]


def _from_list(shape: tuple[int, int], state: object) -> Window | None:
    match state:
        case None:
            return None
        case [int(bucket), int(first), int(last), np.ndarray() as counts]:
            if counts.shape == shape and counts.dtype == np.int64 and counts.min(initial=0) >= 0:
                return Window(bucket, first, last, counts)
    raise StateCorrupt("windows: a window of another shape")
