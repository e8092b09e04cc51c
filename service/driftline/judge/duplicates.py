"""Duplicates of a model version's predictions by event time: those to be judged, and those a reference is learnt from.

Times are starts (ms) of the `DUPLICATE_MS` they lie in. They follow the rows: what is late goes to the open pane, what
is older than the profile in force is left out, and until a reference is learnt they wait for it.
"""

from __future__ import annotations

import msgspec

from driftline.contracts.blocks import DUPLICATE_MS
from driftline.stats.profile import Profile

MAX_WAITING = 10_000
"""Times that wait for a reference; of more the latest."""


class Duplicates(msgspec.Struct):
    """Counts by time: of panes that are `open`, and `waiting` for a reference of the version's own."""

    open: dict[int, int] = {}
    waiting: dict[int, int] = {}

    def add(self, found: dict[int, int], profile: Profile | None, closed: int) -> None:
        """`closed`: what ends by then is judged."""
        for time, count in found.items():
            if profile is None or profile.provisional:
                self.waiting[time] = self.waiting.get(time, 0) + count
                if len(self.waiting) > MAX_WAITING:
                    del self.waiting[min(self.waiting)]
            if profile is not None and time + DUPLICATE_MS > profile.judged_from:
                at = time
                if time // profile.pane_ms * profile.pane_ms + profile.pane_ms <= closed:
                    at = closed // profile.pane_ms * profile.pane_ms
                self.open[at] = self.open.get(at, 0) + count

    def adopt(self, profile: Profile) -> None:
        """The first profile there is: what waits is judged by it, unless it belongs to it."""
        self.open = {t: n for t, n in self.waiting.items() if t + DUPLICATE_MS > profile.judged_from}
        if not profile.provisional:
            self.waiting = {}

    def before(self, end: int) -> dict[int, int]:
        """Of those that wait, what is earlier than `end` (ms)."""
        return {time: count for time, count in self.waiting.items() if time < end}

    def panes(self, pane_ms: int, before: int) -> set[int]:
        """Panes with duplicates that end by `before` (ms)."""
        starts = {time // pane_ms * pane_ms for time in self.open}
        return {start for start in starts if start + pane_ms <= before}

    def take(self, start: int, end: int) -> int:
        """How many are of this time; they are judged now."""
        mine = [time for time in self.open if start <= time < end]
        return sum(self.open.pop(time) for time in mine)
