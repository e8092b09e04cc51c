"""Second opinions on a monitor: river's ADWIN and Page-Hinkley, and whatever the configuration names.

Memory is bounded: ADWIN keeps O(log n) buckets (2.5 kB after 100,000 numbers), Page-Hinkley five numbers, the
others windows of the size they were given. State is tied to the river version that wrote it, and to a detector's
arguments: under others it starts cold, which costs an opinion its memory, no alarm.

Monitors of features hear the standardised means of units, (y - mu) / (sigma sqrt(a/n + b)); rates hear every
event, 0 or 1, with the ones of a unit spread evenly over it: an order that hangs on counts alone.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from typing import Any, Final

from driftline.errors import StateCorrupt
from driftline.stats.codec import pack_arrays, unpack_arrays
from driftline.stats.detector_rules import DetectorRule, Parsed, parse
from driftline.stats.river_state import freeze, thaw

NAMES: Final = ("adwin", "page_hinkley")
RIVER: Final = version("river")
_DEFAULT: Final = {"adwin": Parsed("ADWIN", {}), "page_hinkley": Parsed("PageHinkley", {})}
MIRRORED: Final = frozenset({"FHDDM"})
"""Written to hear 1 for what is right: river's notices only when the share of ones falls."""


@cache
def river_drift() -> Any:
    """river's detectors. Imported when first wanted: that takes a second, which processes that judge nothing, and
    every command of the command line, can do without."""
    return importlib.import_module("river.drift")


@dataclass(slots=True)
class _Held:
    """A detector, and when (ms of event time) it last noticed a change."""

    what: Parsed
    detector: Any
    noticed: int | None = None


class Opinions:
    """All detectors of one monitor: the two that always listen, and `rules` of the configuration."""

    def __init__(self, rules: Sequence[DetectorRule] = ()) -> None:
        wanted = _DEFAULT | {rule.name: parse(rule.detector) for rule in rules}
        self._held = {name: _Held(what, what.make()) for name, what in wanted.items()}

    @property
    def noticed(self) -> dict[str, int | None]:
        """By detector, the event time (ms) at which it last noticed a change."""
        return {name: held.noticed for name, held in self._held.items()}

    def update(self, x: float, time: int) -> set[str]:
        """One number, finite: a NaN would blind them for ever, so it is refused with ValueError. Returns the
        detectors that notice a change at it."""
        if not -1e100 < x < 1e100:
            raise ValueError(f"{x} is not a number to judge")
        found = set()
        for name, held in self._held.items():
            held.detector.update(1.0 - x if held.what.cls in MIRRORED else x)
            if held.detector.drift_detected:
                held.noticed = time
                found.add(name)
        return found

    def update_events(self, errors: int, n: int, time: int) -> set[str]:
        """n events of which `errors` were errors."""
        found: set[str] = set()
        for i in range(n):
            found |= self.update(float((i + 1) * errors // n - i * errors // n), time)
        return found

    def to_bytes(self) -> bytes:
        """Equal states give equal bytes."""
        held = [[name, held.noticed, freeze(held.detector)] for name, held in self._held.items()]
        return pack_arrays({"river": RIVER, "held": held})

    @staticmethod
    def from_bytes(data: bytes, rules: Sequence[DetectorRule] = ()) -> Opinions:
        """Continues where `to_bytes` left off, bit for bit; cold where another river wrote it, or a detector is
        new. The bytes are ours: whoever keeps them keeps a checksum too. StateCorrupt where they are not."""
        opinions = Opinions(rules)
        state = unpack_arrays(data)
        try:
            for name, noticed, frozen in state["held"]:
                held = opinions._held.get(name)
                if held is None:
                    continue
                held.noticed = noticed
                if state["river"] == RIVER:
                    thaw(held.detector, frozen)
        except (KeyError, ValueError, TypeError) as error:
            raise StateCorrupt(f"opinions: {error}") from None
        return opinions
