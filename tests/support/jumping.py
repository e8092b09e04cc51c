"""A clock whose wall time jumps, as by a wrong NTP server; its monotonic time does not."""

from __future__ import annotations

from dataclasses import dataclass

from driftline.clock import Clock

DAY_MS = 86_400_000


@dataclass
class Jumping:
    """`base` as it is, but for `off` ms of wall time, which may be set at any moment."""

    base: Clock
    off: int = 0

    def now_ms(self) -> int:
        return self.base.now_ms() + self.off

    def monotonic(self) -> float:
        return self.base.monotonic()
