"""Second opinions on a monitor: river's ADWIN and Page-Hinkley.

Memory: ADWIN keeps O(log n) buckets (2.5 kB after 100,000 numbers), Page-Hinkley five numbers. State is tied to
the river version that wrote it: under another one both start cold, which costs an opinion its memory, no alarm.

Monitors of features hear the standardised means of units, (y - mu) / (sigma sqrt(a/n + b)); error rates hear every
labelled event, 0 or 1, with the errors of a unit spread evenly over it: an order that hangs on counts alone.
"""

from __future__ import annotations

import importlib
import struct
from functools import cache
from importlib.metadata import version
from typing import Any, Final

NAMES: Final = ("adwin", "page_hinkley")
RIVER: Final = version("river").encode("ascii")
_NEVER: Final = -(1 << 63)
_HEAD: Final = struct.Struct("<B2qdddddBI")


@cache
def river_drift() -> Any:
    """river's detectors. Imported when first wanted: that takes a second, which processes that judge nothing, and
    every command of the command line, can do without."""
    return importlib.import_module("river.drift")


class Opinions:
    """Both detectors of one monitor. `noticed` is the event time (ms) at which each last noticed a change."""

    def __init__(self) -> None:
        self._adwin: Any = river_drift().ADWIN()
        self._page_hinkley: Any = river_drift().PageHinkley()
        self.noticed: dict[str, int | None] = dict.fromkeys(NAMES)

    def update(self, x: float, time: int) -> set[str]:
        """One number, finite: a NaN would blind both for ever, so it is refused with ValueError. Returns the
        detectors that notice a change at it."""
        if not -1e100 < x < 1e100:
            raise ValueError(f"{x} is not a number to judge")
        self._adwin.update(x)
        self._page_hinkley.update(x)
        found = set()
        if self._adwin.drift_detected:
            found.add("adwin")
        if self._page_hinkley.drift_detected:
            found.add("page_hinkley")
        for name in found:
            self.noticed[name] = time
        return found

    def update_events(self, errors: int, n: int, time: int) -> set[str]:
        """n events of which `errors` were errors."""
        found: set[str] = set()
        for i in range(n):
            found |= self.update(float((i + 1) * errors // n - i * errors // n), time)
        return found

    def to_bytes(self) -> bytes:
        p = self._page_hinkley
        noticed = [_NEVER if (t := self.noticed[name]) is None else t for name in NAMES]
        helper: bytes = self._adwin._helper.__getstate__()
        head = _HEAD.pack(
            len(RIVER),
            *noticed,
            p._sum_increase,
            p._sum_decrease,
            p._min_increase,
            p._max_decrease,
            p._x_mean.n,
            (2 if self._adwin.drift_detected else 0) + (1 if p.drift_detected else 0),
            len(helper),
        )
        return head + RIVER + struct.pack("<d", p._x_mean._mean) + helper

    @staticmethod
    def from_bytes(data: bytes) -> Opinions:
        """Continues where `to_bytes` left off, bit for bit; cold where another river wrote it. The bytes are
        ours: whoever keeps them keeps a checksum too."""
        opinions = Opinions()
        length, first, second, up, down, low, high, n, flags, size = _HEAD.unpack_from(data)
        river = data[_HEAD.size : _HEAD.size + length]
        for name, time in zip(NAMES, (first, second), strict=True):
            opinions.noticed[name] = None if time == _NEVER else time
        if river != RIVER:
            return opinions
        at = _HEAD.size + length
        p = opinions._page_hinkley
        p._sum_increase, p._sum_decrease, p._min_increase, p._max_decrease = up, down, low, high
        p._x_mean.n = n
        (p._x_mean._mean,) = struct.unpack_from("<d", data, at)
        p._drift_detected = bool(flags & 1)
        opinions._adwin._drift_detected = bool(flags & 2)
        opinions._adwin._helper.__setstate__(data[at + 8 : at + 8 + size])
        return opinions
